//! Texts that look like people's, the same for the same number.

const WORDS: [&str; 64] = [
    "open",
    "the",
    "page",
    "of",
    "account",
    "and",
    "check",
    "that",
    "invoice",
    "shows",
    "total",
    "with",
    "discount",
    "for",
    "customer",
    "after",
    "login",
    "button",
    "save",
    "is",
    "disabled",
    "until",
    "form",
    "has",
    "no",
    "errors",
    "error",
    "message",
    "appears",
    "below",
    "field",
    "when",
    "value",
    "exceeds",
    "limit",
    "calculator",
    "adds",
    "two",
    "numbers",
    "result",
    "equals",
    "expected",
    "sum",
    "user",
    "clicks",
    "link",
    "in",
    "e-mail",
    "confirm",
    "address",
    "report",
    "lists",
    "every",
    "order",
    "since",
    "last",
    "month",
    "sorted",
    "by",
    "date",
    "printer",
    "queue",
    "restart",
    "service",
];

/// A small generator; the same seed gives the same texts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words(u64);

impl Words {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Draws a number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// Draws so many words.
    pub(crate) fn words(&mut self, count: usize) -> String {
        let list: Vec<&str> = (0..count).map(|_| WORDS[self.below(WORDS.len() as u64) as usize]).collect();
        list.join(" ")
    }
}
