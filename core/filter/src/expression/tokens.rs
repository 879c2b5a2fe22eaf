//! The words of an expression with their columns. Finds what is wrong within a word; how words follow each other is
//! `proofread`'s.

use super::ExpressionError;

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Name,
    Number,
    /// Text in quotes.
    Text,
    /// An operator or a bracket.
    Mark,
}

/// A word and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    /// In bytes from 0, as the parser counts.
    pub(super) at: usize,
    /// In characters from 1, as people count.
    pub(super) column: usize,
}

impl Token<'_> {
    pub(super) fn is(&self, mark: &str) -> bool {
        self.kind == Kind::Mark && self.text == mark
    }
}

/// Longest first, so that `<=` is not `<` and `=`.
const MARKS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}", ".", ",",
    "?", ":",
];

/// Operators of other languages, longest first, and what CEL has for them.
const FOREIGN: [(&str, &str); 11] = [
    ("===", "use `==`"),
    ("!==", "use `!=`"),
    ("<>", "use `!=`"),
    ("=<", "use `<=`"),
    ("=>", "use `>=`"),
    ("=~", "use `a.matches(\"…\")`"),
    ("!~", "use `!a.matches(\"…\")`"),
    ("~", "use `a.matches(\"…\")`"),
    ("**", "multiply with `*`"),
    ("??", "ask with `has(…)`"),
    (";", "join conditions with `&&` or `||`"),
];

/// Splits an expression into its words. White space and comments (`// …`) are gone.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, ExpressionError> {
    let mut tokens = Vec::new();
    let (mut at, mut column) = (0, 1);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if matches!(first, ' ' | '\t' | '\r' | '\n' | '\u{c}') {
            at += 1;
            column += 1;
            continue;
        }
        let (kind, length) = if rest.starts_with("//") {
            let length = rest.find('\n').unwrap_or(rest.len());
            column += rest[..length].chars().count();
            at += length;
            continue;
        } else if let Some(length) = quoted(rest, column)? {
            (Kind::Text, length)
        } else if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
            (Kind::Number, number(rest, column)?)
        } else if first.is_ascii_alphabetic() || first == '_' {
            (Kind::Name, rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len()))
        } else {
            (Kind::Mark, mark(rest, column)?)
        };
        tokens.push(Token { kind, text: &rest[..length], at, column });
        column += rest[..length].chars().count();
        at += length;
    }
    Ok(tokens)
}

fn mark(rest: &str, column: usize) -> Result<usize, ExpressionError> {
    if let Some((foreign, help)) = FOREIGN.iter().find(|(foreign, _)| rest.starts_with(foreign)) {
        return Err(ExpressionError::new(column, format!("`{foreign}` is no operator")).help(*help));
    }
    if let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(**mark)) {
        return Ok(mark.len());
    }
    let first = rest.chars().next().unwrap_or_default();
    let error = |message: String| ExpressionError::new(column, message);
    Err(match first {
        '=' => error("`=` compares nothing".into()).help("use `==`"),
        '&' => error("`&` joins nothing".into()).help("use `&&`"),
        '|' => error("`|` joins nothing".into()).help("use `||`"),
        '`' => error("a name in backquotes is not known here".into()).help("write data[\"a name\"]"),
        '“' | '”' | '„' | '‘' | '’' | '«' | '»' => {
            error(format!("`{first}` opens no text")).help("use plain quotes: \"…\"")
        }
        other if other.is_alphanumeric() => {
            error(format!("`{other}` cannot stand in a name")).help("write data[\"a name\"]")
        }
        other => error(format!("`{}` means nothing here", other.escape_debug())),
    })
}

/// The length of the number that stands here.
fn number(rest: &str, column: usize) -> Result<usize, ExpressionError> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let hex = bytes[0] == b'0' && matches!(bytes.get(1), Some(b'x'));
    let mut length = if hex { 2 + bytes[2..].iter().take_while(|b| b.is_ascii_hexdigit()).count() } else { digits(0) };
    let mut whole = true;
    if !hex {
        if bytes.get(length) == Some(&b'.') && digits(length + 1) > 0 {
            whole = false;
            length += 1 + digits(length + 1);
        }
        if matches!(bytes.get(length), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
            let exponent = digits((length + 1 + sign).min(bytes.len()));
            if exponent > 0 {
                whole = false;
                length += 1 + sign + exponent;
            }
        }
    }
    let unsigned = whole && matches!(bytes.get(length), Some(b'u' | b'U'));
    length += usize::from(unsigned);
    let word = length + bytes[length..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    let (text, word) = (&rest[..length], &rest[..word]);
    if word.len() > length || text == "0x" {
        let error = ExpressionError::new(column, format!("`{word}` is no number"));
        let unit = &word[length..];
        let span = whole && ["ns", "us", "ms", "s", "m", "h", "d"].contains(&unit);
        return Err(if span { error.help(format!("a length of time is written duration(\"{word}\")")) } else { error });
    }
    let plain = text.trim_end_matches(['u', 'U']);
    let fits = match (whole, unsigned, plain.strip_prefix("0x")) {
        (false, ..) => plain.parse::<f64>().is_ok_and(f64::is_finite),
        (true, true, Some(hex)) => u64::from_str_radix(hex, 16).is_ok(),
        (true, true, None) => plain.parse::<u64>().is_ok(),
        (true, false, Some(hex)) => i64::from_str_radix(hex, 16).is_ok(),
        // One more than the greatest: with a sign before it, it is the least.
        (true, false, None) => plain.parse::<u64>().is_ok_and(|n| n <= 1 << 63),
    };
    if fits { Ok(length) } else { Err(ExpressionError::new(column, format!("`{text}` is too large a number"))) }
}

/// The length of the text in quotes that stands here, if one does.
fn quoted(rest: &str, column: usize) -> Result<Option<usize>, ExpressionError> {
    let prefix = rest.bytes().take_while(|b| matches!(b, b'r' | b'R' | b'b' | b'B')).count();
    let Some(quote) = rest[prefix..].chars().next().filter(|c| matches!(c, '"' | '\'')) else { return Ok(None) };
    if prefix > 1 || rest[..prefix].eq_ignore_ascii_case("b") {
        return Err(ExpressionError::new(column, format!("`{}` before a text means nothing here", &rest[..prefix])));
    }
    let single = quote.to_string();
    let triple = single.repeat(3);
    let delimiter = if rest[prefix..].starts_with(&triple) { triple } else { single };
    let raw = prefix == 1;
    let mut at = prefix + delimiter.len();
    loop {
        let Some(next) = rest[at..].chars().next() else {
            return Err(open(column, &delimiter));
        };
        if rest[at..].starts_with(&delimiter) {
            return Ok(Some(at + delimiter.len()));
        }
        match next {
            '\n' | '\r' if delimiter.len() == 1 => return Err(open(column, &delimiter)),
            '\\' if !raw => {
                let Some(length) = escape(&rest[at..]) else {
                    let column = column + rest[..at].chars().count();
                    let escape: String = rest[at..].chars().take(2).collect();
                    let help = format!("write `\\{escape}`, or r\"…\" with no escapes at all");
                    return Err(ExpressionError::new(column, format!("`{escape}` is no escape")).help(help));
                };
                at += length;
            }
            _ => at += next.len_utf8(),
        }
    }
}

fn open(column: usize, delimiter: &str) -> ExpressionError {
    ExpressionError::new(column, "this text is never closed").help(format!("end it with `{delimiter}`"))
}

/// The length of the escape that stands here, if it is one.
fn escape(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let hex = |digits: usize| {
        let code = rest.get(2..2 + digits).filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u32::from_str_radix(code, 16).ok().and_then(char::from_u32).map(|_| 2 + digits)
    };
    match bytes.get(1)? {
        b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\'' | b'\\' | b'?' | b'`' => Some(2),
        b'x' | b'X' => hex(2),
        b'u' => hex(4),
        b'U' => hex(8),
        b'0'..=b'3' => bytes.get(2..4)?.iter().all(|b| (b'0'..=b'7').contains(b)).then_some(4),
        _ => None,
    }
}

/// One text for all expressions that differ in nothing but white space, comments and the kind of their quotes.
pub(super) fn normalised(tokens: &[Token<'_>]) -> String {
    let mut text = String::new();
    for token in tokens {
        if !text.is_empty() {
            text.push(' ');
        }
        let inner = token.text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
        match inner.filter(|inner| !inner.contains(['"', '\\', '\''])) {
            Some(inner) if token.kind == Kind::Text => {
                text.push('"');
                text.push_str(inner);
                text.push('"');
            }
            _ => text.push_str(token.text),
        }
    }
    text
}
