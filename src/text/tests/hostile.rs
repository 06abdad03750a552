//! Texts made to hurt: deep, long, or carrying scripts.

use super::ALL;
use crate::model::Notation;
use crate::text::{canonical, convert, parse, render, to_plain};

const DEEP: usize = 10_000;

fn nested(open: &str, close: &str) -> String {
    format!("{}core{}", open.repeat(DEEP), close.repeat(DEEP))
}

fn keeps_the_core(notation: Notation, text: &str) {
    let document = parse(notation, text);
    assert!(to_plain(&document).contains("core"), "{notation:?}");
    for to in ALL {
        let once = render(to, &document);
        let again = render(to, &parse(to, &once.text));
        assert_eq!(once.text, again.text, "{notation:?} to {to:?}");
    }
}

#[test]
fn deeply_nested_html_keeps_its_text() {
    for (open, close) in [
        ("<div>", "</div>"),
        ("<ul><li>", "</li></ul>"),
        ("<blockquote>", "</blockquote>"),
        ("<table><tr><td>", "</td></tr></table>"),
        ("<b><i>", "</i></b>"),
        ("<p><b>", ""),
        ("<a href='https://x'>", ""),
        ("<svg><g>", "</g></svg>core"),
        ("<select><option>", ""),
    ] {
        keeps_the_core(Notation::Html, &nested(open, close));
    }
}

#[test]
fn html_nested_just_below_the_limit_keeps_its_text() {
    for (open, close) in
        [("<div>", "</div>"), ("<ul><li>", "</li></ul>"), ("<table><tr><td>", "</td></tr></table>")]
    {
        keeps_the_core(Notation::Html, &format!("{}core{}", open.repeat(240), close.repeat(240)));
        keeps_the_core(Notation::Html, &format!("{}core{}", open.repeat(30), close.repeat(30)));
    }
}

#[test]
fn deeply_nested_adf_keeps_its_text() {
    let text = r#"{"type":"text","text":"core"}"#;
    let open = r#"{"type":"bulletList","content":[{"type":"listItem","content":["#;
    for depth in [DEEP, 29, 20] {
        let document = format!(
            r#"{{"version":1,"type":"doc","content":[{}{text}{}]}}"#,
            open.repeat(depth),
            "]}]}".repeat(depth)
        );
        keeps_the_core(Notation::Adf, &document);
    }
}

#[test]
fn deeply_nested_markup_keeps_its_text() {
    for text in [
        format!("{} core", "*".repeat(DEEP)),
        format!("{} core", "#*".repeat(DEEP)),
        nested("{quote}\n", "\n{quote}\n"),
        nested("{panel}\n", "\n{panel}\n"),
        nested("*_", "_*"),
        nested("{*}", "{*}"),
        nested("{{", "}}"),
        nested("[", "]"),
        nested("*a ", ""),
        nested("!a|", ""),
        nested("{code", ""),
        nested("{code}", ""),
        nested("{color:red}", ""),
    ] {
        keeps_the_core(Notation::Wiki, &text);
    }
    for text in [
        format!("{}core", "> ".repeat(DEEP)),
        format!("{}core", "- ".repeat(DEEP)),
        (0..300).map(|i| format!("{}- core\n", " ".repeat(i))).collect(),
        nested("*a **b ", "** *"),
        nested("[", "](https://x)"),
        nested("![", "](https://x)"),
        nested("<div>\n\n", "\n\n</div>"),
        nested("`", "``"),
    ] {
        keeps_the_core(Notation::Markdown, &text);
    }
}

#[test]
fn malformed_adf_gives_its_text() {
    for (text, expected) in [
        (
            r#"{"version":1,"type":"doc","content":[{"type":"text","text":"half a"#,
            "<p>{\"version\":1,\"type\":\"doc\",\"content\":[{\"type\":\"text\",\"text\":\"half a</p>",
        ),
        (r#"{"type":"doc","content":[{"type":"text","text":"whole"},{"type":"te"#, "<p>whole</p>"),
        ("just words", "<p>just words</p>"),
        ("\"a string\"", "<p>a string</p>"),
        ("null", ""),
        ("", ""),
        ("{}", ""),
        ("[1]", "<p>[1]</p>"),
        (
            r#"{"type":"doc","content":[{"type":"novelty","content":[{"type":"text","text":"inside"}]}]}"#,
            "<p>inside</p>",
        ),
        (r#"{"type":"doc","content":7}"#, ""),
    ] {
        assert_eq!(canonical(Notation::Adf, text), expected, "{text}");
    }
}

#[test]
fn scripts_and_handlers_do_not_pass() {
    let html = r#"<p onclick="steal()">a<script>steal()</script><style>p{}</style>
        <a href="javascript:steal()">b</a><a href=" JaVaScRiPt:steal()">c</a><img src="javascript:steal()">
        <a href="data:text/html,steal()">d</a><iframe src="https://steal()"></iframe><svg onload="steal()"/>
        <span data-notation="adf" data-source='{"type":"extension"}'>e</span><span data-mention="1">@f</span></p>"#;
    assert_eq!(canonical(Notation::Html, html), "<p>a bc d e@f</p>");
    let markdown = "a <script>steal()</script> [b](javascript:steal()) <img src=x onerror=steal()>";
    for to in ALL {
        let text = convert(Notation::Markdown, to, markdown).text;
        assert!(!text.contains("steal"), "{text}");
    }
}

#[test]
fn long_lines_of_openers_take_linear_time() {
    for bit in
        ["*a ", "[a ", "{{a ", "!a ", "{color:red}", "{quote}", "??a ", "\\", "&#", "https://", "|", "{*}a "]
    {
        canonical(Notation::Wiki, &bit.repeat(20_000));
    }
    for bit in ["<", "&", "<b>", "<p>", "<br>", "<a ", "<!--", "<td>"] {
        canonical(Notation::Html, &bit.repeat(20_000));
    }
}
