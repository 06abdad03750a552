//! Fills the structs of the file from its tree, going on after every slip.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::node::{Node, Reader, Value, Word, join};

/// Can be read from a node.
pub(super) trait Read: Sized {
    /// Reads it; `None` after reporting what is wrong.
    fn read(node: &Node, path: &str, reader: &mut Reader<'_>) -> Option<Self>;

    /// What stands for a key that is left out; `None` if it must not be.
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: Read> Read for Option<T> {
    fn read(node: &Node, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        match node.value {
            Value::Null => Some(None),
            // A slip was reported; the rest of the struct is still worth reading.
            _ => Some(T::read(node, path, reader)),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::List(items) = &node.value else {
            reader.wrong_kind(node, path, "a list");
            return None;
        };
        let item = |(i, node)| T::read(node, &join(path, &format!("[{i}]")), reader);
        Some(items.iter().enumerate().filter_map(item).collect())
    }
}

impl Read for bool {
    fn read(node: &Node, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        match Text::read(node, path, reader)?.0.text.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            other => {
                reader.error(node.at, path, format!("`{other}` stands here"), "`true` or `false`");
                None
            }
        }
    }
}

impl Read for f64 {
    fn read(node: &Node, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let text = Text::read(node, path, reader)?.0.text;
        let number = text.parse().ok().filter(|n: &f64| (0.0..=1.0).contains(n));
        if number.is_none() {
            reader.error(node.at, path, format!("`{text}` stands here"), "a number from 0 to 1");
        }
        number
    }
}

/// A single value, its references replaced.
#[derive(Clone, Debug)]
pub(super) struct Text(pub(super) Word);

impl Read for Text {
    fn read(node: &Node, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let word = scalar(node, path, reader)?;
        reader.interpolate(&word, path).map(Text)
    }
}

/// A single value as typed: its references are resolved by whoever needs it.
#[derive(Debug)]
pub(super) struct Raw(pub(super) Word);

impl Read for Raw {
    fn read(node: &Node, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        scalar(node, path, reader).map(Raw)
    }
}

fn scalar(node: &Node, path: &str, reader: &mut Reader<'_>) -> Option<Word> {
    match &node.value {
        Value::Scalar(text) => Some(Word { text: text.clone(), at: node.at }),
        _ => {
            reader.wrong_kind(node, path, "a single value");
            None
        }
    }
}

/// One value or a list of them.
#[derive(Clone, Debug, Default)]
pub(super) struct List(pub(super) Vec<Word>);

impl Read for List {
    fn read(node: &Node, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::List(_) => {
                let items: Vec<Text> = Read::read(node, path, reader)?;
                Some(List(items.into_iter().map(|text| text.0).collect()))
            }
            Value::Scalar(_) => Some(List(vec![Text::read(node, path, reader)?.0])),
            _ => {
                reader.wrong_kind(node, path, "a value or a list of values");
                None
            }
        }
    }
}

/// A map with keys of the administrator's choice, in the order of the file; and
/// the keys whose values were dropped for a slip, so that they are not called unknown.
#[derive(Debug)]
pub(super) struct Entries<T>(pub(super) Vec<(Word, T)>, pub(super) Vec<String>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new(), Vec::new())
    }
}

impl<T> Entries<T> {
    /// Lists the keys, dropped ones too.
    pub(super) fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(key, _)| &key.text).chain(&self.1).map(String::as_str).collect()
    }
}

impl<T: Read> Read for Entries<T> {
    fn read(node: &Node, path: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            reader.wrong_kind(node, path, "a map");
            return None;
        };
        let mut read = Entries::default();
        for (key, node) in entries {
            match T::read(node, &join(path, &key.text), reader) {
                Some(value) => read.0.push((key.clone(), value)),
                None => read.1.push(key.text.clone()),
            }
        }
        Some(read)
    }
}

/// Declares a struct of the file: its fields are the keys that are allowed.
macro_rules! typed {
    ($(#[$doc:meta])* struct $name:ident { $( $(#[$about:meta])* $key:ident : $type:ty, )* }) => {
        $(#[$doc])*
        #[derive(Debug, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub(super) struct $name {
            #[schemars(skip)]
            #[allow(dead_code, reason = "not every place is named in a message")]
            pub(super) at: super::node::At,
            $( $(#[$about])* pub(super) $key: $type, )*
        }

        impl super::read::Read for $name {
            fn read(
                node: &super::node::Node,
                path: &str,
                reader: &mut super::node::Reader<'_>,
            ) -> Option<Self> {
                let keys = [$( stringify!($key).trim_start_matches("r#") ),*];
                let entries = super::read::entries(node, path, reader, &keys)?;
                // Every key is read before the first missing one ends the reading.
                $( let $key = super::read::member::<$type>(
                    node, entries, stringify!($key).trim_start_matches("r#"), path, reader,
                ); )*
                Some(Self { at: node.at, $( $key: $key?, )* })
            }
        }
    };
}

/// Returns the entries of a map after reporting the keys that it must not have.
pub(super) fn entries<'n>(
    node: &'n Node,
    path: &str,
    reader: &mut Reader<'_>,
    keys: &[&str],
) -> Option<&'n [(Word, Node)]> {
    let Value::Map(entries) = &node.value else {
        reader.wrong_kind(node, path, &format!("a map with {}", super::node::one_of(keys)));
        return None;
    };
    for (key, _) in entries {
        if !keys.contains(&key.text.as_str()) {
            reader.unknown(key.at, &join(path, &key.text), "key", &key.text, keys);
        }
    }
    Some(entries)
}

/// Reads one key of a struct.
pub(super) fn member<T: Read>(
    node: &Node,
    entries: &[(Word, Node)],
    key: &str,
    path: &str,
    reader: &mut Reader<'_>,
) -> Option<T> {
    match entries.iter().find(|(word, _)| word.text == key) {
        Some((_, node)) => T::read(node, &join(path, key), reader),
        None => T::absent().or_else(|| {
            reader.error(node.at, path, format!("`{key}` is missing"), format!("the key `{key}`"));
            None
        }),
    }
}

/// Declares a closed list of words.
macro_rules! words {
    ($(#[$doc:meta])* enum $name:ident { $( $variant:ident = $word:literal, )* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum $name { $( $variant, )* }

        impl super::read::Read for $name {
            fn read(
                node: &super::node::Node,
                path: &str,
                reader: &mut super::node::Reader<'_>,
            ) -> Option<Self> {
                let text = super::read::Text::read(node, path, reader)?.0.text;
                match text.as_str() {
                    $( $word => Some(Self::$variant), )*
                    other => {
                        reader.unknown(node.at, path, "word", other, &[$( $word ),*]);
                        None
                    }
                }
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$( $word ),*] })
            }
        }
    };
}

pub(super) use {typed, words};

/// Numbers and booleans may stand where a text is meant, without quotes.
fn text_schema() -> Schema {
    json_schema!({ "type": ["string", "number", "boolean"] })
}

macro_rules! text_like {
    ($name:ident) => {
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                text_schema()
            }
        }
    };
}

text_like!(Text);
text_like!(Raw);

impl JsonSchema for List {
    fn schema_name() -> Cow<'static, str> {
        "List".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let text = text_schema();
        json_schema!({ "anyOf": [text, { "type": "array", "items": text_schema() }] })
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("MapOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": item })
    }
}
