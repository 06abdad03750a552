//! Takes statements apart at their semicolons.

/// Statements of a text, and what is left after the last semicolon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Whole statements, without their semicolons.
    pub whole: Vec<String>,
    /// What follows the last semicolon, if it is more than blanks and comments.
    pub rest: Option<String>,
}

/// Takes a text apart; semicolons in quotes and comments do not count.
pub fn split(text: &str) -> Split {
    let mut found = Split::default();
    let mut current = String::new();
    let mut empty = true;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                current.push(c);
                empty = false;
                // A doubled quote ends one quotation and begins the next.
                for inner in chars.by_ref() {
                    current.push(inner);
                    if inner == c {
                        break;
                    }
                }
            }
            '-' if chars.peek() == Some(&'-') => {
                for inner in chars.by_ref() {
                    if inner == '\n' {
                        break;
                    }
                }
                current.push('\n');
            }
            '/' if chars.peek() == Some(&'*') => {
                let mut last = ' ';
                for inner in chars.by_ref().skip(1) {
                    if last == '*' && inner == '/' {
                        break;
                    }
                    last = inner;
                }
                current.push(' ');
            }
            ';' => {
                let statement = std::mem::take(&mut current);
                if !std::mem::replace(&mut empty, true) {
                    found.whole.push(statement.trim().to_owned());
                }
            }
            _ => {
                empty &= c.is_whitespace();
                current.push(c);
            }
        }
    }
    if !empty {
        found.rest = Some(current.trim().to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_in_quotes_and_comments_do_not_end_a_statement() {
        let found = split("SELECT ';''' -- a; b\n; /* c; */ SELECT \";\" FROM t;; SELECT 1");
        assert_eq!(found.whole, ["SELECT ';'''", "SELECT \";\" FROM t"]);
        assert_eq!(found.rest.as_deref(), Some("SELECT 1"));
    }

    #[test]
    fn blanks_and_comments_are_no_statement() {
        assert_eq!(split(" ; -- nothing\n"), Split::default());
    }
}
