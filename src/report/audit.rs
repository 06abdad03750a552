//! Audits as one page that needs nothing but itself.

/// One audit on the page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// What it lists.
    pub purpose: String,
    /// The names of its columns.
    pub columns: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
}

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:90rem;padding:0 1rem;color:#1b1f24}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.5rem}p{color:#57606a}\
table{border-collapse:collapse;width:100%;font-size:13px}\
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #d8dee4;vertical-align:top}\
th{position:sticky;top:0;background:#f6f8fa}.none{color:#1a7f37}\
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}th{background:#161b22}th,td{border-color:#30363d}}";

/// Returns the page. Whatever stands in a title is text there and never markup.
pub fn page(heading: &str, sections: &[Section]) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Test coverage audits</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>Test coverage audits</h1>\n<p>{}</p>\n<ul>\n",
        escape(heading)
    );
    for section in sections {
        let name = escape(&section.name);
        html += &format!("<li><a href=\"#{name}\">{name}</a>: {} rows</li>\n", section.rows.len());
    }
    html += "</ul>\n";
    sections.iter().for_each(|s| html += &section_html(s));
    html + "</body>\n</html>\n"
}

fn section_html(section: &Section) -> String {
    let name = escape(&section.name);
    let mut html = format!("<h2 id=\"{name}\">{name}</h2>\n<p>{}</p>\n", escape(&section.purpose));
    if section.rows.is_empty() {
        return html + "<p class=\"none\">nothing to list</p>\n";
    }
    html += "<table>\n<thead><tr>";
    section.columns.iter().for_each(|c| html += &format!("<th>{}</th>", escape(c)));
    html += "</tr></thead>\n<tbody>\n";
    for row in &section.rows {
        html += "<tr>";
        row.iter().for_each(|cell| html += &format!("<td>{}</td>", escape(cell)));
        html += "</tr>\n";
    }
    html + "</tbody>\n</table>\n"
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_never_markup() {
        let section = Section {
            name: "n".into(),
            purpose: "p".into(),
            columns: vec!["title".into()],
            rows: vec![vec!["<script>alert('x')</script>".into()]],
        };
        let html = page("h", &[section]);
        assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)"));
        assert!(!html.contains("<script"));
    }
}
