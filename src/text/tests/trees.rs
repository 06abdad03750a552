//! Generators of trees and texts that look for trouble.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::model::Notation;
use crate::text::{
    Block, Cell, Color, Document, Image, Inline, Item, List, ListKind, Marks, Opaque, Run, Script,
};

/// Bits of text, most of which mean something in some notation.
const BITS: &[&str] = &[
    "word",
    "a",
    "Zoë",
    "x1",
    " ",
    " ",
    " ",
    "  ",
    "*",
    "_",
    "-",
    "+",
    "^",
    "~",
    "{",
    "}",
    "[",
    "]",
    "!",
    "|",
    "?",
    "#",
    "\\",
    "<",
    ">",
    "&",
    "`",
    "=",
    ":",
    ".",
    ",",
    ";",
    "(",
    ")",
    "\"",
    "'",
    "$",
    "%",
    "@",
    "/",
    "**",
    "__",
    "--",
    "---",
    "----",
    "~~",
    "??",
    "{{",
    "}}",
    "||",
    "\\\\",
    "&amp;",
    "&#92;",
    "&lt;",
    "h1. ",
    "h2.",
    "bq. ",
    "- ",
    "* ",
    "# ",
    "1. ",
    "2) ",
    "> ",
    "{code}",
    "{quote}",
    "{noformat}",
    "{color:red}",
    "{color}",
    "{*}",
    "{_}",
    "{panel}",
    "{code:java}",
    "https://x.y/a_b",
    "http://",
    "https://q.z?a=1&b=2~c-",
    "mailto:a@b",
    "<b>",
    "</p>",
    "<br>",
    "<!--",
    "[x] ",
    "[ ] ",
    "![",
    "](u)",
    "[^f]",
    "[~u]",
    "!i.png!",
    "```",
    "***",
    "===",
    "| a | b |",
    "|---|",
    "\u{a0}",
    "\u{200b}",
    "\t",
    "\u{1}",
    "]]>",
    "<script>",
    "**a**",
    "*b*",
    "_c_",
    "-d-",
    "C:\\dir\\file",
    "\\\\host\\share",
    "snake_case_name",
    "a*b*c",
    "2 < 3",
    "f(x)",
    "\u{2610}",
    "@user",
    "{{code}}",
    "\\{",
    "\\*",
    "<https://x.y>",
];

/// Text made of troublesome bits on one line.
pub(super) fn line() -> impl Strategy<Value = String> {
    vec(proptest::sample::select(BITS), 0..8).prop_map(|bits| bits.concat())
}

/// Text made of troublesome bits on several lines.
pub(super) fn lines() -> impl Strategy<Value = String> {
    vec(line(), 0..8).prop_map(|lines| lines.join("\n"))
}

fn marks() -> impl Strategy<Value = Marks> {
    let link = proptest::sample::select(vec![
        "https://x.y/a_b",
        "http://h",
        "mailto:a@b.c",
        "javascript:alert(1)",
        "/relative",
        "https://x.y/(a)*b|c d",
        "https://x.y/?a=1&amp;b",
        "HTTPS://x",
    ]);
    let script = proptest::sample::select(vec![Script::Sub, Script::Sup]);
    let rare = || prop::bool::weighted(0.2);
    (
        (rare(), rare(), rare(), rare(), rare()),
        option::weighted(0.1, script),
        option::weighted(0.1, any::<[u8; 3]>()),
        option::weighted(0.15, link),
    )
        .prop_map(|((strong, em, underline, strike, code), script, color, link)| Marks {
            strong,
            em,
            underline,
            strike,
            code,
            script,
            color: color.map(Color),
            link: link.map(str::to_owned),
        })
}

fn inline() -> impl Strategy<Value = Inline> {
    let run = (line(), marks()).prop_map(|(text, marks)| Inline::Text(Run { text, marks }));
    let source = prop_oneof![
        Just("https://x.y/i.png".to_owned()),
        Just("my picture.png".to_owned()),
        Just("index.php?/attachments/get/1&x=<2>".to_owned()),
        line()
    ];
    let image = (source, line(), option::of(0..2000u32))
        .prop_map(|(source, alt, width)| Inline::Image(Image { source, alt, width }));
    let mention = (proptest::sample::select(vec!["5b10:ab-c", "~jane", "~x_y", ""]), line())
        .prop_map(|(id, name)| Inline::Mention { id: id.to_owned(), name });
    let date = proptest::sample::select(vec!["2026-11-22", "1969-01-01", "no day"])
        .prop_map(|day| Inline::Date(day.to_owned()));
    let opaque = proptest::sample::select(vec![
        ("[^file.pdf]", Notation::Wiki, "file.pdf"),
        ("{anchor:top}", Notation::Wiki, ""),
        ("[^bad]x]", Notation::Wiki, "[^bad]x]"),
        (r#"{"type":"mediaInline","attrs":{"id":"1","collection":"c"}}"#, Notation::Adf, "[mediaInline]"),
        ("not json", Notation::Adf, "not json"),
    ])
    .prop_map(|(source, notation, text)| {
        Inline::Opaque(Opaque { notation, source: source.to_owned(), text: text.to_owned() })
    });
    prop_oneof![
        16 => run,
        3 => Just(Inline::Break),
        1 => image,
        1 => mention,
        1 => date,
        1 => opaque,
    ]
}

fn text() -> impl Strategy<Value = Vec<Inline>> {
    vec(inline(), 0..7)
}

fn kind() -> impl Strategy<Value = ListKind> {
    prop_oneof![
        4 => Just(ListKind::Bullet),
        2 => Just(ListKind::Ordered { start: 1 }),
        1 => (0..20u32).prop_map(|start| ListKind::Ordered { start }),
        2 => Just(ListKind::Task),
    ]
}

fn block() -> impl Strategy<Value = Block> {
    let language = option::of(proptest::sample::select(vec!["java", "C++", "none", "odd name"]));
    let opaque = r#"{"type":"extension","attrs":{"extensionKey":"k","extensionType":"t"}}"#;
    let leaf = prop_oneof![
        8 => text().prop_map(Block::Paragraph),
        2 => (1..=6u8, text()).prop_map(|(level, content)| Block::Heading { level, content }),
        2 => (language, lines()).prop_map(|(language, text)| Block::Code {
            language: language.map(str::to_owned),
            text,
        }),
        1 => Just(Block::Rule),
        1 => Just(Block::Opaque(Opaque {
            notation: Notation::Adf,
            source: opaque.to_owned(),
            text: "[extension]".to_owned(),
        })),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let blocks = || vec(inner.clone(), 0..4);
        let item = (any::<bool>(), blocks()).prop_map(|(done, blocks)| Item { done, blocks });
        let span = || prop_oneof![6 => Just(1u16), 1 => 0..4u16];
        let cell = (any::<bool>(), span(), span(), blocks())
            .prop_map(|(header, colspan, rowspan, blocks)| Cell { header, colspan, rowspan, blocks });
        prop_oneof![
            3 => (kind(), vec(item, 0..4)).prop_map(|(kind, items)| Block::List(List { kind, items })),
            1 => blocks().prop_map(Block::Quote),
            1 => vec(vec(cell, 0..4), 0..4).prop_map(Block::Table),
        ]
    })
}

/// Any document, in normal form or not.
pub(super) fn document() -> impl Strategy<Value = Document> {
    vec(block(), 0..4).prop_map(|blocks| Document { blocks })
}
