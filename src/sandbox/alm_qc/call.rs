//! One call to a project, as the handlers see it.

use super::body::{self, Sent};
use super::reply::{Failure, Format};
use super::session::{Caller, Sessions};
use super::store::{Project, User};
use crate::sandbox::Request;

/// The largest request, in bytes: `MAX_REQUEST_LENGTH`, 10,000 KB by default.
pub(super) const REQUEST_MAX: usize = 10_000 * 1024;

/// A call.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) request: &'a Request,
    pub(super) pairs: Vec<(String, String)>,
    pub(super) format: Format,
    pub(super) caller: Caller,
    pub(super) users: &'a [User],
    /// Position of the project.
    pub(super) project: usize,
    /// Where the project is: `http://127.0.0.1:4101/qcbin/rest/domains/DEFAULT/projects/Calculator`.
    pub(super) base: String,
    /// Local seconds.
    pub(super) now: i64,
}

impl Call<'_> {
    /// A parameter of the query.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The `Content-Type`, empty if there is none.
    pub(super) fn content_type(&self) -> &str {
        self.request.header("content-type").unwrap_or_default()
    }

    /// What the body is written in.
    pub(super) fn kind(&self) -> Result<body::Kind, Failure> {
        if self.request.body.len() > REQUEST_MAX {
            return Err(Failure::general(413, "Request Entity Too Large"));
        }
        body::kind(self.content_type()).ok_or_else(|| Failure::general(415, "Unsupported Media Type"))
    }

    /// The one entity of the body.
    pub(super) fn single(&self) -> Result<Sent, Failure> {
        body::single(self.kind()?, &self.request.body)
    }

    /// The caller's login.
    pub(super) fn login(&self) -> &str {
        self.users.get(usize::from(self.caller.user)).map_or("", |u| u.login.as_str())
    }
}

/// What a handler that writes works on.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    pub(super) project: &'a mut Project,
    pub(super) sessions: &'a mut Sessions,
    pub(super) revision: &'a mut u64,
}

/// Reads `Accept`; none if it asks for what there is not.
pub(super) fn format(request: &Request) -> Option<Format> {
    let Some(accept) = request.header("accept") else { return Some(Format::Unsaid) };
    for part in accept.split(',') {
        match part.split(';').next().unwrap_or_default().trim() {
            "application/json" => return Some(Format::Json),
            "application/xml" | "text/xml" | "*/*" | "application/*" => return Some(Format::Xml),
            "application/octet-stream" => return Some(Format::Octets),
            "text/html" => return Some(Format::Unsaid),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_decides_and_its_absence_is_no_refusal() {
        let of = |headers: Vec<(&str, &str)>| {
            let owned = |(n, v): (&str, &str)| (n.to_owned(), v.to_owned());
            format(&Request {
                method: "GET".into(),
                path: "/".into(),
                query: String::new(),
                headers: headers.into_iter().map(owned).collect(),
                body: bytes::Bytes::new(),
                base: String::new(),
            })
        };
        assert_eq!(of(vec![]), Some(Format::Unsaid));
        assert_eq!(of(vec![("accept", "*/*")]), Some(Format::Xml));
        assert_eq!(of(vec![("accept", "image/png, application/json;q=0.5")]), Some(Format::Json));
        assert_eq!(of(vec![("accept", "image/png")]), None);
    }
}
