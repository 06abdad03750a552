//! The query grammar: `name EQ ^Log*^;(severity EQ {null}||!phase EQ {id EQ ^..^})`.

use super::problem::Problem;

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Phrase(String, Op, Operand),
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Lt,
    Gt,
    Le,
    Ge,
    In,
    Between,
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    /// `null`, and `{null}` for references.
    Null,
    Value(Literal),
    List(Vec<Literal>),
    Range(Literal, Literal),
    /// What the entity that a reference names must be like.
    Cross(Box<Expr>),
}

/// A value as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Literal {
    /// In `^..^` or `'..'`, without its escapes. A star that was not escaped is [`ANY`].
    Text(String),
    /// A number, an id, `true`, `false`.
    Bare(String),
    /// `[current_user]`
    Macro(String),
}

/// Stands for a star that means any characters.
pub(super) const ANY: char = '\u{1}';

/// The deepest nesting that is read; the service's own limit is not known.
const DEEPEST: usize = 32;

/// Reads the value of the argument `query`, quotes included.
pub(super) fn parse(text: &str) -> Result<Expr, Problem> {
    let text = text.trim();
    let inner = text
        .strip_prefix('"')
        .and_then(|t| t.strip_suffix('"'))
        .ok_or_else(|| Problem::query("The query must be enclosed in double quotes"))?;
    let mut parser = Parser { chars: inner.chars().collect(), at: 0, depth: 0 };
    let expr = parser.any_of()?;
    parser.space();
    match parser.peek() {
        None => Ok(expr),
        Some(_) => Err(parser.unexpected()),
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn unexpected(&self) -> Problem {
        let found = self.peek().map_or("the end".to_owned(), |c| format!("'{c}'"));
        Problem::query(format!("Invalid query: unexpected {found} at position {}", self.at))
    }

    fn take(&mut self, token: &str) -> bool {
        self.space();
        let fits = token.chars().enumerate().all(|(n, c)| self.chars.get(self.at + n) == Some(&c));
        if fits {
            self.at += token.chars().count();
        }
        fits
    }

    fn expect(&mut self, token: &str) -> Result<(), Problem> {
        if self.take(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn any_of(&mut self) -> Result<Expr, Problem> {
        let mut parts = vec![self.all_of()?];
        while self.take("||") {
            parts.push(self.all_of()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::Or(parts) })
    }

    fn all_of(&mut self) -> Result<Expr, Problem> {
        let mut parts = vec![self.one()?];
        while self.take(";") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::And(parts) })
    }

    fn one(&mut self) -> Result<Expr, Problem> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Problem::query("Invalid query: it is nested too deeply"));
        }
        let out = if self.take("!") {
            Expr::Not(Box::new(self.one()?))
        } else if self.take("(") {
            let inner = self.any_of()?;
            self.expect(")")?;
            inner
        } else {
            self.phrase()?
        };
        self.depth -= 1;
        Ok(out)
    }

    fn word(&mut self) -> String {
        self.space();
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn phrase(&mut self) -> Result<Expr, Problem> {
        let field = self.word();
        if field.is_empty() {
            return Err(self.unexpected());
        }
        let op = self.operator()?;
        let operand = match op {
            Op::Between => {
                let low = self.literal()?;
                self.expect("...")?;
                Operand::Range(low, self.literal()?)
            }
            _ => self.operand()?,
        };
        let operand = match (op, operand) {
            (Op::In, Operand::Value(first)) => {
                let mut all = vec![first];
                while self.take(",") {
                    all.push(self.literal()?);
                }
                Operand::List(all)
            }
            (_, operand) => operand,
        };
        Ok(Expr::Phrase(field, op, operand))
    }

    fn operator(&mut self) -> Result<Op, Problem> {
        for (sign, op) in [("<=", Op::Le), (">=", Op::Ge), ("=", Op::Eq), ("<", Op::Lt), (">", Op::Gt)] {
            if self.take(sign) {
                return Ok(op);
            }
        }
        match self.word().as_str() {
            "EQ" => Ok(Op::Eq),
            "LT" => Ok(Op::Lt),
            "GT" => Ok(Op::Gt),
            "LE" => Ok(Op::Le),
            "GE" => Ok(Op::Ge),
            "IN" => Ok(Op::In),
            "BTW" => Ok(Op::Between),
            other => Err(Problem::query(format!("Invalid query: unknown operator '{other}'"))),
        }
    }

    fn operand(&mut self) -> Result<Operand, Problem> {
        if self.take("{") {
            self.space();
            let rest: String = self.chars[self.at..].iter().take(5).collect();
            if rest.starts_with("null") && !rest.ends_with(|c: char| c.is_alphanumeric() || c == '_')
                || rest == "null"
            {
                self.at += 4;
                self.expect("}")?;
                return Ok(Operand::Null);
            }
            let inner = self.any_of()?;
            self.expect("}")?;
            return Ok(Operand::Cross(Box::new(inner)));
        }
        Ok(match self.literal()? {
            Literal::Bare(word) if word == "null" => Operand::Null,
            other => Operand::Value(other),
        })
    }

    fn literal(&mut self) -> Result<Literal, Problem> {
        self.space();
        match self.peek() {
            Some(quote @ ('^' | '\'')) => {
                self.at += 1;
                self.quoted(quote).map(Literal::Text)
            }
            Some('[') => {
                self.at += 1;
                let word = self.word();
                self.expect("]")?;
                Ok(Literal::Macro(word))
            }
            _ => {
                let start = self.at;
                let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '+');
                while self.peek().is_some_and(part) && !self.dots() {
                    self.at += 1;
                }
                let word: String = self.chars[start..self.at].iter().collect();
                if word.is_empty() { Err(self.unexpected()) } else { Ok(Literal::Bare(word)) }
            }
        }
    }

    /// Whether the dots of a range come next.
    fn dots(&self) -> bool {
        self.chars[self.at..].starts_with(&['.', '.', '.'])
    }

    fn quoted(&mut self, quote: char) -> Result<String, Problem> {
        let mut out = String::new();
        loop {
            match self.peek() {
                None => return Err(Problem::query("Invalid query: a string is not closed")),
                Some(c) if c == quote => {
                    self.at += 1;
                    return Ok(out);
                }
                Some('\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(c) => out.push(c),
                        None => continue,
                    }
                }
                Some('*') => out.push(ANY),
                Some(c) => out.push(c),
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Operand {
        Operand::Value(Literal::Text(text.to_owned()))
    }

    #[test]
    fn and_binds_stronger_than_or_and_not_strongest() {
        let parsed = parse("\"!a EQ 1;b EQ ^x^||(c GT 2||d EQ {null})\"").unwrap();
        let Expr::Or(parts) = parsed else { panic!("{parsed:?}") };
        assert!(matches!(&parts[0], Expr::And(and) if matches!(and[0], Expr::Not(_)) && and.len() == 2));
        assert!(
            matches!(&parts[1], Expr::Or(or) if or[1] == Expr::Phrase("d".into(), Op::Eq, Operand::Null))
        );
    }

    #[test]
    fn escapes_and_stars_are_told_apart() {
        let parsed = parse(r#""name EQ 'O\'Brien \(x\) \**'""#).unwrap();
        assert_eq!(parsed, Expr::Phrase("name".into(), Op::Eq, text(&format!("O'Brien (x) *{ANY}"))));
    }

    #[test]
    fn lists_ranges_and_symbols_are_read() {
        let parsed =
            parse("\"id IN 1001,1002;last_modified BTW ^a^...^b^;x={nullable=3};y BTW 12...16\"").unwrap();
        let Expr::And(parts) = parsed else { panic!("{parsed:?}") };
        assert!(matches!(&parts[0], Expr::Phrase(_, Op::In, Operand::List(ids)) if ids.len() == 2));
        assert!(matches!(&parts[1], Expr::Phrase(_, Op::Between, Operand::Range(..))));
        assert!(matches!(&parts[2], Expr::Phrase(_, Op::Eq, Operand::Cross(_))));
        let range = Operand::Range(Literal::Bare("12".into()), Literal::Bare("16".into()));
        assert_eq!(parts[3], Expr::Phrase("y".into(), Op::Between, range));
    }

    #[test]
    fn what_is_not_a_query_is_refused() {
        for wrong in ["name EQ 1", "\"name\"", "\"name LIKE ^x^\"", "\"(a EQ 1\"", "\"a EQ ^x\"", "\"\""] {
            assert_eq!(parse(wrong).unwrap_err().status, 400, "{wrong}");
        }
    }
}
