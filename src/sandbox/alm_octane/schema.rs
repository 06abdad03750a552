//! What the workspace knows of its entities: tables, entities, fields, and fields that users added.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// The built-in part, as data.
const BUILT_IN: &str = include_str!("schema.txt");

/// The kind of a field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    String,
    Memo,
    Integer,
    Boolean,
    DateTime,
    Reference,
}

impl Kind {
    /// Its name in the metadata.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::Memo => "memo",
            Kind::Integer => "integer",
            Kind::Boolean => "boolean",
            Kind::DateTime => "date_time",
            Kind::Reference => "reference",
        }
    }
}

/// Where a field's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Source {
    /// The row.
    Stored,
    /// The row's stamps.
    Id,
    Type,
    Subtype,
    Created,
    Modified,
    Version,
    Lock,
    Author,
    Workspace,
    /// Attachments and comments that name the row as their owner.
    HasAttachments,
    HasComments,
    NumComments,
    /// The steps of a test's script or of a run.
    StepsNum,
    /// Another name of a field.
    Alias(u16),
    /// The rows whose field names this one.
    Mirror(u16),
}

/// A field of a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Field {
    pub(super) table: u8,
    pub(super) name: String,
    pub(super) label: String,
    pub(super) kind: Kind,
    /// Entities or aggregates that a reference may name.
    pub(super) targets: Vec<String>,
    /// The table that they are in.
    pub(super) target: Option<u8>,
    /// The logical name of the list whose items it takes.
    pub(super) list: Option<String>,
    pub(super) multiple: bool,
    pub(super) required: bool,
    pub(super) read_only: bool,
    /// Editable when the entity is made, not later.
    pub(super) create_only: bool,
    pub(super) default: bool,
    pub(super) unique: bool,
    pub(super) indexed: bool,
    pub(super) length: Option<usize>,
    pub(super) user_defined: bool,
    pub(super) source: Source,
    /// The entities of the table that have it, as bits.
    pub(super) of: u32,
}

/// An entity: `test_manual`.
#[derive(Clone, Debug)]
pub(super) struct Entity {
    pub(super) name: String,
    pub(super) collection: String,
    pub(super) methods: String,
    pub(super) label: String,
}

/// A table: an aggregate with its entities, or one entity alone.
#[derive(Clone, Debug)]
pub(super) struct TableDef {
    pub(super) name: String,
    pub(super) collection: String,
    pub(super) methods: String,
    pub(super) label: String,
    pub(super) entities: Vec<Entity>,
    /// Whether it gathers entities of several kinds.
    pub(super) aggregate: bool,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Schema {
    pub(super) tables: Vec<TableDef>,
    pub(super) fields: Vec<Field>,
    by_name: HashMap<(u8, String), u16>,
    /// How many fields are built in.
    pub(super) built_in: usize,
}

/// Collections that answer to another name too.
const ALIASES: [(&str, &str); 3] =
    [("application_modules", "product_areas"), ("users", "workspace_users"), ("suite_runs", "suite_run")];

/// Fields of every entity: name, kind, source, read-only, by default.
const SYSTEM: [(&str, Kind, Source, bool, bool); 12] = [
    ("id", Kind::String, Source::Id, true, true),
    ("type", Kind::String, Source::Type, true, true),
    ("creation_time", Kind::DateTime, Source::Created, true, true),
    ("last_modified", Kind::DateTime, Source::Modified, true, true),
    ("version_stamp", Kind::Integer, Source::Version, true, true),
    ("client_lock_stamp", Kind::Integer, Source::Lock, false, true),
    ("workspace_id", Kind::Integer, Source::Workspace, true, true),
    ("has_attachments", Kind::Boolean, Source::HasAttachments, true, false),
    ("has_comments", Kind::Boolean, Source::HasComments, true, false),
    ("num_comments", Kind::Integer, Source::NumComments, true, false),
    ("created", Kind::DateTime, Source::Created, true, false),
    ("author", Kind::Reference, Source::Author, false, true),
];

impl Schema {
    /// The built-in schema.
    pub(super) fn built_in() -> Schema {
        let mut schema = Schema::default();
        let lines = || BUILT_IN.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        let mut all = 0_u32;
        for line in lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["=", name, collection, methods, ..] => {
                    let label = words[4..].join(" ");
                    schema.table(name, collection, methods, &label);
                    all = u32::MAX;
                }
                ["+", name, collection, methods, ..] => {
                    let label = words[4..].join(" ");
                    all = schema.entity(name, collection, methods, &label);
                }
                [name, kind, flags] => schema.field(name, kind, flags, all),
                _ => {}
            }
        }
        schema.complete();
        schema
    }

    fn table(&mut self, name: &str, collection: &str, methods: &str, label: &str) {
        self.tables.push(TableDef {
            name: name.to_owned(),
            collection: collection.to_owned(),
            methods: methods.to_owned(),
            label: label.to_owned(),
            entities: Vec::new(),
            aggregate: false,
        });
        for (name, kind, source, read_only, default) in SYSTEM {
            let mut field = self.blank(name, kind);
            (field.source, field.read_only, field.default) = (source, read_only, default);
            if source == Source::Author {
                field.targets = vec!["workspace_user".to_owned()];
            }
            self.push(field);
        }
    }

    fn entity(&mut self, name: &str, collection: &str, methods: &str, label: &str) -> u32 {
        let Some(table) = self.tables.last_mut() else { return 0 };
        table.aggregate = true;
        table.entities.push(Entity {
            name: name.to_owned(),
            collection: collection.to_owned(),
            methods: methods.to_owned(),
            label: label.to_owned(),
        });
        1 << (table.entities.len() - 1)
    }

    fn blank(&self, name: &str, kind: Kind) -> Field {
        Field {
            table: u8::try_from(self.tables.len().saturating_sub(1)).unwrap_or(u8::MAX),
            name: name.to_owned(),
            label: label_of(name),
            kind,
            targets: Vec::new(),
            target: None,
            list: None,
            multiple: false,
            required: false,
            read_only: false,
            create_only: false,
            default: false,
            unique: false,
            indexed: false,
            length: None,
            user_defined: false,
            source: Source::Stored,
            of: u32::MAX,
        }
    }

    fn field(&mut self, name: &str, kind: &str, flags: &str, of: u32) {
        let table = u8::try_from(self.tables.len() - 1).unwrap_or(u8::MAX);
        if let Some(known) = self.named(table, name) {
            self.fields[usize::from(known)].of |= of;
            return;
        }
        let (kind, detail) = kind.split_once(':').unwrap_or((kind, ""));
        let parsed = match kind {
            "memo" => Kind::Memo,
            "integer" => Kind::Integer,
            "boolean" => Kind::Boolean,
            "date_time" => Kind::DateTime,
            "ref" | "list" => Kind::Reference,
            _ => Kind::String,
        };
        let mut field = self.blank(name, parsed);
        match kind {
            "ref" => field.targets = detail.split(',').map(str::to_owned).collect(),
            "list" => {
                field.targets = vec!["list_node".to_owned()];
                field.list = Some(format!("list_node.{detail}"));
            }
            _ => field.length = detail.parse().ok(),
        }
        let (letters, link) = flags.split_at(flags.find(['@', '~']).unwrap_or(flags.len()));
        field.of = of;
        field.required = letters.contains('!');
        field.read_only = letters.contains('r');
        field.create_only = letters.contains('c');
        field.default = letters.contains('D');
        field.multiple = letters.contains('m');
        field.unique = letters.contains('u');
        field.indexed = letters.contains('i');
        if let Some(other) = link.strip_prefix('@').and_then(|other| self.named(table, other)) {
            field.source = Source::Alias(other);
        }
        if let Some(other) = link.strip_prefix('~') {
            // Resolved when all tables are known.
            field.list = Some(format!("~{other}"));
        }
        self.push(field);
    }

    fn push(&mut self, field: Field) -> u16 {
        let number = u16::try_from(self.fields.len()).unwrap_or(u16::MAX);
        self.by_name.insert((field.table, field.name.clone()), number);
        self.fields.push(field);
        number
    }

    fn complete(&mut self) {
        for table in 0..self.tables.len() {
            let def = &mut self.tables[table];
            if def.entities.is_empty() {
                let (name, collection) = (def.name.clone(), def.collection.clone());
                let (methods, label) = (def.methods.clone(), def.label.clone());
                def.entities.push(Entity { name, collection, methods, label });
            }
            if def.aggregate {
                let mut field = self.blank("subtype", Kind::String);
                field.table = u8::try_from(table).unwrap_or(u8::MAX);
                (field.source, field.read_only, field.default) = (Source::Subtype, true, true);
                self.push(field);
            }
        }
        for number in 0..self.fields.len() {
            let target = self.fields[number].targets.first().and_then(|t| self.table_of(t));
            self.fields[number].target = target;
            let link =
                self.fields[number].list.as_deref().and_then(|l| l.strip_prefix('~')).map(str::to_owned);
            if let Some((table, name)) = link.as_deref().and_then(|l| l.split_once('.')) {
                let other = self.table_of(table).and_then(|t| self.named(t, name));
                let field = &mut self.fields[number];
                field.list = None;
                if let Some(other) = other {
                    field.source = Source::Mirror(other);
                }
            }
            if self.fields[number].name == "steps_num" {
                self.fields[number].source = Source::StepsNum;
            }
        }
        self.built_in = self.fields.len();
    }

    /// The table of an aggregate or entity name.
    pub(super) fn table_of(&self, name: &str) -> Option<u8> {
        let fits = |t: &TableDef| t.name == name || t.entities.iter().any(|e| e.name == name);
        self.tables.iter().position(fits).and_then(|t| u8::try_from(t).ok())
    }

    /// The table and, unless it is the aggregate, the entity that a name means.
    pub(super) fn entity_named(&self, name: &str) -> Option<(u8, Option<u8>)> {
        let table = self.table_of(name)?;
        let def = &self.tables[usize::from(table)];
        let sub = def.entities.iter().position(|e| e.name == name).and_then(|s| u8::try_from(s).ok());
        Some((table, if def.aggregate { sub } else { Some(0) }))
    }

    /// The table and, unless it is an aggregate's, the entity of a collection.
    pub(super) fn collection(&self, name: &str) -> Option<(u8, Option<u8>)> {
        let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, real)| real);
        for (table, def) in self.tables.iter().enumerate() {
            let table = u8::try_from(table).ok()?;
            if def.collection == name {
                return Some((table, (!def.aggregate).then_some(0)));
            }
            if let Some(sub) = def.entities.iter().position(|e| e.collection == name) {
                return Some((table, u8::try_from(sub).ok()));
            }
        }
        None
    }

    pub(super) fn named(&self, table: u8, name: &str) -> Option<u16> {
        self.by_name.get(&(table, name.to_owned())).copied()
    }

    pub(super) fn field_def(&self, number: u16) -> &Field {
        &self.fields[usize::from(number)]
    }

    /// A field that the schema is known to have; the first one if it has not.
    pub(super) fn known(&self, entity: &str, name: &str) -> u16 {
        self.table_of(entity).and_then(|t| self.named(t, name)).unwrap_or_default()
    }

    pub(super) fn def(&self, table: u8) -> &TableDef {
        &self.tables[usize::from(table)]
    }

    pub(super) fn entity_name(&self, table: u8, sub: u8) -> &str {
        self.def(table).entities.get(usize::from(sub)).map_or("", |e| e.name.as_str())
    }

    /// The fields of a table that an entity, or any, has.
    pub(super) fn fields_of(&self, table: u8, sub: Option<u8>) -> impl Iterator<Item = (u16, &Field)> {
        let bits = sub.map_or(u32::MAX, |s| 1 << s);
        let numbered = self.fields.iter().enumerate();
        numbered
            .filter(move |(_, f)| f.table == table && f.of & bits != 0)
            .map(|(n, f)| (u16::try_from(n).unwrap_or(u16::MAX), f))
    }

    /// Adds a field that a user defined; an entity more, if its table has it already.
    pub(super) fn define(&mut self, field: Field) -> u16 {
        if let Some(known) = self.named(field.table, &field.name) {
            self.fields[usize::from(known)].of |= field.of;
            return known;
        }
        self.push(field)
    }

    /// A field that a user defines, to be filled in.
    pub(super) fn draft(&self, table: u8, sub: u8, name: &str, label: &str, kind: Kind) -> Field {
        let mut field = self.blank(name, kind);
        field.table = table;
        label.clone_into(&mut field.label);
        field.of = 1 << sub;
        field.user_defined = true;
        field.length = (kind == Kind::String).then_some(255);
        field
    }
}

/// `covered_content` → `Covered content`.
fn label_of(name: &str) -> String {
    let mut label = name.replace('_', " ");
    if let Some(first) = label.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_schema_is_understood() {
        let schema = Schema::built_in();
        for line in BUILT_IN.lines().filter(|l| !l.is_empty() && !l.starts_with(['#', '=', '+'])) {
            assert_eq!(line.split_whitespace().count(), 3, "{line}");
        }
        for field in &schema.fields {
            assert_eq!(field.kind == Kind::Reference, field.target.is_some(), "{}", field.name);
            if let Source::Mirror(other) = field.source {
                assert!(schema.field_def(other).indexed, "{} mirrors what no index holds", field.name);
            }
        }
        assert!(matches!(schema.field_def(schema.known("run", "defect")).source, Source::Mirror(_)));
        assert!(matches!(
            schema.field_def(schema.known("test", "backlog_coverage")).source,
            Source::Alias(_)
        ));
        assert_eq!(schema.collection("suite_run"), Some((schema.table_of("run").unwrap(), Some(1))));
        assert_eq!(schema.collection("runs"), Some((schema.table_of("run").unwrap(), None)));
    }
}
