//! What each notation can say within a line.

use crate::model::Notation;

use super::adf;
use super::restrict::Losses;
use super::tree::{Image, Inline, Marks, Opaque, Run};
use super::url;

/// Brings one inline down to what `notation` can say.
pub(super) fn restrict(notation: Notation, inline: Inline, losses: &mut Losses) -> Inline {
    match inline {
        Inline::Text(run) => {
            let marks = marks(notation, run.marks, &run.text, losses);
            Inline::Text(Run { text: run.text, marks })
        }
        Inline::Break => Inline::Break,
        Inline::Image(image) => self::image(notation, image, losses),
        Inline::Mention { id, name } => mention(notation, id, name, losses),
        Inline::Date(day) if notation == Notation::Adf => Inline::Date(day),
        Inline::Date(day) => {
            losses.add("date", &day);
            Inline::plain(day)
        }
        Inline::Opaque(opaque) if keeps(notation, &opaque) => Inline::Opaque(opaque),
        Inline::Opaque(opaque) => {
            losses.add("opaque", &opaque.text);
            Inline::plain(opaque.text)
        }
    }
}

fn keeps(notation: Notation, opaque: &Opaque) -> bool {
    notation == opaque.notation
        && match notation {
            Notation::Adf => adf::is_opaque_inline(&opaque.source),
            Notation::Wiki => super::wiki::is_opaque(&opaque.source),
            _ => false,
        }
}

fn image(notation: Notation, image: Image, losses: &mut Losses) -> Inline {
    let fetchable = image.source.starts_with("https://") || image.source.starts_with("http://");
    match notation {
        Notation::Plain => {
            losses.add("image", &image.source);
            Inline::plain(Inline::Image(image).as_text())
        }
        Notation::Adf if !fetchable => {
            // Embedding an attachment takes an id that no public call returns.
            losses.add("image", &image.source);
            Inline::plain(Inline::Image(image).as_text())
        }
        Notation::Markdown => {
            if image.width.is_some() {
                losses.add("image-width", &image.source);
            }
            let source = url::encoded(&image.source);
            if source != image.source {
                losses.add("image-source", &image.source);
            }
            Inline::Image(Image { source, width: None, ..image })
        }
        _ => Inline::Image(image),
    }
}

fn mention(notation: Notation, id: String, name: String, losses: &mut Losses) -> Inline {
    match notation {
        Notation::Adf if !id.starts_with('~') => Inline::Mention { id, name },
        Notation::Wiki => {
            if !name.is_empty() {
                losses.add("mention-name", &name);
            }
            Inline::Mention { id, name: String::new() }
        }
        _ => {
            losses.add("mention", &name);
            Inline::plain(Inline::Mention { id, name }.as_text())
        }
    }
}

fn marks(notation: Notation, marks: Marks, text: &str, losses: &mut Losses) -> Marks {
    let mut lost = |had: bool, kind: &'static str| {
        if had {
            losses.add(kind, text);
        }
    };
    match notation {
        Notation::Html | Notation::Wiki => marks,
        Notation::Adf if marks.code => {
            let alone = Marks { code: true, link: marks.link.clone(), ..Marks::default() };
            lost(alone != marks, "marks-on-code");
            alone
        }
        Notation::Adf => marks,
        Notation::Markdown => {
            lost(marks.underline, "underline");
            lost(marks.script.is_some(), "sub-sup");
            lost(marks.color.is_some(), "color");
            Marks { underline: false, script: None, color: None, ..marks }
        }
        Notation::Plain => {
            lost(marks.link.is_some(), "link");
            lost(Marks { link: None, ..marks } != Marks::default(), "marks");
            Marks::default()
        }
    }
}
