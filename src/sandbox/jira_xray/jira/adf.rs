//! The grammar of the Atlassian Document Format: one bad node refuses the whole document.

use serde_json::{Map, Value};

/// Deeper documents are refused, as they could only be an attack.
const DEPTH_MAX: usize = 64;

/// What may stand directly under a block node.
const TEXT_BLOCKS: &[&str] = &["paragraph"];
const LISTS: &[&str] = &["bulletList", "orderedList"];

/// Says why a value is not a valid document.
pub(crate) fn check(doc: &Value) -> Result<(), String> {
    let root = doc.as_object().ok_or("not an object")?;
    if root.get("type").and_then(Value::as_str) != Some("doc") {
        return Err("the root is not a doc".to_owned());
    }
    if root.get("version").and_then(Value::as_u64) != Some(1) {
        return Err("the version is not 1".to_owned());
    }
    only_keys(root, &["type", "version", "content"], "doc")?;
    let content = root.get("content").and_then(Value::as_array).ok_or("doc has no content".to_owned())?;
    for node in content {
        let kind = kind_of(node)?;
        if !allowed_in("doc", kind) {
            return Err(format!("{kind} in doc"));
        }
        check_node(node, 1)?;
    }
    Ok(())
}

/// Whether a document says nothing.
pub(crate) fn is_empty(doc: &Value) -> bool {
    doc.get("content").and_then(Value::as_array).is_none_or(Vec::is_empty)
}

fn kind_of(node: &Value) -> Result<&str, String> {
    node.get("type").and_then(Value::as_str).ok_or_else(|| "a node without type".to_owned())
}

fn only_keys(map: &Map<String, Value>, keys: &[&str], of: &str) -> Result<(), String> {
    match map.keys().find(|k| !keys.contains(&k.as_str())) {
        Some(key) => Err(format!("unknown property {key} of {of}")),
        None => Ok(()),
    }
}

fn is_inline(kind: &str) -> bool {
    matches!(
        kind,
        "text"
            | "hardBreak"
            | "mention"
            | "emoji"
            | "date"
            | "status"
            | "inlineCard"
            | "mediaInline"
            | "placeholder"
            | "inlineExtension"
    )
}

/// Whether a node may stand in a parent.
fn allowed_in(parent: &str, kind: &str) -> bool {
    let text = TEXT_BLOCKS.contains(&kind);
    let list = LISTS.contains(&kind);
    let tasks = matches!(kind, "taskList" | "decisionList");
    let media = matches!(kind, "mediaSingle" | "mediaGroup");
    let code = kind == "codeBlock";
    let card = matches!(kind, "blockCard" | "embedCard" | "extension");
    let top = text
        || list
        || tasks
        || media
        || code
        || card
        || matches!(kind, "heading" | "blockquote" | "panel" | "rule");
    match parent {
        "doc" => top || matches!(kind, "table" | "expand" | "layoutSection" | "bodiedExtension"),
        "layoutColumn" | "bodiedExtension" => top || matches!(kind, "table" | "expand"),
        "expand" => top || matches!(kind, "table" | "nestedExpand"),
        "nestedExpand" => {
            text || list
                || tasks
                || media
                || code
                || kind == "heading"
                || kind == "rule"
                || kind == "panel"
                || kind == "blockquote"
        }
        "tableCell" | "tableHeader" => top || kind == "nestedExpand",
        "panel" => {
            text || list
                || media
                || code
                || matches!(kind, "heading" | "taskList" | "decisionList" | "rule" | "blockCard")
        }
        "blockquote" => text || list || media || code,
        "bulletList" | "orderedList" => kind == "listItem",
        "listItem" => text || list || code || matches!(kind, "mediaSingle" | "taskList"),
        "table" => kind == "tableRow",
        "tableRow" => matches!(kind, "tableCell" | "tableHeader"),
        "taskList" => matches!(kind, "taskItem" | "taskList"),
        "decisionList" => kind == "decisionItem",
        "mediaSingle" => matches!(kind, "media" | "caption"),
        "mediaGroup" => kind == "media",
        "layoutSection" => kind == "layoutColumn",
        "paragraph" | "heading" | "taskItem" | "decisionItem" | "caption" => is_inline(kind),
        "codeBlock" => kind == "text",
        _ => false,
    }
}

/// The least and most children of a node, where the grammar says so.
fn child_limits(kind: &str) -> (usize, usize) {
    match kind {
        "bulletList" | "orderedList" | "listItem" | "blockquote" | "panel" | "table" | "tableCell"
        | "tableHeader" | "taskList" | "decisionList" | "mediaGroup" | "expand" | "nestedExpand"
        | "layoutColumn" | "bodiedExtension" => (1, usize::MAX),
        "tableRow" => (0, usize::MAX),
        "mediaSingle" => (1, 2),
        "layoutSection" => (2, 3),
        "rule" | "media" | "blockCard" | "embedCard" | "extension" | "hardBreak" | "text" | "mention"
        | "emoji" | "date" | "status" | "inlineCard" | "mediaInline" | "placeholder" | "inlineExtension" => {
            (0, 0)
        }
        _ => (0, usize::MAX),
    }
}

/// Known attributes of a node; those with a star must be there. `None`: an unknown node.
fn attributes(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "paragraph" => &["localId"],
        "heading" => &["*level", "localId"],
        "bulletList" | "listItem" | "blockquote" | "rule" | "tableRow" | "mediaGroup" | "caption"
        | "layoutSection" => &["localId"],
        "orderedList" => &["order", "localId"],
        "codeBlock" => &["language", "uniqueId", "localId"],
        "panel" => &["*panelType", "panelColor", "panelIcon", "panelIconId", "panelIconText", "localId"],
        "table" => &["isNumberColumnEnabled", "layout", "width", "displayMode", "localId"],
        "tableCell" | "tableHeader" => &["colspan", "rowspan", "colwidth", "background", "valign", "localId"],
        "taskList" | "decisionList" => &["*localId"],
        "taskItem" | "decisionItem" => &["*localId", "*state"],
        "expand" | "nestedExpand" => &["title", "localId"],
        "mediaSingle" => &["layout", "width", "widthType", "localId"],
        "media" | "mediaInline" => &[
            "*?id",
            "*?collection",
            "type",
            "width",
            "height",
            "alt",
            "url",
            "localId",
            "occurrenceKey",
            "data",
        ],
        "layoutColumn" => &["*width", "localId"],
        "blockCard" | "inlineCard" => &["url", "data", "datasource", "width", "layout", "localId"],
        "embedCard" => &["*url", "*layout", "width", "originalHeight", "originalWidth", "localId"],
        "extension" | "bodiedExtension" | "inlineExtension" => {
            &["*extensionKey", "*extensionType", "parameters", "text", "layout", "localId"]
        }
        "text" => &[],
        "hardBreak" => &["text", "localId"],
        "mention" => &["*id", "text", "accessLevel", "userType", "localId"],
        "emoji" => &["*shortName", "id", "text", "localId"],
        "date" => &["*timestamp", "localId"],
        "status" => &["*text", "*color", "style", "localId"],
        "placeholder" => &["*text", "localId"],
        _ => return None,
    })
}

fn check_node(node: &Value, depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err("nested too deeply".to_owned());
    }
    let kind = kind_of(node)?;
    let known = attributes(kind).ok_or_else(|| format!("unknown node {kind}"))?;
    let map = node.as_object().ok_or("a node that is no object")?;
    let keys: &[&str] = match kind {
        "text" => &["type", "text", "marks"],
        _ => &["type", "attrs", "content", "marks"],
    };
    only_keys(map, keys, kind)?;
    check_attributes(kind, map, known)?;
    check_marks(kind, map.get("marks"))?;
    if kind == "text" {
        let text = map.get("text").and_then(Value::as_str).unwrap_or_default();
        return if text.is_empty() { Err("an empty text node".to_owned()) } else { Ok(()) };
    }
    check_children(kind, map, depth)
}

fn check_children(kind: &str, map: &Map<String, Value>, depth: usize) -> Result<(), String> {
    let none = Vec::new();
    let children = match map.get("content") {
        None => &none,
        Some(list) => list.as_array().ok_or_else(|| format!("content of {kind} is no list"))?,
    };
    let (least, most) = child_limits(kind);
    if children.len() < least || children.len() > most {
        return Err(format!("{kind} with {} children", children.len()));
    }
    for (at, child) in children.iter().enumerate() {
        let inner = kind_of(child)?;
        let first_of_item = kind == "listItem" && at == 0 && inner == "taskList";
        if !allowed_in(kind, inner) || first_of_item {
            return Err(format!("{inner} in {kind}"));
        }
        if kind == "codeBlock" && child.get("marks").and_then(Value::as_array).is_some_and(|m| !m.is_empty())
        {
            return Err("marks in codeBlock".to_owned());
        }
        check_node(child, depth + 1)?;
    }
    Ok(())
}

fn check_attributes(kind: &str, map: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    let empty = Map::new();
    let attrs = match map.get("attrs") {
        None => &empty,
        Some(a) => a.as_object().ok_or_else(|| format!("attrs of {kind} is no object"))?,
    };
    let plain: Vec<&str> = known.iter().map(|k| k.trim_start_matches(['*', '?'])).collect();
    only_keys(attrs, &plain, kind)?;
    let external = attrs.get("type").and_then(Value::as_str) == Some("external");
    for name in known {
        let required = match name.strip_prefix('*') {
            Some(rest) => !(rest.starts_with('?') && external),
            None => false,
        };
        let bare = name.trim_start_matches(['*', '?']);
        if required && attrs.get(bare).is_none_or(Value::is_null) {
            return Err(format!("{kind} without {bare}"));
        }
    }
    if matches!(kind, "media" | "mediaInline") && external && !attrs.contains_key("url") {
        return Err("external media without url".to_owned());
    }
    if matches!(kind, "blockCard" | "inlineCard") && attrs.is_empty() {
        return Err(format!("{kind} without url"));
    }
    attrs.iter().try_for_each(|(name, value)| check_attribute(kind, name, value))
}

fn check_attribute(kind: &str, name: &str, value: &Value) -> Result<(), String> {
    let text = value.as_str();
    let one_of = |list: &[&str]| text.is_some_and(|t| list.contains(&t));
    let fine = match (kind, name) {
        ("heading", "level") => value.as_u64().is_some_and(|l| (1..=6).contains(&l)),
        ("orderedList", "order") => value.as_u64().is_some() || value.as_f64().is_some_and(|o| o >= 0.0),
        ("panel", "panelType") => one_of(&["info", "note", "tip", "warning", "error", "success", "custom"]),
        ("taskItem", "state") => one_of(&["TODO", "DONE"]),
        ("mediaSingle", "layout") => {
            one_of(&["center", "wide", "full-width", "wrap-left", "wrap-right", "align-start", "align-end"])
        }
        ("status", "color") => one_of(&["neutral", "purple", "blue", "red", "yellow", "green"]),
        ("date", "timestamp") => text.is_some_and(|t| !t.is_empty()),
        ("media", "type") => one_of(&["file", "link", "external"]),
        ("tableCell" | "tableHeader", "colspan" | "rowspan") => value.is_number(),
        ("tableCell" | "tableHeader", "colwidth") => value.is_array(),
        (_, "localId" | "url" | "text" | "title" | "language" | "alt" | "collection") => {
            value.is_string() || value.is_null()
        }
        (_, "width" | "height") => value.is_number(),
        ("mention" | "media", "id") => value.is_string(),
        _ => true,
    };
    if fine { Ok(()) } else { Err(format!("attribute {name} of {kind} is wrong")) }
}

fn check_marks(kind: &str, marks: Option<&Value>) -> Result<(), String> {
    let Some(marks) = marks else { return Ok(()) };
    let marks = marks.as_array().ok_or("marks is no list")?;
    let mut names = Vec::new();
    for mark in marks {
        let map = mark.as_object().ok_or("a mark that is no object")?;
        only_keys(map, &["type", "attrs"], "a mark")?;
        let name = kind_of(mark)?;
        let fits = match name {
            "strong" | "em" | "strike" | "underline" | "code" | "subsup" | "textColor"
            | "backgroundColor" | "fontSize" => kind == "text",
            "link" => matches!(kind, "text" | "media" | "mediaSingle" | "mediaInline"),
            "annotation" => matches!(kind, "text" | "media" | "mediaInline" | "inlineCard"),
            "border" => matches!(kind, "media" | "mediaInline"),
            "alignment" | "indentation" => matches!(kind, "paragraph" | "heading"),
            "breakout" => matches!(kind, "codeBlock" | "expand" | "layoutSection"),
            "dataConsumer" | "fragment" => true,
            _ => return Err(format!("unknown mark {name}")),
        };
        if !fits {
            return Err(format!("mark {name} on {kind}"));
        }
        check_mark_attributes(name, map.get("attrs"))?;
        names.push(name);
    }
    let code_mixes =
        names.contains(&"code") && names.iter().any(|n| !matches!(*n, "code" | "link" | "annotation"));
    if code_mixes { Err("code with another mark".to_owned()) } else { Ok(()) }
}

fn check_mark_attributes(name: &str, attrs: Option<&Value>) -> Result<(), String> {
    let text = |key: &str| attrs.and_then(|a| a.get(key)).and_then(Value::as_str);
    let fine = match name {
        "link" => text("href").is_some(),
        "subsup" => matches!(text("type"), Some("sub" | "sup")),
        "textColor" | "backgroundColor" => text("color").is_some_and(is_hex_color),
        "alignment" => matches!(text("align"), Some("center" | "end")),
        "indentation" => {
            attrs.and_then(|a| a.get("level")).and_then(Value::as_u64).is_some_and(|l| (1..=6).contains(&l))
        }
        "strong" | "em" | "strike" | "underline" | "code" => {
            attrs.and_then(Value::as_object).is_none_or(Map::is_empty)
        }
        _ => true,
    };
    if fine { Ok(()) } else { Err(format!("attributes of mark {name}")) }
}

fn is_hex_color(text: &str) -> bool {
    text.len() == 7 && text.starts_with('#') && text[1..].bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn doc(content: Value) -> Value {
        json!({"type": "doc", "version": 1, "content": content})
    }

    #[test]
    fn documents_of_the_grammar_pass() {
        let text = json!({"type": "text", "text": "x", "marks": [{"type": "code"}, {"type": "link", "attrs": {"href": "https://x"}}]});
        let item = json!({"type": "listItem", "content": [{"type": "bulletList", "content": [{"type": "listItem", "content": [{"type": "paragraph"}]}]}]});
        for content in [
            json!([]),
            json!([{"type": "paragraph"}]),
            json!([{"type": "paragraph", "content": [text]}]),
            json!([{"type": "orderedList", "attrs": {"order": 3}, "content": [item]}]),
        ] {
            assert_eq!(check(&doc(content.clone())), Ok(()), "{content}");
        }
    }

    #[test]
    fn one_bad_node_refuses_the_document() {
        let heading = json!({"type": "heading", "attrs": {"level": 2}});
        for content in [
            json!([{"type": "text", "text": "loose"}]),
            json!([{"type": "paragraph", "content": [{"type": "text", "text": ""}]}]),
            json!([{"type": "bulletList", "content": []}]),
            json!([{"type": "bulletList", "content": [{"type": "listItem", "content": [heading]}]}]),
            json!([{"type": "blockquote", "content": [heading]}]),
            json!([{"type": "table", "content": [{"type": "tableRow", "content": [{"type": "tableCell", "content": []}]}]}]),
            json!([{"type": "paragraph", "attrs": {"colour": "red"}}]),
            json!([{"type": "paragraph", "content": [{"type": "text", "text": "x", "marks": [{"type": "code"}, {"type": "strong"}]}]}]),
            json!([{"type": "paragraph", "content": [{"type": "text", "text": "x", "marks": [{"type": "textColor", "attrs": {"color": "red"}}]}]}]),
            json!([{"type": "blink"}]),
        ] {
            assert!(check(&doc(content.clone())).is_err(), "{content}");
        }
        assert!(check(&json!({"type": "doc", "content": []})).is_err());
    }
}
