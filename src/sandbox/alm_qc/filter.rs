//! The query language: `{name["Log*"];id[>5 AND NOT 7];contains-test-set.id[5]}`.

use super::reply::Failure;
use super::schema::{Field, Kind, Type};
use super::time;

/// How a value is compared with a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// A literal, ready to be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    /// In lower case, as comparisons do not tell cases apart.
    text: String,
    /// The number that it stands for, for fields that store numbers.
    pub(super) number: Option<i64>,
    wild: bool,
}

/// The condition within a bracket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Is(Op, Literal),
}

/// One condition of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// The relation through which the field is reached; none: the entity's own.
    pub(super) alias: Option<String>,
    pub(super) field: String,
    pub(super) text: String,
}

/// Splits `{a[x];b.c[y]}` into its conditions.
pub(super) fn split(query: &str) -> Result<Vec<Condition>, Failure> {
    let inner = query.trim().strip_prefix('{').and_then(|q| q.strip_suffix('}'));
    let mut rest = inner.ok_or_else(|| Failure::filter("expected {field[condition]}"))?.trim();
    let mut out = Vec::new();
    while !rest.is_empty() {
        let open = rest.find('[').ok_or_else(|| Failure::filter(format!("no condition after \"{rest}\"")))?;
        let close = closing(rest, open).ok_or_else(|| Failure::filter("a bracket is not closed"))?;
        let name = rest[..open].trim();
        let (alias, field) = match name.rsplit_once('.') {
            Some((alias, field)) => (Some(alias.to_owned()), field.to_owned()),
            None => (None, name.to_owned()),
        };
        out.push(Condition { alias, field, text: rest[open + 1..close].trim().to_owned() });
        rest = rest[close + 1..].trim_start();
        match rest.strip_prefix(';') {
            Some(more) => rest = more.trim_start(),
            None if rest.is_empty() => {}
            None => return Err(Failure::filter(format!("unexpected \"{rest}\""))),
        }
    }
    Ok(out)
}

/// Where the bracket closes that opens at `open`; quotes hide brackets.
fn closing(text: &str, open: usize) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices().filter(|(at, _)| *at > open) {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, ']') => return Some(at),
            (None, _) => {}
        }
    }
    None
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Op(Op),
    Open,
    Close,
}

fn tokens(text: &str) -> Result<Vec<Token>, Failure> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(c) = rest.chars().next() {
        let operators =
            [("<=", Op::Le), (">=", Op::Ge), ("<>", Op::Ne), ("<", Op::Lt), (">", Op::Gt), ("=", Op::Eq)];
        let found = operators.iter().find(|(sign, _)| rest.starts_with(sign));
        let length = match (c, found) {
            (_, Some((sign, op))) => {
                out.push(Token::Op(*op));
                sign.len()
            }
            ('(', _) => {
                out.push(Token::Open);
                1
            }
            (')', _) => {
                out.push(Token::Close);
                1
            }
            ('"' | '\'', _) => {
                let end = rest[1..].find(c).ok_or_else(|| Failure::filter("a quotation mark is missing"))?;
                out.push(Token::Quoted(rest[1..=end].to_owned()));
                end + 2
            }
            _ => {
                let stop = |c: char| c.is_whitespace() || "()<>=\"'".contains(c);
                let end = rest.find(stop).unwrap_or(rest.len());
                out.push(Token::Word(rest[..end].to_owned()));
                end
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(out)
}

struct Parser<'a> {
    tokens: &'a [Token],
    field: &'a Field,
}

/// Reads the condition of a field. Words that are not quoted are grammar first: `Not Completed` is
/// the opposite of `Completed`.
pub(super) fn parse(field: &Field, text: &str) -> Result<Expr, Failure> {
    let all = tokens(text)?;
    let mut parser = Parser { tokens: &all, field };
    let expr = parser.any()?;
    match parser.tokens.first() {
        None => Ok(expr),
        Some(_) => Err(Failure::filter(format!("unexpected text in \"{}[{text}]\"", field.name))),
    }
}

impl Parser<'_> {
    fn word(&mut self, wanted: &str) -> bool {
        let found = matches!(self.tokens.first(), Some(Token::Word(w)) if w.eq_ignore_ascii_case(wanted));
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn any(&mut self) -> Result<Expr, Failure> {
        let mut parts = vec![self.all()?];
        while self.word("OR") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::Or(parts) })
    }

    fn all(&mut self) -> Result<Expr, Failure> {
        let mut parts = vec![self.one()?];
        while self.word("AND") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::And(parts) })
    }

    fn one(&mut self) -> Result<Expr, Failure> {
        if self.word("NOT") {
            return Ok(Expr::Not(Box::new(self.one()?)));
        }
        if self.tokens.first() == Some(&Token::Open) {
            self.tokens = &self.tokens[1..];
            let inner = self.any()?;
            if self.tokens.first() != Some(&Token::Close) {
                return Err(Failure::filter("a parenthesis is not closed"));
            }
            self.tokens = &self.tokens[1..];
            return Ok(inner);
        }
        let mut op = Op::Eq;
        if let Some(Token::Op(given)) = self.tokens.first() {
            op = *given;
            self.tokens = &self.tokens[1..];
        } else {
            let words = [("LT", Op::Lt), ("GT", Op::Gt), ("LE", Op::Le), ("GE", Op::Ge), ("EQ", Op::Eq)];
            // A single word that looks like an operator is a value.
            if self.tokens.len() > 1
                && let Some((_, given)) = words.iter().find(|(word, _)| self.word(word))
            {
                op = *given;
            }
        }
        let literal = match self.tokens.first() {
            Some(Token::Word(text) | Token::Quoted(text)) => self.literal(text)?,
            _ => return Err(Failure::filter(format!("a value is missing for \"{}\"", self.field.name))),
        };
        self.tokens = &self.tokens[1..];
        Ok(Expr::Is(op, literal))
    }

    fn literal(&self, text: &str) -> Result<Literal, Failure> {
        let wrong = || Failure::filter(format!("\"{text}\" is not a value of \"{}\"", self.field.name));
        let number = match self.field.stored() {
            _ if text.is_empty() => None,
            Type::Number | Type::Reference => Some(text.trim().parse().map_err(|_| wrong())?),
            Type::Date => Some(time::parse_date(text).ok_or_else(wrong)?),
            Type::DateTime => Some(time::parse_date_time(text).ok_or_else(wrong)?),
            _ => None,
        };
        Ok(Literal { text: text.to_lowercase(), number, wild: text.contains('*') })
    }
}

/// A value that is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen<'a> {
    Empty,
    Num(i64),
    Text(&'a str),
}

impl Expr {
    /// Whether a value fits.
    pub(super) fn fits(&self, value: Seen<'_>) -> bool {
        match self {
            Expr::And(parts) => parts.iter().all(|p| p.fits(value)),
            Expr::Or(parts) => parts.iter().any(|p| p.fits(value)),
            Expr::Not(inner) => !inner.fits(value),
            Expr::Is(op, literal) => compare(*op, literal, value),
        }
    }

    /// The only number that fits, if it is so simple.
    pub(super) fn exact(&self) -> Option<Vec<i64>> {
        match self {
            Expr::Is(Op::Eq, literal) => literal.number.map(|n| vec![n]),
            Expr::Or(parts) => {
                let all: Option<Vec<Vec<i64>>> = parts.iter().map(Expr::exact).collect();
                all.map(|lists| lists.concat())
            }
            Expr::And(parts) => parts.iter().find_map(Expr::exact),
            _ => None,
        }
    }

    /// A number below which nothing fits.
    pub(super) fn least(&self) -> Option<i64> {
        match self {
            Expr::Is(Op::Gt | Op::Ge | Op::Eq, literal) => literal.number,
            Expr::And(parts) => parts.iter().filter_map(Expr::least).max(),
            _ => None,
        }
    }
}

fn compare(op: Op, literal: &Literal, value: Seen<'_>) -> bool {
    let order = match value {
        Seen::Empty if literal.text.is_empty() => return matches!(op, Op::Eq | Op::Le | Op::Ge),
        Seen::Empty => return op == Op::Ne,
        Seen::Num(number) => match literal.number {
            Some(wanted) => number.cmp(&wanted),
            None => return op == Op::Ne,
        },
        Seen::Text(text) => {
            let text = text.to_lowercase();
            if literal.wild {
                return matches(&literal.text, &text) == (op != Op::Ne);
            }
            text.as_str().cmp(&literal.text)
        }
    };
    match op {
        Op::Eq => order.is_eq(),
        Op::Ne => order.is_ne(),
        Op::Lt => order.is_lt(),
        Op::Le => order.is_le(),
        Op::Gt => order.is_gt(),
        Op::Ge => order.is_ge(),
    }
}

/// Whether a text fits a pattern in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Reads `{last-modified[DESC];id}` as fields with whether each falls.
pub(super) fn order(kind: Kind, text: &str) -> Result<Vec<(u8, bool)>, Failure> {
    let inner = text.trim().trim_start_matches('{').trim_end_matches('}');
    let part = |part: &str| {
        let (name, direction) =
            part.split_once('[').map_or((part, ""), |(n, d)| (n, d.trim_end_matches(']')));
        let falls = direction.split(',').any(|d| d.trim().eq_ignore_ascii_case("DESC"));
        kind.find(name.trim()).map(|field| (field, falls)).ok_or_else(|| {
            let title =
                format!("Invalid \"order-by\" parameter value, not existing field: \"{}\"", name.trim());
            Failure::new(404, "qccore.invalid-query-value", title)
        })
    };
    inner.split(';').filter(|p| !p.trim().is_empty()).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(field: &str, text: &str, value: Seen<'_>) -> bool {
        let field = &Kind::Run.fields()[usize::from(Kind::Run.at(field))];
        parse(field, text).unwrap().fits(value)
    }

    #[test]
    fn words_that_are_not_quoted_are_grammar() {
        assert!(fits("status", "\"Not Completed\"", Seen::Text("Not Completed")));
        assert!(!fits("status", "Not Completed", Seen::Text("Completed")));
        assert!(fits("status", "Not Completed", Seen::Text("Passed")), "it means: anything but Completed");
        let field = &Kind::Run.fields()[usize::from(Kind::Run.at("status"))];
        assert_eq!(parse(field, "No Run").unwrap_err().status, 400);
    }

    #[test]
    fn conditions_nest_and_compare() {
        assert!(fits("id", ">1 AND NOT 5", Seen::Num(7)));
        assert!(!fits("id", ">1 AND NOT 5", Seen::Num(5)));
        assert!(fits("id", "1 OR (>=3 AND <5)", Seen::Num(4)));
        assert!(fits("id", "GE 3", Seen::Num(3)));
        assert!(fits("name", "'Log*n'", Seen::Text("login")));
        assert!(fits("execution-date", "<>\"2024-01-01\"", Seen::Num(0)));
        assert!(fits("last-modified", ">=\"1970-01-02 00:00:01\"", Seen::Num(86_401)));
    }

    #[test]
    fn quotes_hide_brackets_and_semicolons() {
        let parts = split("{name[\"a];b\"]; test.id[3]}").unwrap();
        assert_eq!(parts[0].text, "\"a];b\"");
        assert_eq!((parts[1].alias.as_deref(), parts[1].field.as_str()), (Some("test"), "id"));
        assert!(split("name[1]").is_err());
        assert!(split("{name[1]x}").is_err());
    }

    #[test]
    fn orders_are_separated_by_semicolons() {
        assert_eq!(
            order(Kind::Test, "{status[DESC];id}").unwrap(),
            [(Kind::Test.at("status"), true), (Kind::Test.at("id"), false)]
        );
        let refused = order(Kind::Requirement, "{type-id,id}").unwrap_err();
        assert_eq!(refused.status, 404);
        assert!(refused.title.ends_with("not existing field: \"type-id,id\""), "{}", refused.title);
    }
}
