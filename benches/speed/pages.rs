//! A server of pre-rendered pages: test cases as Azure DevOps gives them, and nothing else.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::words::Words;

/// Work items per page, as the connector asks for them.
pub(crate) const PAGE: usize = 200;

/// The id of the first test case.
pub(crate) const FIRST: usize = 1001;

/// The most ids that one query gives.
const IDS_PER_QUERY: usize = 20_000;

/// Serves so many test cases until its standard input ends; prints the address and the bytes of all pages.
pub(crate) fn serve(cases: usize, latency_ms: u64) {
    let pages: Arc<Vec<Bytes>> = Arc::new(
        (0..cases).step_by(PAGE).map(|from| rendered(FIRST + from, PAGE.min(cases - from))).collect(),
    );
    let bytes: usize = pages.iter().map(Bytes::len).sum();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    runtime.spawn(async move {
        let router =
            Router::new().fallback(move |request: Request| answer(request, pages.clone(), cases, latency_ms));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{} {bytes}", listener.local_addr().expect("an address"));
        axum::serve(listener, router).await.expect("a server");
    });
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

async fn answer(request: Request, pages: Arc<Vec<Bytes>>, cases: usize, latency_ms: u64) -> Response {
    let path = request.uri().path().to_ascii_lowercase();
    let body = axum::body::to_bytes(request.into_body(), 1 << 24).await.unwrap_or_default();
    if path.ends_with("/workitemsbatch") {
        // The first id names the page: the ids come in the order in which they were listed.
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let first = asked["ids"][0].as_u64().unwrap_or_default() as usize;
        let page = first.checked_sub(FIRST).and_then(|at| pages.get(at / PAGE)).cloned();
        tokio::time::sleep(Duration::from_millis(latency_ms)).await;
        return ([("content-type", "application/json")], page.unwrap_or_default()).into_response();
    }
    let value = if path.ends_with("/wiql") { ids(&body, cases) } else { small(&path) };
    ([("content-type", "application/json")], value.to_string()).into_response()
}

fn ids(body: &[u8], cases: usize) -> Value {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let query = asked["query"].as_str().unwrap_or_default();
    if !query.contains("Microsoft.TestCaseCategory") {
        return json!({"queryType": "flat", "workItems": []});
    }
    let after = query.split("[System.Id] > ").nth(1).and_then(|t| t.split(' ').next());
    let after: usize = after.and_then(|t| t.parse().ok()).unwrap_or(0);
    let from = (after + 1).max(FIRST);
    let to = (FIRST + cases).min(from + IDS_PER_QUERY);
    let items: Vec<Value> =
        (from..to).map(|id| json!({"id": id, "url": format!("http://x/_apis/wit/workItems/{id}")})).collect();
    json!({"queryType": "flat", "workItems": items})
}

/// Everything but test cases: the names of fields and types, and empty lists.
fn small(path: &str) -> Value {
    if path.ends_with("/wit/fields") {
        let fields: Vec<Value> = FIELDS
            .iter()
            .map(|(reference, name, kind)| json!({"name": name, "referenceName": reference, "type": kind}))
            .collect();
        return json!({"count": fields.len(), "value": fields});
    }
    if path.ends_with("/workitemtypecategories") {
        let case = json!({"name": "Test Case"});
        return json!({"count": 1, "value": [{"name": "Test Case Category", "referenceName": "Microsoft.TestCaseCategory",
            "defaultWorkItemType": case, "workItemTypes": [case]}]});
    }
    if path.contains("workitemlinks") {
        return json!({"values": [], "isLastBatch": true});
    }
    json!({"count": 0, "value": []})
}

const FIELDS: [(&str, &str, &str); 16] = [
    ("System.Title", "Title", "string"),
    ("System.Description", "Description", "html"),
    ("System.State", "State", "string"),
    ("System.Reason", "Reason", "string"),
    ("System.AreaPath", "Area Path", "treePath"),
    ("System.IterationPath", "Iteration Path", "treePath"),
    ("System.CreatedDate", "Created Date", "dateTime"),
    ("System.ChangedDate", "Changed Date", "dateTime"),
    ("System.CreatedBy", "Created By", "string"),
    ("System.ChangedBy", "Changed By", "string"),
    ("System.AssignedTo", "Assigned To", "string"),
    ("System.WorkItemType", "Work Item Type", "string"),
    ("Microsoft.VSTS.Common.Priority", "Priority", "integer"),
    ("Microsoft.VSTS.TCM.AutomationStatus", "Automation status", "string"),
    ("Microsoft.VSTS.TCM.Steps", "Steps", "html"),
    ("Microsoft.VSTS.Common.StateChangeDate", "State Change Date", "dateTime"),
];

fn rendered(first: usize, count: usize) -> Bytes {
    let items: Vec<Value> = (first..first + count).map(item).collect();
    Bytes::from(json!({"count": items.len(), "value": items}).to_string())
}

/// A test case with five steps, as `workitemsbatch` gives it with its relations.
fn item(id: usize) -> Value {
    let mut words = Words::new(id as u64);
    let person = |n: u64| {
        json!({"displayName": format!("User {n}"), "url": format!("https://spsprodweu3.vssps.visualstudio.com/A1/_apis/Identities/{n:032}"),
            "_links": {"avatar": {"href": format!("https://dev.azure.com/contoso/_apis/GraphProfile/MemberAvatars/aad.{n:032}")}},
            "id": format!("{n:032}"), "uniqueName": format!("user{n}@contoso.example"),
            "imageUrl": format!("https://dev.azure.com/contoso/_api/_common/identityImage?id={n:032}"), "descriptor": format!("aad.{n:032}")})
    };
    let changed = format!("2026-{:02}-{:02}T10:11:12.{:03}Z", 1 + id % 9, 1 + id % 28, id % 1000);
    let description = format!(
        "<div><p>{}</p><ul><li>{}</li><li><b>{}</b></li></ul><table><tr><td>{}</td><td>{}</td></tr></table></div>",
        words.words(30),
        words.words(8),
        words.words(6),
        words.words(3),
        words.words(3)
    );
    json!({
        "id": id, "rev": 3 + id % 7,
        "fields": {
            "System.Id": id, "System.AreaId": 7, "System.AreaPath": "Fabrikam\\Quality", "System.TeamProject": "Fabrikam",
            "System.NodeName": "Quality", "System.AreaLevel1": "Fabrikam", "System.AreaLevel2": "Quality",
            "System.Rev": 3, "System.AuthorizedDate": changed, "System.RevisedDate": "9999-01-01T00:00:00Z",
            "System.IterationId": 9, "System.IterationPath": "Fabrikam\\Release 1", "System.IterationLevel1": "Fabrikam",
            "System.IterationLevel2": "Release 1", "System.WorkItemType": "Test Case", "System.State": "Design",
            "System.Reason": "New", "System.AssignedTo": person(words.below(40)), "System.CreatedDate": "2026-01-02T03:04:05.678Z",
            "System.CreatedBy": person(words.below(40)), "System.ChangedDate": changed, "System.ChangedBy": person(words.below(40)),
            "System.AuthorizedAs": person(3), "System.PersonId": 41, "System.Watermark": 100 + id, "System.CommentCount": 0,
            "System.Title": words.words(7), "Microsoft.VSTS.Common.StateChangeDate": changed,
            "Microsoft.VSTS.Common.ActivatedDate": changed, "Microsoft.VSTS.Common.ActivatedBy": person(5),
            "Microsoft.VSTS.Common.Priority": 2, "Microsoft.VSTS.TCM.AutomationStatus": "Not Automated",
            "Microsoft.VSTS.TCM.Steps": steps(&mut words, 5), "System.Description": description,
        },
        "relations": [{"rel": "Microsoft.VSTS.Common.TestedBy-Reverse", "url": format!("https://dev.azure.com/contoso/_apis/wit/workItems/{}", id + 5),
            "attributes": {"isLocked": false, "name": "Tests"}}],
        "url": format!("https://dev.azure.com/contoso/_apis/wit/workItems/{id}"),
    })
}

fn steps(words: &mut Words, count: usize) -> String {
    let step = |n: usize, words: &mut Words| {
        format!(
            "<step id=\"{}\" type=\"ValidateStep\"><parameterizedString isformatted=\"true\">&lt;DIV&gt;&lt;P&gt;{}&lt;/P&gt;&lt;/DIV&gt;\
             </parameterizedString><parameterizedString isformatted=\"true\">&lt;P&gt;{} &lt;B&gt;{}&lt;/B&gt;&lt;/P&gt;\
             </parameterizedString><description/></step>",
            n + 2,
            words.words(12),
            words.words(8),
            words.words(2)
        )
    };
    let body: String = (0..count).map(|n| step(n, words)).collect();
    format!("<steps id=\"0\" last=\"{}\">{body}</steps>", count + 1)
}
