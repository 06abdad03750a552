//! What the source tree must look like: layers, names, headers, sizes.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{File, Keep, blank, files, functions, without_tests};

/// What each layer may use. What is not named may use nothing of the crate.
const ARROWS: [(&str, &[&str]); 13] = [
    (
        "cli",
        &[
            "stages",
            "connectors",
            "store",
            "sql",
            "journal",
            "report",
            "http",
            "pipeline",
            "model",
            "text",
            "sandbox",
        ],
    ),
    ("stages", &["connectors", "store", "sql", "journal", "report", "pipeline", "model", "text"]),
    ("connectors", &["http", "pipeline", "model", "text"]),
    ("store", &["pipeline", "model", "text"]),
    ("sql", &["pipeline", "model", "text"]),
    ("journal", &["pipeline", "model", "text"]),
    ("report", &["pipeline", "model", "text"]),
    ("pipeline", &["model", "text"]),
    ("http", &[]),
    ("text", &["model"]),
    ("model", &[]),
    ("sandbox", &[]),
    ("main", &["cli"]),
];

/// Parts of the systems' names.
const NOUNS: [&str; 7] = ["azure", "devops", "jira", "xray", "alm", "octane", "testrail"];

/// Where a noun means something else, or is a word of the pipeline file.
const NOUNS_ELSEWHERE: [(&str, &str); 5] = [
    // The one list of systems, and the modules that it lists.
    ("src/connectors/registry.rs", "*"),
    ("src/connectors/mod.rs", "*"),
    // A key of the pipeline file.
    ("src/pipeline/", "xray_url"),
    // The scheme of an object store's URL.
    ("src/store/files.rs", "azure"),
    // An emulator's list is its own registry.
    ("src/sandbox/", "*"),
];

/// The longest function; beyond it a second subject hides.
const FUNCTION_LINES_MAX: usize = 70;

/// Functions that are one list, which no second function would make clearer.
const LISTS: [(&str, &str); 2] =
    [("src/connectors/azure_devops/tables.rs", "specs"), ("src/sql/neutral.rs", "views")];

/// The longest file of code, tests apart: by then it has a second subject.
const FILE_LINES_MAX: usize = 720;

/// Code of a source file without comments, strings and tests.
fn code(file: &File) -> String {
    let code = blank(&file.text, Keep::Code);
    without_tests(&code, &code)
}

/// Code of a source file without comments and tests.
fn words(file: &File) -> String {
    without_tests(&blank(&file.text, Keep::Strings), &blank(&file.text, Keep::Code))
}

fn sources() -> Vec<File> {
    files("src", ".rs").into_iter().filter(|f| !f.is_test()).collect()
}

fn nothing(found: Vec<String>) {
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn layer(path: &str) -> &str {
    let below = path.strip_prefix("src/").unwrap_or(path);
    below.split(['/', '.']).next().unwrap_or_default()
}

/// Lists the layers that a piece of code names behind `crate::`.
fn used(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let list = match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        };
        for name in list {
            let name: String = name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.insert(name);
        }
    }
    found
}

#[test]
fn arrows_point_down() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let mut wrong = Vec::new();
    for file in sources() {
        let own = layer(&file.path);
        for target in used(&code(&file)) {
            let known = allowed.contains_key(target.as_str());
            let fine = target == own || allowed.get(own).is_some_and(|list| list.contains(&target.as_str()));
            if known && !fine {
                wrong.push(format!("{}: {own} must not use {target}", file.path));
            }
        }
    }
    nothing(wrong);
}

#[test]
fn every_layer_has_its_arrows() {
    let known: BTreeSet<&str> = ARROWS.into_iter().map(|(layer, _)| layer).collect();
    let sources = sources();
    let layers: BTreeSet<&str> = sources.iter().map(|f| layer(&f.path)).filter(|l| *l != "lib").collect();
    assert_eq!(layers, known);
}

/// Two readings of the vendors' documents must agree; tests included.
#[test]
fn sandbox_and_connectors_share_nothing() {
    let mut wrong = Vec::new();
    for file in files("src/sandbox", ".rs") {
        let others = used(&blank(&file.text, Keep::Code)).into_iter().filter(|t| t != "sandbox");
        wrong.extend(others.map(|target| format!("{} uses {target}", file.path)));
    }
    nothing(wrong);
}

#[test]
fn a_system_is_named_in_its_own_places_only() {
    let mut wrong = Vec::new();
    for file in sources() {
        let own = ["connectors", "sandbox"]
            .iter()
            .find_map(|l| file.path.strip_prefix(&format!("src/{l}/")))
            .and_then(|rest| rest.split_once('/'))
            .map(|(system, _)| system)
            .unwrap_or_default();
        let exempt = NOUNS_ELSEWHERE.iter().filter(|(place, _)| file.path.starts_with(place));
        let exempt: Vec<&str> = exempt.map(|(_, word)| *word).collect();
        if exempt.contains(&"*") {
            continue;
        }
        for (at, line) in words(&file).lines().enumerate() {
            let line = exempt.iter().fold(line.to_lowercase(), |l, word| l.replace(word, ""));
            for noun in line.split(|c: char| !c.is_alphabetic()).filter(|w| NOUNS.contains(w)) {
                if !own.split('_').any(|part| part == noun) {
                    wrong.push(format!("{}:{}: {noun}", file.path, at + 1));
                }
            }
        }
    }
    nothing(wrong);
}

#[test]
fn statements_name_the_system_of_their_folder_only() {
    let mut wrong = Vec::new();
    for file in files("sql", ".sql") {
        let own = file.path.split('/').nth(1).unwrap_or_default().to_owned();
        let code: Vec<&str> = file.text.lines().filter(|l| !l.trim_start().starts_with("--")).collect();
        for word in code.join("\n").to_lowercase().split(|c: char| !c.is_alphabetic()) {
            if NOUNS.contains(&word) && !own.split('-').any(|part| part == word) {
                wrong.push(format!("{}: {word}", file.path));
            }
        }
    }
    nothing(wrong);
}

#[test]
fn every_system_has_the_same_places() {
    let parts = ["mod.rs", "client.rs", "wire.rs", "extract.rs", "load.rs"];
    let sources = files("src", ".rs");
    let statements = files("sql", ".sql");
    let systems: BTreeSet<String> = testferry::connectors::registry().iter().map(|s| s.name.into()).collect();
    let emulated: BTreeSet<String> =
        testferry::sandbox::system_names().into_iter().map(str::to_owned).collect();
    assert!(emulated.is_superset(&systems), "{systems:?} need an emulator each, there are {emulated:?}");
    for system in systems {
        let folder = system.replace('-', "_");
        for part in parts {
            let path = format!("src/connectors/{folder}/{part}");
            assert!(sources.iter().any(|f| f.path == path), "{path} is missing");
        }
        assert!(sources.iter().any(|f| f.path == format!("src/sandbox/{folder}/mod.rs")), "{folder}");
        for view in testferry::sql::neutral::views() {
            let path = format!("sql/{system}/{}.sql", view.name);
            assert!(statements.iter().any(|f| f.path == path), "{path} is missing");
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut all = files("src", ".rs");
    all.extend(files("tests", ".rs"));
    nothing(all.into_iter().filter(|f| !f.text.starts_with("//! ")).map(|f| f.path).collect());
}

#[test]
fn every_statement_says_what_goes_in_and_out() {
    let mut wrong = Vec::new();
    for file in files("sql", ".sql") {
        let header: Vec<&str> = file.text.lines().take_while(|l| l.starts_with("--")).collect();
        for wanted in ["-- in:   ", "-- out:  ", "-- key:  "] {
            if !header.iter().any(|line| line.starts_with(wanted)) {
                wrong.push(format!("{}: no line `{}`", file.path, wanted.trim()));
            }
        }
        let purpose =
            header.first().is_some_and(|l| l.len() > 5 && l.ends_with(['.', ':']) || header[1] != "--");
        if !purpose {
            wrong.push(format!("{}: the first line says what it is for", file.path));
        }
    }
    nothing(wrong);
}

#[test]
fn nothing_is_left_to_be_written() {
    let mut wrong = Vec::new();
    for file in files("src", ".rs") {
        let code = blank(&file.text, Keep::Code);
        let marks = ["todo!(", "unimplemented!(", "dbg!("].into_iter().filter(|m| code.contains(m));
        wrong.extend(marks.map(|mark| format!("{}: {mark}", file.path)));
        let comments = ["TODO:", "FIXME", "XXX:"].into_iter().filter(|m| file.text.contains(m));
        wrong.extend(comments.map(|mark| format!("{}: {mark}", file.path)));
    }
    nothing(wrong);
}

#[test]
fn functions_and_files_stay_short() {
    let mut wrong = Vec::new();
    for file in sources() {
        let code = code(&file);
        for (name, line, lines) in functions(&code) {
            if lines > FUNCTION_LINES_MAX && !LISTS.contains(&(file.path.as_str(), name.as_str())) {
                wrong.push(format!("{}:{line}: fn {name} has {lines} lines", file.path));
            }
        }
        let lines = code.trim_end().lines().count();
        if lines > FILE_LINES_MAX {
            wrong.push(format!("{}: {lines} lines", file.path));
        }
    }
    nothing(wrong);
}

#[test]
fn outside_data_is_never_unwrapped() {
    let mut wrong = Vec::new();
    for file in sources() {
        for (at, line) in code(&file).lines().enumerate() {
            if line.contains(".unwrap()") {
                wrong.push(format!("{}:{}: .unwrap()", file.path, at + 1));
            }
        }
    }
    nothing(wrong);
}

/// The command line and the sandbox read them, and hand them over.
#[test]
fn library_has_no_streams_environment_or_clock() {
    let marks = ["println!(", "print!(", "std::env::", "env::var", "process::exit", "Utc::now", "SystemTime"];
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|f| !f.within("src/cli") && !f.within("src/sandbox")) {
        for (at, line) in code(file).lines().enumerate() {
            let found = marks.iter().filter(|mark| line.contains(**mark));
            wrong.extend(found.map(|mark| format!("{}:{}: {mark}", file.path, at + 1)));
        }
    }
    nothing(wrong);
}

#[test]
fn scanner_tells_code_from_text() {
    let text = "fn a<'a>(x: &'a str) -> char { // {\n  let _ = r#\"}\"#; /* { */ '\\'' }\n#[cfg(test)]\nmod tests { fn b() {} }\n";
    let code = blank(text, Keep::Code);
    assert_eq!(functions(&code), [("a".to_owned(), 1, 2), ("b".to_owned(), 4, 1)]);
    assert_eq!(functions(&without_tests(&code, &code)), [("a".to_owned(), 1, 2)]);
    assert!(blank(text, Keep::Strings).contains('}'));
    assert_eq!(used("use crate::{a, b::c}; crate::d::e()"), ["a", "b", "d"].map(String::from).into());
}
