//! The JSON Schema of pipeline files, for editors.

use super::file::File;

/// Returns the JSON Schema (draft 2020-12) of a pipeline file.
///
/// It knows keys and words; names that refer to each other are checked by
/// [`super::load`] alone.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(File);
    schema.insert("title".to_owned(), "testferry pipeline".into());
    schema.to_value()
}
