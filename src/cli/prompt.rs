//! The prompt of `sql`: history, completion, statements over several lines.

use std::borrow::Cow;

use arrow::array::AsArray;
use reedline::{
    ColumnarMenu, DefaultCompleter, Emacs, FileBackedHistory, KeyCode, KeyModifiers, MenuBuilder, Prompt,
    PromptEditMode, PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu, Signal, ValidationResult,
    Validator, default_emacs_keybindings,
};

use super::exit::{IN_STEP, Stop};
use super::root::folder;
use super::rows::Shape;
use super::sql::{query, told};
use super::{Common, output};
use crate::sql::{Sql, split};

/// Statements that the history keeps.
const HISTORY_MAX: usize = 5_000;
/// Where it is kept, in the staging folder.
const HISTORY_FILE: &str = ".sql-history";
/// Letters after which words are completed.
const COMPLETED_FROM: usize = 2;

const MENU: &str = "completions";

const TABLES: &str = "SELECT table_catalog AS catalog, table_schema AS schema, table_name AS name \
    FROM information_schema.tables WHERE table_schema <> 'information_schema' ORDER BY 1, 2, 3";

const COLUMNS: &str = "SELECT DISTINCT column_name AS name FROM information_schema.columns \
    WHERE table_schema <> 'information_schema'";

const HELP: &str = "\
A statement ends with a semicolon and may span lines; Tab completes, the arrow keys recall.
  .tables   list catalogs, schemas and tables
  .help     this text
  .quit     leave (or Ctrl-D)
DESCRIBE ado.case; lists the columns of a table.
";

const KEYWORDS: [&str; 46] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "JOIN",
    "LEFT JOIN",
    "LEFT ANTI JOIN",
    "LEFT SEMI JOIN",
    "FULL JOIN",
    "CROSS JOIN",
    "ON",
    "USING",
    "WITH",
    "AS",
    "DISTINCT",
    "UNION ALL",
    "EXCEPT",
    "INTERSECT",
    "AND",
    "OR",
    "NOT",
    "IN",
    "EXISTS",
    "BETWEEN",
    "LIKE",
    "ILIKE",
    "IS NULL",
    "IS NOT NULL",
    "IS DISTINCT FROM",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST",
    "OVER",
    "PARTITION BY",
    "DESC",
    "EXPLAIN",
    "DESCRIBE",
    "SHOW TABLES",
    "coalesce",
];

/// Prompts until the person leaves.
pub(super) async fn run(common: &Common, sql: &Sql, shape: &Shape) -> Result<u8, Stop> {
    let mut editor = editor(common, words(sql).await).map_err(|e| Stop::bug(e.to_string()))?;
    if !common.quiet {
        eprintln!("only reading statements; end them with a semicolon; .help for help");
    }
    loop {
        let line = match tokio::task::block_in_place(|| editor.read_line(&Ask)) {
            Ok(Signal::Success(line)) => line,
            Ok(Signal::CtrlC) => continue,
            Ok(_) => return Ok(IN_STEP),
            Err(e) => return Err(Stop::bug(format!("the terminal cannot be read: {e}"))),
        };
        match line.trim() {
            "" => {}
            ".quit" | ".exit" => return Ok(IN_STEP),
            ".help" => eprint!("{HELP}"),
            ".tables" => statement(common, sql, shape, TABLES).await,
            other if other.starts_with('.') => eprintln!("there is no command {other}\n{HELP}"),
            text => {
                let parts = split(text);
                for one in parts.whole.iter().chain(&parts.rest) {
                    statement(common, sql, shape, one).await;
                }
            }
        }
    }
}

/// Runs one statement; what is wrong with it does not end the prompt.
async fn statement(common: &Common, sql: &Sql, shape: &Shape, text: &str) {
    match query(sql, text, shape).await {
        Ok(count) => told(common, shape, count),
        Err(stop) => {
            super::exit::report(common, &stop);
        }
    }
}

fn editor(common: &Common, words: Vec<String>) -> Result<Reedline, Box<dyn std::error::Error>> {
    let mut completer = DefaultCompleter::with_inclusions(&['_', '-', '.']).set_min_word_len(COMPLETED_FROM);
    completer.insert(words);
    let mut keys = default_emacs_keybindings();
    let complete = vec![ReedlineEvent::Menu(MENU.to_owned()), ReedlineEvent::MenuNext];
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, ReedlineEvent::UntilFound(complete));
    let history = FileBackedHistory::with_file(HISTORY_MAX, folder(common).join(HISTORY_FILE))?;
    let menu = ColumnarMenu::default().with_name(MENU);
    Ok(Reedline::create()
        .with_ansi_colors(output::colored(common))
        .with_history(Box::new(history))
        .with_validator(Box::new(Whole))
        .with_completer(Box::new(completer))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_edit_mode(Box::new(Emacs::new(keys))))
}

/// Lists what can be completed: keywords, tables and columns.
async fn words(sql: &Sql) -> Vec<String> {
    let mut words: Vec<String> = KEYWORDS.iter().flat_map(|k| [(*k).to_owned(), k.to_lowercase()]).collect();
    let tables = "SELECT DISTINCT table_schema || '.' || table_name AS name FROM information_schema.tables";
    for statement in [tables, COLUMNS] {
        // Without completions the prompt is still of use.
        for batch in sql.rows("listing names", statement).await.unwrap_or_default() {
            let names = batch.column_by_name("name").and_then(|c| c.as_string_opt::<i32>());
            words.extend(names.into_iter().flatten().flatten().map(str::to_owned));
        }
    }
    words.sort();
    words.dedup();
    words
}

/// A statement is whole when it ends with a semicolon, a command at the end of its line.
struct Whole;

impl Validator for Whole {
    fn validate(&self, line: &str) -> ValidationResult {
        let command = line.trim().is_empty() || line.trim_start().starts_with('.');
        match command || split(line).rest.is_none() {
            true => ValidationResult::Complete,
            false => ValidationResult::Incomplete,
        }
    }
}

/// What stands before the cursor.
struct Ask;

impl Prompt for Ask {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed("testferry")
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("> ")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("      ... ")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("(history: {}) ", search.term))
    }
}
