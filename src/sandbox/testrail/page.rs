//! Lists: in pages of at most 250 with links, or bare as older versions gave them.

use serde_json::{Value, json};

use super::call::Call;
use super::reply::{Answer, Problem, Reply};

/// The most items of a page, and the number if none is asked for.
const MOST: usize = 250;

/// How an older version, which knows no pages, gives a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bare {
    /// As a whole.
    Whole,
    /// At most 250 items, with `limit` and `offset`.
    Cut,
}

fn window(call: &Call) -> Result<(usize, usize), Problem> {
    let bad = |field: &str| Problem::invalid(field, "valid value (out of range)");
    let limit = match call.number("limit")? {
        None => MOST,
        Some(n) => usize::try_from(n).ok().filter(|n| (1..=MOST).contains(n)).ok_or_else(|| bad("limit"))?,
    };
    let offset = usize::try_from(call.number("offset")?.unwrap_or(0)).map_err(|_| bad("offset"))?;
    Ok((offset, limit))
}

/// Answers with a page of a list, or as an older version does. Only the items shown are written.
pub(super) fn list<T>(
    call: &Call,
    key: &str,
    bare: Bare,
    items: impl Iterator<Item = T>,
    show: impl Fn(T) -> Value,
) -> Answer {
    if !call.paged && bare == Bare::Whole {
        return Ok(Reply::Json(items.map(show).collect()));
    }
    let (offset, limit) = window(call)?;
    let mut rest = items.skip(offset);
    let shown: Vec<Value> = rest.by_ref().take(limit).map(show).collect();
    if !call.paged {
        return Ok(Reply::Json(Value::Array(shown)));
    }
    let more = rest.next().is_some();
    let path = call.args.iter().fold(call.method.clone(), |path, arg| format!("{path}/{arg}"));
    let link = |offset: usize| format!("/api/v2/{path}{}&limit={limit}&offset={offset}", call.carried());
    let next = more.then(|| link(offset + limit));
    let prev = (offset > 0).then(|| link(offset.saturating_sub(limit)));
    let mut page = json!({
        "offset": offset, "limit": limit, "size": shown.len(), "_links": {"next": next, "prev": prev},
    });
    page[key] = Value::Array(shown);
    Ok(Reply::Json(page))
}

/// A bound in time of a list.
#[derive(Debug)]
pub(super) struct Times {
    after: Option<i64>,
    before: Option<i64>,
}

impl Times {
    /// Reads `<name>_after` and `<name>_before`.
    pub(super) fn read(call: &Call, name: &str) -> Result<Times, Problem> {
        let bound = |end: &str| call.number(&format!("{name}_{end}"));
        Ok(Times { after: bound("after")?, before: bound("before")? })
    }

    /// Whether an instant lies strictly between the bounds.
    pub(super) fn hold(&self, at: i64) -> bool {
        self.after.is_none_or(|after| at > after) && self.before.is_none_or(|before| at < before)
    }
}

/// Whether a comma list of references holds one.
pub(super) fn refers(refs: Option<&str>, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| refs.is_some_and(|refs| refs.split(',').any(|r| r.trim() == wanted.trim())))
}
