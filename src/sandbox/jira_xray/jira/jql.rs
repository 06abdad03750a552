//! Reading JQL: text in, a tree out, errors in Jira's words.

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Clause {
    pub(crate) field: String,
    pub(crate) op: Op,
    pub(crate) values: Vec<Operand>,
}

/// How a clause compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Like,
    NotLike,
    In,
    NotIn,
    Empty,
    NotEmpty,
}

/// A value as written; quoted dates and bare numbers mean different things.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operand {
    pub(crate) text: String,
    pub(crate) quoted: bool,
    /// `currentUser()` and the like.
    pub(crate) function: bool,
}

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Clause(Clause),
}

/// A whole query.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Query {
    pub(crate) filter: Option<Node>,
    /// Fields to sort by, each with whether it descends.
    pub(crate) order: Vec<(String, bool)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Sign(&'static str),
}

/// Deepest nesting of parentheses and NOTs.
const DEPTH_MAX: usize = 100;

/// Reads a query.
pub(crate) fn parse(text: &str) -> Result<Query, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let mut query = Query::default();
    if !parser.done() && !parser.at_order() {
        query.filter = Some(parser.or()?);
    }
    if parser.at_order() {
        parser.at += 2;
        query.order = parser.order()?;
    }
    if parser.done() { Ok(query) } else { Err(parser.unexpected("'AND', 'OR' or end of query")) }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    const SIGNS: [&str; 12] = ["!=", "!~", ">=", "<=", "=", "~", ">", "<", "(", ")", ",", "!"];
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '"' || first == '\'' {
            let (value, used) = quoted(rest, first)?;
            out.push(Token::Quoted(value));
            rest = &rest[used..];
        } else if rest.starts_with("&&") || rest.starts_with("||") {
            out.push(Token::Word(if first == '&' { "AND" } else { "OR" }.to_owned()));
            rest = &rest[2..];
        } else if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) {
            out.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            let stop = |c: char| c.is_whitespace() || "()=,<>!~\"'&|".contains(c);
            let end = rest.find(stop).unwrap_or(rest.len());
            if end == 0 {
                return Err(format!(
                    "Error in the JQL Query: The character '{first}' is a reserved JQL character."
                ));
            }
            out.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Ok(out)
}

fn quoted(text: &str, quote: char) -> Result<(String, usize), String> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok((out, at + 1));
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some((_, 'n')) => out.push('\n'),
            Some((_, 't')) => out.push('\t'),
            Some((_, escaped)) => out.push(escaped),
            None => break,
        }
    }
    Err(format!("Error in the JQL Query: The quoted string '{out}' has not been completed."))
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    fn is_word(&self, offset: usize, word: &str) -> bool {
        matches!(self.tokens.get(self.at + offset), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word))
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(s)) if *s == sign)
    }

    fn at_order(&self) -> bool {
        self.is_word(0, "order") && self.is_word(1, "by")
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(0, word);
        self.at += usize::from(found);
        found
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.at += usize::from(found);
        found
    }

    fn unexpected(&self, wanted: &str) -> String {
        match self.peek() {
            Some(Token::Word(w) | Token::Quoted(w)) => {
                format!("Error in the JQL Query: Expecting {wanted} but got '{w}'.")
            }
            Some(Token::Sign(s)) => {
                format!("Error in the JQL Query: Expecting {wanted} but got '{s}'.")
            }
            None => format!("Error in the JQL Query: Expecting {wanted} before the end of the query."),
        }
    }

    fn or(&mut self) -> Result<Node, String> {
        let mut list = vec![self.and()?];
        while self.take_word("or") {
            list.push(self.and()?);
        }
        Ok(if list.len() == 1 { list.remove(0) } else { Node::Or(list) })
    }

    fn and(&mut self) -> Result<Node, String> {
        let mut list = vec![self.not()?];
        while self.take_word("and") {
            list.push(self.not()?);
        }
        Ok(if list.len() == 1 { list.remove(0) } else { Node::And(list) })
    }

    fn not(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("Error in the JQL Query: it is nested too deeply.".to_owned());
        }
        let node = if self.take_word("not") || self.take_sign("!") {
            Node::Not(Box::new(self.not()?))
        } else if self.take_sign("(") {
            let inner = self.or()?;
            if !self.take_sign(")") {
                return Err(self.unexpected("')'"));
            }
            inner
        } else {
            Node::Clause(self.clause()?)
        };
        self.depth -= 1;
        Ok(node)
    }

    fn clause(&mut self) -> Result<Clause, String> {
        let field = match self.peek() {
            Some(Token::Word(w) | Token::Quoted(w)) => w.clone(),
            _ => return Err(self.unexpected("a field name")),
        };
        self.at += 1;
        let op = self.op()?;
        let values = match op {
            Op::In | Op::NotIn => self.list()?,
            Op::Empty | Op::NotEmpty => Vec::new(),
            _ => vec![self.operand()?],
        };
        let op = match (op, values.first()) {
            (Op::Eq, Some(v)) if is_empty_word(v) => Op::Empty,
            (Op::Ne, Some(v)) if is_empty_word(v) => Op::NotEmpty,
            _ => op,
        };
        Ok(Clause { field, op, values })
    }

    fn op(&mut self) -> Result<Op, String> {
        let signs = [
            ("!=", Op::Ne),
            ("!~", Op::NotLike),
            (">=", Op::Ge),
            ("<=", Op::Le),
            ("=", Op::Eq),
            ("~", Op::Like),
            (">", Op::Gt),
            ("<", Op::Lt),
        ];
        for (sign, op) in signs {
            if self.take_sign(sign) {
                return Ok(op);
            }
        }
        if self.take_word("in") {
            return Ok(Op::In);
        }
        if self.is_word(0, "not") && self.is_word(1, "in") {
            self.at += 2;
            return Ok(Op::NotIn);
        }
        if self.take_word("is") {
            let negated = self.take_word("not");
            if self.take_word("empty") || self.take_word("null") {
                return Ok(if negated { Op::NotEmpty } else { Op::Empty });
            }
            return Err(self.unexpected("'EMPTY' or 'NULL'"));
        }
        Err(self.unexpected("an operator"))
    }

    fn operand(&mut self) -> Result<Operand, String> {
        let (text, quoted) = match self.peek() {
            Some(Token::Word(w)) => (w.clone(), false),
            Some(Token::Quoted(w)) => (w.clone(), true),
            _ => return Err(self.unexpected("a value, list or function")),
        };
        self.at += 1;
        let mut function = false;
        if !quoted && self.take_sign("(") {
            if !self.take_sign(")") {
                return Err(self.unexpected("')'"));
            }
            function = true;
        }
        Ok(Operand { text, quoted, function })
    }

    fn list(&mut self) -> Result<Vec<Operand>, String> {
        if !self.take_sign("(") {
            return Ok(vec![self.operand()?]);
        }
        let mut out = vec![self.operand()?];
        while self.take_sign(",") {
            out.push(self.operand()?);
        }
        if self.take_sign(")") { Ok(out) } else { Err(self.unexpected("',' or ')'")) }
    }

    fn order(&mut self) -> Result<Vec<(String, bool)>, String> {
        let mut out = Vec::new();
        loop {
            let field = match self.peek() {
                Some(Token::Word(w) | Token::Quoted(w)) => w.clone(),
                _ => return Err(self.unexpected("a field name")),
            };
            self.at += 1;
            let descending = self.take_word("desc");
            if !descending {
                self.take_word("asc");
            }
            out.push((field, descending));
            if !self.take_sign(",") {
                return Ok(out);
            }
        }
    }
}

fn is_empty_word(value: &Operand) -> bool {
    !value.quoted && (value.text.eq_ignore_ascii_case("empty") || value.text.eq_ignore_ascii_case("null"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence_and_quotes_are_read() {
        let query =
            parse(r#"project = CALC AND (a ~ "x \"y\"" OR NOT b is EMPTY) order by id desc, key"#).unwrap();
        assert_eq!(query.order, [("id".to_owned(), true), ("key".to_owned(), false)]);
        let Some(Node::And(list)) = query.filter else { panic!("an AND is expected") };
        assert!(matches!(&list[1], Node::Or(inner) if inner.len() == 2));
    }

    #[test]
    fn unfinished_queries_are_refused() {
        for text in ["project =", "project = \"CALC", "(project = CALC", "project CALC", "a = 1 b = 2"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
