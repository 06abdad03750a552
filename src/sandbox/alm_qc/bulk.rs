//! Several entities in one request; what fails does not keep the others from being done.

use super::body::{self, Sent};
use super::call::{Call, Desk};
use super::cross;
use super::read;
use super::reply::{Answer, Body, BulkEntry, Entity, Failure, Reply};
use super::schema::Kind;
use super::write;

/// The most entities of one request: `REST_API_MAX_BULK_SIZE`.
const BULK_MAX: usize = 2_000;

fn sent(call: &Call<'_>) -> Result<Vec<Sent>, Failure> {
    let all = body::collection(call.kind()?, &call.request.body)?;
    too_many(all.len())?;
    Ok(all)
}

fn too_many(count: usize) -> Result<(), Failure> {
    if count == 0 {
        return Err(Failure::general(400, "Bad Request"));
    }
    if count > BULK_MAX {
        return Err(Failure::general(
            400,
            format!("The number of entities exceeds the maximum bulk size of {BULK_MAX}."),
        ));
    }
    Ok(())
}

/// `POST {collection}` of a collection.
pub(super) fn post(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind) -> Answer {
    let mut entries = Vec::new();
    for one in sent(call)? {
        let outcome = write::create(desk, call, kind, &one);
        let id = outcome.as_ref().ok().copied();
        let shown = |id: u32| shown(desk, call, kind, id);
        entries.push(BulkEntry { id, kind: kind.name(), outcome: outcome.map(shown) });
    }
    finish(entries, 201)
}

/// `PUT {collection}` of a collection.
pub(super) fn put(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind) -> Answer {
    let mut entries = Vec::new();
    for one in sent(call)? {
        let id = one.get("id").and_then(|id| id.trim().parse().ok());
        let outcome = match id {
            Some(id) => write::update(desk, call, kind, id, &one).map(|()| shown(desk, call, kind, id)),
            None => Err(Failure::new(400, "qccore.required-field-missing", "The field 'id' is required.")),
        };
        entries.push(BulkEntry { id, kind: kind.name(), outcome });
    }
    finish(entries, 200)
}

fn shown(desk: &Desk<'_>, call: &Call<'_>, kind: Kind, id: u32) -> Option<Entity> {
    let row = read::visible(desk.project, kind, id, call.caller.user)?;
    Some(read::entity(desk.project, kind, id, &row, None))
}

/// `DELETE {collection}?ids-to-delete=1,2` or `?query={..}`.
pub(super) fn delete(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind) -> Answer {
    let ids: Vec<u32> = match (call.query("ids-to-delete"), call.query("query")) {
        (Some(ids), _) => {
            let one = |id: &str| {
                id.trim().parse().map_err(|_| Failure::general(400, format!("'{id}' is not an id.")))
            };
            ids.split(',').map(one).collect::<Result<_, _>>()?
        }
        (None, Some(query)) => {
            let filter = cross::read(kind, query)?;
            let rows = desk.project.rows(kind).iter();
            rows.filter(|(id, row)| filter.fits(desk.project, kind, **id, row)).map(|(id, _)| *id).collect()
        }
        (None, None) => return Err(Failure::no_method()),
    };
    if call.query("ids-to-delete").is_some() {
        too_many(ids.len())?;
    }
    let mut entries = Vec::new();
    for id in ids {
        let entity = shown(desk, call, kind, id);
        let outcome = write::remove(desk, call, kind, id).map(|()| entity);
        entries.push(BulkEntry { id: Some(id), kind: kind.name(), outcome });
    }
    finish(entries, 200)
}

fn finish(entries: Vec<BulkEntry>, status: u16) -> Answer {
    let failed = entries.iter().filter(|e| e.outcome.is_err()).count();
    if failed == 0 {
        let total = entries.len();
        let list = entries.into_iter().filter_map(|e| e.outcome.ok().flatten()).collect();
        return Ok(Reply::of(status, Body::Entities(list, total)));
    }
    let status = if failed == entries.len() { 500 } else { 409 };
    let mut failure =
        Failure::new(status, "qccore.bulk-operation-failed", "bulk failed. see exception properties.");
    failure.bulk = entries;
    Err(failure)
}
