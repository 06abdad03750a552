//! Checks and completes the value maps of single-select fields.

use super::{Check, strs};
use crate::pipeline::file::FieldLong;
use crate::pipeline::meant::{Other, ValueMapping};
use crate::pipeline::node::{At, Word, join};
use crate::pipeline::read::{Entries, List, Text};

impl Check<'_, '_, '_> {
    /// Makes both maps of a field. Without `read` and `write` native and model
    /// values are the same words; with one of them the other is its reverse.
    pub(super) fn values(
        &mut self,
        at: At,
        path: &str,
        long: Option<&FieldLong>,
        model: &[String],
        written: bool,
    ) -> ValueMapping {
        let read = long.and_then(|l| l.read.as_ref());
        let write = long.and_then(|l| l.write.as_ref());
        let other = self.other(path, long.and_then(|l| l.other.as_ref()), model);
        let typed_read = read.map(|entries| self.read_map(&join(path, "read"), entries, model));
        let typed_write = write.map(|entries| self.write_map(&join(path, "write"), entries, model));
        let mapping = match (typed_read, typed_write) {
            (Some(read), Some(write)) => ValueMapping { read, other, write },
            (Some(read), None) => {
                let write = model.iter().map(|value| (value.clone(), natives_of(&read, value)));
                let write = write.filter(|(_, natives)| !natives.is_empty()).collect();
                ValueMapping { read, other, write }
            }
            (None, Some(write)) => {
                let mut read: Vec<(String, String)> = Vec::new();
                for (value, native) in
                    write.iter().flat_map(|(v, natives)| natives.iter().map(move |n| (v, n)))
                {
                    if !read.iter().any(|(known, _)| known == native) {
                        read.push((native.clone(), value.clone()));
                    }
                }
                ValueMapping { read, other, write }
            }
            (None, None) => ValueMapping {
                read: model.iter().map(|v| (v.clone(), v.clone())).collect(),
                other,
                write: model.iter().map(|v| (v.clone(), vec![v.clone()])).collect(),
            },
        };
        if written {
            self.total(at, path, &mapping, model);
        }
        self.natives_read_back(path, write, &mapping);
        mapping
    }

    fn other(&mut self, path: &str, other: Option<&Text>, model: &[String]) -> Other {
        match other.map(|text| &text.0) {
            None => Other::Refuse,
            Some(word) if word.text == "hold" => Other::Hold,
            Some(word) => {
                if !model.contains(&word.text) {
                    let mut known = strs(model);
                    known.push("hold");
                    self.reader.unknown(word.at, &join(path, "other"), "value", &word.text, &known);
                }
                Other::Value(word.text.clone())
            }
        }
    }

    fn read_map(&mut self, path: &str, entries: &Entries<Text>, model: &[String]) -> Vec<(String, String)> {
        let mut map = Vec::new();
        for (native, Text(value)) in &entries.0 {
            // A wrong value is kept, so that `write` is not blamed for naming its native.
            map.push((native.text.clone(), value.text.clone()));
            if !model.contains(&value.text) {
                let path = join(path, &native.text);
                self.reader.unknown(value.at, &path, "value of the model", &value.text, &strs(model));
            }
        }
        map
    }

    fn write_map(
        &mut self,
        path: &str,
        entries: &Entries<List>,
        model: &[String],
    ) -> Vec<(String, Vec<String>)> {
        let mut map = Vec::new();
        for (value, List(natives)) in &entries.0 {
            let path = join(path, &value.text);
            if !model.contains(&value.text) {
                self.reader.unknown(value.at, &path, "value of the model", &value.text, &strs(model));
            } else if natives.is_empty() {
                self.reader.error(value.at, &path, "no native value", "at least one native value");
            }
            map.push((value.text.clone(), natives.iter().map(|w| w.text.clone()).collect()));
        }
        map
    }

    /// A value that cannot be written would be held for ever.
    fn total(&mut self, at: At, path: &str, mapping: &ValueMapping, model: &[String]) {
        let missing: Vec<_> =
            model.iter().filter(|v| mapping.to_native(v).is_empty()).map(|v| format!("`{v}`")).collect();
        // Values that stand there without a native were reported with it.
        let empty = mapping.write.iter().any(|(_, natives)| natives.is_empty());
        if !missing.is_empty() && !empty {
            let found = format!("nothing says how to write {}", missing.join(", "));
            self.reader.error(at, &join(path, "write"), found, "native values for every value of the model");
        }
    }

    /// What is written must be understood when it is read again, and be left in peace.
    fn natives_read_back(&mut self, path: &str, write: Option<&Entries<List>>, mapping: &ValueMapping) {
        let known: Vec<_> = mapping.read.iter().map(|(native, _)| native.as_str()).collect();
        for (value, List(natives)) in write.iter().flat_map(|w| &w.0) {
            for Word { text, at } in natives {
                if mapping.to_model(text).is_none() {
                    let path = join(&join(path, "write"), &value.text);
                    self.reader.unknown(*at, &path, "native value", text, &known);
                }
            }
        }
        for (native, value) in &mapping.read {
            let acceptable = mapping.to_native(value);
            if let (Some(entries), false) = (write, acceptable.is_empty() || acceptable.contains(native)) {
                let at = entries.0.iter().find(|(v, _)| &v.text == value).map(|(v, _)| v.at);
                let found = format!("`{native}` reads as `{value}`, which does not accept `{native}`");
                let expected = format!("`{native}` among the native values of `{value}`");
                let path = join(&join(path, "write"), value);
                self.reader.warning(at.unwrap_or_default(), &path, found, expected);
            }
        }
    }
}

fn natives_of(read: &[(String, String)], value: &str) -> Vec<String> {
    read.iter().filter(|(_, v)| v == value).map(|(native, _)| native.clone()).collect()
}
