//! The XML of a test case's steps, and its way to and from [`Step`].
//!
//! Two things have no place of their own in that XML and are carried by
//! convention: test data is the action's last paragraph, and steps that come from
//! a shared-steps work item are shown in place of the reference.

use std::collections::{BTreeSet, HashMap};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::model::Step;

/// What opens the paragraph that holds the test data of a step.
const DATA_OPEN: &str = "<p><b>Test data:</b> ";
/// What closes it.
const DATA_CLOSE: &str = "</p>";
/// The id of the first step of a new document: 1 is reserved.
const FIRST_ID: u64 = 2;
/// Above this many steps on either side, unchanged steps are no longer looked
/// for and steps keep their ids by position: the comparison is quadratic.
const COMPARED_STEPS_MAX: usize = 1_000;

/// Why a text cannot be read as steps, or steps cannot be written over it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StepsError {
    /// The text is not the XML that the system documents.
    #[error("the steps are not the documented XML: {0}")]
    Malformed(String),
    /// The case refers to shared steps, which one case's steps cannot replace.
    #[error(
        "the case uses shared steps ({0}): edit the steps in the system itself, or replace the reference by own steps"
    )]
    Shared(String),
}

/// One node of the document, in document order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// A step of the case itself.
    Own {
        /// Its id within the document.
        id: u64,
        /// Its XML as it stands in the document.
        xml: String,
        /// Its texts.
        step: Step,
    },
    /// A reference to a shared-steps work item.
    Shared {
        /// The reference's id within the document.
        id: u64,
        /// The work item.
        item: i64,
    },
}

/// A parsed document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Document {
    /// The highest id ever handed out.
    pub(super) last: u64,
    /// Steps and references in the order in which they are carried out.
    pub(super) nodes: Vec<Node>,
}

impl Document {
    /// Lists the shared-steps work items that the document refers to.
    pub(super) fn shared(&self) -> BTreeSet<i64> {
        self.nodes
            .iter()
            .filter_map(|node| match node {
                Node::Shared { item, .. } => Some(*item),
                Node::Own { .. } => None,
            })
            .collect()
    }

    /// Lists the steps, with those of shared work items in place of the reference.
    ///
    /// A reference to an item that `shared` lacks becomes one step that names it.
    pub(super) fn expand(&self, shared: &HashMap<i64, Document>) -> Vec<Step> {
        let mut steps = Vec::new();
        for node in &self.nodes {
            match node {
                Node::Own { id, step, .. } => steps.push(Step { id: Some(id.to_string()), ..step.clone() }),
                Node::Shared { id, item } => match shared.get(item) {
                    Some(document) => steps.extend(document.nodes.iter().filter_map(|inner| match inner {
                        Node::Own { id: inner, step, .. } => {
                            Some(Step { id: Some(format!("{id};{inner}")), ..step.clone() })
                        }
                        Node::Shared { .. } => None,
                    })),
                    None => steps.push(Step {
                        id: Some(id.to_string()),
                        action: format!("<p>Shared steps {item}</p>"),
                        ..Step::default()
                    }),
                },
            }
        }
        steps
    }
}

/// Parses the field's text; an empty text is a document without steps.
pub(super) fn parse(xml: &str) -> Result<Document, StepsError> {
    let mut parser = Parser::default();
    let mut reader = Reader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    loop {
        let from = position(&reader);
        let event = reader.read_event().map_err(|e| StepsError::Malformed(e.to_string()))?;
        match event {
            Event::Start(tag) => parser.open(&tag, from)?,
            Event::End(tag) => parser.close(tag.name().as_ref(), xml, position(&reader))?,
            Event::Text(text) => parser.text(text.as_ref()),
            Event::CData(text) => parser.text(text.as_ref()),
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref() {
                    Ok(Some(c)) => c.to_string(),
                    _ => named_entity(reference.as_ref())?.to_owned(),
                };
                parser.text(&resolved);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    parser.finish()
}

fn position<R>(reader: &Reader<R>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn named_entity(name: &str) -> Result<&'static str, StepsError> {
    match name {
        "lt" => Ok("<"),
        "gt" => Ok(">"),
        "amp" => Ok("&"),
        "quot" => Ok("\""),
        "apos" => Ok("'"),
        _ => Err(StepsError::Malformed(format!("unknown entity &{name};"))),
    }
}

/// The step that is being read.
#[derive(Debug)]
struct Open {
    id: u64,
    from: usize,
    texts: Vec<String>,
}

/// What the characters that follow belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inside {
    /// Nothing of interest.
    #[default]
    Nothing,
    /// A text in HTML.
    Formatted,
    /// The old form between its parts: white space only.
    Parts,
    /// A piece of plain text of the old form.
    Plain,
    /// A parameter's name of the old form.
    Parameter,
}

#[derive(Debug, Default)]
struct Parser {
    document: Document,
    step: Option<Open>,
    inside: Inside,
    seen_root: bool,
    depth: usize,
}

impl Parser {
    fn open(&mut self, tag: &BytesStart<'_>, from: usize) -> Result<(), StepsError> {
        self.depth += 1;
        match tag.name().as_ref() {
            "steps" => {
                self.seen_root = true;
                self.document.last = number(tag, "last").unwrap_or(0);
            }
            "step" => self.step = Some(Open { id: required(tag, "id")?, from, texts: Vec::new() }),
            "compref" => {
                let id = required(tag, "id")?;
                let item = i64::try_from(required(tag, "ref")?)
                    .map_err(|_| StepsError::Malformed("ref is out of range".into()))?;
                self.document.last = self.document.last.max(id);
                self.document.nodes.push(Node::Shared { id, item });
            }
            "parameterizedString" => {
                let formatted = attribute(tag, "isformatted").is_some_and(|v| v.eq_ignore_ascii_case("true"));
                self.inside = if formatted { Inside::Formatted } else { Inside::Parts };
                if let Some(step) = &mut self.step {
                    step.texts.push(String::new());
                }
            }
            "text" if self.inside == Inside::Parts => self.inside = Inside::Plain,
            "parameter" if self.inside == Inside::Parts => {
                self.inside = Inside::Parameter;
                self.push("@");
            }
            "description" => {}
            other => return Err(StepsError::Malformed(format!("unexpected element <{other}>"))),
        }
        Ok(())
    }

    fn close(&mut self, name: &str, xml: &str, to: usize) -> Result<(), StepsError> {
        self.depth = self.depth.saturating_sub(1);
        match name {
            "text" | "parameter" => self.inside = Inside::Parts,
            "parameterizedString" => self.inside = Inside::Nothing,
            "step" => {
                let Some(open) = self.step.take() else { return Ok(()) };
                let mut texts = open.texts.into_iter();
                let (action, data) = split_data(&texts.next().unwrap_or_default());
                let expected = texts.next().unwrap_or_default();
                self.document.last = self.document.last.max(open.id);
                self.document.nodes.push(Node::Own {
                    id: open.id,
                    xml: xml.get(open.from..to).unwrap_or_default().to_owned(),
                    step: Step {
                        id: None,
                        action: unless_blank(action),
                        data,
                        expected: unless_blank(expected),
                    },
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        match self.inside {
            Inside::Formatted => self.push(text),
            Inside::Plain | Inside::Parameter => self.push(&escape(text)),
            // Writers that leave `isformatted` out and still send text mean plain text.
            Inside::Parts if !text.trim().is_empty() => self.push(&escape(text)),
            Inside::Parts | Inside::Nothing => {}
        }
    }

    fn push(&mut self, text: &str) {
        if let Some(last) = self.step.as_mut().and_then(|step| step.texts.last_mut()) {
            last.push_str(text);
        }
    }

    fn finish(self) -> Result<Document, StepsError> {
        let empty = self.document.nodes.is_empty() && self.depth == 0 && self.step.is_none();
        if !self.seen_root && !empty {
            return Err(StepsError::Malformed("the root element is not <steps>".into()));
        }
        if self.depth != 0 {
            return Err(StepsError::Malformed("the text ends within an element".into()));
        }
        Ok(self.document)
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    tag.attributes().flatten().find(|a| a.key.as_ref() == name).map(|a| a.value.to_string())
}

fn number(tag: &BytesStart<'_>, name: &str) -> Option<u64> {
    attribute(tag, name)?.trim().parse().ok()
}

fn required(tag: &BytesStart<'_>, name: &str) -> Result<u64, StepsError> {
    number(tag, name).ok_or_else(|| StepsError::Malformed(format!("<{}> lacks {name}", tag.name().as_ref())))
}

/// Tells whether HTML shows nothing: the editor stores an empty text as `<P><BR/></P>`.
fn unless_blank(html: String) -> String {
    if html.to_ascii_lowercase().contains("<img") {
        return html;
    }
    if visible(&html).is_empty() { String::new() } else { html }
}

/// Reduces HTML to its words: what two editors agree on however they mark it up.
fn visible(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut in_tag = false;
    for c in html.chars() {
        match c {
            '<' => in_tag = true,
            '>' if in_tag => {
                in_tag = false;
                text.push(' ');
            }
            c if !in_tag => text.push(c),
            _ => {}
        }
    }
    let text = text.replace("&nbsp;", " ").replace("&#160;", " ").replace('\u{a0}', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Takes the test data out of an action.
fn split_data(action: &str) -> (String, String) {
    // ASCII lower case keeps the byte positions.
    let lower = action.to_ascii_lowercase();
    let open = DATA_OPEN.to_ascii_lowercase();
    let Some(at) = lower.find(&open) else { return (action.to_owned(), String::new()) };
    // The web editor wraps what it saves in one more element.
    let tail = if lower.ends_with(&format!("{DATA_CLOSE}</div>")) { "</div>".len() } else { 0 };
    let from = at + open.len();
    let end = action.len() - tail;
    if !lower[..end].ends_with(DATA_CLOSE) || end - DATA_CLOSE.len() < from {
        return (action.to_owned(), String::new());
    }
    let data = action[from..end - DATA_CLOSE.len()].to_owned();
    (format!("{}{}", &action[..at], &action[end..]), data)
}

/// Puts the test data behind the action.
fn join_data(step: &Step) -> String {
    if step.data.is_empty() {
        step.action.clone()
    } else {
        format!("{}{DATA_OPEN}{}{DATA_CLOSE}", step.action, step.data)
    }
}

/// Writes steps over what the case holds now.
///
/// Steps whose words did not change keep their ids, and those without any change
/// their XML; ids of removed steps are not handed out again, because results
/// refer to steps by id. Ids that `steps` carry belong to the other side and
/// are not looked at.
pub(super) fn merge(current: Option<&str>, steps: &[Step]) -> Result<String, StepsError> {
    let document = parse(current.unwrap_or_default())?;
    let shared = document.shared();
    if !shared.is_empty() {
        let items: Vec<String> = shared.iter().map(i64::to_string).collect();
        return Err(StepsError::Shared(items.join(", ")));
    }
    let old: Vec<(u64, &str, &Step)> = document
        .nodes
        .iter()
        .filter_map(|node| match node {
            Node::Own { id, xml, step } => Some((*id, xml.as_str(), step)),
            Node::Shared { .. } => None,
        })
        .collect();
    let mut last = document.last.max(FIRST_ID - 1);
    let mut body = String::new();
    for (step, twin) in steps.iter().zip(twins(&old, steps)) {
        let same = |a: &Step| a.action == step.action && a.data == step.data && a.expected == step.expected;
        match twin.map(|i| old[i]) {
            Some((_, xml, before)) if same(before) => body.push_str(xml),
            Some((id, _, _)) => body.push_str(&write(id, step)),
            None => {
                last += 1;
                body.push_str(&write(last, step));
            }
        }
    }
    Ok(format!("<steps id=\"0\" last=\"{last}\">{body}</steps>"))
}

/// Finds, for each new step, the old one that it continues.
///
/// Steps with the same words are anchors; between two anchors the rest is taken
/// in order, so that an edited step keeps its id.
fn twins(old: &[(u64, &str, &Step)], new: &[Step]) -> Vec<Option<usize>> {
    let mut anchors = Vec::new();
    if old.len() <= COMPARED_STEPS_MAX && new.len() <= COMPARED_STEPS_MAX {
        let words = |s: &Step| (visible(&s.action), visible(&s.data), visible(&s.expected));
        let left: Vec<_> = old.iter().map(|(_, _, step)| words(step)).collect();
        let right: Vec<_> = new.iter().map(words).collect();
        anchors = common(&left, &right);
    }
    anchors.push((old.len(), new.len()));
    let mut twins = vec![None; new.len()];
    let (mut i, mut j) = (0, 0);
    for (a, b) in anchors {
        while i < a && j < b {
            twins[j] = Some(i);
            i += 1;
            j += 1;
        }
        if b < new.len() {
            twins[b] = Some(a);
        }
        (i, j) = (a + 1, b + 1);
    }
    twins
}

/// Finds the longest common subsequence as pairs of positions.
fn common<T: PartialEq>(left: &[T], right: &[T]) -> Vec<(usize, usize)> {
    let width = right.len() + 1;
    let mut length = vec![0_u32; (left.len() + 1) * width];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            length[i * width + j] = if left[i] == right[j] {
                length[(i + 1) * width + j + 1] + 1
            } else {
                length[(i + 1) * width + j].max(length[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < left.len() && j < right.len() {
        if left[i] == right[j] {
            pairs.push((i, j));
            i += 1;
            j += 1;
        } else if length[(i + 1) * width + j] >= length[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

fn write(id: u64, step: &Step) -> String {
    let kind = if step.expected.is_empty() { "ActionStep" } else { "ValidateStep" };
    let action = escape(&join_data(step));
    let expected = escape(&step.expected);
    format!(
        "<step id=\"{id}\" type=\"{kind}\"><parameterizedString isformatted=\"true\">{action}</parameterizedString>\
         <parameterizedString isformatted=\"true\">{expected}</parameterizedString><description/></step>"
    )
}

/// Escapes text for XML; what XML cannot hold at all is left out.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A bare carriage return would come back as a line feed.
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: &str = "<steps id=\"0\" last=\"3\"><step id=\"2\" type=\"ActionStep\"><parameterizedString isformatted=\"true\">&lt;DIV&gt;&lt;P&gt;Open the login page&lt;/P&gt;&lt;/DIV&gt;</parameterizedString><parameterizedString isformatted=\"true\">&lt;DIV&gt;&lt;P&gt;&lt;BR/&gt;&lt;/P&gt;&lt;/DIV&gt;</parameterizedString><description/></step><step id=\"3\" type=\"ValidateStep\"><parameterizedString isformatted=\"true\">&lt;P&gt;Press &lt;B&gt;Sign in&lt;/B&gt;&lt;/P&gt;</parameterizedString><parameterizedString isformatted=\"true\">&lt;P&gt;Dashboard is shown, 2 &amp;lt; 3 items&lt;/P&gt;</parameterizedString><description/></step></steps>";
    const NESTED: &str = "<steps id=\"0\" last=\"4\"><step id=\"2\" type=\"ActionStep\"><parameterizedString isformatted=\"true\">&lt;P&gt;Start browser&lt;/P&gt;</parameterizedString><parameterizedString isformatted=\"true\"/><description/></step><compref id=\"3\" ref=\"812\"><step id=\"4\" type=\"ValidateStep\"><parameterizedString isformatted=\"true\">&lt;P&gt;Log out&lt;/P&gt;</parameterizedString><parameterizedString isformatted=\"true\">&lt;P&gt;Login page&lt;/P&gt;</parameterizedString><description/></step></compref></steps>";
    const OLD: &str = "<steps id=\"0\" last=\"3\"><step id=\"2\" type=\"ActionStep\"><parameterizedString><text>Enter </text><parameter>user</parameter><text> and submit</text></parameterizedString><parameterizedString><text/></parameterizedString><description/></step><compref id=\"3\" ref=\"812\"/></steps>";

    fn step(action: &str, data: &str, expected: &str) -> Step {
        Step { id: None, action: action.into(), data: data.into(), expected: expected.into() }
    }

    fn read(xml: &str) -> Vec<Step> {
        parse(xml).unwrap().expand(&HashMap::new())
    }

    fn ids(xml: &str) -> Vec<String> {
        read(xml).into_iter().filter_map(|s| s.id).collect()
    }

    #[test]
    fn formatted_steps_are_html() {
        let steps = read(PLAIN);
        assert_eq!(steps[0].action, "<DIV><P>Open the login page</P></DIV>");
        assert_eq!(steps[0].expected, "");
        assert_eq!(steps[1].expected, "<P>Dashboard is shown, 2 &lt; 3 items</P>");
        assert_eq!(ids(PLAIN), ["2", "3"]);
    }

    #[test]
    fn steps_inside_a_shared_reference_follow_it() {
        let shared = HashMap::from([(812, parse(PLAIN).unwrap())]);
        let steps = parse(NESTED).unwrap().expand(&shared);
        let ids: Vec<_> = steps.iter().filter_map(|s| s.id.as_deref()).collect();
        assert_eq!(ids, ["2", "3;2", "3;3", "4"]);
        assert_eq!(read(NESTED)[1].action, "<p>Shared steps 812</p>");
    }

    #[test]
    fn old_form_joins_text_and_parameters() {
        assert_eq!(read(OLD)[0].action, "Enter @user and submit");
        assert_eq!(parse(OLD).unwrap().shared(), BTreeSet::from([812]));
    }

    #[test]
    fn steps_with_shared_references_are_not_overwritten() {
        let refusal = merge(Some(NESTED), &[step("a", "", "")]).unwrap_err();
        assert!(refusal.to_string().contains("812"), "{refusal}");
    }

    #[test]
    fn text_that_is_not_steps_is_refused() {
        for text in
            ["<a/>", "<steps id=\"0\"", "<steps><step id=\"2\">", "<steps>&nope;</steps>", "<step id=\"2\"/>"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in ["", "<steps id=\"0\" last=\"1\"></steps>", "<steps id=\"0\" last=\"1\"/>"] {
            assert_eq!(parse(text).unwrap().nodes, [], "{text}");
        }
    }

    #[test]
    fn unchanged_steps_keep_their_xml_and_new_ones_get_fresh_ids() {
        let mut steps = read(PLAIN);
        steps.insert(1, step("<p>wait</p>", "", ""));
        let xml = merge(Some(PLAIN), &steps).unwrap();
        assert_eq!(ids(&xml), ["2", "4", "3"]);
        let untouched = PLAIN.split("<step ").nth(1).unwrap();
        assert!(xml.contains(untouched), "{xml}");
        // The removed id 4 is not handed out a second time.
        let shorter = merge(Some(&xml), &read(PLAIN)).unwrap();
        let again = merge(Some(&shorter), &steps).unwrap();
        assert_eq!(ids(&again), ["2", "5", "3"]);
    }

    #[test]
    fn edited_step_keeps_its_id() {
        let mut steps = read(PLAIN);
        steps[0].action = "<p>Open another page</p>".into();
        assert_eq!(ids(&merge(Some(PLAIN), &steps).unwrap()), ["2", "3"]);
    }

    #[test]
    fn test_data_survives_the_web_editor() {
        let saved = "<DIV><P>Sign in</P><P><B>Test data:</B> ann</P></DIV>";
        assert_eq!(split_data(saved), ("<DIV><P>Sign in</P></DIV>".into(), "ann".into()));
    }

    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(String::new()),
            "[a-z&<>\"' \r\n\t\u{e4}]{0,12}".prop_map(|t| format!("x{t}")),
            "[a-z ]{1,8}".prop_map(|t| format!("<P>x{t} &amp;lt; <B>b</B></P>")),
        ]
    }

    fn lists() -> impl Strategy<Value = Vec<Step>> {
        prop::collection::vec((texts(), texts(), texts()).prop_map(|(a, d, e)| step(&a, &d, &e)), 0..8)
    }

    fn without_ids(steps: Vec<Step>) -> Vec<Step> {
        steps.into_iter().map(|s| Step { id: None, ..s }).collect()
    }

    proptest! {
        #[test]
        fn there_and_back_is_exact(first in lists(), second in lists()) {
            let one = merge(None, &first).unwrap();
            prop_assert_eq!(without_ids(read(&one)), first);
            let two = merge(Some(&one), &second).unwrap();
            prop_assert_eq!(without_ids(read(&two)), second);
        }

        #[test]
        fn ids_are_unique_and_never_above_last(first in lists(), second in lists()) {
            let one = merge(None, &first).unwrap();
            let document = parse(&merge(Some(&one), &second).unwrap()).unwrap();
            let mut seen = BTreeSet::new();
            for node in &document.nodes {
                if let Node::Own { id, .. } = node {
                    prop_assert!(*id >= FIRST_ID && *id <= document.last && seen.insert(*id));
                }
            }
            prop_assert!(document.last >= parse(&one).unwrap().last);
        }

        #[test]
        fn writing_what_is_there_changes_nothing(steps in lists()) {
            let xml = merge(None, &steps).unwrap();
            prop_assert_eq!(merge(Some(&xml), &steps).unwrap(), xml);
        }
    }
}
