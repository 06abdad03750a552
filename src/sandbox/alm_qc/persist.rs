//! The state as bytes, and as a hash of its content.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use super::schema::{KINDS, Kind};
use super::store::{Audit, Project, Row, Snapshot, State, User, Value, Version};
use crate::sandbox::StateSummary;

/// Version of the format; a change of the fields or the layout raises it.
const FORMAT: u64 = 1;
/// How hard the bytes are packed: fast, as the state can be large.
const LEVEL: i32 = 1;
/// The longest text that a saved state holds: a file at its largest, with room.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Feeds what is written into a hash.
struct Sink(Xxh3);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hashes and counts the state.
pub(super) fn summary(state: &State) -> StateSummary {
    let mut sink = io::BufWriter::new(Sink(Xxh3::new()));
    let hash = match write(state, &mut sink).and_then(|()| sink.into_inner().map_err(|e| e.into_error())) {
        Ok(sink) => format!("{:032x}", sink.0.digest128()),
        Err(error) => format!("unreadable: {error}"),
    };
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for project in &state.projects {
        for (kind, _, collection) in KINDS {
            *counts.entry(collection.replace('-', "_")).or_default() += project.rows(kind).len() as u64;
        }
        *counts.entry("checked_out".to_owned()).or_default() += project.checked_out.len() as u64;
    }
    StateSummary { hash, counts }
}

/// Writes the state, packed.
pub(super) fn save(state: &State) -> Vec<u8> {
    let pack = || -> io::Result<Vec<u8>> {
        let mut out = io::BufWriter::new(zstd::Encoder::new(Vec::new(), LEVEL)?);
        write(state, &mut out)?;
        out.into_inner().map_err(|e| e.into_error())?.finish()
    };
    // Writing into memory fails for lack of memory only.
    pack().unwrap_or_default()
}

/// Reads what [`save`] wrote.
pub(super) fn load(bytes: &[u8]) -> Result<State, String> {
    let wrong = |e: io::Error| format!("the saved state of alm-qc cannot be read: {e}; start with --fresh");
    let decoder = zstd::Decoder::new(bytes).map_err(wrong)?;
    read(&mut io::BufReader::new(decoder)).map_err(wrong)
}

fn put_number(out: &mut impl Write, mut number: u64) -> io::Result<()> {
    while number >= 0x80 {
        out.write_all(&[(number as u8) | 0x80])?;
        number >>= 7;
    }
    out.write_all(&[number as u8])
}

/// Small numbers of either sign are short.
fn put_signed(out: &mut impl Write, number: i64) -> io::Result<()> {
    put_number(out, ((number << 1) ^ (number >> 63)) as u64)
}

fn put_bytes(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    put_number(out, bytes.len() as u64)?;
    out.write_all(bytes)
}

fn put_row(out: &mut impl Write, row: &Row) -> io::Result<()> {
    put_number(out, row.fields().len() as u64)?;
    for (field, value) in row.fields() {
        match value {
            Value::Num(number) => {
                out.write_all(&[*field, 0])?;
                put_signed(out, *number)?;
            }
            Value::Text(text) => {
                out.write_all(&[*field, 1])?;
                put_bytes(out, text.as_bytes())?;
            }
        }
    }
    Ok(())
}

fn write(state: &State, out: &mut impl Write) -> io::Result<()> {
    put_number(out, FORMAT)?;
    put_number(out, state.users.len() as u64)?;
    for user in &state.users {
        for text in [&user.login, &user.name, &user.email] {
            put_bytes(out, text.as_bytes())?;
        }
        out.write_all(&[u8::from(user.active)])?;
    }
    put_number(out, state.projects.len() as u64)?;
    state.projects.iter().try_for_each(|project| write_project(project, out))
}

fn write_project(project: &Project, out: &mut impl Write) -> io::Result<()> {
    put_bytes(out, project.name.as_bytes())?;
    out.write_all(&[u8::from(project.versioned)])?;
    for (table, last) in project.tables.iter().zip(&project.last) {
        put_number(out, u64::from(*last))?;
        put_number(out, table.len() as u64)?;
        for (id, row) in table {
            put_number(out, u64::from(*id))?;
            put_row(out, row)?;
        }
    }
    put_number(out, project.checked_out.len() as u64)?;
    for ((kind, id), snapshot) in &project.checked_out {
        for number in
            [*kind as u64, u64::from(*id), u64::from(snapshot.user), u64::from(snapshot.row.is_some())]
        {
            put_number(out, number)?;
        }
        put_row(out, snapshot.row.as_ref().unwrap_or(&Row::default()))?;
        put_number(out, snapshot.steps.len() as u64)?;
        for (id, row) in &snapshot.steps {
            put_number(out, u64::from(*id))?;
            put_row(out, row)?;
        }
    }
    put_number(out, project.versions.len() as u64)?;
    for ((kind, id), versions) in &project.versions {
        for number in [*kind as u64, u64::from(*id), versions.len() as u64] {
            put_number(out, number)?;
        }
        for version in versions {
            put_number(out, u64::from(version.number))?;
            put_number(out, u64::from(version.user))?;
            put_signed(out, version.at)?;
            put_bytes(out, version.comment.as_bytes())?;
            put_row(out, &version.row)?;
        }
    }
    put_number(out, project.audits.len() as u64)?;
    for audit in &project.audits {
        for number in
            [audit.kind as u64, u64::from(audit.of), u64::from(audit.user), audit.changes.len() as u64]
        {
            put_number(out, number)?;
        }
        put_signed(out, audit.at)?;
        for (field, old, new) in &audit.changes {
            out.write_all(&[*field])?;
            put_bytes(out, old.as_bytes())?;
            put_bytes(out, new.as_bytes())?;
        }
    }
    put_number(out, project.files.len() as u64)?;
    for (id, bytes) in &project.files {
        put_number(out, u64::from(*id))?;
        put_bytes(out, bytes)?;
    }
    Ok(())
}

fn broken() -> io::Error {
    io::Error::from(io::ErrorKind::InvalidData)
}

fn byte(from: &mut impl Read) -> io::Result<u8> {
    let mut one = [0];
    from.read_exact(&mut one)?;
    Ok(one[0])
}

fn number(from: &mut impl Read) -> io::Result<u64> {
    let mut out = 0;
    for shift in (0..64).step_by(7) {
        let byte = byte(from)?;
        out |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(out);
        }
    }
    Err(broken())
}

fn small<T: TryFrom<u64>>(from: &mut impl Read) -> io::Result<T> {
    T::try_from(number(from)?).map_err(|_| broken())
}

fn signed(from: &mut impl Read) -> io::Result<i64> {
    let number = number(from)?;
    Ok((number >> 1) as i64 ^ -((number & 1) as i64))
}

fn bytes(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let length = number(from)?;
    if length > LONGEST {
        return Err(broken());
    }
    let mut out = vec![0; usize::try_from(length).map_err(|_| broken())?];
    from.read_exact(&mut out)?;
    Ok(out)
}

fn text(from: &mut impl Read) -> io::Result<String> {
    String::from_utf8(bytes(from)?).map_err(|_| broken())
}

fn kind(from: &mut impl Read) -> io::Result<Kind> {
    let at: usize = small(from)?;
    KINDS.get(at).map(|(kind, ..)| *kind).ok_or_else(broken)
}

fn row(from: &mut impl Read, project: &mut Project, kind: Kind) -> io::Result<Row> {
    let count = number(from)?;
    let mut fields = Vec::new();
    for _ in 0..count {
        let at = byte(from)?;
        let field = kind.fields().get(usize::from(at)).ok_or_else(broken)?;
        let value = match byte(from)? {
            0 => Value::Num(signed(from)?),
            _ if field.is_pooled() => Value::Text(project.pooled(&text(from)?)),
            _ => Value::text(text(from)?),
        };
        fields.push((at, value));
    }
    Ok(Row::of(fields))
}

fn read(from: &mut impl Read) -> io::Result<State> {
    if number(from)? != FORMAT {
        return Err(io::Error::other(format!("its format is not {FORMAT}")));
    }
    let mut state = State::default();
    for _ in 0..number(from)? {
        let (login, name, email) = (text(from)?, text(from)?, text(from)?);
        state.users.push(User { login, name, email, active: byte(from)? == 1 });
    }
    for _ in 0..number(from)? {
        state.projects.push(read_project(from)?);
    }
    Ok(state)
}

fn read_project(from: &mut impl Read) -> io::Result<Project> {
    let name = text(from)?;
    let mut project = Project::new(&name, byte(from)? == 1);
    for (of, ..) in KINDS {
        let last = small(from)?;
        for _ in 0..number(from)? {
            let id = small(from)?;
            let row = row(from, &mut project, of)?;
            project.put(of, id, row);
        }
        project.last[of as usize] = last;
    }
    for _ in 0..number(from)? {
        let (of, id, user, known) = (kind(from)?, small(from)?, small(from)?, number(from)? == 1);
        let before = row(from, &mut project, of)?;
        let mut steps = Vec::new();
        for _ in 0..number(from)? {
            let step = small(from)?;
            steps.push((step, row(from, &mut project, Kind::DesignStep)?));
        }
        project.checked_out.insert((of, id), Snapshot { user, row: known.then_some(before), steps });
    }
    for _ in 0..number(from)? {
        let (of, id, count) = (kind(from)?, small(from)?, number(from)?);
        let mut versions = Vec::new();
        for _ in 0..count {
            let (number, user, at, comment) = (small(from)?, small(from)?, signed(from)?, text(from)?);
            versions.push(Version { number, user, at, comment, row: row(from, &mut project, of)? });
        }
        project.versions.insert((of, id), versions);
    }
    for _ in 0..number(from)? {
        let (kind, of, user, count) = (kind(from)?, small(from)?, small(from)?, number(from)?);
        let at = signed(from)?;
        let mut changes = Vec::new();
        for _ in 0..count {
            changes.push((byte(from)?, text(from)?, text(from)?));
        }
        project.audits.push(Audit { kind, of, user, at, changes });
    }
    for _ in 0..number(from)? {
        let id = small(from)?;
        project.files.insert(id, Bytes::from(bytes(from)?));
    }
    Ok(project)
}
