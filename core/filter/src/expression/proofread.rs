//! Reads the words of an expression before the parser does: says in plain words what people get wrong, and refuses what
//! would nest too deeply for the parser's stack. What passes here can still be wrong in its meaning; that is
//! `compile`'s.

use super::{
    ExpressionError,
    tokens::{Kind, Token},
};
use std::mem;

/// The longest expression, in bytes. Without it a request could keep a reader's thread busy parsing.
pub(super) const MAX_BYTES: usize = 4_096;
/// The most words. The parser takes a few microseconds for each.
const MAX_TOKENS: usize = 1_024;
/// How deep brackets, chains of operators and chains of fields may nest. Parser and evaluation recurse as deep.
const MAX_DEPTH: usize = 48;

/// An open bracket, or the expression as a whole.
struct Frame<'t> {
    open: Option<Token<'t>>,
    inside: Inside,
    /// Levels of the tree since the last `&&`, `||` or comma: operators in a row, and the height of closed brackets.
    chain: usize,
    /// The greatest chain before that.
    peak: usize,
    /// The `?`s whose `:` is to come.
    questions: Vec<Token<'t>>,
    /// All `?`s: conditions nest to the right.
    conditions: usize,
    /// Of a map: whether the entry has its `:`.
    keyed: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Inside {
    /// The expression, or a pair of parentheses.
    Group,
    Call,
    List,
    Index,
    Map,
}

impl<'t> Frame<'t> {
    fn new(open: Option<Token<'t>>, inside: Inside) -> Self {
        Self { open, inside, chain: 0, peak: 0, questions: Vec::new(), conditions: 0, keyed: false }
    }

    fn depth(&self) -> usize {
        1 + self.chain + self.conditions
    }

    fn height(&self) -> usize {
        1 + self.chain.max(self.peak) + self.conditions
    }

    /// What follows is no level deeper than what was before.
    fn beside(&mut self) {
        self.peak = self.peak.max(self.chain);
        self.chain = 0;
    }
}

/// Whether a value or an operator is to come.
#[derive(Clone, Copy, PartialEq)]
enum Expect {
    Value,
    Operator,
}

/// Refuses what is no expression.
pub(super) fn proofread<'t>(text: &'t str, tokens: &[Token<'t>]) -> Result<(), ExpressionError> {
    if tokens.is_empty() {
        return Err(ExpressionError::new(1, "the expression is empty").help("leave it out to get every event"));
    }
    if let Some(token) = tokens.get(MAX_TOKENS) {
        return Err(ExpressionError::at(token, format!("the expression has more than {MAX_TOKENS} words")));
    }
    let mut frames = vec![Frame::new(None, Inside::Group)];
    let mut expect = Expect::Value;
    for (n, token) in tokens.iter().enumerate() {
        let previous = n.checked_sub(1).map(|n| tokens[n]);
        let next = tokens.get(n + 1);
        expect = match expect {
            Expect::Value => value(&mut frames, *token, previous, next)?,
            Expect::Operator => operator(&mut frames, *token, previous, next)?,
        };
        if frames.iter().map(Frame::depth).sum::<usize>() > MAX_DEPTH {
            return Err(ExpressionError::at(token, format!("the expression nests deeper than {MAX_DEPTH} levels")));
        }
    }
    let end = text.chars().count() + 1;
    if tokens.last().is_some_and(|last| last.is(".")) {
        return Err(ExpressionError::new(end, "a name is missing after `.`"));
    }
    if expect == Expect::Value {
        return Err(ExpressionError::new(end, "the expression ends where a value should follow"));
    }
    let last = frames.last().expect("invariant: the outermost frame is never closed");
    if let Some(question) = last.questions.last() {
        return Err(ExpressionError::at(question, "`?` has no `:`").help("write condition ? a : b"));
    }
    match &last.open {
        Some(open) => {
            let help = format!("add `{}`", closing(open.text));
            Err(ExpressionError::at(open, format!("`{}` is never closed", open.text)).help(help))
        }
        None => Ok(()),
    }
}

fn value<'t>(
    frames: &mut Vec<Frame<'t>>,
    token: Token<'t>,
    previous: Option<Token<'t>>,
    next: Option<&Token<'t>>,
) -> Result<Expect, ExpressionError> {
    let frame = frames.last_mut().expect("invariant: the outermost frame is never closed");
    match token.kind {
        Kind::Number | Kind::Text => return Ok(Expect::Operator),
        Kind::Name => {
            let starts_value = next.is_some_and(|next| next.kind != Kind::Mark || next.is("("));
            return match token.text {
                "not" | "NOT" if starts_value => {
                    Err(ExpressionError::at(&token, format!("`{}` negates nothing", token.text)).help("use `!`"))
                }
                "in" | "and" | "or" | "AND" | "OR" => Err(without_left(&token)),
                word if RESERVED.contains(&word) => {
                    Err(ExpressionError::at(&token, format!("`{word}` is a reserved word")))
                }
                _ => Ok(Expect::Operator),
            };
        }
        Kind::Mark => {}
    }
    match token.text {
        "(" => frames.push(Frame::new(Some(token), Inside::Group)),
        "[" => frames.push(Frame::new(Some(token), Inside::List)),
        "{" => frames.push(Frame::new(Some(token), Inside::Map)),
        "-" | "!"
            if previous
                .is_some_and(|previous| previous.text != token.text && (previous.is("-") || previous.is("!"))) =>
        {
            return Err(ExpressionError::at(
                &token,
                "`-` makes a number and `!` a condition: there is no sense in both",
            ));
        }
        "-" | "!" => frame.chain += 1,
        ")" | "]" | "}" => {
            let empty = previous.is_some_and(|previous| frame.open.is_some_and(|open| open.at == previous.at));
            let trailing = previous.is_some_and(|p| p.is(",")) && matches!(frame.inside, Inside::List | Inside::Map);
            let may_be_empty = !matches!(frame.inside, Inside::Group | Inside::Index);
            if trailing || (empty && may_be_empty) {
                frame.keyed = true; // there is no entry left to be wrong
                return close(frames, token);
            }
            return Err(match &frame.open {
                None => ExpressionError::at(&token, format!("`{}` closes nothing", token.text)),
                Some(_) => ExpressionError::at(&token, format!("a value is missing before `{}`", token.text)),
            });
        }
        _ => return Err(without_left(&token)),
    }
    Ok(Expect::Value)
}

fn without_left(token: &Token<'_>) -> ExpressionError {
    ExpressionError::at(token, format!("a value is missing before `{}`", token.text))
}

fn operator<'t>(
    frames: &mut Vec<Frame<'t>>,
    token: Token<'t>,
    previous: Option<Token<'t>>,
    next: Option<&Token<'t>>,
) -> Result<Expect, ExpressionError> {
    let frame = frames.last_mut().expect("invariant: the outermost frame is never closed");
    // A name after a dot is no value but part of one; the parser gets it as `.` and a name.
    if previous.is_some_and(|previous| previous.is(".")) {
        return if token.kind == Kind::Name && !matches!(token.text, "in" | "true" | "false" | "null") {
            Ok(Expect::Operator)
        } else {
            Err(after_dot(&token))
        };
    }
    if token.kind != Kind::Mark && token.text != "in" {
        return Err(missing_operator(&token, next));
    }
    match token.text {
        "." | "==" | "!=" | "<=" | ">=" | "<" | ">" | "in" | "+" | "-" | "*" | "/" | "%" => frame.chain += 1,
        "&&" | "||" => frame.beside(),
        "?" => {
            frame.beside();
            frame.conditions += 1;
            frame.questions.push(token);
        }
        ":" => {
            frame.beside();
            if frame.questions.pop().is_none() {
                if frame.inside != Inside::Map || frame.keyed {
                    return Err(ExpressionError::at(&token, "`:` has no `?`")
                        .help("put a text in quotes, or write condition ? a : b"));
                }
                frame.keyed = true;
            }
        }
        "," => {
            frame.beside();
            if matches!(frame.inside, Inside::Group | Inside::Index) {
                return Err(
                    ExpressionError::at(&token, "`,` joins nothing").help("use `&&`; a list stands in `[` and `]`")
                );
            }
            entry_ends(frame, &token)?;
        }
        "(" | "[" | "{" => {
            frame.chain += 1;
            let name = previous.is_some_and(|previous| previous.kind == Kind::Name && !is_literal(previous.text));
            let inside = match token.text {
                "(" if name => Inside::Call,
                "[" => Inside::Index,
                _ => return Err(missing_operator(&token, next)),
            };
            frames.push(Frame::new(Some(token), inside));
        }
        ")" | "]" | "}" => return close(frames, token),
        "!" => return Err(missing_operator(&token, next)),
        other => unreachable!("invariant: tokens know no other mark than these: {other}"),
    }
    // After a dot the name is read as an operator's, so that it is not taken for a variable.
    Ok(if token.is(".") { Expect::Operator } else { Expect::Value })
}

/// Refuses an entry of a map without a value.
fn entry_ends(frame: &mut Frame<'_>, token: &Token<'_>) -> Result<(), ExpressionError> {
    if let Some(question) = frame.questions.last() {
        return Err(ExpressionError::at(question, "`?` has no `:`").help("write condition ? a : b"));
    }
    if frame.inside == Inside::Map && !mem::take(&mut frame.keyed) {
        return Err(ExpressionError::at(token, "an entry of a map has no value").help("write {\"name\": value}"));
    }
    Ok(())
}

fn close<'t>(frames: &mut Vec<Frame<'t>>, token: Token<'t>) -> Result<Expect, ExpressionError> {
    let frame = frames.last_mut().expect("invariant: the outermost frame is never closed");
    match &frame.open {
        None => Err(ExpressionError::at(&token, format!("`{}` closes nothing", token.text))),
        Some(open) if closing(open.text) == token.text => {
            entry_ends(frame, &token)?;
            let height = frame.height();
            frames.pop();
            frames.last_mut().expect("invariant: the outermost frame is never closed").chain += height;
            Ok(Expect::Operator)
        }
        Some(open) => {
            let message = format!("`{}` does not close the `{}` of column {}", token.text, open.text, open.column);
            Err(ExpressionError::at(&token, message).help(format!("use `{}`", closing(open.text))))
        }
    }
}

fn closing(open: &str) -> &'static str {
    match open {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}

fn is_literal(word: &str) -> bool {
    matches!(word, "true" | "false" | "null")
}

fn after_dot(token: &Token<'_>) -> ExpressionError {
    let error = ExpressionError::at(token, "a name is missing after `.`");
    match token.kind {
        Kind::Name => error.help(format!("`{0}` is a keyword, write [\"{0}\"] instead of .{0}", token.text)),
        Kind::Text => error.help(format!("write [{}] without the `.`", token.text)),
        _ => error,
    }
}

/// Two values in a row, or a word that is an operator elsewhere.
fn missing_operator(token: &Token<'_>, next: Option<&Token<'_>>) -> ExpressionError {
    let word = token.text;
    let called = next.is_some_and(|next| next.is("("));
    let help = match word {
        "and" | "AND" => "use `&&`".to_owned(),
        "or" | "OR" => "use `||`".to_owned(),
        "is" | "eq" | "equals" | "IS" => "use `==`".to_owned(),
        "ne" => "use `!=`".to_owned(),
        "not" | "NOT" if next.is_some_and(|next| next.text == "in") => "write !(a in b)".to_owned(),
        "like" | "LIKE" | "IN" | "matches" | "contains" | "startsWith" | "endsWith" if !called => match word {
            "like" | "LIKE" => "write a.contains(\"…\")".to_owned(),
            "IN" => "use `in`".to_owned(),
            _ => format!("write a.{word}(\"…\")"),
        },
        _ if token.kind == Kind::Number && word.starts_with('.') => {
            format!("an element of a list is written [{}]", &word[1..])
        }
        _ => return ExpressionError::at(token, format!("an operator is missing before `{word}`")),
    };
    ExpressionError::at(token, format!("`{word}` is no operator")).help(help)
}

/// Words that CEL keeps for itself.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];
