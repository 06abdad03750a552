//! `check` against repositories that are as they should be, and against some that are not.

use testferry::sandbox::{Sandbox, SandboxOptions};

use super::program::{self, Bench};

async fn variables() -> (Sandbox, Vec<(String, String)>) {
    let sandbox =
        Sandbox::start(SandboxOptions { size: 12, ..SandboxOptions::default() }).await.expect("a sandbox");
    let variables = sandbox.env();
    (sandbox, variables)
}

fn set(variables: &mut [(String, String)], name: &str, value: &str) {
    let found = variables.iter_mut().find(|(known, _)| known == name).expect("a known variable");
    found.1 = value.to_owned();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_and_an_unknown_project_are_told_apart() {
    let (sandbox, good) = variables().await;
    let mut wrong = good.clone();
    set(&mut wrong, "ADO_PAT", "nobody");
    let ended = Bench::new().pipeline_with("check", &wrong);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stdout.contains("problem  ado: "), "{ended:?}");
    assert!(ended.stdout.contains("ok       xray: signed in"), "{ended:?}");
    let mut wrong = good;
    set(&mut wrong, "ADO_PROJECT", "Nowhere");
    let ended = Bench::new().pipeline_with("check", &wrong);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stdout.contains("Nowhere"), "{ended:?}");
    sandbox.stop().await;
}

#[test]
fn a_missing_variable_is_a_problem_of_the_file() {
    let ended = Bench::new().pipeline_with("check", &[]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("ADO_PAT"), "{ended:?}");
}

#[test]
fn missing_fields_are_named_and_made_on_request() {
    let bench = Bench::new();
    let text = std::fs::read_to_string(program::PIPELINE).expect("the pipeline");
    let renamed = text.replace("      Xray ID: Xray ID", "      Xray Ref: Xray ID");
    assert_ne!(text, renamed);
    std::fs::write(bench.path("renamed.yaml"), renamed).expect("a file");
    let check = ["check", "renamed.yaml", "--sandbox", "--size", "12", "--quiet"];
    let missing = "Test Case has no custom field \"Xray Ref\" (renamed.yaml:";
    let before = bench.run(&check);
    assert_eq!(before.code, 2, "{before:?}");
    assert!(before.stdout.contains(missing), "{before:?}");
    bench.run(&[&check[..], &["--create-fields"]].concat());
    let after = bench.run(&check);
    assert!(!after.stdout.contains("Xray Ref"), "{after:?}");
}
