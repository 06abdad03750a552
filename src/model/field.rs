//! Types of model fields, sides and directions.

/// One of the two collections of an integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The collection named first.
    Left,
    /// The collection named second.
    Right,
}

impl Side {
    /// Both sides, left first.
    pub const BOTH: [Side; 2] = [Side::Left, Side::Right];

    /// Returns the side across.
    pub fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }

    /// Returns `left` or `right`.
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Left => "left",
            Side::Right => "right",
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where updates (or new artifacts) may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `<>`: into either side.
    Both,
    /// `->`: into the right side only.
    ToRight,
    /// `<-`: into the left side only.
    ToLeft,
    /// Into neither.
    None,
}

impl Direction {
    /// Tells whether something may be written into `side`.
    pub fn allows_into(self, side: Side) -> bool {
        matches!(
            (self, side),
            (Direction::Both, _) | (Direction::ToLeft, Side::Left) | (Direction::ToRight, Side::Right)
        )
    }
}

/// How many artifacts a relationship ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cardinality {
    /// At most one.
    One,
    /// A set.
    Many,
}

/// The type of a model field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// Text on one line.
    String,
    /// Formatted text; the model's value is the canonical tree's text form.
    RichText,
    /// One of the listed values.
    SingleSelect {
        /// The values, in the order of the pipeline file.
        values: Vec<String>,
    },
    /// An instant in UTC.
    DateTime,
    /// A link that a person can follow.
    Location,
    /// Other artifacts, compared as pair ids.
    Relationship(Cardinality),
}

/// The notation in which a system stores formatted text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notation {
    /// HTML fragments.
    Html,
    /// Atlassian Document Format, as JSON text.
    Adf,
    /// Jira wiki markup.
    Wiki,
    /// Markdown.
    Markdown,
    /// Text without formatting.
    Plain,
}

impl Notation {
    /// Returns the notation's name as SQL functions spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Notation::Html => "html",
            Notation::Adf => "adf",
            Notation::Wiki => "wiki",
            Notation::Markdown => "markdown",
            Notation::Plain => "plain",
        }
    }

    /// Finds a notation by the name that SQL functions use.
    pub fn parse(name: &str) -> Option<Notation> {
        [Notation::Html, Notation::Adf, Notation::Wiki, Notation::Markdown, Notation::Plain]
            .into_iter()
            .find(|n| n.as_str() == name)
    }
}
