//! What must hold for every document and every text.

use proptest::prelude::*;

use super::ALL;
use super::grammar;
use super::trees;
use crate::model::Notation;
use crate::text::{Block, Document, Inline, canonical, parse, render, render_within, restrict};

fn check_stable(notation: Notation, document: &Document) -> Result<(), TestCaseError> {
    let first = render(notation, document);
    let read = parse(notation, &first.text);
    let (expected, _) = restrict::restrict(notation, document);
    prop_assert_eq!(
        read.canonical(),
        expected.canonical(),
        "{:?} wrote:\n{}\nread back differently",
        notation,
        &first.text
    );
    let second = render(notation, &read);
    prop_assert_eq!(&second.text, &first.text, "{:?} did not write the same again", notation);
    if first.losses.is_empty() {
        prop_assert_eq!(read.canonical(), document.canonical(), "{:?} lost something silently", notation);
    }
    if notation == Notation::Adf {
        grammar::check(&first.text)
            .map_err(|fault| TestCaseError::fail(format!("{fault}\n{}", first.text)))?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_is_stable_after_one_trip_through_html(document in trees::document()) {
        check_stable(Notation::Html, &document)?;
    }

    #[test]
    fn any_tree_is_stable_after_one_trip_through_adf(document in trees::document()) {
        check_stable(Notation::Adf, &document)?;
    }

    #[test]
    fn any_tree_is_stable_after_one_trip_through_wiki(document in trees::document()) {
        check_stable(Notation::Wiki, &document)?;
    }

    #[test]
    fn any_tree_is_stable_after_one_trip_through_markdown(document in trees::document()) {
        check_stable(Notation::Markdown, &document)?;
    }

    #[test]
    fn any_tree_is_stable_after_one_trip_through_plain_text(document in trees::document()) {
        check_stable(Notation::Plain, &document)?;
    }

    #[test]
    fn canonical_text_reads_back_as_the_same_document(document in trees::document()) {
        let normal = document.clone().normalised();
        prop_assert_eq!(&normal.clone().normalised(), &normal);
        prop_assert_eq!(Document::from_canonical(&document.canonical()), normal);
    }

    #[test]
    fn any_text_is_stable_after_one_trip_through_any_pair(text in trees::lines()) {
        for from in ALL {
            let document = parse(from, &text);
            prop_assert_eq!(&document.clone().normalised(), &document);
            for to in ALL {
                check_stable(to, &document)?;
            }
        }
    }

    #[test]
    fn ordinary_text_survives_every_notation_to_the_character(text in trees::line()) {
        let document = Document { blocks: vec![Block::Paragraph(vec![Inline::plain(text)])] }.normalised();
        for notation in ALL {
            let rendered = render(notation, &document);
            prop_assert!(rendered.losses.is_empty());
            let back = parse(notation, &rendered.text);
            prop_assert_eq!(&back, &document, "{:?}: {}", notation, rendered.text);
        }
    }

    #[test]
    fn any_characters_are_read_without_a_panic(text in any::<String>(), lines in trees::lines()) {
        for notation in ALL {
            canonical(notation, &text);
            canonical(notation, &format!("{text}{lines}{text}"));
        }
    }

    #[test]
    fn what_is_cut_fits(document in trees::document(), max in 60..400usize) {
        for notation in ALL {
            let whole = render(notation, &document);
            let (rendered, cut) = render_within(notation, &document, max);
            prop_assert!(rendered.text.chars().count() <= max, "{:?}", notation);
            prop_assert_eq!(cut, whole.text.chars().count() > max);
        }
    }
}
