//! Tests of reading and checking pipeline files, through [`load`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use miette::{GraphicalReportHandler, GraphicalTheme};
use proptest::prelude::*;

use super::*;
use crate::model::{
    Cardinality, Direction, FieldSpec, Identity, Notation, RelationshipSpec, RepositoryId, Side,
};

const SHIPPED: &str = include_str!("../../pipelines/ado-xray.yaml");

/// Fields as `Name`, with `!` for read-only, `>` for moved by transitions, `*` for formatted text.
fn artifact(
    name: &'static str,
    fields: &[&'static str],
    relationships: &[(&'static str, &'static str)],
) -> Artifact {
    let field = |text: &&'static str| FieldSpec {
        name: text.trim_end_matches(['!', '>', '*']),
        notation: text.ends_with('*').then_some(Notation::Html),
        read_only: text.ends_with('!'),
        by_transition: text.ends_with('>'),
        length_max: None,
    };
    let relationship = |(name, target): &(&'static str, &'static str)| RelationshipSpec {
        name: name.trim_end_matches('!'),
        target,
        required: name.ends_with('!'),
        writable: true,
        cardinality: Cardinality::Many,
    };
    Artifact {
        name,
        view: "case",
        table: "table",
        identity: Identity::CrossReference,
        fields: fields.iter().map(field).collect(),
        relationships: relationships.iter().map(relationship).collect(),
        holds_slots: false,
        lives_in_slot: false,
        one_configuration: false,
        configuration_field: None,
    }
}

fn catalog() -> Catalog {
    let work_item =
        ["Title", "Description*", "State", "Formatted ID!", "URL!", "Iteration Path", "Area Path"];
    let result = [
        "Test Case Title!",
        "Outcome",
        "Configuration",
        "Comment",
        "Started Date",
        "Completed Date",
        "Duration",
        "Run By",
    ];
    let ado = vec![
        artifact("Test Plan", &work_item, &[("Test Case", "Test Case"), ("Parent", "Feature")]),
        artifact(
            "Test Suite",
            &work_item,
            &[("Parent Test Plan!", "Test Plan"), ("Test Cases", "Test Case")],
        ),
        artifact("Test Case", &work_item, &[]),
        artifact("Test Run", &["Summary", "Formatted ID!", "URL!"], &[("Parent Test Plan!", "Test Plan")]),
        artifact(
            "Test Result",
            &result,
            &[
                ("Parent Test Run!", "Test Run"),
                ("Parent Test Case!", "Test Case"),
                ("Parent Test Plan", "Test Plan"),
            ],
        ),
    ];
    let issue = ["Summary", "Description*", "Status>", "Priority", "Key!", "URL!"];
    let xray = vec![
        artifact("Test Plan", &issue, &[("tests", "Test")]),
        artifact("Test Set", &issue, &[("relates to (in)", "Test Plan"), ("tests", "Test")]),
        artifact("Test", &issue, &[("Parent Link", "Epic")]),
        artifact("Test Execution", &issue, &[("Test Plan", "Test Plan")]),
        artifact(
            "Test Run",
            &["Status", "Comment", "Started On", "Finished On", "Duration!", "Executed By"],
            &[("Test Run's Test Execution key!", "Test Execution"), ("Test Run's Test key!", "Test")],
        ),
    ];
    let key = |name, secret| AuthKey { name, secret };
    let pat = SignIn { deployment: None, keys: vec![key("pat", true)] };
    let cloud = SignIn {
        deployment: Some("cloud"),
        keys: vec![
            key("email", false),
            key("token", true),
            key("client_id", true),
            key("client_secret", true),
        ],
    };
    let server = SignIn { deployment: Some("data-center"), keys: vec![key("token", true)] };
    Catalog {
        systems: BTreeMap::from([("azure-devops".into(), ado), ("jira-xray".into(), xray)]),
        sign_ins: BTreeMap::from([
            ("azure-devops".into(), vec![pat]),
            ("jira-xray".into(), vec![cloud, server]),
        ]),
    }
}

fn env(name: &str) -> Option<String> {
    let value = match name {
        "ADO_URL" => "http://127.0.0.1:9001/contoso",
        "JIRA_URL" | "XRAY_URL" => "https://example.com",
        "ADO_PROJECT" => "Contoso",
        "JIRA_PROJECT" => "CALC",
        "ADO_PAT" | "JIRA_TOKEN" | "XRAY_CLIENT_ID" | "XRAY_CLIENT_SECRET" => "s3cret",
        "JIRA_EMAIL" => "sync@example.com",
        _ => return None,
    };
    Some(value.to_owned())
}

fn read(text: &[u8]) -> Result<Loaded, Problems> {
    load("ado-xray.yaml", text, &catalog(), &Surroundings { env: &env, folder: PathBuf::new() })
}

fn shipped() -> Pipeline {
    read(SHIPPED.as_bytes()).expect("the shipped pipeline has no problem").pipeline
}

fn changed(from: &str, to: &str) -> Result<Loaded, Problems> {
    assert!(SHIPPED.contains(from), "the shipped file no longer holds {from:?}");
    read(SHIPPED.replacen(from, to, 1).as_bytes())
}

fn line(problem: &Problem) -> String {
    let near = problem.nearest.as_ref().map(|word| format!(" [nearest: {word}]")).unwrap_or_default();
    let severity = if problem.severity == Severity::Warning { "warning " } else { "" };
    format!("{severity}{}:{} {problem} | {}{near}", problem.line, problem.column, problem.expected)
}

/// Changes the shipped file in one place and tells its problems, one per line.
fn slip(from: &str, to: &str) -> String {
    let problems = match changed(from, to) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems.0,
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn shipped_pipeline_has_neither_problems_nor_warnings() {
    let loaded = read(SHIPPED.as_bytes()).expect("no problem");
    assert_eq!(loaded.warnings.iter().map(line).collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!(loaded.pipeline.integrations.len(), 5);
    assert_eq!(loaded.pipeline.collections.len(), 10);
}

#[test]
fn schema_accepts_the_shipped_pipeline_and_refuses_an_unknown_key() {
    let validator = jsonschema::validator_for(&schema()).expect("a valid schema");
    let json = |text: &str| serde_saphyr::from_str::<serde_json::Value>(text).expect("YAML");
    let errors: Vec<_> = validator.iter_errors(&json(SHIPPED)).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    assert!(!validator.is_valid(&json(&SHIPPED.replacen("artifact:", "artefact:", 1))));
}

#[test]
fn references_reach_the_settings_and_secrets_stay_hidden() {
    let pipeline = shipped();
    let ado = pipeline.repository(&"ado".into()).expect("the repository");
    assert_eq!(ado.settings.url.as_str(), "http://127.0.0.1:9001/contoso");
    assert_eq!(ado.auth["pat"].expose(), "s3cret");
    assert_eq!(pipeline.projects[0].attributes["iteration"], "Contoso\\Release 1");
    assert!(!format!("{pipeline:?}").contains("s3cret"));
}

#[test]
fn directions_follow_flow_and_what_the_systems_set() {
    let pipeline = shipped();
    let pairs = |name| {
        let pairs = pipeline.field_pairs(pipeline.integration(name).expect("the integration"));
        pairs.into_iter().map(|p| (p.field.name.as_str(), p.direction, p.enforced_into)).collect::<Vec<_>>()
    };
    let cases = [
        ("Summary", Direction::Both, None),
        ("Description", Direction::Both, None),
        ("Status", Direction::Both, None),
        ("Xray ID", Direction::ToLeft, Some(Side::Left)),
        ("Xray URL", Direction::ToLeft, Some(Side::Left)),
        ("Azure DevOps ID", Direction::ToRight, Some(Side::Right)),
        ("Azure DevOps URL", Direction::ToRight, Some(Side::Right)),
    ];
    assert_eq!(pairs("test-cases"), cases);
    // Updates flow into Azure DevOps only, but the copy of its id is kept on the other side.
    let runs = [
        ("Summary", Direction::ToLeft, None),
        ("Azure DevOps ID", Direction::None, Some(Side::Right)),
        ("Azure DevOps URL", Direction::None, Some(Side::Right)),
    ];
    assert_eq!(pairs("test-runs"), runs);
    // A field that flows out on both sides is staged and never written, not even at creation.
    assert!(pairs("test-results").contains(&("Run By", Direction::None, None)));
    let results = pipeline.collection("ado.test-results").expect("the collection");
    assert!(results.mapping("Run By").is_some_and(|m| m.read_only));
    assert_eq!(pipeline.steps_direction(pipeline.integration("test-cases").expect("it")), Direction::Both);
    assert_eq!(pipeline.steps_direction(pipeline.integration("test-runs").expect("it")), Direction::None);
}

#[test]
fn relationships_name_the_integration_they_end_in() {
    let pipeline = shipped();
    let ends = |name| {
        let pairs = pipeline.relationship_pairs(pipeline.integration(name).expect("the integration"));
        pairs.into_iter().map(|p| (p.field.name.as_str(), p.ends_in)).collect::<Vec<_>>()
    };
    assert_eq!(ends("test-plans"), [("Children", Some("test-cases"))]);
    assert_eq!(ends("test-suites"), [("Parents", Some("test-plans")), ("Children", Some("test-cases"))]);
    assert_eq!(ends("test-results"), [("Parent", Some("test-runs")), ("Test Coverage", Some("test-cases"))]);
}

#[test]
fn every_shipped_value_rests_where_it_is() {
    let pipeline = shipped();
    for integration in &pipeline.integrations {
        for pair in pipeline.field_pairs(integration) {
            let (Some(left), Some(right)) = (pair.left.values(), pair.right.values()) else { continue };
            for (own, other) in [(left, right), (right, left)] {
                for (native, value) in &own.read {
                    assert!(!other.to_native(value).is_empty(), "{value} can be written");
                    for written in other.to_native(value) {
                        let back = other.to_model(written).expect("what is written can be read");
                        assert!(own.to_native(back).contains(native), "{native} -> {written} -> {back}");
                    }
                }
            }
        }
    }
}

#[test]
fn mapping_hash_moves_with_the_mapping_and_not_with_names_or_addresses() {
    let hash = shipped().mapping_hash("test-cases");
    assert_eq!(hash.len(), 32);
    let hash_after =
        |from: &str, to: &str| changed(from, to).expect("no problem").pipeline.mapping_hash("test-cases");
    assert_eq!(hash, hash_after("http", "http"));
    assert_eq!(hash, hash_after("url: ${ADO_URL}", "url: https://elsewhere.example"));
    assert_eq!(hash, hash_after("rate: 300/5min", "rate: 10/s"));
    assert_eq!(hash, hash_after("pipeline: ado-xray", "pipeline: other"));
    assert_ne!(hash, hash_after("Ready: In Progress", "Ready: To Do"));
    assert_ne!(hash, hash_after("      Parent Link: Parent ", "      #"));
    assert_ne!(hash, hash_after("ado.test-cases <> xray.tests", "ado.test-cases -> xray.tests"));
}

#[test]
fn project_answers_across() {
    let pipeline = shipped();
    let across = |from: &str, project, to: &str| {
        pipeline.project_across(&RepositoryId::new(from), project, &RepositoryId::new(to)).map(str::to_owned)
    };
    assert_eq!(across("ado", "Contoso", "xray").as_deref(), Some("CALC"));
    assert_eq!(across("xray", "CALC", "ado").as_deref(), Some("Contoso"));
    assert_eq!(across("xray", "OTHER", "ado"), None);
}

#[test]
fn problem_shows_the_line_and_the_nearest_word() {
    let problems = changed("State:\n        to: Status", "State:\n        to: Statsu").expect_err("a slip");
    let mut out = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(100)
        .render_report(&mut out, &problems.0[0])
        .expect("a report");
    insta::assert_snapshot!(out, @r#"
     × collections.ado.test-plans.fields.State: unknown field of the model `Statsu`
       ╭─[ado-xray.yaml:95:13]
    94 │       State:
    95 │         to: Statsu
       ·             ───┬──
       ·                ╰── here
    96 │         read:  { Active: In Progress, Inactive: Done }
       ╰────
     help: did you mean `Status`? Expected one of `Summary`, `Description`, `Formatted ID`, `Status`,
           `Created`, `Modified`, `URL`, `Xray ID`, `Xray URL`, `Azure DevOps ID`, `Azure DevOps
           URL`, `Result Status`, `Comment`, `Started`, `Completed`, `Duration` and 1 more
    "#);
}

#[test]
fn all_problems_are_told_at_once() {
    let text = SHIPPED
        .replacen("artifact: Test Plan", "artifact: Test Plam", 1)
        .replacen("conflict: right", "conflict: rigth", 1)
        .replacen("rate: 300/5min", "rate: quickly", 1)
        .replacen("Title: Summary", "Title: Sumary", 1);
    let problems = read(text.as_bytes()).expect_err("four slips").0;
    insta::assert_snapshot!(problems.iter().map(line).collect::<Vec<_>>().join("\n"), @r#"
    29:11 repositories.xray.rate: `quickly` is no rate | requests per time, such as `300/5min`, `10/s`, `5000/h`
    90:15 collections.ado.test-plans.artifact: unknown artifact `Test Plam` | one of `Test Plan`, `Test Suite`, `Test Case`, `Test Run`, `Test Result` [nearest: Test Plan]
    92:14 collections.ado.test-plans.fields.Title: unknown field of the model `Sumary` | one of `Summary`, `Description`, `Formatted ID`, `Status`, `Created`, `Modified`, `URL`, `Xray ID`, `Xray URL`, `Azure DevOps ID`, `Azure DevOps URL`, `Result Status`, `Comment`, `Started`, `Completed`, `Duration` and 1 more [nearest: Summary]
    332:15 integrations.test-plans.conflict: unknown word `rigth` | one of `left`, `right`, `newest`, `hold` [nearest: right]
    334:39 integrations.test-plans.match: `Summary` is not mapped in `ado.test-plans` | a field that both collections map
    "#);
}

#[test]
fn slips_of_keys_and_names_are_told() {
    insta::assert_snapshot!(slip("deployment: cloud", "deploymint: cloud"), @"20:5 repositories.xray.deploymint: unknown key `deploymint` | one of `system`, `deployment`, `url`, `xray_url`, `auth`, `projects`, `rate`, `timezone`, `ca_file`, `proxy`, `allow_http`, `domain`, `shared_space`, `workspace`, `suite` [nearest: deployment]");
    insta::assert_snapshot!(slip("system: jira-xray", "system: jira-xrya"), @"19:13 repositories.xray.system: unknown system `jira-xrya` | one of `azure-devops`, `jira-xray` [nearest: jira-xray]");
    insta::assert_snapshot!(slip("deployment: cloud", "deployment: clud"), @"20:17 repositories.xray.deployment: unknown deployment `clud` | one of `cloud`, `data-center` [nearest: cloud]");
    insta::assert_snapshot!(slip("  ado.test-suites:", "  adoo.test-suites:"), @r#"
    108:3 collections.adoo.test-suites: unknown repository `adoo` | one of `ado`, `xray` [nearest: ado]
    337:11 integrations.test-suites.flow: unknown collection `ado.test-suites` | one of `ado.test-plans`, `adoo.test-suites`, `ado.test-cases`, `ado.test-runs`, `ado.test-results`, `xray.test-plans`, `xray.test-sets`, `xray.tests`, `xray.test-executions`, `xray.test-runs` [nearest: adoo.test-suites]
    "#);
    insta::assert_snapshot!(slip("Title: Summary", "Titel: Summary"), @"warning 92:7 collections.ado.test-plans.fields.Titel: `Titel` is taken for a custom field | perhaps `Title`");
    insta::assert_snapshot!(slip("Test Case: Children", "Test Case: Summary"), @"105:18 collections.ado.test-plans.relationships.Test Case: `Summary` is a plain field of the model | this mapping under `fields`");
    insta::assert_snapshot!(slip("constant_by_project: iteration", "constant_by_project: iterations"), @"102:46 collections.ado.test-plans.fields.Iteration Path: unknown attribute (of the row of `projects` in line 33) `iterations` | one of `area`, `iteration`, `parent`, `plan` [nearest: iteration]");
    insta::assert_snapshot!(slip("Description: Description", "Description: Summary"), @"93:7 collections.ado.test-plans.fields.Description: `Summary` is mapped to `Title` already, in line 92 | each field of the model once per collection");
    insta::assert_snapshot!(slip("pipeline: ado-xray", "pipeline: ado-xray\npipeline: b"), @"10:1 pipeline: `pipeline` stands here again, first in line 9 | each key once");
}

#[test]
fn slips_of_values_and_workflows_are_told() {
    insta::assert_snapshot!(slip("Inactive: Done }", "Inactive: Don }"), @"96:49 collections.ado.test-plans.fields.State.read.Inactive: unknown value of the model `Don` | one of `New`, `To Do`, `In Progress`, `Done` [nearest: Done]");
    insta::assert_snapshot!(slip("Done: [Inactive] }", "Dome: [Inactive] }"), @r#"
    94:7 collections.ado.test-plans.fields.State.write: nothing says how to write `Done` | native values for every value of the model
    97:73 collections.ado.test-plans.fields.State.write.Dome: unknown value of the model `Dome` | one of `New`, `To Do`, `In Progress`, `Done` [nearest: Done]
    "#);
    insta::assert_snapshot!(slip("Done: [Inactive] }", "Done: [Inactve] }"), @r#"
    warning 97:73 collections.ado.test-plans.fields.State.write.Done: `Inactive` reads as `Done`, which does not accept `Inactive` | `Inactive` among the native values of `Done`
    97:80 collections.ado.test-plans.fields.State.write.Done: unknown native value `Inactve` | one of `Active`, `Inactive` [nearest: Inactive]
    "#);
    insta::assert_snapshot!(slip("to: Resolved }", "to: Resolvd }"), @r#"
    231:62 collections.xray.test-plans.transitions[1].to: unknown status `Resolvd` | one of `New`, `In Progress`, `Resolved`, `Closed`, `Reopened` [nearest: Resolved]
    275:18 collections.xray.tests.transitions[1].to: unknown status `Resolvd` | one of `New`, `In Progress`, `Resolved`, `Closed`, `Reopened` [nearest: Resolved]
    "#);
    insta::assert_snapshot!(slip("Passed: [Passed, Warning]", "Passed: [Passed]"), @"warning 155:7 collections.ado.test-results.fields.Outcome: `Warning` may be written to `xray.test-runs` as `PASSED`, which comes back as `Passed` | `Warning` among the native values of `Passed`, or the value would not rest");
    insta::assert_snapshot!(slip("Description: Description", "Description: { to: Description, read: { a: b } }"), @"93:20 collections.ado.test-plans.fields.Description: value maps for `Description`, which is no single-select field | `type: single-select` in the model");
}

#[test]
fn slips_of_integrations_are_told() {
    insta::assert_snapshot!(slip("ado.test-cases <> xray.tests", "ado.test-cases <> xray.test"), @"344:11 integrations.test-cases.flow: unknown collection `xray.test` | one of `ado.test-plans`, `ado.test-suites`, `ado.test-cases`, `ado.test-runs`, `ado.test-results`, `xray.test-plans`, `xray.test-sets`, `xray.tests`, `xray.test-executions`, `xray.test-runs` [nearest: xray.tests]");
    insta::assert_snapshot!(slip("ado.test-cases <> xray.tests", "ado.test-cases = xray.tests"), @"344:11 integrations.test-cases.flow: unknown arrow `=` | one of `<>`, `->`, `<-`");
    insta::assert_snapshot!(slip("ado.test-cases <> xray.tests", "ado.test-cases"), @"344:11 integrations.test-cases.flow: `ado.test-cases` is no flow | two collections with `<>`, `->` or `<-` between them");
    insta::assert_snapshot!(slip("ado.test-suites <> xray.test-sets", "ado.test-plans <> xray.test-sets"), @"337:11 integrations.test-suites.flow: `ado.test-plans` takes part in `test-plans` already | each artifact in one integration; filters that differ tell collections apart");
    insta::assert_snapshot!(slip("flow: ado.test-cases <> xray.tests", "flow: ado.test-cases <> ado.test-runs"), @r#"
    105:7 collections.ado.test-plans.relationships.Test Case: `Children` ends in Test Case here and in Test in `xray.test-plans`, and no integration pairs those two | relationships that end in the two sides of one integration, or `via`
    123:7 collections.ado.test-suites.relationships.Test Cases: `Children` ends in Test Case here and in Test in `xray.test-sets`, and no integration pairs those two | relationships that end in the two sides of one integration, or `via`
    200:7 collections.ado.test-results.relationships.Parent Test Case: `Test Coverage` ends in Test Case here and in Test in `xray.test-runs`, and no integration pairs those two | relationships that end in the two sides of one integration, or `via`
    344:11 integrations.test-cases.flow: both collections are of `ado` | collections of two repositories
    348:30 integrations.test-cases.match: `Xray ID` is not mapped in `ado.test-runs` | a field that both collections map
    351:11 integrations.test-runs.flow: `ado.test-runs` takes part in `test-cases` already | each artifact in one integration; filters that differ tell collections apart
    "#);
    insta::assert_snapshot!(slip("match: [Azure DevOps ID]", "match: [Xray ID]"), @r#"
    355:13 integrations.test-runs.match: `Xray ID` is not mapped in `ado.test-runs` | a field that both collections map
    355:13 integrations.test-runs.match: `Xray ID` is not mapped in `xray.test-executions` | a field that both collections map
    "#);
    insta::assert_snapshot!(slip("Parent Test Case: Test Coverage", "Parent Test Run: Test Coverage"), @r#"
    151:3 collections.ado.test-results.relationships: `Parent Test Case` must be named when one is created | `Parent Test Case` under `relationships`, mapped or constant
    200:7 collections.ado.test-results.relationships.Parent Test Run: `Parent Test Run` stands here again, first in line 199 | each key once
    "#);
    insta::assert_snapshot!(slip("Parent Test Plan: Parents\n      Test Cases: Children", "Parent Test Plan: Children\n      Test Cases: Parents"), @r#"
    122:7 collections.ado.test-suites.relationships.Parent Test Plan: `Children` ends in Test Plan here and in Test in `xray.test-sets`, and no integration pairs those two | relationships that end in the two sides of one integration, or `via`
    123:7 collections.ado.test-suites.relationships.Test Cases: `Parents` ends in Test Case here and in Test Plan in `xray.test-sets`, and no integration pairs those two | relationships that end in the two sides of one integration, or `via`
    "#);
    insta::assert_snapshot!(slip("deletions: report", "deletions: { policy: mark, field: Status, value: Gone }"), @"333:54 integrations.test-plans.deletions.value: unknown value of the model `Gone` | one of `New`, `To Do`, `In Progress`, `Done` [nearest: Done]");
    let one_way = "flow: ado.test-results -> xray.test-runs\n    create: right\n    conflict: right";
    let both = "flow: ado.test-results <> xray.test-runs      # a result is known by its run and its case, so nothing to match\n    create: both\n    conflict: right";
    insta::assert_snapshot!(slip(both, one_way), @r#"
    warning 154:7 collections.ado.test-results.fields.Configuration: nothing is ever written to `Configuration` | an integration that creates artifacts here, or no constant
    warning 203:7 collections.ado.test-results.relationships.Parent Test Plan: nothing is ever written to `Parent Test Plan` | an integration that creates artifacts here, or no constant
    "#);
}

#[test]
fn slips_of_addresses_and_references_are_told() {
    insta::assert_snapshot!(slip("url: ${ADO_URL}", "url: http://ado.example"), @"15:10 repositories.ado.url: `http://` would send the credentials in the clear | `https://`, or `allow_http: true`");
    insta::assert_snapshot!(slip("url: ${ADO_URL}", "url: ${ADO_URLL}"), @"15:10 repositories.ado.url: environment variable `ADO_URLL` is not set | a reference `${NAME}` to a variable that is set");
    insta::assert_snapshot!(slip("url: ${ADO_URL}", "url: contoso"), @"15:10 repositories.ado.url: this is no address | an address such as `https://example.com`");
    insta::assert_snapshot!(slip("token: ${JIRA_TOKEN}", "tokem: ${JIRA_TOKEN}"), @r#"
    18:3 repositories.xray.auth: `token` is missing | `token: ${NAME}`
    25:7 repositories.xray.auth.tokem: unknown key `tokem` | one of `email`, `token`, `client_id`, `client_secret` [nearest: token]
    "#);
    assert!(changed("url: ${ADO_URL}", "url: http://ado.example\n    allow_http: true").is_ok());
}

#[test]
fn secret_in_the_file_is_refused_and_never_quoted() {
    let slips = [
        (r#"pat: "${ADO_PAT}""#, "pat: hunter2"),
        ("token: ${JIRA_TOKEN}", "tokem: hunter2"),
        (r#"auth: { pat: "${ADO_PAT}" }"#, "authh: { pat: hunter2 }"),
        (r#"auth: { pat: "${ADO_PAT}" }"#, "auth: hunter2"),
        (r#"auth: { pat: "${ADO_PAT}" }"#, "auth: { pat: hunter2"),
    ];
    for (from, to) in slips {
        let problems = changed(from, to).expect_err("a secret in the file");
        let mut out = format!("{problems} {problems:?}");
        for problem in &problems.0 {
            GraphicalReportHandler::new().render_report(&mut out, problem).expect("a report");
        }
        assert!(!out.contains("hunter2"), "{to}: {out}");
    }
    insta::assert_snapshot!(slip(r#"pat: "${ADO_PAT}""#, "pat: hunter2"), @"16:18 repositories.ado.auth.pat: a secret stands in the file itself | a reference: `${NAME}` or `file:PATH`");
}

#[test]
fn broken_yaml_is_told_with_its_line() {
    insta::assert_snapshot!(slip("projects: [ \"${ADO_PROJECT}\" ]", "projects: [ \"${ADO_PROJECT}\""), @"18:7 illegal placement of ':' indicator | a YAML document");
    insta::assert_snapshot!(read(b"").expect_err("nothing").0.iter().map(line).collect::<String>(), @"1:1 nothing stands here | a map with one of `pipeline`, `description`, `repositories`, `projects`, `model`, `collections`, `integrations`");
    insta::assert_snapshot!(read(b"a: \xff").expect_err("bytes").0.iter().map(line).collect::<String>(), @"1:1 byte 3 is not UTF-8 | a pipeline file");
    assert!(read("[".repeat(10_000).as_bytes()).is_err());
}

#[test]
fn scalars_keep_the_spelling_of_the_file() {
    let loaded = changed("Configuration: { constant: Windows 11 }", "Configuration: { constant: 007 }");
    let pipeline = loaded.expect("no problem").pipeline;
    let results = pipeline.collection("ado.test-results").expect("the collection");
    let configuration = &results.fields[0];
    assert_eq!(configuration.target, FieldTarget::Constant(Constant::Value("007".into())));
    assert_eq!(configuration.update, Update::OnCreate);
}

proptest! {
    #[test]
    fn bytes_of_any_kind_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
    }

    #[test]
    fn damaged_pipeline_does_not_panic(at in 0..SHIPPED.len(), len in 0usize..40, with in "[\\PC\n:{}\\[\\]&*!]{0,6}") {
        let mut bytes = SHIPPED.as_bytes().to_vec();
        let end = (at + len).min(bytes.len());
        bytes.splice(at..end, with.bytes());
        if let Err(problems) = read(&bytes) {
            let mut out = String::new();
            for problem in &problems.0 {
                GraphicalReportHandler::new().render_report(&mut out, problem).expect("a report");
            }
        }
    }
}

#[test]
fn options_without_effect_are_refused() {
    for (option, words) in [
        ("automated: true", "`automated` has no effect"),
        ("unfiled: Unfiled", "`unfiled` has no effect"),
        ("plan: '12'", "`plan` has no effect"),
        ("delete_share_max: 2", "a number from 0 to 1"),
    ] {
        let told =
            slip("    deletions: report", &format!("    options: {{ {option} }}\n    deletions: report"));
        assert!(told.contains(words), "{told}");
    }
    let told = slip("Parent: { constant_by_project: parent }", "Parent: { constant: '1', update: always }");
    assert!(told.contains("a relationship that is written like that"), "{told}");
}
