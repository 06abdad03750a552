//! The words that the company writes with.

use super::text::{Block, Inline, RichText};

pub(super) const FIRST_NAMES: [&str; 16] = [
    "Ada",
    "Björn",
    "Chloé",
    "Dmitri",
    "Elif",
    "Farid",
    "Grete",
    "Hana",
    "Ines",
    "Jörg",
    "Kateřina",
    "Luca",
    "Mei",
    "Niamh",
    "Óscar",
    "Priya",
];
pub(super) const LAST_NAMES: [&str; 12] = [
    "Almeida", "Brandt", "Castillo", "Dvořák", "Eriksson", "Fontaine", "Gupta", "Hoffmann", "Ito", "Jansen",
    "Kaya", "O'Leary",
];
pub(super) const CONFIGURATIONS: [&str; 4] = ["Windows 11", "Ubuntu 24.04", "macOS 15", "Android 15"];
pub(super) const AREAS: [&[&str]; 5] =
    [&["Quality"], &["Quality", "Regression"], &["Engine"], &["Engine", "Parser"], &["Interface"]];
pub(super) const ITERATIONS: [&[&str]; 5] = [
    &["Release 1"],
    &["Release 1", "Sprint 1"],
    &["Release 1", "Sprint 2"],
    &["Release 2"],
    &["Release 2", "Sprint 3"],
];
pub(super) const OPERATIONS: [&str; 12] = [
    "Add",
    "Subtract",
    "Multiply",
    "Divide",
    "Square root of",
    "Round",
    "Convert",
    "Copy",
    "Undo",
    "Paste",
    "Format",
    "Store in memory",
];
pub(super) const OPERANDS: [&str; 12] = [
    "two whole numbers",
    "negative decimals",
    "a fraction & a percentage",
    "numbers longer than 20 digits",
    "zero",
    "scientific notation (1e-9)",
    "π and e",
    "an empty display",
    "currency amounts in €",
    "nested brackets ((…))",
    "hexadecimal \"0xFF\"",
    "values with a < b",
];
pub(super) const CONDITIONS: [&str; 8] = [
    "in standard mode",
    "in scientific mode",
    "with the keyboard",
    "with a screen reader",
    "after a restart",
    "while offline",
    "in German locale",
    "with history open",
];
pub(super) const THEMES: [&str; 8] =
    ["Arithmetic", "Display", "Memory", "History", "Units", "Accessibility", "Installation", "Licensing"];
/// Tags without meaning for queries.
pub(super) const TAGS: [&str; 6] = ["arithmetic", "ui", "slow", "needs-data", "legacy", "customer"];
/// Tags that query suites ask for; few cases bear one.
pub(super) const QUERY_TAGS: [&str; 3] = ["smoke", "release-gate", "nightly"];
pub(super) const RESULT_COMMENTS: [&str; 6] = [
    "Display shows 0.30000000000000004 instead of 0.3",
    "Crashes with \"division by zero\" & no message",
    "Flaky: passed on the second attempt",
    "Blocked by the missing test data <customers.csv>",
    "Retested after the fix, OK",
    "Läuft nur mit Administratorrechten",
];
pub(super) const REMARKS: [&str; 6] = [
    "I can reproduce this on the current build.",
    "Please check with the Parser team before changing the expected value.",
    "Same as last month; see the linked ticket.",
    "Done, ready for review.",
    "Why is this not automated yet?",
    "Die Rundung ist laut Norm so gewollt.",
];
pub(super) const BUG_TITLES: [&str; 8] = [
    "Wrong rounding",
    "Crash on overflow",
    "Display is cut off",
    "History loses its last line",
    "Shortcut does nothing",
    "Memory is cleared",
    "Slow start",
    "Wrong decimal separator",
];
const ACTIONS: [&str; 8] = [
    "Start the calculator",
    "Enter the first operand",
    "Press the key of the operation",
    "Enter the second operand",
    "Press =",
    "Open the history (Ctrl+H)",
    "Switch the mode",
    "Close the window",
];
const DATA: [&str; 8] = ["", "0.1", "+", "0.2", "", "", "scientific", ""];
const EXPECTED: [&str; 8] = [
    "The display shows 0",
    "The operand is shown",
    "",
    "The operand is shown right-aligned",
    "The result is 0.3 & the history has one more line",
    "The last ten calculations are listed",
    "Trigonometric keys are shown",
    "No process is left behind",
];

/// Number of shapes that [`description`] knows; the last is the empty text.
pub(super) const SHAPES: usize = 9;

fn text(text: &'static str) -> Inline {
    Inline::Text(text.into())
}

fn paragraph(text: &'static str) -> Block {
    Block::Paragraph(vec![self::text(text)])
}

/// A description of one of [`SHAPES`] shapes. All shapes together hold every kind of rich text.
pub(super) fn description(shape: usize) -> RichText {
    RichText(match shape % SHAPES {
        0 => vec![Block::Paragraph(vec![
            text("Checks that the result is "),
            Inline::Bold(vec![text("exact")]),
            text(", "),
            Inline::Italic(vec![text("not merely close")]),
            text(" and "),
            Inline::Underline(vec![text("never")]),
            text(" shown with an exponent. Uses "),
            Inline::Code("BigDecimal".into()),
            text("."),
        ])],
        1 => vec![
            paragraph("The display must stay readable."),
            paragraph("Ranges: a < b && b > c; 5 * 3 = 15."),
        ],
        2 => vec![
            paragraph("Cover at least:"),
            Block::List {
                ordered: false,
                items: vec![
                    vec![paragraph("whole numbers")],
                    vec![
                        paragraph("fractions"),
                        Block::List {
                            ordered: false,
                            items: vec![vec![paragraph("finite")], vec![paragraph("periodic")]],
                        },
                    ],
                    vec![Block::Paragraph(vec![Inline::Bold(vec![text("zero")])])],
                ],
            },
        ],
        3 => vec![
            Block::Heading(2, vec![text("Examples")]),
            Block::Table(vec![
                vec![vec![text("Input")], vec![text("Result")]],
                vec![vec![text("1 + 1")], vec![Inline::Bold(vec![text("2")])]],
                vec![vec![text("0.1 + 0.2")], vec![text("0.3")]],
            ]),
        ],
        4 => vec![
            paragraph("Set up the data with:"),
            Block::Code("let a = 0.1;\nif (a < 1 && a > 0) {\n    calc.enter(a);\n}".into()),
        ],
        5 => vec![Block::Paragraph(vec![
            text("The layout is described in "),
            Inline::Link {
                url: "https://example.com/calculator/spec?page=2&lang=en".into(),
                text: "the specification".into(),
            },
            text(" and looks like this:"),
            Inline::Break,
            Inline::Image { url: "https://example.com/calculator/layout.png".into(), alt: "layout".into() },
        ])],
        6 => vec![Block::List {
            ordered: true,
            items: ["Prepare the machine", "Install the build under test", "Note the version"]
                .map(|item| vec![paragraph(item)])
                .into(),
        }],
        7 => vec![Block::Paragraph(vec![
            text("Für Größen über 10⁹ gilt die Norm."),
            Inline::Break,
            Inline::Bold(vec![Inline::Italic(vec![text("See the second line.")])]),
        ])],
        _ => Vec::new(),
    })
}

/// A step: its action, data and expected result. `formatted` steps hold lists, tables and emphasis.
pub(super) fn step(n: usize, formatted: bool) -> (RichText, RichText, RichText) {
    let n = n % ACTIONS.len();
    let optional =
        |text: &'static str| if text.is_empty() { RichText::default() } else { RichText::plain(text) };
    let (action, data, expected) = (RichText::plain(ACTIONS[n]), optional(DATA[n]), optional(EXPECTED[n]));
    if !formatted {
        return (action, data, expected);
    }
    let action = RichText(vec![
        Block::Paragraph(vec![
            text("Press "),
            Inline::Bold(vec![text(ACTIONS[n])]),
            Inline::Break,
            text("then wait."),
        ]),
        Block::List {
            ordered: true,
            items: vec![vec![paragraph("look at the display")], vec![paragraph("compare")]],
        },
    ]);
    let expected = RichText(vec![
        Block::Paragraph(vec![text("All of "), Inline::Code("a < b".into()), text(" holds:")]),
        Block::Table(vec![vec![vec![text("a")], vec![text("b")]], vec![vec![text("1")], vec![text("2")]]]),
    ]);
    (action, data, expected)
}
