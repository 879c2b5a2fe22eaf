//! Reading the attributes that stand on a type, a field or a variant.

use crate::{case::Case, failure::Failure, template::fill};
use proc_macro::{Delimiter, Group, Literal, Span, TokenStream, TokenTree};

/// One `#[name …]`, as it was written.
#[derive(Clone)]
pub(crate) struct Attribute {
    /// The first word: `serde`, `doc`, `default`.
    pub(crate) name: String,
    /// All of it, with the `#` and the brackets.
    pub(crate) tokens: TokenStream,
    /// What follows the name: `= "text"`, `(default, rename = "x")`, nothing.
    arguments: Vec<TokenTree>,
    pub(crate) span: Span,
}

impl Attribute {
    pub(crate) fn new(hash: TokenTree, body: Group) -> Self {
        let mut inner: Vec<TokenTree> = body.stream().into_iter().collect();
        let span = inner.first().map_or_else(|| body.span(), TokenTree::span);
        let name = if inner.is_empty() { String::new() } else { inner.remove(0).to_string() };
        let tokens = [hash, TokenTree::Group(body)].into_iter().collect();
        Self { name, tokens, arguments: inner, span }
    }

    /// What stands after the `=`.
    fn value(&self) -> Option<TokenStream> {
        match self.arguments.split_first() {
            Some((TokenTree::Punct(p), rest)) if p.as_char() == '=' => Some(rest.iter().cloned().collect()),
            _ => None,
        }
    }
}

/// The doc comments as an array of string expressions: `[" one line", " another"]`.
pub(crate) fn docs(attributes: &[Attribute]) -> TokenStream {
    let mut lines = TokenStream::new();
    for value in attributes.iter().filter(|a| a.name == "doc").filter_map(Attribute::value) {
        lines.extend(fill("$value,", &[("value", value)]));
    }
    TokenTree::Group(Group::new(Delimiter::Bracket, lines)).into()
}

/// One entry of `#[serde(…)]`.
struct Entry {
    name: String,
    value: Option<TokenTree>,
    span: Span,
}

fn serde_entries(attributes: &[Attribute]) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    for attribute in attributes.iter().filter(|a| a.name == "serde") {
        let [TokenTree::Group(group)] = attribute.arguments.as_slice() else {
            return Err(Failure::new(attribute.span, "write `#[serde(…)]`"));
        };
        let all: Vec<TokenTree> = group.stream().into_iter().collect();
        for entry in all.split(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == ',')) {
            match entry {
                [] => {}
                [name] => entries.push(Entry { name: name.to_string(), value: None, span: name.span() }),
                [name, TokenTree::Punct(equals), value] if equals.as_char() == '=' => {
                    entries.push(Entry { name: name.to_string(), value: Some(value.clone()), span: name.span() });
                }
                [name, ..] => {
                    let message = format!("`{name}(…)` of serde has no place in a schema; write `{name} = \"…\"`");
                    return Err(Failure::new(name.span(), message));
                }
            }
        }
    }
    Ok(entries)
}

/// What the attributes of the type say.
#[derive(Default)]
pub(crate) struct Container {
    /// The spelling of the names in it.
    pub(crate) rename_all: Option<Case>,
    /// Every field has a default.
    pub(crate) default: bool,
}

impl Container {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self, Failure> {
        let mut container = Self::default();
        for entry in serde_entries(attributes)? {
            match (entry.name.as_str(), entry.value) {
                ("rename_all", Some(value)) => {
                    let case = text(&value).and_then(|t| Case::parse(&t));
                    container.rename_all = Some(case.ok_or_else(|| {
                        Failure::new(value.span(), "serde has no such spelling; for example \"kebab-case\"")
                    })?);
                }
                ("default", _) => container.default = true,
                ("deny_unknown_fields", _) => {
                    return Err(Failure::new(entry.span, "#[config] refuses unknown fields already; leave this out"));
                }
                (name, _) => {
                    let message = format!("#[config] cannot describe `serde({name})`; rename_all and default it can");
                    return Err(Failure::new(entry.span, message));
                }
            }
        }
        Ok(container)
    }
}

/// What the attributes of a field or a variant say.
#[derive(Default)]
pub(crate) struct Member {
    /// Another name than Rust's.
    pub(crate) rename: Option<TokenTree>,
    /// serde fills it in when it is not set.
    pub(crate) default: bool,
    /// It is not read at all.
    pub(crate) skip: bool,
    /// `#[default = …]`: an expression of the SDK's type `Literal`.
    pub(crate) literal: Option<TokenStream>,
}

impl Member {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self, Failure> {
        let mut member = Self::default();
        for entry in serde_entries(attributes)? {
            match (entry.name.as_str(), entry.value) {
                ("rename", Some(value)) => member.rename = Some(value),
                ("default", _) => member.default = true,
                ("skip" | "skip_deserializing", None) => member.skip = true,
                ("with" | "deserialize_with", _) => {}
                (name, _) => {
                    let message = format!(
                        "#[config] cannot describe `serde({name})`; rename, default, skip and deserialize_with it can"
                    );
                    return Err(Failure::new(entry.span, message));
                }
            }
        }
        for attribute in attributes.iter().filter(|a| a.name == "default") {
            let value = attribute
                .value()
                .ok_or_else(|| Failure::new(attribute.span, "write the value: `#[default = \"5s\"]`"))?;
            if member.default || member.literal.is_some() {
                return Err(Failure::new(attribute.span, "this field has two defaults; keep one"));
            }
            member.literal = Some(literal(&value.into_iter().collect::<Vec<_>>(), attribute.span)?);
        }
        Ok(member)
    }
}

/// `"5s"`, `5`, `-0.5`, `true` or a list of them, as an expression of the SDK's type `Literal`.
fn literal(tokens: &[TokenTree], span: Span) -> Result<TokenStream, Failure> {
    const TYPE: &str = "::headwater_plugin::schema::Literal";
    let (negative, rest) = match tokens {
        [TokenTree::Punct(minus), rest @ ..] if minus.as_char() == '-' => (true, rest),
        all => (false, all),
    };
    let sign = if negative { "-" } else { "" };
    Ok(match rest {
        [TokenTree::Literal(value)] => match kind(value) {
            Kind::Text if !negative => fill(&format!("{TYPE}::Text($value)"), &[("value", tokens[0].clone().into())]),
            Kind::Integer => {
                let value = TokenTree::Literal(value.clone()).into();
                fill(&format!("{TYPE}::Integer({sign}($value as i128))"), &[("value", value)])
            }
            Kind::Number(text) => fill(&format!("{TYPE}::Number(\"{sign}{text}\")"), &[]),
            Kind::Text | Kind::Other => return Err(no_literal(value.span())),
        },
        [TokenTree::Ident(word)] if !negative && ["true", "false"].contains(&word.to_string().as_str()) => {
            fill(&format!("{TYPE}::Flag({word})"), &[])
        }
        [TokenTree::Group(list)] if !negative && list.delimiter() == Delimiter::Bracket => {
            let all: Vec<TokenTree> = list.stream().into_iter().collect();
            let mut items = TokenStream::new();
            let separated = all.split(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == ','));
            for item in separated.filter(|item| !item.is_empty()) {
                items.extend(fill("$item,", &[("item", literal(item, list.span())?)]));
            }
            fill(&format!("{TYPE}::List(&[$items])"), &[("items", items)])
        }
        _ => return Err(no_literal(rest.first().map_or(span, TokenTree::span))),
    })
}

fn no_literal(span: Span) -> Failure {
    Failure::new(
        span,
        "a default is a string, a number, true, false or a list of them; for anything else write `#[serde(default = \
         \"a_function\")]`",
    )
}

enum Kind {
    Text,
    Integer,
    /// As JSON writes it: without `_` and without a suffix.
    Number(String),
    Other,
}

fn kind(literal: &Literal) -> Kind {
    let text = literal.to_string();
    if text.starts_with('"') || text.starts_with("r\"") || text.starts_with("r#") {
        return Kind::Text;
    }
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Kind::Other;
    }
    let prefixed = ["0x", "0o", "0b"].iter().any(|prefix| text.starts_with(prefix));
    if prefixed || !(text.contains(['.', 'e', 'E']) || text.ends_with("f32") || text.ends_with("f64")) {
        return Kind::Integer;
    }
    let mut number = text.replace('_', "");
    for suffix in ["f32", "f64"] {
        number.truncate(number.strip_suffix(suffix).map_or(number.len(), str::len));
    }
    if number.ends_with('.') {
        number.push('0');
    }
    Kind::Number(number)
}

/// The text of a plain string literal.
fn text(token: &TokenTree) -> Option<String> {
    let text = token.to_string();
    Some(text.strip_prefix('"')?.strip_suffix('"')?.to_owned())
}
