//! Drives the emulator as a client would.
