//! The entities of a project and their fields, as the project's customization tells them.

use std::collections::HashMap;
use std::sync::LazyLock;

/// One line per field: name, label, column, type, size, flags, list. Flags: `R` required, `E`
/// editable, `S` system, `F` filterable, `V` verified, `X` virtual, `H` with history, `M` multi-valued,
/// `A` active; `C` may be given on create and `U` on update although the metadata says read-only;
/// `#` holds a number although the metadata says otherwise.
const FIELDS: &str = include_str!("fields.txt");

/// The type of a field, in the metadata's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    String,
    Memo,
    Number,
    Date,
    DateTime,
    LookupList,
    UsersList,
    Reference,
}

impl Type {
    fn named(name: &str) -> Type {
        match name {
            "Memo" => Type::Memo,
            "Number" => Type::Number,
            "Date" => Type::Date,
            "DateTime" => Type::DateTime,
            "LookupList" => Type::LookupList,
            "UsersList" => Type::UsersList,
            "Reference" => Type::Reference,
            _ => Type::String,
        }
    }

    /// The metadata's word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Type::String => "String",
            Type::Memo => "Memo",
            Type::Number => "Number",
            Type::Date => "Date",
            Type::DateTime => "DateTime",
            Type::LookupList => "LookupList",
            Type::UsersList => "UsersList",
            Type::Reference => "Reference",
        }
    }
}

/// One field of an entity.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) physical: &'static str,
    pub(super) kind: Type,
    /// Characters; -1 for memos.
    pub(super) size: i32,
    flags: &'static str,
    /// Id of the list that its values come from; 0: none.
    pub(super) list: u32,
}

impl Field {
    /// Whether a flag is set; see [`FIELDS`].
    pub(super) fn is(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    /// How the values are stored.
    pub(super) fn stored(&self) -> Type {
        match self.kind {
            _ if self.is('#') => Type::Number,
            Type::Reference if self.is('M') || self.size < 0 => Type::String,
            Type::Reference => Type::Number,
            kind => kind,
        }
    }

    /// Whether values repeat so often that they are kept once.
    pub(super) fn is_pooled(&self) -> bool {
        matches!(self.kind, Type::LookupList | Type::UsersList)
            || self.name.ends_with("-time")
            || matches!(self.name, "subtype-id" | "os-name" | "description" | "expected" | "parent-type")
    }

    /// Whether an empty value shows as an empty list instead of an empty element.
    pub(super) fn empties_bare(&self) -> bool {
        matches!(self.kind, Type::Number | Type::Date | Type::DateTime | Type::Reference)
    }
}

/// The entities, in the order of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(super) enum Kind {
    Test,
    DesignStep,
    TestFolder,
    TestSet,
    TestSetFolder,
    TestInstance,
    TestConfig,
    Run,
    RunStep,
    Defect,
    Requirement,
    Coverage,
    DefectLink,
    Attachment,
    ReleaseFolder,
    Release,
    ReleaseCycle,
}

/// All entities, their names and their collections.
pub(super) const KINDS: [(Kind, &str, &str); 17] = [
    (Kind::Test, "test", "tests"),
    (Kind::DesignStep, "design-step", "design-steps"),
    (Kind::TestFolder, "test-folder", "test-folders"),
    (Kind::TestSet, "test-set", "test-sets"),
    (Kind::TestSetFolder, "test-set-folder", "test-set-folders"),
    (Kind::TestInstance, "test-instance", "test-instances"),
    (Kind::TestConfig, "test-config", "test-configs"),
    (Kind::Run, "run", "runs"),
    (Kind::RunStep, "run-step", "run-steps"),
    (Kind::Defect, "defect", "defects"),
    (Kind::Requirement, "requirement", "requirements"),
    (Kind::Coverage, "requirement-coverage", "requirement-coverages"),
    (Kind::DefectLink, "defect-link", "defect-links"),
    (Kind::Attachment, "attachment", "attachments"),
    (Kind::ReleaseFolder, "release-folder", "release-folders"),
    (Kind::Release, "release", "releases"),
    (Kind::ReleaseCycle, "release-cycle", "release-cycles"),
];

impl Kind {
    /// The entity's name: `test-set`.
    pub(super) fn name(self) -> &'static str {
        KINDS[self as usize].1
    }

    /// The collection's name: `test-sets`.
    pub(super) fn collection(self) -> &'static str {
        KINDS[self as usize].2
    }

    /// The entity's name in messages: `Test Set`.
    pub(super) fn title(self) -> String {
        let words = self.name().split('-').map(|w| {
            let (first, rest) = w.split_at(1);
            format!("{}{rest}", first.to_uppercase())
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// The entity of a collection.
    pub(super) fn of_collection(name: &str) -> Option<Kind> {
        KINDS.iter().find(|(_, _, collection)| *collection == name).map(|(kind, ..)| *kind)
    }

    /// The entity of that name.
    pub(super) fn of_name(name: &str) -> Option<Kind> {
        KINDS.iter().find(|(_, of, _)| *of == name).map(|(kind, ..)| *kind)
    }

    /// Its fields.
    pub(super) fn fields(self) -> &'static [Field] {
        &SCHEMA[self as usize].fields
    }

    /// The position of a field.
    pub(super) fn find(self, name: &str) -> Option<u8> {
        SCHEMA[self as usize].positions.get(name).copied()
    }

    /// The position of a field that is known to exist: its name is a literal of this program.
    pub(super) fn at(self, name: &str) -> u8 {
        self.find(name).unwrap_or_else(|| panic!("{} has no field {name}", self.name()))
    }

    /// Whether versioned projects keep versions of it.
    pub(super) fn is_versionable(self) -> bool {
        matches!(self, Kind::Test | Kind::Requirement)
    }

    /// The table of the trees' folders, if its rows lie in folders.
    pub(super) fn folder(self) -> Option<Kind> {
        match self {
            Kind::Test | Kind::TestFolder => Some(Kind::TestFolder),
            Kind::TestSet | Kind::TestSetFolder => Some(Kind::TestSetFolder),
            Kind::Requirement => Some(Kind::Requirement),
            Kind::Release | Kind::ReleaseFolder => Some(Kind::ReleaseFolder),
            Kind::ReleaseCycle => Some(Kind::Release),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Entity {
    fields: Vec<Field>,
    positions: HashMap<&'static str, u8>,
}

static SCHEMA: LazyLock<Vec<Entity>> = LazyLock::new(|| {
    let of = |name: &str| {
        let lines = FIELDS.lines().skip_while(|l| l.strip_prefix("# ") != Some(name)).skip(1);
        let fields: Vec<Field> = lines.take_while(|l| !l.starts_with('#')).filter_map(field).collect();
        let positions = fields.iter().enumerate().map(|(n, f)| (f.name, n as u8)).collect();
        Entity { fields, positions }
    };
    KINDS.iter().map(|(_, name, _)| of(name)).collect()
});

fn field(line: &'static str) -> Option<Field> {
    let mut parts = line.split('|');
    let mut next = || parts.next();
    Some(Field {
        name: next()?,
        label: next()?,
        physical: next()?,
        kind: Type::named(next()?),
        size: next()?.parse().unwrap_or(-1),
        flags: next()?,
        list: next()?.parse().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entity_has_fields_in_the_order_of_the_enum() {
        for (n, (kind, name, _)) in KINDS.iter().enumerate() {
            assert_eq!(*kind as usize, n);
            assert!(kind.fields().len() > 4, "{name}");
            assert_eq!(kind.fields()[usize::from(kind.at("id"))].name, "id");
        }
        assert_eq!(Kind::TestSetFolder.title(), "Test Set Folder");
    }
}
