//! Builds the record batches of native tables row by row.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, MapBuilder, MapFieldNames,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};
use xxhash_rust::xxh3::Xxh3;

use crate::model::{ENVELOPE, Native, native_schema};

/// A cell of a native table beyond the envelope.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Null,
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Time(DateTime<Utc>),
    Texts(Vec<String>),
}

/// Collects rows of one native table and makes a batch of them.
#[derive(Debug)]
pub struct RowBuilder {
    schema: SchemaRef,
    rows: Vec<Row>,
}

/// One row under construction: what is not set stays null.
#[derive(Debug, Default)]
pub struct Row {
    key: String,
    project: String,
    rev: Option<String>,
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
    updated_by: Option<String>,
    url: Option<String>,
    fields: Vec<(String, String)>,
    cells: Vec<(&'static str, Cell)>,
}

impl Row {
    /// Sets the revision.
    pub fn rev(&mut self, rev: impl ToString) -> &mut Self {
        self.rev = Some(rev.to_string());
        self
    }

    /// Sets when it was made.
    pub fn created_at(&mut self, at: Option<DateTime<Utc>>) -> &mut Self {
        self.created_at = at;
        self
    }

    /// Sets when it was last changed.
    pub fn updated_at(&mut self, at: Option<DateTime<Utc>>) -> &mut Self {
        self.updated_at = at;
        self
    }

    /// Sets who changed it last.
    pub fn updated_by(&mut self, account: Option<String>) -> &mut Self {
        self.updated_by = account;
        self
    }

    /// Sets the address that a person can follow.
    pub fn url(&mut self, url: impl Into<String>) -> &mut Self {
        self.url = Some(url.into());
        self
    }

    /// Adds a field by the vendor's name; an empty value is left out.
    pub fn field(&mut self, name: impl Into<String>, value: Option<impl Into<String>>) -> &mut Self {
        if let Some(value) = value.map(Into::into).filter(|v: &String| !v.is_empty()) {
            self.fields.push((name.into(), value));
        }
        self
    }

    /// Sets a text column.
    pub fn text(&mut self, column: &'static str, value: Option<impl Into<String>>) -> &mut Self {
        self.cell(column, value.map(|v| Cell::Text(v.into())))
    }

    /// Sets an integer column.
    pub fn int(&mut self, column: &'static str, value: Option<i64>) -> &mut Self {
        self.cell(column, value.map(Cell::Int))
    }

    /// Sets a floating-point column.
    pub fn float(&mut self, column: &'static str, value: Option<f64>) -> &mut Self {
        self.cell(column, value.map(Cell::Float))
    }

    /// Sets a boolean column.
    pub fn bool(&mut self, column: &'static str, value: Option<bool>) -> &mut Self {
        self.cell(column, value.map(Cell::Bool))
    }

    /// Sets a timestamp column.
    pub fn time(&mut self, column: &'static str, value: Option<DateTime<Utc>>) -> &mut Self {
        self.cell(column, value.map(Cell::Time))
    }

    /// Sets a column that holds a list of texts.
    pub fn texts(&mut self, column: &'static str, value: Vec<String>) -> &mut Self {
        self.cell(column, Some(Cell::Texts(value)))
    }

    fn cell(&mut self, column: &'static str, cell: Option<Cell>) -> &mut Self {
        self.cells.push((column, cell.unwrap_or(Cell::Null)));
        self
    }

    fn get(&self, column: &str) -> &Cell {
        self.cells.iter().find(|(name, _)| *name == column).map_or(&Cell::Null, |(_, cell)| cell)
    }
}

impl RowBuilder {
    /// Starts a batch of a table with these columns after the envelope.
    pub fn new(columns: &[Native]) -> Self {
        Self { schema: native_schema(columns), rows: Vec::new() }
    }

    /// Adds a row and returns it to be filled in.
    pub fn row(&mut self, key: impl ToString, project: impl Into<String>) -> &mut Row {
        self.rows.push(Row { key: key.to_string(), project: project.into(), ..Row::default() });
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }

    /// Counts the rows added so far.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Tells whether no row was added.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Makes the batch.
    pub fn finish(mut self) -> RecordBatch {
        for row in &mut self.rows {
            row.fields.sort();
        }
        let envelope = self.envelope();
        let own = self.schema.fields()[ENVELOPE.len()..].iter().map(|field| column(field, &self.rows));
        let arrays: Vec<ArrayRef> = envelope.into_iter().chain(own).collect();
        RecordBatch::try_new(self.schema.clone(), arrays)
            .expect("every column was built from the schema itself")
    }

    fn envelope(&self) -> Vec<ArrayRef> {
        let mut key = StringBuilder::new();
        let mut project = StringBuilder::new();
        let mut rev = StringBuilder::new();
        let mut created = TimestampMicrosecondBuilder::new().with_timezone("UTC");
        let mut updated = TimestampMicrosecondBuilder::new().with_timezone("UTC");
        let mut by = StringBuilder::new();
        let mut url = StringBuilder::new();
        let mut hash = StringBuilder::new();
        let names = MapFieldNames { entry: "entries".into(), key: "keys".into(), value: "values".into() };
        let mut fields = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new())
            .with_values_field(Field::new("values", DataType::Utf8, true));
        for row in &self.rows {
            key.append_value(&row.key);
            project.append_value(&row.project);
            rev.append_option(row.rev.as_deref());
            created.append_option(row.created_at.map(|t| t.timestamp_micros()));
            updated.append_option(row.updated_at.map(|t| t.timestamp_micros()));
            by.append_option(row.updated_by.as_deref());
            url.append_option(row.url.as_deref());
            hash.append_value(self.hash(row));
            for (name, value) in &row.fields {
                fields.keys().append_value(name);
                fields.values().append_value(value);
            }
            fields.append(true).expect("keys and values were appended in step");
        }
        vec![
            Arc::new(key.finish()),
            Arc::new(project.finish()),
            Arc::new(rev.finish()),
            Arc::new(created.finish()),
            Arc::new(updated.finish()),
            Arc::new(by.finish()),
            Arc::new(url.finish()),
            Arc::new(hash.finish()),
            Arc::new(fields.finish()),
        ]
    }

    fn hash(&self, row: &Row) -> String {
        let mut hasher = Xxh3::new();
        for (name, value) in &row.fields {
            add_text(&mut hasher, name);
            add_text(&mut hasher, value);
        }
        for field in &self.schema.fields()[ENVELOPE.len()..] {
            add_text(&mut hasher, field.name());
            row.get(field.name()).add_to(&mut hasher);
        }
        hex(&hasher)
    }
}

impl Cell {
    /// Hashes the value with its kind, so that an empty text is not the same as none.
    fn add_to(&self, hasher: &mut Xxh3) {
        match self {
            Cell::Null => hasher.update(b"n"),
            Cell::Text(text) => {
                hasher.update(b"t");
                add_text(hasher, text);
            }
            Cell::Int(number) => {
                hasher.update(b"i");
                hasher.update(&number.to_le_bytes());
            }
            Cell::Float(number) => {
                hasher.update(b"f");
                hasher.update(&number.to_le_bytes());
            }
            Cell::Bool(yes) => hasher.update(if *yes { b"y" } else { b"x" }),
            Cell::Time(at) => {
                hasher.update(b"d");
                hasher.update(&at.timestamp_micros().to_le_bytes());
            }
            Cell::Texts(list) => {
                hasher.update(b"l");
                hasher.update(&(list.len() as u64).to_le_bytes());
                list.iter().for_each(|text| add_text(hasher, text));
            }
        }
    }
}

fn add_text(hasher: &mut Xxh3, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

fn hex(hasher: &Xxh3) -> String {
    format!("{:032x}", hasher.digest128())
}

/// Hashes named values into the 32 hex digits of a 128-bit hash; their order counts.
pub fn raw_hash<'a>(values: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut hasher = Xxh3::new();
    for (name, value) in values {
        add_text(&mut hasher, name);
        add_text(&mut hasher, &value);
    }
    hex(&hasher)
}

macro_rules! build {
    ($builder:expr, $rows:expr, $name:expr, $variant:ident, $value:ident => $out:expr) => {{
        let mut builder = $builder;
        for row in $rows {
            match row.get($name) {
                Cell::$variant($value) => builder.append_value($out),
                _ => builder.append_null(),
            }
        }
        Arc::new(builder.finish()) as ArrayRef
    }};
}

/// Builds one column; a cell of another type than the column's is null.
fn column(field: &Field, rows: &[Row]) -> ArrayRef {
    let name = field.name();
    match field.data_type() {
        DataType::Int64 => build!(Int64Builder::new(), rows, name, Int, v => *v),
        DataType::Float64 => build!(Float64Builder::new(), rows, name, Float, v => *v),
        DataType::Boolean => build!(BooleanBuilder::new(), rows, name, Bool, v => *v),
        DataType::Timestamp(..) => {
            build!(TimestampMicrosecondBuilder::new().with_timezone("UTC"), rows, name, Time, v => v.timestamp_micros())
        }
        DataType::List(_) => {
            let mut builder = ListBuilder::new(StringBuilder::new());
            for row in rows {
                if let Cell::Texts(values) = row.get(name) {
                    for value in values {
                        builder.values().append_value(value);
                    }
                }
                builder.append(matches!(row.get(name), Cell::Texts(_)));
            }
            Arc::new(builder.finish())
        }
        _ => build!(StringBuilder::new(), rows, name, Text, v => v),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;

    fn one(rev: &str, title: &str) -> RecordBatch {
        let mut rows = RowBuilder::new(&[Native { name: "plan_id", data_type: DataType::Int64 }]);
        rows.row(7, "P")
            .rev(rev)
            .field("Title", Some(title))
            .field("Empty", Some(""))
            .int("plan_id", Some(3));
        rows.finish()
    }

    #[test]
    fn hash_moves_with_content_and_not_with_the_revision() {
        let hash = |batch: RecordBatch| batch.column(7).as_string::<i32>().value(0).to_owned();
        assert_eq!(hash(one("1", "a")), hash(one("2", "a")));
        assert_ne!(hash(one("1", "a")), hash(one("1", "b")));
    }

    #[test]
    fn empty_fields_are_absent() {
        assert_eq!(one("1", "a").column(8).as_map().value_length(0), 1);
    }
}
