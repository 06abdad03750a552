//! What a notation can say: a tree is brought down to it before it is written,
//! and what was lost on the way is told.
//!
//! A writer thus only ever meets trees that its notation can express, and reading
//! back what it wrote gives the same tree again.

use crate::model::Notation;

use super::adf;
use super::flatten;
use super::inlines;
use super::normal;
use super::tree::{Block, Cell, Document, Inline, Item, List, ListKind, Opaque};

/// Something that a notation could not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What it was, always in the same words: `table-in-item`, `color`, `image`.
    pub kind: &'static str,
    /// The beginning of the first text that it happened to.
    pub detail: String,
    /// How often it happened.
    pub count: usize,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.count {
            0 | 1 => write!(f, "{}: {}", self.kind, self.detail),
            count => write!(f, "{} ({count} times): {}", self.kind, self.detail),
        }
    }
}

/// How much of a text is quoted in a loss.
const DETAIL_CHARS: usize = 60;

/// Losses in the order in which they happened first.
#[derive(Debug, Default)]
pub(super) struct Losses(pub(super) Vec<Loss>);

impl Losses {
    pub(super) fn add(&mut self, kind: &'static str, detail: &str) {
        if let Some(known) = self.0.iter_mut().find(|loss| loss.kind == kind) {
            known.count += 1;
            return;
        }
        let detail = detail.chars().take(DETAIL_CHARS).collect();
        self.0.push(Loss { kind, detail, count: 1 });
    }

    fn add_for(&mut self, kind: &'static str, block: &Block) {
        let text: Vec<String> = flatten::paragraphs(std::slice::from_ref(block))
            .iter()
            .flatten()
            .map(|inline| inline.as_text().replace('\n', " "))
            .collect();
        self.add(kind, &text.concat());
    }
}

/// Where a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Top,
    Item,
    Quote,
    Cell,
}

/// How often a document is brought down: what was taken out can leave a list at
/// the head of an item, which then moves to where it has to be looked at again.
const MAX_PASSES: usize = 8;

/// Returns the document as `notation` can say it, in normal form.
pub(super) fn restrict(notation: Notation, document: &Document) -> (Document, Vec<Loss>) {
    let mut document = document.clone().normalised();
    let mut losses = Losses::default();
    for _ in 0..MAX_PASSES {
        let mut restriction = Restriction { notation, losses, lifted: Vec::new(), cells: 0 };
        let blocks = document.blocks.clone();
        let blocks = if notation == Notation::Plain {
            restriction.plain(blocks)
        } else {
            restriction.blocks(blocks, Place::Top)
        };
        losses = restriction.losses;
        let restricted = Document { blocks }.normalised();
        if restricted == document {
            break;
        }
        document = restricted;
    }
    (document, losses.0)
}

struct Restriction {
    notation: Notation,
    losses: Losses,
    /// Tables taken out of where they cannot stand, to follow at the top level.
    lifted: Vec<Block>,
    /// In how many cells we are.
    cells: usize,
}

impl Restriction {
    fn blocks(&mut self, input: Vec<Block>, place: Place) -> Vec<Block> {
        let mut out = Vec::with_capacity(input.len());
        for block in input {
            self.block(block, place, &mut out);
            if place == Place::Top {
                for table in std::mem::take(&mut self.lifted) {
                    self.block(table, place, &mut out);
                }
            }
        }
        out
    }

    fn block(&mut self, block: Block, place: Place, out: &mut Vec<Block>) {
        if let Block::Opaque(opaque) = block {
            self.opaque(opaque, place, out);
        } else if self.fits(&block, place) {
            self.fitting(block, place, out);
        } else {
            self.unfitting(block, place, out);
        }
    }

    fn fits(&self, block: &Block, place: Place) -> bool {
        let task = matches!(block, Block::List(list) if list.kind == ListKind::Task);
        match (self.notation, place) {
            (Notation::Adf, Place::Cell) => !matches!(block, Block::Table(_)),
            (Notation::Adf, Place::Item) => {
                matches!(block, Block::Paragraph(_) | Block::Code { .. } | Block::List(_))
            }
            (Notation::Adf, Place::Quote) => {
                matches!(block, Block::Paragraph(_) | Block::Code { .. } | Block::List(_)) && !task
            }
            (Notation::Wiki, Place::Quote) => !matches!(block, Block::Quote(_)) && !task,
            (Notation::Wiki, _) => !task,
            _ => true,
        }
    }

    fn fitting(&mut self, block: Block, place: Place, out: &mut Vec<Block>) {
        match block {
            Block::Paragraph(content) => {
                out.extend(self.text(content).into_iter().map(Block::Paragraph));
            }
            Block::Heading { level, content } => {
                let mut parts = self.text(content).into_iter();
                let (pictures, text): (Vec<_>, Vec<_>) =
                    parts.by_ref().partition(|part| self.notation == Notation::Adf && is_picture(part));
                out.push(Block::Heading { level, content: text.join(&Inline::plain(" ")) });
                out.extend(pictures.into_iter().map(Block::Paragraph));
            }
            Block::List(list) => {
                let list = self.list(list);
                out.push(Block::List(list));
            }
            Block::Code { language, text } => out.push(self.code(language, text, place)),
            Block::Quote(inner) => {
                let inner = self.blocks(inner, Place::Quote);
                out.push(Block::Quote(inner));
            }
            Block::Table(rows) => {
                self.cells += 1;
                let rows = self.table(rows);
                self.cells -= 1;
                out.push(Block::Table(rows));
            }
            Block::Rule | Block::Opaque(_) => out.push(block),
        }
    }

    fn unfitting(&mut self, block: Block, place: Place, out: &mut Vec<Block>) {
        let in_item = place == Place::Item;
        match block {
            Block::Heading { ref content, .. } => {
                self.losses.add_for(if in_item { "heading-in-item" } else { "heading-in-quote" }, &block);
                self.block(Block::Paragraph(flatten::strong(content)), place, out);
            }
            Block::Quote(inner) => {
                self.losses.add(if in_item { "quote-in-item" } else { "quote-in-quote" }, "");
                for inner in inner {
                    self.block(inner, place, out);
                }
            }
            Block::Table(_) if self.cells > 0 => {
                self.losses.add_for("table-in-cell", &block);
                for content in flatten::paragraphs(&[block]) {
                    self.block(Block::Paragraph(content), place, out);
                }
            }
            Block::Table(_) => {
                self.losses.add_for(if in_item { "table-in-item" } else { "table-in-quote" }, &block);
                self.lifted.push(block);
            }
            Block::Rule => self.losses.add(if in_item { "rule-in-item" } else { "rule-in-quote" }, ""),
            Block::List(list) => {
                self.losses.add("task-list", "");
                self.block(Block::List(boxed(list)), place, out);
            }
            Block::Paragraph(_) | Block::Code { .. } | Block::Opaque(_) => {
                self.fitting(block, place, out);
            }
        }
    }

    fn opaque(&mut self, opaque: Opaque, place: Place, out: &mut Vec<Block>) {
        let kept = opaque.notation == self.notation
            && self.notation == Notation::Adf
            && adf::is_opaque_block(&opaque.source, place);
        if kept {
            out.push(Block::Opaque(opaque));
        } else {
            self.losses.add("opaque", &opaque.text);
            out.push(Block::Paragraph(vec![Inline::plain(opaque.text)]));
        }
    }

    fn code(&mut self, language: Option<String>, text: String, place: Place) -> Block {
        match self.notation {
            Notation::Markdown if place != Place::Top && text.contains('\t') => {
                // A tab's width depends on where it stands, so indenting changes it.
                self.losses.add("tab-in-code", &text);
                Block::Code { language, text: text.replace('\t', "    ") }
            }
            Notation::Wiki if text.contains("{code") => {
                let mut text = text;
                if language.is_some() {
                    self.losses.add("code-language", &text);
                }
                if text.contains("{noformat}") {
                    self.losses.add("code-text", &text);
                    text = text.replace("{noformat}", "{ noformat}");
                }
                Block::Code { language: None, text }
            }
            _ => Block::Code { language, text },
        }
    }

    fn list(&mut self, list: List) -> List {
        let mut list = list;
        if self.notation == Notation::Wiki
            && let ListKind::Ordered { start } = list.kind
            && start != 1
        {
            self.losses.add("list-start", &start.to_string());
            list.kind = ListKind::Ordered { start: 1 };
        }
        let kind = list.kind;
        let items =
            list.items.into_iter().map(|item| Item { done: item.done, blocks: self.item(item.blocks, kind) });
        List { kind, items: items.collect() }
    }

    fn item(&mut self, blocks: Vec<Block>, kind: ListKind) -> Vec<Block> {
        match self.notation {
            Notation::Adf if kind == ListKind::Task => self.line_and_lists(blocks, true),
            Notation::Wiki => self.line_and_lists(blocks, false),
            Notation::Markdown if kind == ListKind::Task => {
                let blocks = self.opened_by_line(blocks);
                self.blocks(blocks, Place::Item)
            }
            _ => self.blocks(blocks, Place::Item),
        }
    }

    /// One line of text, then nested lists: all that some items can hold.
    fn line_and_lists(&mut self, blocks: Vec<Block>, only_tasks: bool) -> Vec<Block> {
        let mut lines = Vec::new();
        let mut lists = Vec::new();
        for block in blocks {
            match block {
                Block::List(nested) if !only_tasks || nested.kind == ListKind::Task => {
                    self.block(Block::List(nested), Place::Item, &mut lists);
                    continue;
                }
                Block::Table(_) if self.cells == 0 => {
                    self.unfitting(block, Place::Item, &mut lists);
                    continue;
                }
                _ => {}
            }
            if !lists.is_empty() {
                self.losses.add_for("text-after-list", &block);
            }
            self.lines(vec![block], if only_tasks { "blocks-in-task" } else { "blocks-in-item" }, &mut lines);
        }
        if lines.len() > 1 {
            self.losses.add("paragraphs-in-item", "");
        }
        if only_tasks {
            self.pictures_to_text(&mut lines);
        }
        let mut out = vec![one_paragraph(lines)];
        out.extend(lists);
        out
    }

    /// A box can only stand before text.
    fn opened_by_line(&mut self, mut blocks: Vec<Block>) -> Vec<Block> {
        if matches!(blocks.first(), None | Some(Block::Paragraph(_))) {
            return blocks;
        }
        let first = blocks.remove(0);
        self.losses.add_for("blocks-in-task", &first);
        let mut out: Vec<Block> = flatten::paragraphs(&[first])
            .into_iter()
            .flat_map(normal::paragraphs)
            .map(Block::Paragraph)
            .collect();
        out.extend(blocks);
        out
    }

    /// Brings blocks down to lines of text.
    fn lines(&mut self, blocks: Vec<Block>, kind: &'static str, out: &mut Vec<Vec<Inline>>) {
        for block in blocks {
            if !matches!(block, Block::Paragraph(_)) {
                self.losses.add_for(kind, &block);
            }
            for content in flatten::paragraphs(&[block]) {
                for content in normal::paragraphs(content) {
                    out.extend(self.text(content));
                }
            }
        }
    }

    fn pictures_to_text(&mut self, lines: &mut [Vec<Inline>]) {
        for inline in lines.iter_mut().flatten() {
            if matches!(inline, Inline::Image(_)) {
                self.losses.add("image-in-task", &inline.as_text());
                *inline = Inline::plain(inline.as_text());
            }
        }
    }

    fn table(&mut self, rows: Vec<Vec<Cell>>) -> Vec<Vec<Cell>> {
        let flat = matches!(self.notation, Notation::Wiki | Notation::Markdown);
        let mut rows: Vec<Vec<Cell>> =
            rows.into_iter().map(|row| row.into_iter().map(|cell| self.cell(cell, flat)).collect()).collect();
        if flat {
            self.spread_spans(&mut rows);
        }
        if self.notation == Notation::Markdown {
            self.header_and_width(&mut rows);
        }
        rows
    }

    fn cell(&mut self, cell: Cell, flat: bool) -> Cell {
        let blocks = if flat {
            let mut lines = Vec::new();
            self.lines(cell.blocks, "blocks-in-cell", &mut lines);
            if lines.len() > 1 {
                self.losses.add("paragraphs-in-cell", "");
            }
            vec![one_paragraph(lines)]
        } else {
            self.blocks(cell.blocks, Place::Cell)
        };
        Cell { blocks, ..cell }
    }

    /// Puts empty cells where others reached over.
    fn spread_spans(&mut self, rows: &mut [Vec<Cell>]) {
        let spans = rows.iter().flatten().any(|cell| cell.colspan > 1 || cell.rowspan > 1);
        if !spans {
            return;
        }
        self.losses.add("cell-span", "");
        // Per column, how many more rows a cell from above reaches into, and whether it is a header.
        let mut reach: Vec<(u16, bool)> = Vec::new();
        for row in rows.iter_mut() {
            let mut wide = Vec::new();
            for cell in std::mem::take(row) {
                fill_reached(&mut reach, &mut wide);
                let (colspan, rowspan, header) = (cell.colspan, cell.rowspan, cell.header);
                for i in 0..colspan {
                    let at = wide.len();
                    if reach.len() <= at {
                        reach.resize(at + 1, (0, false));
                    }
                    if let Some(slot) = reach.get_mut(at) {
                        *slot = (rowspan - 1, header);
                    }
                    let blocks = if i == 0 { cell.blocks.clone() } else { Vec::new() };
                    wide.push(Cell { header, colspan: 1, rowspan: 1, blocks });
                }
            }
            fill_reached(&mut reach, &mut wide);
            *row = wide;
        }
    }

    /// Markdown tables have one header row on top, and every row is as wide.
    fn header_and_width(&mut self, rows: &mut [Vec<Cell>]) {
        let width = rows.iter().map(Vec::len).max().unwrap_or(0);
        if rows.iter().any(|row| row.len() < width) {
            self.losses.add("ragged-table", "");
        }
        let misplaced =
            rows.iter().enumerate().any(|(i, row)| row.iter().any(|cell| cell.header != (i == 0)));
        if misplaced {
            self.losses.add("table-header", "");
        }
        for (i, row) in rows.iter_mut().enumerate() {
            row.resize(width, Cell { header: false, colspan: 1, rowspan: 1, blocks: Vec::new() });
            for cell in row {
                cell.header = i == 0;
            }
        }
    }

    /// Brings running text down to what can be said; in ADF a picture is a block,
    /// so that one line can become several paragraphs.
    fn text(&mut self, content: Vec<Inline>) -> Vec<Vec<Inline>> {
        let content: Vec<Inline> = content
            .into_iter()
            .map(|inline| inlines::restrict(self.notation, inline, &mut self.losses))
            .collect();
        let pictured = content.iter().any(|inline| matches!(inline, Inline::Image(_)));
        if self.notation != Notation::Adf || !pictured || content.len() == 1 {
            return vec![content];
        }
        self.losses.add("image-in-line", "");
        let mut parts = vec![Vec::new()];
        for inline in content {
            if matches!(inline, Inline::Image(_)) {
                parts.extend([vec![inline], Vec::new()]);
            } else if let Some(part) = parts.last_mut() {
                part.push(inline);
            }
        }
        parts.retain(|part| !part.is_empty());
        parts
    }

    /// Brings everything down to paragraphs without marks.
    fn plain(&mut self, blocks: Vec<Block>) -> Vec<Block> {
        for block in &blocks {
            let kind = match block {
                Block::Paragraph(_) => continue,
                Block::Heading { .. } => "heading",
                Block::List(_) => "list",
                Block::Code { .. } => "code-block",
                Block::Quote(_) => "quote",
                Block::Rule => "rule",
                Block::Table(_) => "table",
                Block::Opaque(_) => "opaque",
            };
            self.losses.add_for(kind, block);
        }
        let mut out = Vec::new();
        for block in blocks {
            let heading = matches!(block, Block::Heading { .. });
            for content in flatten::paragraphs(&[block]) {
                let mut unheard = Losses::default();
                // The bold of a heading that became a line is no loss of its own.
                let losses = if heading { &mut unheard } else { &mut self.losses };
                let plain =
                    content.into_iter().map(|inline| inlines::restrict(Notation::Plain, inline, losses));
                out.push(Block::Paragraph(plain.collect()));
            }
        }
        out
    }
}

fn fill_reached(reach: &mut [(u16, bool)], wide: &mut Vec<Cell>) {
    while let Some((left, header)) = reach.get_mut(wide.len()).filter(|(left, _)| *left > 0) {
        *left -= 1;
        wide.push(Cell { header: *header, colspan: 1, rowspan: 1, blocks: Vec::new() });
    }
}

/// Makes one paragraph of lines; breaks at their ends would part it again.
fn one_paragraph(lines: Vec<Vec<Inline>>) -> Block {
    Block::Paragraph(flatten::joined(normal::paragraphs(flatten::joined(lines))))
}

fn is_picture(part: &[Inline]) -> bool {
    matches!(part, [Inline::Image(_)])
}

/// Turns tasks into bullets whose text begins with a box.
fn boxed(list: List) -> List {
    let items = list.items.into_iter().map(|item| {
        let mark = Inline::plain(if item.done { flatten::TICKED_BOX } else { flatten::OPEN_BOX });
        let mut blocks = item.blocks;
        match blocks.first_mut() {
            Some(Block::Paragraph(content)) => content.insert(0, mark),
            _ => blocks.insert(0, Block::Paragraph(vec![mark])),
        }
        Item { done: false, blocks }
    });
    List { kind: ListKind::Bullet, items: items.collect() }
}
