//! From paths to handlers.

use super::bulk;
use super::call::{Call, Desk};
use super::meta;
use super::read;
use super::reply::{Answer, Body, Failure, Format, Reply, escape, quoted};
use super::schema::{KINDS, Kind};
use super::session;
use super::store::State;
use super::time;
use super::{DOMAIN, Site, attachments, versions, write};
use crate::sandbox::Request;

/// Collections that the site has no licence for.
const UNLICENSED: [&str; 3] = ["components", "component-folders", "component-steps"];

/// Answers one request.
pub(super) fn answer(site: &mut Site, request: &Request, format: Option<Format>) -> Answer {
    let decoded: Vec<String> = request
        .path
        .split('/')
        .filter(|p| !p.is_empty())
        .map(|p| percent_encoding::percent_decode_str(p).decode_utf8_lossy().into_owned())
        .collect();
    let path: Vec<&str> = decoded.iter().map(String::as_str).collect();
    let ["qcbin", path @ ..] = path.as_slice() else { return Err(Failure::no_resource()) };
    if path == ["healthcheck"] {
        return Ok(Reply::empty(200));
    }
    if let Some(answer) = session::open_route(&mut site.sessions, &site.state.users, request, path) {
        return answer;
    }
    let now = time::now();
    let (caller, cookies) = site.sessions.caller(request, now)?;
    if request.method != "GET" {
        session::check_forgery(request)?;
    }
    let format = format.ok_or_else(|| Failure::general(406, "Not Acceptable"))?;
    let Site { state, sessions } = site;
    let State { users, projects, revision } = state;
    let mut result = match path {
        ["rest", "domains", domain, "projects", name, rest @ ..] if *domain == DOMAIN => {
            let found = projects.iter().position(|p| p.name == *name);
            let at = found
                .ok_or_else(|| Failure::general(404, format!("The project '{name}' does not exist.")))?;
            let pairs = url::form_urlencoded::parse(request.query.as_bytes()).into_owned().collect();
            let base = format!("{}/qcbin/rest/domains/{DOMAIN}/projects/{name}", request.base);
            let call = Call { request, pairs, format, caller, users, project: at, base, now };
            let mut desk = Desk { project: &mut projects[at], sessions, revision };
            project(&mut desk, &call, rest)
        }
        _ => site_route(projects.iter().map(|p| p.name.as_str()), request, path),
    };
    match &mut result {
        Ok(reply) => reply.headers.extend(cookies),
        Err(failure) => failure.headers.extend(cookies),
    }
    result
}

fn site_route<'a>(projects: impl Iterator<Item = &'a str>, request: &Request, path: &[&str]) -> Answer {
    if request.method != "GET" {
        return Err(Failure::no_method());
    }
    let names: Vec<&str> = projects.collect();
    let xml_of = || names.iter().map(|n| format!("<Project Name=\"{}\"/>", escape(n))).collect::<String>();
    let json_of =
        || names.iter().map(|n| format!("{{\"Name\":{}}}", quoted(n))).collect::<Vec<_>>().join(",");
    let both = |xml: String, json: String| Ok(Reply::of(200, Body::Both(xml, json)));
    match path {
        ["rest", "domains"] => {
            let with = request.query.split('&').any(|p| p.eq_ignore_ascii_case("include-projects-info=y"));
            let (xml, json) = if with { (xml_of(), json_of()) } else { Default::default() };
            let inner =
                if xml.is_empty() { "<Projects/>".to_owned() } else { format!("<Projects>{xml}</Projects>") };
            both(
                format!("<Domains><Domain Name=\"{DOMAIN}\">{inner}</Domain></Domains>"),
                format!(
                    "{{\"Domains\":{{\"Domain\":[{{\"Name\":\"{DOMAIN}\",\"Projects\":{{\"Project\":[{json}]}}}}]}}}}"
                ),
            )
        }
        ["rest", "domains", domain, "projects"] if *domain == DOMAIN => both(
            format!("<Projects>{}</Projects>", xml_of()),
            format!("{{\"Projects\":{{\"Project\":[{}]}}}}", json_of()),
        ),
        ["rest", "sa", "version"] => Ok(Reply::of(
            200,
            Body::XmlOnly(
                "<SiteVersions><SiteVersion>20.0 (Build 20.00.0.143)</SiteVersion></SiteVersions>".to_owned(),
            ),
        )),
        ["v2", "sa", "api", "site-version"] => Ok(Reply::of(
            200,
            Body::JsonOnly(
                r#"{"site-version":{"full-version":"20.0 (Build 20.00.0.143)","external-version":26.1}}"#
                    .to_owned(),
            ),
        )),
        ["rest", "resource-list"] => {
            let one = |(_, _, collection): &(Kind, &str, &str)| {
                format!("<Resource>/domains/{{domain}}/projects/{{project}}/{collection}</Resource>")
            };
            let all: String = KINDS.iter().map(one).collect();
            Ok(Reply::of(200, Body::XmlOnly(format!("<Resources>{all}</Resources>"))))
        }
        _ => Err(Failure::no_resource()),
    }
}

fn project(desk: &mut Desk<'_>, call: &Call<'_>, rest: &[&str]) -> Answer {
    match rest {
        ["customization", rest @ ..] => meta::route(desk.project, call, rest),
        ["audits"] if call.request.method == "GET" => write::audits(desk, call, None),
        [name, ..] if UNLICENSED.contains(name) => {
            Err(Failure::new(403, "qccore.operation-forbidden", "Access to this resource has been denied"))
        }
        [collection, rest @ ..] => {
            let kind = Kind::of_collection(collection).ok_or_else(Failure::no_resource)?;
            match rest {
                [] => whole(desk, call, kind, None),
                ["groups", field] if call.request.method == "GET" => {
                    read::groups(desk.project, call, kind, field)
                }
                ["copy"] if call.request.method == "POST" => copy(desk, call, kind),
                [id, rest @ ..] => {
                    let id: u32 = id.parse().map_err(|_| Failure::no_resource())?;
                    entity(desk, call, kind, id, rest)
                }
            }
        }
        [] => Err(Failure::no_resource()),
    }
}

/// A whole collection, or the part of it that belongs to another entity.
fn whole(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, within: Option<(&str, u32)>) -> Answer {
    match call.request.method.as_str() {
        "GET" => {
            let within = within.map(|(field, id)| (kind.at(field), i64::from(id)));
            read::list(desk.project, call, kind, within)
        }
        "DELETE" if within.is_none() => bulk::delete(desk, call, kind),
        "POST" | "PUT" if kind == Kind::Attachment => Err(Failure::no_method()),
        "POST" if within.is_none() && call.kind()?.collection => bulk::post(desk, call, kind),
        "PUT" if within.is_none() && call.kind()?.collection => bulk::put(desk, call, kind),
        "POST" => {
            let mut sent = call.single()?;
            if let Some((field, id)) = within
                && sent.get(field).is_none()
            {
                sent.fields.push((field.to_owned(), vec![id.to_string()]));
            }
            write::post(desk, call, kind, &sent)
        }
        _ => Err(Failure::no_method()),
    }
}

fn entity(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind, id: u32, rest: &[&str]) -> Answer {
    match (rest, call.request.method.as_str()) {
        ([], "GET") => read::get(desk.project, call, kind, id),
        ([], "PUT") => {
            // Some clients declare a collection and send the one entity.
            let sent = call.single()?;
            write::put(desk, call, kind, id, &sent)
        }
        ([], "DELETE") => write::delete(desk, call, kind, id),
        ([], _) => Err(Failure::no_method()),
        (["lock"], _) => versions::lock(desk, call, kind, id),
        (["versions", rest @ ..], _) => versions::route(desk, call, kind, id, rest),
        (["attachments", rest @ ..], _) if kind != Kind::Attachment => {
            attachments::route(desk, call, kind, id, rest)
        }
        (["audits"], "GET") => {
            exists(desk, call, kind, id)?;
            write::audits(desk, call, Some((kind, id)))
        }
        ([nested, rest @ ..], _) => {
            let (child, field) = match (kind, *nested) {
                (Kind::Run, "run-steps") => (Kind::RunStep, "parent-id"),
                (Kind::Defect, "defect-links") => (Kind::DefectLink, "first-endpoint-id"),
                (Kind::Test, "design-steps") => return Err(Failure::no_resource()),
                _ => return Err(Failure::no_resource()),
            };
            exists(desk, call, kind, id)?;
            match rest {
                [] => whole(desk, call, child, Some((field, id))),
                [number, rest @ ..] => {
                    let number: u32 = number.parse().map_err(|_| Failure::no_resource())?;
                    let row = desk.project.row(child, number).and_then(|r| r.num(child.at(field)));
                    if row != Some(i64::from(id)) {
                        return Err(Failure::no_entity(child.name(), number));
                    }
                    entity(desk, call, child, number, rest)
                }
            }
        }
    }
}

fn exists(desk: &Desk<'_>, call: &Call<'_>, kind: Kind, id: u32) -> Result<(), Failure> {
    let seen = read::visible(desk.project, kind, id, call.caller.user).is_some();
    if seen { Ok(()) } else { Err(Failure::no_entity(kind.name(), id)) }
}

/// `POST {collection}/copy`: copies tests with their steps into a folder.
fn copy(desk: &mut Desk<'_>, call: &Call<'_>, kind: Kind) -> Answer {
    if kind != Kind::Test {
        return Err(Failure::no_resource());
    }
    let bad = || Failure::general(400, "Bad Request");
    let json: serde_json::Value = serde_json::from_slice(&call.request.body).map_err(|_| bad())?;
    let number = |v: &serde_json::Value| v.as_str().map_or_else(|| v.as_i64(), |t| t.parse().ok());
    let target = json.get("TargetParentId").and_then(number).ok_or_else(bad)?;
    let ids = json.get("IDs").and_then(|i| i.as_array()).ok_or_else(bad)?;
    let mut made = Vec::new();
    for id in ids {
        let id = number(id).and_then(|id| u32::try_from(id).ok()).ok_or_else(bad)?;
        let source =
            read::visible(desk.project, kind, id, call.caller.user).map(std::borrow::Cow::into_owned);
        let mut row = source.ok_or_else(|| Failure::no_entity(kind.name(), id))?;
        let (parent, name) = (kind.at("parent-id"), kind.at("name"));
        row.set(parent, Some(super::store::Value::Num(target)));
        let siblings = desk.project.indexed(kind, parent, target).unwrap_or_default();
        let taken = |text: &str| {
            siblings
                .iter()
                .any(|s| desk.project.row(kind, *s).is_some_and(|r| r.text(name).eq_ignore_ascii_case(text)))
        };
        let first = row.text(name).to_owned();
        if taken(&first) {
            let free = (1..).map(|n| format!("{first}_Copy_{n}")).find(|n| !taken(n)).unwrap_or_default();
            row.set(name, Some(super::store::Value::text(free)));
        }
        let copied = write::insert(desk, call, kind, row)?;
        for step in desk.project.children(Kind::DesignStep, "parent-id", id) {
            let Some(mut row) = desk.project.row(Kind::DesignStep, step).cloned() else { continue };
            row.set(Kind::DesignStep.at("parent-id"), Some(super::store::Value::Num(i64::from(copied))));
            write::insert(desk, call, Kind::DesignStep, row)?;
        }
        made.push(copied);
    }
    let show = |id: &u32| Some(read::entity(desk.project, kind, *id, desk.project.row(kind, *id)?, None));
    let list: Vec<_> = made.iter().filter_map(show).collect();
    let total = list.len();
    Ok(Reply::of(200, Body::Entities(list, total)))
}
