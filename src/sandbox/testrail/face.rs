//! The three installations that serve the one company, told apart by the path before `index.php`.
//!
//! Versions and licences of the product differ on the wire, and a client infers them
//! from behaviour alone. A customer's installation often stands below a path, so each gets one.

/// How an installation behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Face {
    /// Cloud, Professional licence, current version: at the root.
    Professional,
    /// Cloud, Enterprise licence: below `/enterprise`.
    Enterprise,
    /// A customer's own server of version 7.1: below `/testrail`.
    Server,
}

impl Face {
    /// The installation and the path before it, from the path of a request; none if nothing is there.
    pub(super) fn of(path: &str) -> Option<(Face, &'static str)> {
        match path.strip_suffix("index.php").unwrap_or(path).trim_end_matches('/') {
            "" => Some((Face::Professional, "")),
            "/enterprise" => Some((Face::Enterprise, "/enterprise")),
            "/testrail" => Some((Face::Server, "/testrail")),
            _ => None,
        }
    }

    /// Calls a minute; a customer's own server has no limit.
    pub(super) fn calls_a_minute(self) -> Option<u32> {
        match self {
            Face::Professional => Some(180),
            Face::Enterprise => Some(300),
            Face::Server => None,
        }
    }

    /// Whether texts are HTML of the rich-text editor, and legacy Markdown is converted where asked.
    pub(super) fn rich_text(self) -> bool {
        self != Face::Server
    }

    /// Whether cases go through an approval.
    pub(super) fn case_statuses(self) -> bool {
        self == Face::Enterprise
    }

    /// Whether an attachment's id is a text.
    pub(super) fn text_attachment_ids(self) -> bool {
        self == Face::Enterprise
    }

    /// Whether this is a version before 7.2: bare lists unless asked, and without newer calls.
    pub(super) fn old(self) -> bool {
        self == Face::Server
    }
}
