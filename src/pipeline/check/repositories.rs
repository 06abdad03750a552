//! Checks repositories, their credentials, and the rows of projects.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use url::{Host, Url};

use super::{Check, strs};
use crate::model::RepositoryId;
use crate::pipeline::SignIn;
use crate::pipeline::file::Repository as Typed;
use crate::pipeline::meant::{ProjectRow, Rate, Repository, Settings};
use crate::pipeline::node::{Word, join};
use crate::pipeline::read::{Entries, Raw, Text};
use crate::pipeline::secret::{ReferenceError, Secret, resolve};

impl<'r> Check<'_, 'r, '_> {
    pub(super) fn repositories(&mut self, entries: &Entries<Typed>) -> Vec<Repository> {
        entries.0.iter().filter_map(|(name, typed)| self.repository(name, typed)).collect()
    }

    fn repository(&mut self, name: &Word, typed: &Typed) -> Option<Repository> {
        let path = join("repositories", &name.text);
        self.places.insert(path.clone(), name.at);
        if name.text.is_empty() || name.text.contains(['.', ' ', '/']) {
            let found = format!("`{}` cannot name a repository", name.text);
            self.reader.error(name.at, &path, found, "a name without dots, spaces and slashes");
        }
        let system = &typed.system.0;
        if !self.catalog.systems.contains_key(&system.text) {
            let known: Vec<_> = self.catalog.systems.keys().map(String::as_str).collect();
            self.reader.unknown(system.at, &join(&path, "system"), "system", &system.text, &known);
        }
        let auth = self.auth(&path, typed, name);
        if typed.projects.0.is_empty() {
            self.reader.error(name.at, &join(&path, "projects"), "no project", "at least one project");
        }
        let allow_http = typed.allow_http.unwrap_or(false);
        let own = |text: &Option<Text>| text.as_ref().map(|t| t.0.text.clone());
        let settings = Settings {
            deployment: own(&typed.deployment),
            xray_url: typed
                .xray_url
                .as_ref()
                .and_then(|text| self.url(&text.0, &join(&path, "xray_url"), allow_http)),
            projects: typed.projects.0.iter().map(|w| w.text.clone()).collect(),
            rate: typed.rate.as_ref().and_then(|text| self.rate(&text.0, &join(&path, "rate"))),
            timezone: typed.timezone.as_ref().and_then(|text| self.timezone(&text.0, &path)),
            ca_file: typed.ca_file.as_ref().map(|t| self.reader.surroundings().folder.join(&t.0.text)),
            // A proxy is spoken to in the clear by custom; the tunnel inside is encrypted.
            proxy: typed.proxy.as_ref().and_then(|text| self.url(&text.0, &join(&path, "proxy"), true)),
            domain: own(&typed.domain),
            shared_space: own(&typed.shared_space),
            workspace: own(&typed.workspace),
            suite: own(&typed.suite),
            url: self.url(&typed.url.0, &join(&path, "url"), allow_http)?,
        };
        let id = RepositoryId::new(&name.text);
        Some(Repository { id, system: system.text.clone(), settings, auth, line: name.at.line })
    }

    fn url(&mut self, word: &Word, path: &str, allow_http: bool) -> Option<Url> {
        let expected = "an address such as `https://example.com`";
        let Some(url) = Url::parse(&word.text).ok().filter(|url| url.has_host()) else {
            self.reader.error(word.at, path, "this is no address", expected);
            return None;
        };
        if !url.username().is_empty() || url.password().is_some() {
            self.reader.redact(word.at);
            self.reader.error(word.at, path, "credentials inside an address", "credentials under `auth`");
            return None;
        }
        match url.scheme() {
            "https" => {}
            "http" if allow_http || is_loopback(&url) => {}
            "http" => {
                let found = "`http://` would send the credentials in the clear";
                self.reader.error(word.at, path, found, "`https://`, or `allow_http: true`");
            }
            other => self.reader.error(word.at, path, format!("`{other}://` stands here"), expected),
        }
        Some(url)
    }

    fn rate(&mut self, word: &Word, path: &str) -> Option<Rate> {
        let rate = parse_rate(&word.text);
        if rate.is_none() {
            let found = format!("`{}` is no rate", word.text);
            self.reader.error(
                word.at,
                path,
                found,
                "requests per time, such as `300/5min`, `10/s`, `5000/h`",
            );
        }
        rate
    }

    fn timezone(&mut self, word: &Word, path: &str) -> Option<String> {
        let text = &word.text;
        let offset = chrono::DateTime::parse_from_rfc3339(&format!("2000-01-01T00:00:00{text}")).is_ok();
        let plain = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
        let named = text.contains('/') && text.chars().all(plain);
        if text != "UTC" && !offset && !named {
            let found = format!("`{text}` is no time zone");
            self.reader.error(word.at, &join(path, "timezone"), found, "`UTC`, `+01:00` or `Europe/Berlin`");
        }
        Some(text.clone())
    }

    fn auth(&mut self, path: &str, typed: &Typed, name: &Word) -> BTreeMap<String, Secret> {
        let path = join(path, "auth");
        let sign_in = self.sign_in(&path, typed, name);
        let mut auth = BTreeMap::new();
        for (key, Raw(word)) in &typed.auth.0 {
            let below = join(&path, &key.text);
            let known = sign_in.and_then(|s| s.keys.iter().find(|k| k.name == key.text));
            if let (Some(sign_in), None) = (sign_in, known) {
                let names: Vec<_> = sign_in.keys.iter().map(|k| k.name).collect();
                self.reader.unknown(key.at, &below, "key", &key.text, &names);
            }
            match resolve(&word.text, known.is_none_or(|k| k.secret), self.reader.surroundings()) {
                Ok(secret) => {
                    auth.insert(key.text.clone(), secret);
                }
                Err(error) => {
                    let expected = match error {
                        ReferenceError::Inline => "a reference: `${NAME}` or `file:PATH`",
                        _ => "a reference that leads to a value",
                    };
                    self.reader.error(word.at, &below, error.to_string(), expected);
                }
            }
        }
        auth
    }

    /// Finds the way of signing in that is meant: the one with most of its keys given.
    fn sign_in(&mut self, path: &str, typed: &Typed, name: &Word) -> Option<&'r SignIn> {
        let all = self.catalog.sign_ins.get(&typed.system.0.text)?;
        let deployment = typed.deployment.as_ref().map(|t| &t.0);
        let fits = |s: &&SignIn| match (s.deployment, deployment) {
            (Some(own), Some(given)) => own == given.text,
            _ => true,
        };
        let given = typed.auth.keys();
        let has = |key: &str| given.contains(&key);
        let score = |s: &&SignIn| {
            let there = s.keys.iter().filter(|k| has(k.name)).count();
            (there, std::cmp::Reverse(s.keys.len()))
        };
        let Some(best) = all.iter().filter(fits).max_by_key(score) else {
            if let Some(word) = deployment {
                let known: Vec<_> = all.iter().filter_map(|s| s.deployment).collect();
                let path = path.replace(".auth", ".deployment");
                self.reader.unknown(word.at, &path, "deployment", &word.text, &known);
            }
            return None;
        };
        for key in best.keys.iter().filter(|k| !has(k.name)) {
            let found = format!("`{}` is missing", key.name);
            let reference = format!("`{}: ${{NAME}}`", key.name);
            self.reader.error(name.at, path, found, reference);
        }
        Some(best)
    }

    pub(super) fn project_rows(
        &mut self,
        rows: &[Entries<Text>],
        repositories: &[Repository],
    ) -> Vec<ProjectRow> {
        let mut all: Vec<ProjectRow> = Vec::new();
        for (index, entries) in rows.iter().enumerate() {
            let path = format!("projects[{index}]");
            let Some((first, _)) = entries.0.first() else { continue };
            let mut row =
                ProjectRow { projects: BTreeMap::new(), attributes: BTreeMap::new(), line: first.at.line };
            for (key, Text(value)) in &entries.0 {
                if !self.names.repositories.contains(&key.text) {
                    row.attributes.insert(key.text.clone(), value.text.clone());
                    continue;
                }
                let id = RepositoryId::new(&key.text);
                let below = join(&path, &key.text);
                if let Some(repository) = repositories.iter().find(|r| r.id == id) {
                    let known = &repository.settings.projects;
                    if !known.contains(&value.text) {
                        self.reader.unknown(value.at, &below, "project", &value.text, &strs(known));
                    }
                }
                // With two rows for one project nobody could tell where a new artifact belongs.
                if let Some(other) = all.iter().find(|r| r.projects.get(&id) == Some(&value.text)) {
                    let found = format!("`{}` has a row already, in line {}", value.text, other.line);
                    self.reader.error(value.at, &below, found, "each project in one row");
                }
                row.projects.insert(id, value.text.clone());
            }
            for missing in self.names.repositories.clone() {
                if !row.projects.contains_key(&RepositoryId::new(&missing)) {
                    let found = format!("the row names no project of `{missing}`");
                    self.reader.error(first.at, &path, found, "one project of each repository");
                }
            }
            all.push(row);
        }
        self.unrouted(&all, repositories);
        all
    }

    fn unrouted(&mut self, rows: &[ProjectRow], repositories: &[Repository]) {
        for repository in repositories {
            let path = join("repositories", repository.id.as_str());
            let at = self.places.get(&path).copied().unwrap_or_default();
            for project in &repository.settings.projects {
                if !rows.iter().any(|row| row.projects.get(&repository.id) == Some(project)) {
                    let found = format!("no row of `projects` names the project `{project}`");
                    let expected = "a row that says which project answers to it";
                    self.reader.warning(at, &join(&path, "projects"), found, expected);
                }
            }
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => false,
    }
}

/// Reads `300/5min`: requests, and a time in `s`, `min` or `h` with an optional number.
fn parse_rate(text: &str) -> Option<Rate> {
    let (requests, time) = text.split_once('/')?;
    let time = time.trim();
    let unit_at = time.find(|c: char| !c.is_ascii_digit())?;
    let count: u64 = if unit_at == 0 { 1 } else { time[..unit_at].parse().ok()? };
    let seconds = match time[unit_at..].trim() {
        "s" | "sec" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        _ => return None,
    };
    let requests: u32 = requests.trim().parse().ok().filter(|n| *n > 0)?;
    let per = Duration::from_secs(count.checked_mul(seconds).filter(|n| *n > 0)?);
    Some(Rate { requests, per })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        let per = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(parse_rate("300/5min").map(|r| r.per), per(300));
        assert_eq!(parse_rate("10 / s").map(|r| r.per), per(1));
        for bad in ["", "300", "0/s", "5/0s", "5/day", "x/s", "5/99999999999999999999h"] {
            assert_eq!(parse_rate(bad), None, "{bad}");
        }
    }
}
