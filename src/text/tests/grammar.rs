//! A check of the document format's grammar, written from its description and
//! sharing nothing with the writer.

use serde_json::{Map, Value};

type Node = Map<String, Value>;

/// Checks a whole document; the error names the fault.
pub(super) fn check(text: &str) -> Result<(), String> {
    let root: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let root = root.as_object().ok_or("root is no object")?;
    if root.get("version") != Some(&Value::from(1)) || kind(root) != "doc" {
        return Err("root is no doc of version 1".into());
    }
    children(root)?.into_iter().try_for_each(|child| block(child, "doc"))
}

fn kind(node: &Node) -> &str {
    node.get("type").and_then(Value::as_str).unwrap_or("")
}

fn children(node: &Node) -> Result<Vec<&Node>, String> {
    match node.get("content") {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => {
            list.iter().map(|v| v.as_object().ok_or_else(|| "child is no object".to_owned())).collect()
        }
        Some(_) => Err("content is no array".into()),
    }
}

fn only(node: &Node, attributes: &[&str]) -> Result<(), String> {
    for key in node.keys() {
        if !["type", "attrs", "content", "text", "marks", "version"].contains(&key.as_str()) {
            return Err(format!("unknown member {key}"));
        }
    }
    for name in node.get("attrs").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
        if !attributes.contains(&name.as_str()) {
            return Err(format!("unknown attribute {name} on {}", kind(node)));
        }
    }
    Ok(())
}

fn allowed(parent: &str) -> &'static [&'static str] {
    const TOP: &[&str] = &[
        "paragraph",
        "heading",
        "bulletList",
        "orderedList",
        "codeBlock",
        "blockquote",
        "rule",
        "table",
        "taskList",
        "mediaSingle",
        "extension",
    ];
    const CELL: &[&str] = &[
        "paragraph",
        "heading",
        "bulletList",
        "orderedList",
        "codeBlock",
        "blockquote",
        "rule",
        "taskList",
        "mediaSingle",
        "extension",
    ];
    match parent {
        "doc" => TOP,
        "tableCell" | "tableHeader" => CELL,
        "listItem" => &["paragraph", "codeBlock", "mediaSingle", "bulletList", "orderedList", "taskList"],
        "blockquote" => &["paragraph", "bulletList", "orderedList", "codeBlock", "mediaSingle"],
        _ => &[],
    }
}

fn block(node: &Node, parent: &str) -> Result<(), String> {
    let kind = kind(node);
    if !allowed(parent).contains(&kind) {
        return Err(format!("{kind} in {parent}"));
    }
    if node.contains_key("marks") {
        return Err("marks on a block".into());
    }
    let inside = children(node)?;
    match kind {
        "paragraph" => only(node, &[]).and_then(|()| inside.into_iter().try_for_each(inline)),
        "heading" => {
            only(node, &["level"])?;
            inside.into_iter().try_for_each(inline)
        }
        "bulletList" | "orderedList" => {
            only(node, &["order"])?;
            some(&inside, kind)?;
            inside.into_iter().try_for_each(|item| {
                let content = children(item)?;
                some(&content, "listItem")?;
                if self::kind(item) != "listItem" || self::kind(content[0]) == "taskList" {
                    return Err(format!("bad item in {kind}"));
                }
                content.into_iter().try_for_each(|child| block(child, "listItem"))
            })
        }
        "taskList" => task_list(node),
        "blockquote" => {
            some(&inside, kind)?;
            inside.into_iter().try_for_each(|child| block(child, kind))
        }
        "codeBlock" => {
            only(node, &["language"])?;
            inside.into_iter().try_for_each(|text| {
                if self::kind(text) != "text" || text.contains_key("marks") {
                    Err("code".into())
                } else {
                    inline(text)
                }
            })
        }
        "table" => {
            some(&inside, kind)?;
            inside.into_iter().try_for_each(row)
        }
        "mediaSingle" => {
            only(node, &["layout", "width", "widthType"])?;
            let [media] = inside.as_slice() else { return Err("mediaSingle without one media".into()) };
            only(media, &["type", "url", "alt", "width", "height"])?;
            let url = media["attrs"]["url"].as_str().unwrap_or("");
            if url.starts_with("http") { Ok(()) } else { Err(format!("media at {url}")) }
        }
        _ => Ok(()),
    }
}

fn some(content: &[&Node], kind: &str) -> Result<(), String> {
    if content.is_empty() { Err(format!("empty {kind}")) } else { Ok(()) }
}

fn row(node: &Node) -> Result<(), String> {
    let cells = children(node)?;
    some(&cells, "tableRow")?;
    cells.into_iter().try_for_each(|cell| {
        only(cell, &["colspan", "rowspan"])?;
        let content = children(cell)?;
        some(&content, "cell")?;
        content.into_iter().try_for_each(|child| block(child, kind(cell)))
    })
}

fn task_list(node: &Node) -> Result<(), String> {
    only(node, &["localId"])?;
    let items = children(node)?;
    some(&items, "taskList")?;
    if kind(items[0]) != "taskItem" {
        return Err("taskList opens with no taskItem".into());
    }
    items.into_iter().try_for_each(|item| match kind(item) {
        "taskList" => task_list(item),
        "taskItem" => {
            only(item, &["localId", "state"])?;
            if !item["attrs"]["localId"].is_string() {
                return Err("task without localId".into());
            }
            children(item)?.into_iter().try_for_each(inline)
        }
        other => Err(format!("{other} in taskList")),
    })
}

fn inline(node: &Node) -> Result<(), String> {
    match kind(node) {
        "text" => {
            only(node, &[])?;
            if node.get("text").and_then(Value::as_str).is_none_or(str::is_empty) {
                return Err("empty text".into());
            }
            marks(node)
        }
        "hardBreak" | "date" | "mention" => only(node, &["id", "text", "timestamp"]),
        "mediaInline" => Ok(()),
        other => Err(format!("{other} as an inline")),
    }
}

fn marks(node: &Node) -> Result<(), String> {
    let kinds: Vec<&str> = node
        .get("marks")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|mark| mark.get("type").and_then(Value::as_str))
        .collect();
    if node.get("marks").is_some() && kinds.is_empty() {
        return Err("empty marks".into());
    }
    let known = ["link", "strong", "em", "underline", "strike", "code", "subsup", "textColor"];
    if let Some(kind) = kinds.iter().find(|kind| !known.contains(kind)) {
        return Err(format!("mark {kind}"));
    }
    if kinds.contains(&"code") && kinds.iter().any(|kind| !["code", "link"].contains(kind)) {
        return Err("code with other marks".into());
    }
    for mark in node.get("marks").and_then(Value::as_array).into_iter().flatten() {
        if let Some(color) = mark["attrs"]["color"].as_str()
            && !(color.len() == 7 && color.starts_with('#'))
        {
            return Err(format!("color {color}"));
        }
    }
    Ok(())
}
