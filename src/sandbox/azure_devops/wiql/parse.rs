//! WIQL from text to a tree.

use super::super::http::Failure;

/// How long a query may be.
const MAX_QUERY: usize = 32_000;

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Contains,
    Words,
    Under,
    Group,
    Ever,
    Empty,
}

/// What a field is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Text(String),
    Number(f64),
    Project,
    Me,
    /// Days from today.
    Today(i64),
    /// Another field, by position among the query's names.
    Field(usize),
}

/// The end of a link that a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Item,
    Source,
    Target,
}

/// A condition.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    Is { side: Side, field: usize, op: Op, values: Vec<Operand> },
}

/// How a query of links treats missing links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    MustContain,
    MayContain,
    DoesNotContain,
    Recursive,
}

/// A parsed query.
#[derive(Clone, Debug)]
pub(in super::super) struct Query {
    /// Every field name that the query uses.
    pub(super) names: Vec<String>,
    pub(super) links: bool,
    pub(super) select: Vec<usize>,
    pub(super) filter: Option<Expr>,
    /// Field and whether it descends.
    pub(super) order: Vec<(usize, bool)>,
    pub(super) as_of: Option<String>,
    pub(super) mode: Mode,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Field(String),
    Text(String),
    Number(f64),
    Macro(String),
    Sign(&'static str),
}

fn fail(message: impl AsRef<str>) -> Failure {
    let message = format!("TF51006: The query statement is not valid. {}", message.as_ref());
    Failure::new(400, "WorkItemTrackingQueryParseException", message)
}

const SIGNS: [&str; 12] = ["<>", "<=", ">=", "=", "<", ">", "(", ")", ",", ".", "+", "-"];

fn quoted(chars: &[char], start: usize) -> Result<(String, usize), Failure> {
    let quote = chars[start];
    let mut text = String::new();
    let mut at = start + 1;
    while at < chars.len() {
        if chars[at] == quote {
            if chars.get(at + 1) != Some(&quote) {
                return Ok((text, at + 1));
            }
            at += 1;
        }
        text.push(chars[at]);
        at += 1;
    }
    Err(fail("A string is not closed."))
}

fn tokens(text: &str) -> Result<Vec<Token>, Failure> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    let run = |from: usize, ok: fn(char) -> bool| {
        let len = chars[from..].iter().take_while(|c| ok(**c)).count();
        chars[from..from + len].iter().collect::<String>()
    };
    while at < chars.len() {
        let c = chars[at];
        if c.is_whitespace() {
            at += 1;
        } else if c == '\'' || c == '"' {
            let (text, next) = quoted(&chars, at)?;
            tokens.push(Token::Text(text));
            at = next;
        } else if c == '[' {
            let name = run(at + 1, |c| c != ']');
            at += name.chars().count() + 2;
            tokens.push(Token::Field(name.trim().to_owned()));
        } else if c == '@' {
            let name = run(at + 1, |c| c.is_alphanumeric());
            at += name.chars().count() + 1;
            tokens.push(Token::Macro(name.to_lowercase()));
        } else if c.is_ascii_digit() || (c == '-' && chars.get(at + 1).is_some_and(char::is_ascii_digit)) {
            let digits = run(at + 1, |c| c.is_ascii_digit() || c == '.');
            at += digits.len() + 1;
            let number = format!("{c}{digits}");
            tokens.push(Token::Number(
                number.parse().map_err(|_| fail(format!("'{number}' is not a number.")))?,
            ));
        } else if c.is_alphabetic() || c == '_' {
            let word = run(at, |c| c.is_alphanumeric() || c == '_' || c == '.');
            at += word.chars().count();
            tokens.push(Token::Word(word));
        } else {
            let pair: String = chars[at..chars.len().min(at + 2)].iter().collect();
            if pair == "!=" {
                tokens.push(Token::Sign("<>"));
                at += 2;
                continue;
            }
            let sign = SIGNS
                .iter()
                .find(|s| pair.starts_with(**s))
                .ok_or_else(|| fail(format!("'{c}' is not expected.")))?;
            tokens.push(Token::Sign(sign));
            at += sign.len();
        }
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    names: Vec<String>,
}

impl Parser {
    fn word(&mut self, word: &str) -> bool {
        let hit = matches!(self.tokens.get(self.at), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word));
        self.at += usize::from(hit);
        hit
    }

    fn sign(&mut self, sign: &str) -> bool {
        let hit = matches!(self.tokens.get(self.at), Some(Token::Sign(s)) if *s == sign);
        self.at += usize::from(hit);
        hit
    }

    fn expect(&mut self, word: &str) -> Result<(), Failure> {
        if self.word(word) { Ok(()) } else { Err(fail(format!("Expecting {word}."))) }
    }

    fn close(&mut self) -> Result<(), Failure> {
        if self.sign(")") { Ok(()) } else { Err(fail("Expecting a closing parenthesis.")) }
    }

    fn name(&mut self, name: String) -> usize {
        if let Some(at) = self.names.iter().position(|n| n.eq_ignore_ascii_case(&name)) {
            return at;
        }
        self.names.push(name);
        self.names.len() - 1
    }

    fn field(&mut self) -> Result<(Side, usize), Failure> {
        let name = match self.tokens.get(self.at) {
            Some(Token::Field(name) | Token::Word(name)) => name.clone(),
            other => return Err(fail(format!("Expecting a field name. The error is near {other:?}."))),
        };
        self.at += 1;
        let side = match name.to_lowercase().as_str() {
            "source" => Side::Source,
            "target" => Side::Target,
            _ => return Ok((Side::Item, self.name(name))),
        };
        if !self.sign(".") {
            return Err(fail(format!("Expecting a field after [{name}].")));
        }
        let (_, field) = self.field()?;
        Ok((side, field))
    }

    fn any(&mut self) -> Result<Expr, Failure> {
        let mut list = vec![self.all()?];
        while self.word("OR") {
            list.push(self.all()?);
        }
        Ok(if list.len() == 1 { list.remove(0) } else { Expr::Any(list) })
    }

    fn all(&mut self) -> Result<Expr, Failure> {
        let mut list = vec![self.one()?];
        while self.word("AND") {
            list.push(self.one()?);
        }
        Ok(if list.len() == 1 { list.remove(0) } else { Expr::All(list) })
    }

    fn one(&mut self) -> Result<Expr, Failure> {
        if self.word("NOT") {
            return Ok(Expr::Not(Box::new(self.one()?)));
        }
        if self.sign("(") {
            let inner = self.any()?;
            self.close()?;
            return Ok(inner);
        }
        let ever = self.word("EVER");
        let (side, field) = self.field()?;
        let (not, op, many) = self.op()?;
        let op = if ever && op == Op::Equal { Op::Ever } else { op };
        let values = if op == Op::Empty {
            Vec::new()
        } else if many && self.sign("(") {
            let mut values = vec![self.operand()?];
            while self.sign(",") {
                values.push(self.operand()?);
            }
            self.close()?;
            values
        } else {
            vec![self.operand()?]
        };
        let is = Expr::Is { side, field, op, values };
        Ok(if not { Expr::Not(Box::new(is)) } else { is })
    }

    /// The operator: whether it is negated, what it is, whether it takes a list.
    fn op(&mut self) -> Result<(bool, Op, bool), Failure> {
        for (sign, op) in [
            ("<>", Op::NotEqual),
            ("<=", Op::LessEqual),
            (">=", Op::GreaterEqual),
            ("=", Op::Equal),
            ("<", Op::Less),
            (">", Op::Greater),
        ] {
            if self.sign(sign) {
                return Ok((false, op, false));
            }
        }
        if self.word("IS") {
            let not = self.word("NOT");
            self.expect("EMPTY")?;
            return Ok((not, Op::Empty, false));
        }
        if self.word("WAS") {
            self.expect("EVER")?;
            return Ok((false, Op::Ever, false));
        }
        let not = self.word("NOT");
        if self.word("IN") {
            let group = self.word("GROUP");
            return Ok((not, if group { Op::Group } else { Op::Equal }, !group));
        }
        if self.word("UNDER") {
            return Ok((not, Op::Under, false));
        }
        if self.word("CONTAINS") {
            let words = self.word("WORDS");
            return Ok((not, if words { Op::Words } else { Op::Contains }, false));
        }
        if self.word("EVER") {
            self.sign("=");
            return Ok((not, Op::Ever, false));
        }
        Err(fail(format!("Expecting an operator. The error is near {:?}.", self.tokens.get(self.at))))
    }

    fn operand(&mut self) -> Result<Operand, Failure> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        match token {
            Some(Token::Text(text)) => Ok(Operand::Text(text)),
            Some(Token::Number(number)) => Ok(Operand::Number(number)),
            Some(Token::Field(name)) => Ok(Operand::Field(self.name(name))),
            Some(Token::Word(word))
                if word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false") =>
            {
                Ok(Operand::Text(word.to_lowercase()))
            }
            Some(Token::Macro(name)) => match name.as_str() {
                "project" => Ok(Operand::Project),
                "me" => Ok(Operand::Me),
                "today" => Ok(Operand::Today(self.offset()?)),
                _ => Err(fail(format!("The macro @{name} is not supported."))),
            },
            other => Err(fail(format!("Expecting a value. The error is near {other:?}."))),
        }
    }

    fn offset(&mut self) -> Result<i64, Failure> {
        let (plus, minus) = (self.sign("+"), self.sign("-"));
        match self.tokens.get(self.at) {
            Some(Token::Number(days)) if plus || minus || *days < 0.0 => {
                let days = *days as i64;
                self.at += 1;
                Ok(if minus { -days } else { days })
            }
            _ if plus || minus => Err(fail("Expecting a number of days.")),
            _ => Ok(0),
        }
    }
}

/// Parses a query.
pub(in super::super) fn parse(text: &str) -> Result<Query, Failure> {
    if text.chars().count() > MAX_QUERY {
        let message = format!("VS402341: The query text is longer than {MAX_QUERY} characters.");
        return Err(Failure::new(400, "WorkItemTrackingQueryTextLengthException", message));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, names: Vec::new() };
    parser.expect("SELECT")?;
    let mut select = Vec::new();
    loop {
        select.push(parser.field()?.1);
        if !parser.sign(",") {
            break;
        }
    }
    parser.expect("FROM")?;
    let links = if parser.word("WorkItemLinks") {
        true
    } else {
        parser.expect("WorkItems")?;
        false
    };
    let mut query = Query {
        names: Vec::new(),
        links,
        select,
        filter: None,
        order: Vec::new(),
        as_of: None,
        mode: Mode::MustContain,
    };
    if parser.word("WHERE") {
        query.filter = Some(parser.any()?);
    }
    clauses(&mut parser, &mut query)?;
    if let Some(token) = parser.tokens.get(parser.at) {
        return Err(fail(format!("Unexpected {token:?} at the end.")));
    }
    query.names = parser.names;
    Ok(query)
}

fn clauses(parser: &mut Parser, query: &mut Query) -> Result<(), Failure> {
    loop {
        if parser.word("ORDER") {
            parser.expect("BY")?;
            loop {
                let (_, field) = parser.field()?;
                let descending = parser.word("DESC");
                if !descending {
                    parser.word("ASC");
                }
                query.order.push((field, descending));
                if !parser.sign(",") {
                    break;
                }
            }
        } else if parser.word("ASOF") {
            match parser.operand()? {
                Operand::Text(date) => query.as_of = Some(date),
                _ => return Err(fail("Expecting a date after ASOF.")),
            }
        } else if parser.word("MODE") {
            if !parser.sign("(") {
                return Err(fail("Expecting a mode."));
            }
            query.mode = if parser.word("MustContain") {
                Mode::MustContain
            } else if parser.word("MayContain") {
                Mode::MayContain
            } else if parser.word("DoesNotContain") {
                Mode::DoesNotContain
            } else if parser.word("Recursive") {
                Mode::Recursive
            } else {
                return Err(fail("Expecting a mode."));
            };
            while !parser.sign(")") {
                parser.at += 1;
                if parser.at > parser.tokens.len() {
                    return Err(fail("Expecting a closing parenthesis."));
                }
            }
        } else {
            return Ok(());
        }
    }
}
