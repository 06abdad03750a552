//! The project's customization: fields, lists, types, users, relations.

use super::call::Call;
use super::cross;
use super::reply::{Answer, Body, Failure, Reply, escape, quoted};
use super::schema::{Field, KINDS, Kind};
use super::store::Project;

/// A list: id, name, logical name, items.
type List = (u32, &'static str, &'static str, &'static [&'static str]);

/// The lists of the projects. `Paused` is this company's own status of runs.
const LISTS: [List; 15] = [
    (1, "YesNo", "hp.platform.yes-no", &["N", "Y"]),
    (35, "Versions", "hp.platform.versions", &["1.0", "1.1", "2.0"]),
    (170, "Version Status", "hp.platform.version-status", &["Checked_In", "Checked_Out"]),
    (191, "Review Status", "hp.qc.review-status", &["Not Reviewed", "Reviewed"]),
    (209, "Plan Status", "hp.qc.plan-status", &["Design", "Imported", "Ready", "Repair"]),
    (
        231,
        "Run State",
        "hp.qc.run-state",
        &["Finished", "Initializing", "Running", "Stopping", "Run Failure"],
    ),
    (237, "Bug Status", "hp.qc.bug-status", &["Closed", "Fixed", "New", "Open", "Rejected", "Reopen"]),
    (248, "Test Running Status", "hp.qc.test-running-status", &["Closed", "Open"]),
    (259, "All Projects", "hp.qc.all-projects", &[]),
    (279, "Severity", "hp.qc.severity", &["1-Low", "2-Medium", "3-High", "4-Very High", "5-Urgent"]),
    (298, "Priority", "hp.qc.priority", &["1-Low", "2-Medium", "3-High", "4-Very High", "5-Urgent"]),
    (
        309,
        "Coverage Status",
        "hp.qc.coverage-status",
        &["Blocked", "Failed", "N/A", "No Run", "Not Completed", "Not Covered", "Passed"],
    ),
    (339, "Requirement Type", "hp.qc.requirement-type", &["Hardware", "Software"]),
    (
        356,
        "Status",
        "hp.qc.status",
        &["Blocked", "Failed", "N/A", "No Run", "Not Completed", "Passed", "Paused"],
    ),
    (1001, "Root Cause", "", &["Code", "Environment", "Requirement", "Test"]),
];

const TEST_TYPES: [&str; 9] = [
    "MANUAL",
    "QUICKTEST_TEST",
    "WR-AUTOMATED",
    "SYSTEM-TEST",
    "SERVICE-TEST",
    "VAPI-XP-TEST",
    "LEANFT-TEST",
    "EXTERNAL-TEST",
    "BUSINESS-PROCESS",
];
const REQUIREMENT_TYPES: [(&str, &str); 8] = [
    ("0", "Undefined"),
    ("1", "Folder"),
    ("2", "Group"),
    ("3", "Functional"),
    ("4", "Business"),
    ("5", "Testing"),
    ("6", "Performance"),
    ("66", "Business Model"),
];

/// A list's own spelling of a value; none if it is not in the list.
pub(super) fn canonical(list: u32, value: &str) -> Option<&'static str> {
    let items = LISTS.iter().find(|l| l.0 == list)?.3;
    items.iter().find(|i| i.eq_ignore_ascii_case(value)).copied()
}

/// Everything below `customization`.
pub(super) fn route(project: &Project, call: &Call<'_>, rest: &[&str]) -> Answer {
    if call.request.method != "GET" {
        // Fields and lists are made in the desktop client, not here.
        return Err(Failure::no_method());
    }
    let kind = |name: &str| Kind::of_name(name).ok_or_else(|| Failure::no_entity("entity", name));
    match rest {
        ["entities"] => Ok(entities(project)),
        ["entities", name] => {
            let (xml, json) = entity(project, kind(name)?);
            Ok(Reply::of(200, Body::Both(xml, json)))
        }
        ["entities", name, "fields"] => Ok(fields(call, kind(name)?)),
        ["entities", name, "types"] => types(kind(name)?),
        ["entities", name, "types", _, "fields"] => Ok(fields(call, kind(name)?)),
        ["entities", name, "lists"] => {
            let kind = kind(name)?;
            Ok(lists(call, |list| kind.fields().iter().any(|f| f.list == list)))
        }
        ["entities", name, "relations"] => Ok(relations(&[kind(name)?])),
        ["lists"] => Ok(lists(call, |_| true)),
        ["used-lists"] => {
            let used = |list| KINDS.iter().any(|(k, ..)| k.fields().iter().any(|f| f.list == list));
            Ok(lists(call, used))
        }
        ["relations"] => Ok(relations(&KINDS.map(|(kind, ..)| kind))),
        ["users"] => Ok(users(call, None)),
        ["users", name] => {
            let known = call.users.iter().any(|u| u.login.eq_ignore_ascii_case(name));
            if known { Ok(users(call, Some(name))) } else { Err(Failure::no_entity("USERS", name)) }
        }
        ["extensions"] => {
            Ok(Reply::of(200, Body::Both("<Extensions/>".to_owned(), "{\"Extensions\":[]}".to_owned())))
        }
        _ => Err(Failure::no_resource()),
    }
}

fn entity(project: &Project, kind: Kind) -> (String, String) {
    let versions = project.versioned && kind.is_versionable();
    let name = kind.name();
    let xml = format!(
        "<Entity name=\"{name}\"><SupportsVC>{versions}</SupportsVC><SupportsLocking>true</SupportsLocking><SupportsHistory>true</SupportsHistory><SupportsAttachment>true</SupportsAttachment></Entity>"
    );
    let json = format!(
        "{{\"Name\":\"{name}\",\"SupportsVC\":{versions},\"SupportsLocking\":true,\"SupportsHistory\":true,\"SupportsAttachment\":true}}"
    );
    (xml, json)
}

fn entities(project: &Project) -> Reply {
    let all: Vec<(String, String)> = KINDS.iter().map(|(kind, ..)| entity(project, *kind)).collect();
    let xml: String = all.iter().map(|(xml, _)| xml.as_str()).collect();
    let json: Vec<&str> = all.iter().map(|(_, json)| json.as_str()).collect();
    Reply::of(
        200,
        Body::Both(format!("<Entities>{xml}</Entities>"), format!("{{\"Entities\":[{}]}}", json.join(","))),
    )
}

fn fields(call: &Call<'_>, kind: Kind) -> Reply {
    let flag = |name: &str| call.query(name).map(|v| v.eq_ignore_ascii_case("true"));
    let (required, filter) = (flag("required"), flag("can-filter"));
    let wanted =
        |f: &&Field| required.is_none_or(|r| f.is('R') == r) && filter.is_none_or(|r| f.is('F') == r);
    let (mut xml, mut json) = ("<Fields>".to_owned(), Vec::new());
    for field in kind.fields().iter().filter(wanted) {
        xml.push_str(&field_xml(field));
        json.push(field_json(field));
    }
    xml.push_str("</Fields>");
    Reply::of(200, Body::Both(xml, format!("{{\"Fields\":{{\"Field\":[{}]}}}}", json.join(","))))
}

fn field_xml(field: &Field) -> String {
    let list = if field.list > 0 { format!("<List-Id>{}</List-Id>", field.list) } else { String::new() };
    format!(
        "<Field PhysicalName=\"{}\" Name=\"{}\" Label=\"{}\"><Size>{}</Size><History>{}</History><Required>{}</Required><System>{}</System>\
         <Type>{}</Type>{list}<Verify>{}</Verify><Virtual>{}</Virtual><Active>{}</Active><Editable>{}</Editable><Filterable>{}</Filterable>\
         <Groupable>{}</Groupable><SupportsMultivalue>{}</SupportsMultivalue><Visible>true</Visible></Field>",
        field.physical,
        field.name,
        escape(field.label),
        field.size,
        field.is('H'),
        field.is('R'),
        field.is('S'),
        field.kind.name(),
        field.is('V'),
        field.is('X'),
        field.is('A'),
        field.is('E'),
        field.is('F'),
        field.is('F'),
        field.is('M'),
    )
}

fn field_json(field: &Field) -> String {
    let list = if field.list > 0 { format!(",\"listId\":{}", field.list) } else { String::new() };
    format!(
        "{{\"size\":{},\"history\":{},\"required\":{},\"system\":{},\"type\":\"{}\",\"time\":false,\"verify\":{},\"virtual\":{},\"active\":{},\
         \"editable\":{},\"filterable\":{},\"groupable\":{},\"supportsMultivalue\":{},\"visible\":true,\"searchable\":false,\
         \"versionControlled\":false,\"label\":{},\"name\":\"{}\",\"physicalName\":\"{}\",\"visibleInWebUI\":true,\"description\":\"\",\
         \"canChangeRequired\":true{list}}}",
        field.size,
        field.is('H'),
        field.is('R'),
        field.is('S'),
        field.kind.name(),
        field.is('V'),
        field.is('X'),
        field.is('A'),
        field.is('E'),
        field.is('F'),
        field.is('F'),
        field.is('M'),
        quoted(field.label),
        field.name,
        field.physical,
    )
}

fn lists(call: &Call<'_>, wanted: impl Fn(u32) -> bool) -> Reply {
    let names: Option<Vec<&str>> = call.query("name").map(|n| n.split(',').collect());
    let ids: Option<Vec<&str>> = call.query("id").map(|n| n.split(',').collect());
    let asked = |list: &&List| {
        names.as_ref().is_none_or(|n| n.contains(&list.1))
            && ids.as_ref().is_none_or(|i| i.contains(&list.0.to_string().as_str()))
            && wanted(list.0)
    };
    let (mut xml, mut json) = ("<Lists>".to_owned(), Vec::new());
    for (id, name, logical, items) in LISTS.iter().filter(asked) {
        let of = |item: &str| match logical.is_empty() {
            true => String::new(),
            false => format!("{logical}.{}", item.to_lowercase().replace([' ', '_', '/'], "-")),
        };
        let in_xml: String = items
            .iter()
            .map(|i| format!("<Item value=\"{}\" logicalName=\"{}\"/>", escape(i), of(i)))
            .collect();
        xml.push_str(&format!("<List><Name>{}</Name><Id>{id}</Id><LogicalName>{logical}</LogicalName><Items>{in_xml}</Items></List>", escape(name)));
        let in_json: Vec<String> = items
            .iter()
            .map(|i| format!("{{\"logicalName\":\"{}\",\"value\":{}}}", of(i), quoted(i)))
            .collect();
        json.push(format!(
            "{{\"Name\":{},\"Id\":{id},\"LogicalName\":\"{logical}\",\"Items\":[{}]}}",
            quoted(name),
            in_json.join(",")
        ));
    }
    xml.push_str("</Lists>");
    Reply::of(200, Body::Both(xml, format!("{{\"lists\":[{}]}}", json.join(","))))
}

fn types(kind: Kind) -> Answer {
    let all: Vec<(&str, &str)> = match kind {
        Kind::Test => TEST_TYPES.iter().map(|t| (*t, *t)).collect(),
        Kind::Requirement => REQUIREMENT_TYPES.to_vec(),
        _ => return Err(Failure::no_resource()),
    };
    let xml: String = all.iter().map(|(id, name)| format!("<type name=\"{name}\" id=\"{id}\"/>")).collect();
    Ok(Reply::of(200, Body::XmlOnly(format!("<types>{xml}</types>"))))
}

fn relations(kinds: &[Kind]) -> Reply {
    let (mut xml, mut json) = ("<Relations>".to_owned(), Vec::new());
    for kind in kinds {
        for (alias, other) in cross::relations(*kind) {
            let (from, to) = (kind.name(), other.name());
            xml.push_str(&format!(
                "<Relation Name=\"{from}-{alias}\"><SourceEntity>{from}</SourceEntity><TargetEntity>{to}</TargetEntity><TargetAliases><Alias Name=\"{alias}\" Unique=\"true\"/></TargetAliases></Relation>"
            ));
            json.push(format!(
                "{{\"Name\":\"{from}-{alias}\",\"SourceEntity\":\"{from}\",\"TargetEntity\":\"{to}\",\"TargetAliases\":[{{\"Name\":\"{alias}\",\"Unique\":true}}]}}"
            ));
        }
    }
    xml.push_str("</Relations>");
    Reply::of(200, Body::Both(xml, format!("{{\"Relation\":[{}]}}", json.join(","))))
}

fn users(call: &Call<'_>, one: Option<&str>) -> Reply {
    let wanted = |login: &str| one.is_none_or(|name| name.eq_ignore_ascii_case(login));
    let (mut xml, mut json) = (String::new(), Vec::new());
    for user in call.users.iter().filter(|u| wanted(&u.login)) {
        xml.push_str(&format!(
            "<User Name=\"{}\" FullName=\"{}\"><email>{}</email><phone></phone></User>",
            escape(&user.login),
            escape(&user.name),
            escape(&user.email)
        ));
        json.push(format!(
            "{{\"Name\":{},\"FullName\":{},\"email\":{},\"phone\":\"\"}}",
            quoted(&user.login),
            quoted(&user.name),
            quoted(&user.email)
        ));
    }
    match one {
        Some(_) => Reply::of(200, Body::Both(xml, json.join(","))),
        None => Reply::of(
            200,
            Body::Both(format!("<Users>{xml}</Users>"), format!("{{\"users\":[{}]}}", json.join(","))),
        ),
    }
}
