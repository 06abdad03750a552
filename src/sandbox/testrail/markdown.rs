//! Legacy Markdown into the HTML of the rich-text editor, with the vendor's own tables.

use comrak::Options;

/// Converts a text as `is_legacy` asks for.
pub(super) fn to_html(text: &str) -> String {
    if text.trim().is_empty() {
        return String::new();
    }
    let mut out = String::new();
    let mut plain: Vec<&str> = Vec::new();
    let mut table: Vec<&str> = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("||") {
            flush(&mut plain, &mut out);
            table.push(line.trim());
        } else {
            flush_table(&mut table, &mut out);
            plain.push(line);
        }
    }
    flush_table(&mut table, &mut out);
    flush(&mut plain, &mut out);
    out.trim_end().to_owned()
}

fn flush(lines: &mut Vec<&str>, out: &mut String) {
    if !lines.is_empty() {
        let mut options = Options::default();
        // A line break that somebody typed is one that is shown.
        options.render.hardbreaks = true;
        out.push_str(&comrak::markdown_to_html(&lines.join("\n"), &options));
        lines.clear();
    }
}

/// Three bars start a row of headers, two a row of cells; a colon aligns and is not shown.
fn flush_table(lines: &mut Vec<&str>, out: &mut String) {
    if lines.is_empty() {
        return;
    }
    out.push_str("<table><tbody>");
    for line in lines.drain(..) {
        let (tag, row) = match line.strip_prefix("|||") {
            Some(row) => ("th", row),
            None => ("td", line.trim_start_matches('|')),
        };
        out.push_str("<tr>");
        for cell in row.split('|') {
            let cell = cell.trim().trim_start_matches(':').trim();
            let html = comrak::markdown_to_html(cell, &Options::default());
            let html = html.trim().trim_start_matches("<p>").trim_end_matches("</p>");
            out.push_str(&format!("<{tag}>{html}</{tag}>"));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendors_tables_are_converted_too() {
        let html = to_html("**Cases** a < b\n\n|||:Input|:Result\n||1 + 1|**2**\n\nDone.");
        assert!(html.starts_with("<p><strong>Cases</strong> a &lt; b</p>"), "{html}");
        assert!(html.contains("<tr><th>Input</th><th>Result</th></tr>"), "{html}");
        assert!(html.contains("<td>1 + 1</td><td><strong>2</strong></td>"), "{html}");
        assert!(html.ends_with("<p>Done.</p>"), "{html}");
    }
}
