//! Readable examples: what one rich text looks like in each notation, and texts
//! of different systems that must mean the same.

use insta::assert_snapshot;

use crate::model::Notation;
use crate::text::{Document, canonical, convert, parse, render, render_within, to_plain};

const RICH: &str = r#"<h2>Sign <em>in</em></h2>
<div>Open the <b>login</b> page at https://shop.example/login and see <a href="https://wiki.example/x">the wiki</a>.<br></div>
<ol><li>Type <code>user_1</code></li><li>Press <u>Enter</u><ul><li>or <s>click</s> <span style="color:#ff0000">OK</span></li></ul></li></ol>
<table><tr><th>Field</th><th>Value</th></tr><tr><td>a|b</td><td>H<sub>2</sub>O</td></tr></table>
<pre><code class="language-sql">select *
  from t</code></pre>
<blockquote><p>said who</p></blockquote><hr>
<p><img src="https://x.example/a.png" alt="a shot" width="300"></p>
<ul><li><input type="checkbox" checked>done</li><li><input type="checkbox">open</li></ul>"#;

#[test]
fn a_rich_text_in_its_canonical_form() {
    assert_snapshot!(canonical(Notation::Html, RICH), @r###"
<h2>Sign <em>in</em></h2>
<p>Open the <strong>login</strong> page at https://shop.example/login and see <a href="https://wiki.example/x">the wiki</a>.</p>
<ol><li>Type <code>user_1</code></li><li>Press <u>Enter</u><ul><li>or <s>click</s> <span style="color:#ff0000">OK</span></li></ul></li></ol>
<table><tbody><tr><th>Field</th><th>Value</th></tr><tr><td>a|b</td><td>H<sub>2</sub>O</td></tr></tbody></table>
<pre><code class="language-sql">select *
  from t</code></pre>
<blockquote><p>said who</p></blockquote>
<hr/>
<p><img src="https://x.example/a.png" alt="a shot" width="300"/></p>
<ul><li><input type="checkbox" disabled="disabled" checked="checked"/>done</li><li><input type="checkbox" disabled="disabled"/>open</li></ul>
"###);
}

#[test]
fn a_rich_text_as_html() {
    assert_snapshot!(convert(Notation::Html, Notation::Html, RICH).text, @r###"
<h2>Sign <em>in</em></h2>
<p>Open the <strong>login</strong> page at <a href="https://shop.example/login">https://shop.example/login</a> and see <a href="https://wiki.example/x">the wiki</a>.</p>
<ol><li>Type <code>user_1</code></li><li>Press <u>Enter</u><ul><li>or <s>click</s> <span style="color:#ff0000">OK</span></li></ul></li></ol>
<table><tbody><tr><th>Field</th><th>Value</th></tr><tr><td>a|b</td><td>H<sub>2</sub>O</td></tr></tbody></table>
<pre><code class="language-sql">select *
  from t</code></pre>
<blockquote><p>said who</p></blockquote>
<hr/>
<p><img src="https://x.example/a.png" alt="a shot" width="300"/></p>
<ul><li><input type="checkbox" disabled="disabled" checked="checked"/>done</li><li><input type="checkbox" disabled="disabled"/>open</li></ul>
"###);
}

#[test]
fn a_rich_text_as_wiki_markup() {
    assert_snapshot!(convert(Notation::Html, Notation::Wiki, RICH).text, @r###"
h2. Sign _in_

Open the *login* page at https://shop.example/login and see [the wiki|https://wiki.example/x].

# Type {{user_1}}
# Press +Enter+
#* or -click- {color:#ff0000}OK{color}

||Field||Value||
|a\|b|H{~}2{~}O|

{code:sql}
select *
  from t
{code}

{quote}
said who
{quote}

----

!https://x.example/a.png|alt=a shot,width=300!

* ☑ done
* ☐ open
"###);
}

#[test]
fn a_rich_text_as_markdown() {
    assert_snapshot!(convert(Notation::Html, Notation::Markdown, RICH).text, @r###"
## Sign _in_

Open the **login** page at <https://shop.example/login> and see [the wiki](https://wiki.example/x).

1. Type `user_1`
2. Press Enter
   - or ~~click~~ OK

| Field | Value |
| --- | --- |
| a\|b | H2O |

```sql
select *
  from t
```

> said who

***

![a shot](https://x.example/a.png)

- [x] done
- [ ] open
"###);
}

#[test]
fn a_rich_text_as_plain_text() {
    assert_snapshot!(to_plain(&parse(Notation::Html, RICH)), @r###"
Sign in

Open the login page at https://shop.example/login and see the wiki.

1. Type user_1
2. Press Enter
  - or click OK

Field | Value
a|b | H2O

select *
  from t

said who

----

a shot

☑ done
☐ open
"###);
}

#[test]
fn a_rich_text_as_adf() {
    let text = convert(Notation::Html, Notation::Adf, RICH).text;
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let lines: Vec<String> =
        value["content"].as_array().unwrap().iter().map(|node| node.to_string()).collect();
    assert_snapshot!(lines.join("\n"), @r###"
{"type":"heading","attrs":{"level":2},"content":[{"type":"text","text":"Sign "},{"type":"text","text":"in","marks":[{"type":"em"}]}]}
{"type":"paragraph","content":[{"type":"text","text":"Open the "},{"type":"text","text":"login","marks":[{"type":"strong"}]},{"type":"text","text":" page at "},{"type":"text","text":"https://shop.example/login","marks":[{"type":"link","attrs":{"href":"https://shop.example/login"}}]},{"type":"text","text":" and see "},{"type":"text","text":"the wiki","marks":[{"type":"link","attrs":{"href":"https://wiki.example/x"}}]},{"type":"text","text":"."}]}
{"type":"orderedList","content":[{"type":"listItem","content":[{"type":"paragraph","content":[{"type":"text","text":"Type "},{"type":"text","text":"user_1","marks":[{"type":"code"}]}]}]},{"type":"listItem","content":[{"type":"paragraph","content":[{"type":"text","text":"Press "},{"type":"text","text":"Enter","marks":[{"type":"underline"}]}]},{"type":"bulletList","content":[{"type":"listItem","content":[{"type":"paragraph","content":[{"type":"text","text":"or "},{"type":"text","text":"click","marks":[{"type":"strike"}]},{"type":"text","text":" "},{"type":"text","text":"OK","marks":[{"type":"textColor","attrs":{"color":"#ff0000"}}]}]}]}]}]}]}
{"type":"table","content":[{"type":"tableRow","content":[{"type":"tableHeader","attrs":{},"content":[{"type":"paragraph","content":[{"type":"text","text":"Field"}]}]},{"type":"tableHeader","attrs":{},"content":[{"type":"paragraph","content":[{"type":"text","text":"Value"}]}]}]},{"type":"tableRow","content":[{"type":"tableCell","attrs":{},"content":[{"type":"paragraph","content":[{"type":"text","text":"a|b"}]}]},{"type":"tableCell","attrs":{},"content":[{"type":"paragraph","content":[{"type":"text","text":"H"},{"type":"text","text":"2","marks":[{"type":"subsup","attrs":{"type":"sub"}}]},{"type":"text","text":"O"}]}]}]}]}
{"type":"codeBlock","content":[{"type":"text","text":"select *\n  from t"}],"attrs":{"language":"sql"}}
{"type":"blockquote","content":[{"type":"paragraph","content":[{"type":"text","text":"said who"}]}]}
{"type":"rule"}
{"type":"mediaSingle","attrs":{"layout":"center"},"content":[{"type":"media","attrs":{"type":"external","url":"https://x.example/a.png","alt":"a shot","width":300}}]}
{"type":"taskList","attrs":{"localId":"task-1"},"content":[{"type":"taskItem","attrs":{"localId":"task-2","state":"DONE"},"content":[{"type":"text","text":"done"}]},{"type":"taskItem","attrs":{"localId":"task-3","state":"TODO"},"content":[{"type":"text","text":"open"}]}]}
"###);
}

#[test]
fn the_same_in_all_notations_is_the_same_value() {
    let expected = "<p>Press <strong>Sign in</strong></p>\n<ul><li>a</li><li>b</li></ul>";
    for (notation, text) in [
        (Notation::Html, "<DIV><P>Press <B>Sign in</B></P><UL><LI>a</LI><LI><P>b</P></LI></UL></DIV>"),
        (
            Notation::Html,
            "<div>Press&nbsp;<strong>Sign </strong><b>in</b><br></div><ul><li>a<li>b</ul><p>&nbsp;</p>",
        ),
        (
            Notation::Html,
            "<p>\r\n  Press\r\n <span style=\"font-weight: bold\">Sign in</span></p><ul><li>a</li></ul><ul><li>b</ul>",
        ),
        (Notation::Wiki, "Press *Sign in*\r\n\r\n* a\r\n* b\r\n"),
        (Notation::Wiki, "Press {*}Sign in{*}\n- a\n- b"),
        (Notation::Markdown, "Press **Sign in**\n\n- a\n- b"),
        (Notation::Markdown, "Press __Sign in__\n* a\n\n* b\n"),
        (
            Notation::Adf,
            r#"{"version":1,"type":"doc","content":[
                {"type":"paragraph","attrs":{"localId":"x"},"content":[{"type":"text","text":"Press "},
                 {"type":"text","text":"Sign","marks":[{"type":"strong"}]},{"type":"text","text":" in","marks":[{"type":"strong"}]},{"type":"hardBreak"}]},
                {"type":"bulletList","content":[
                 {"type":"listItem","content":[{"type":"paragraph","content":[{"type":"text","text":"a"}]}]},
                 {"type":"listItem","content":[{"type":"paragraph","content":[{"type":"text","text":"b"}]}]}]},
                {"type":"paragraph","content":[]}]}"#,
        ),
    ] {
        assert_eq!(canonical(notation, text), expected, "{notation:?}: {text}");
    }
}

#[test]
fn empty_texts_of_all_kinds_are_the_empty_value() {
    for text in
        ["", " ", "<P><BR/></P>", "<DIV><P><BR/></P></DIV>", "<p>&nbsp;</p>", "<div><br></div>", "<ul></ul>"]
    {
        assert_eq!(canonical(Notation::Html, text), "", "{text}");
    }
    for text in ["", "\r\n", "\\\\", "{quote}{quote}", "{color:red}{color}"] {
        assert_eq!(canonical(Notation::Wiki, text), "", "{text}");
    }
    assert_eq!(canonical(Notation::Adf, r#"{"version":1,"type":"doc","content":[]}"#), "");
    assert_eq!(Document::from_canonical(""), Document::default());
    assert_eq!(render(Notation::Html, &Document::default()).text, "");
}

#[test]
fn a_link_that_shows_its_url_is_the_url() {
    let expected = "<p>see https://x.example/a_b for more</p>";
    for (notation, text) in [
        (Notation::Html, "<p>see <a href=\"https://x.example/a_b\">https://x.example/a_b</a> for more</p>"),
        (Notation::Html, "see https://x.example/a_b for more"),
        (Notation::Wiki, "see [https://x.example/a_b] for more"),
        (Notation::Wiki, "see [https://x.example/a_b|https://x.example/a_b|smart-link] for more"),
        (Notation::Wiki, "see https://x.example/a_b for more"),
        (Notation::Markdown, "see <https://x.example/a_b> for more"),
    ] {
        assert_eq!(canonical(notation, text), expected, "{notation:?}: {text}");
    }
    let document = Document::from_canonical(expected);
    assert_eq!(
        render(Notation::Html, &document).text,
        "<p>see <a href=\"https://x.example/a_b\">https://x.example/a_b</a> for more</p>"
    );
    assert_eq!(render(Notation::Wiki, &document).text, "see https://x.example/a_b for more");
    assert_eq!(render(Notation::Markdown, &document).text, "see <https://x.example/a_b> for more");
}

#[test]
fn wiki_markup_as_people_write_it() {
    let text = "h1. Title\r\nfirst line\r\nsecond *bold* and _it_, snake_case and a-b-c\r\n* one\r\n** nested\r\n* two\r\n# n\r\n\
        {code:title=T|java}\nint x = a[i];\n{code}\r\n||a||b||\r\n|1|2 \\| 3|\r\nbq. quoted\r\n----\r\n\
        {panel:title=Note}inside{panel}\r\n[~jane] [~accountid:5b10] [^a.pdf] !pic.png|thumbnail! [text|https://x.example] C:\\temp\\a \
        {color:red}red{color} {{mono}} H~2~O [OK] \\*no\\*";
    assert_snapshot!(canonical(Notation::Wiki, text), @r###"
<h1>Title</h1>
<p>first line<br/>second <strong>bold</strong> and <em>it</em>, snake_case and a-b-c</p>
<ul><li>one<ul><li>nested</li></ul></li><li>two</li></ul>
<ol><li>n</li></ol>
<pre><code class="language-java">int x = a[i];</code></pre>
<table><tbody><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2 | 3</td></tr></tbody></table>
<blockquote><p>quoted</p></blockquote>
<hr/>
<blockquote><p><strong>Note</strong></p><p>inside</p></blockquote>
<p><span data-mention="~jane"></span> <span data-mention="5b10"></span> <span data-notation="wiki" data-source="[^a.pdf]">a.pdf</span> <img src="pic.png" alt=""/> <a href="https://x.example">text</a> C:\temp\a <span style="color:#ff0000">red</span> <code>mono</code> H~2~O [OK] *no*</p>
"###);
}

#[test]
fn ordinary_wiki_text_is_escaped_where_it_must_be() {
    for (plain, wiki) in [
        ("Click Save.", "Click Save."),
        ("2 * 3 - 1 = 5", "2 * 3 - 1 = 5"),
        ("e-mail snake_case a*b", "e-mail snake_case a*b"),
        ("C++", "C\\+\\+"),
        ("*bold* [x] {code}", "\\*bold\\* \\[x\\] \\{code\\}"),
        ("- item", "\\- item"),
        ("# item", "\\# item"),
        ("h1. no heading", "&#104;1. no heading"),
        ("C:\\temp and \\\\host", "C:\\temp and &#92;\\host"),
        ("a|b", "a\\|b"),
        ("Really?! Yes!", "Really?! Yes!"),
        ("a -- b", "a \\-\\- b"),
        ("AT&T &amp; R & D", "AT&#38;T &#38;amp; R & D"),
    ] {
        let document = parse(Notation::Plain, plain);
        assert_eq!(render(Notation::Wiki, &document).text, wiki);
        assert_eq!(parse(Notation::Wiki, wiki), document);
    }
}

#[test]
fn adf_of_a_real_site() {
    let text = r##"{"version":1,"type":"doc","content":[
        {"type":"panel","attrs":{"panelType":"info"},"content":[{"type":"heading","attrs":{"level":3},"content":[{"type":"text","text":"Note"}]}]},
        {"type":"paragraph","content":[{"type":"mention","attrs":{"id":"5b10","text":"@Jane","accessLevel":""}},{"type":"text","text":" by "},
          {"type":"date","attrs":{"timestamp":"1795305600000"}},{"type":"text","text":" "},{"type":"status","attrs":{"text":"DONE","color":"green"}},
          {"type":"emoji","attrs":{"shortName":":smile:","text":"😄"}},{"type":"inlineCard","attrs":{"url":"https://x.example/1"}}]},
        {"type":"expand","attrs":{"title":"More"},"content":[{"type":"paragraph","content":[{"type":"text","text":"x","marks":[{"type":"textColor","attrs":{"color":"#FF0000"}}]}]}]},
        {"type":"mediaSingle","attrs":{"layout":"center"},"content":[{"type":"media","attrs":{"type":"file","id":"abc","collection":"c","alt":"shot.png"}}]},
        {"type":"taskList","attrs":{"localId":"a"},"content":[{"type":"taskItem","attrs":{"localId":"b","state":"DONE"},"content":[{"type":"text","text":"t"}]},
          {"type":"taskList","attrs":{"localId":"c"},"content":[{"type":"taskItem","attrs":{"localId":"d","state":"TODO"},"content":[{"type":"text","text":"u"}]}]}]},
        {"type":"extension","attrs":{"extensionType":"com.x","extensionKey":"toc"}}]}"##;
    assert_snapshot!(canonical(Notation::Adf, text), @r###"
<blockquote><h3>Note</h3></blockquote>
<p><span data-mention="5b10">@Jane</span> by <time>2026-11-22</time> DONE😄https://x.example/1</p>
<p><strong>More</strong></p>
<p><span style="color:#ff0000">x</span></p>
<div data-notation="adf" data-source="{&quot;type&quot;:&quot;mediaSingle&quot;,&quot;attrs&quot;:{&quot;layout&quot;:&quot;center&quot;},&quot;content&quot;:[{&quot;type&quot;:&quot;media&quot;,&quot;attrs&quot;:{&quot;type&quot;:&quot;file&quot;,&quot;id&quot;:&quot;abc&quot;,&quot;collection&quot;:&quot;c&quot;,&quot;alt&quot;:&quot;shot.png&quot;}}]}">shot.png</div>
<ul><li><input type="checkbox" disabled="disabled" checked="checked"/>t<ul><li><input type="checkbox" disabled="disabled"/>u</li></ul></li></ul>
<div data-notation="adf" data-source="{&quot;type&quot;:&quot;extension&quot;,&quot;attrs&quot;:{&quot;extensionType&quot;:&quot;com.x&quot;,&quot;extensionKey&quot;:&quot;toc&quot;}}">[extension]</div>
"###);
    let html = convert(Notation::Adf, Notation::Html, text);
    let kinds: Vec<&str> = html.losses.iter().map(|loss| loss.kind).collect();
    assert_eq!(kinds, ["mention", "date", "opaque"]);
    let again = convert(Notation::Adf, Notation::Adf, text).text;
    assert_eq!(
        canonical(Notation::Adf, &again).replace("<h3>Note</h3>", ""),
        canonical(Notation::Adf, &again)
    );
    assert!(again.contains(r#""extensionKey":"toc""#) && again.contains(r#""id":"abc""#));
}

#[test]
fn what_cannot_be_said_is_told() {
    let html = "<ul><li>a<table><tr><td>t</td></tr></table></li></ul><p><span style='color:red'>c</span> <img src='i.png'> x</p>\
        <blockquote><h1>h</h1></blockquote>";
    let kinds = |to| convert(Notation::Html, to, html).losses.iter().map(|l| l.kind).collect::<Vec<_>>();
    assert_eq!(kinds(Notation::Html), [""; 0]);
    assert_eq!(kinds(Notation::Adf), ["table-in-item", "image", "heading-in-quote"]);
    assert_eq!(kinds(Notation::Wiki), ["table-in-item"]);
    assert_eq!(kinds(Notation::Markdown), ["table-header", "color"]);
    assert_eq!(kinds(Notation::Plain), ["list", "quote", "marks", "image"]);
}

#[test]
fn a_text_too_long_is_cut_with_a_mark() {
    let html = format!("<p>first</p><p>second</p><p>{}</p>", "word ".repeat(100));
    let document = parse(Notation::Html, &html);
    let (whole, cut) = render_within(Notation::Html, &document, 1000);
    assert!(!cut && whole.text.starts_with("<p>first</p>"));
    let (short, cut) = render_within(Notation::Html, &document, 50);
    assert!(cut);
    assert_eq!(short.text, "<p>first</p>\n<p>second</p>\n<p>\u{2026} [cut]</p>");
    let (text, cut) = render_within(Notation::Html, &document, 120);
    assert!(cut && text.text.chars().count() <= 120);
    assert!(text.text.ends_with("word \u{2026} [cut]</p>"), "{}", text.text);
    let (adf, cut) = render_within(Notation::Adf, &document, 400);
    assert!(cut && adf.text.chars().count() <= 400 && adf.text.contains("[cut]"));
}
