//! Reading the item that an attribute macro stands on: a struct with named fields, or an enum of plain variants.

use crate::{attribute::Attribute, failure::Failure};
use proc_macro::{Delimiter, Ident, Span, TokenStream, TokenTree};
use std::iter::Peekable;

type Tokens = Peekable<proc_macro::token_stream::IntoIter>;

/// The item, taken apart.
pub(crate) struct Item {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: TokenStream,
    pub(crate) name: Ident,
    /// All between the name and the braces: `<'a, T> where …`.
    pub(crate) generics: TokenStream,
    pub(crate) body: Body,
}

/// What it holds.
pub(crate) enum Body {
    Fields(Vec<Field>),
    Variants(Vec<Variant>),
}

/// A named field.
pub(crate) struct Field {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: TokenStream,
    pub(crate) name: Ident,
    pub(crate) kind: TokenStream,
}

/// A variant without a payload.
pub(crate) struct Variant {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) name: Ident,
}

impl Item {
    /// `what` is the macro's name, for its messages.
    pub(crate) fn read(what: &str, input: TokenStream) -> Result<Self, Failure> {
        let mut tokens = input.into_iter().peekable();
        let attributes = attributes(&mut tokens);
        let visibility = visibility(&mut tokens);
        let shape = format!("#[{what}] stands on a struct with named fields or on an enum of plain variants");
        let keyword = ident(&mut tokens, &shape)?;
        let name = ident(&mut tokens, &shape)?;
        let mut generics = TokenStream::new();
        let body = loop {
            match tokens.next() {
                Some(TokenTree::Group(body)) if body.delimiter() == Delimiter::Brace => break body,
                Some(TokenTree::Group(body)) if generics.is_empty() => return Err(Failure::new(body.span(), shape)),
                Some(TokenTree::Punct(end)) if end.as_char() == ';' => {
                    let message = format!("{shape}; write braces: `struct {name} {{}}`");
                    return Err(Failure::new(name.span(), message));
                }
                Some(token) => generics.extend([token]),
                None => return Err(Failure::new(name.span(), shape)),
            }
        };
        let inner = body.stream().into_iter().peekable();
        let body = match keyword.to_string().as_str() {
            "struct" => Body::Fields(fields(inner)?),
            "enum" => Body::Variants(variants(inner, &shape)?),
            _ => return Err(Failure::new(keyword.span(), shape)),
        };
        Ok(Self { attributes, visibility, name, generics, body })
    }
}

impl Field {
    /// The name as serde reads it, without `r#`.
    pub(crate) fn plain_name(&self) -> String {
        self.name.to_string().trim_start_matches("r#").to_owned()
    }
}

fn attributes(tokens: &mut Tokens) -> Vec<Attribute> {
    let mut found = Vec::new();
    while let Some(hash) = tokens.next_if(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == '#')) {
        let Some(TokenTree::Group(body)) = tokens.next() else { break };
        found.push(Attribute::new(hash, body));
    }
    found
}

fn visibility(tokens: &mut Tokens) -> TokenStream {
    let mut found = TokenStream::new();
    if let Some(word) = tokens.next_if(|t| t.to_string() == "pub") {
        found.extend([word]);
        let place = tokens.next_if(|t| matches!(t, TokenTree::Group(g) if g.delimiter() == Delimiter::Parenthesis));
        found.extend(place);
    }
    found
}

fn ident(tokens: &mut Tokens, expected: &str) -> Result<Ident, Failure> {
    match tokens.next() {
        Some(TokenTree::Ident(name)) => Ok(name),
        Some(other) => Err(Failure::new(other.span(), expected)),
        None => Err(Failure::new(Span::call_site(), expected)),
    }
}

fn fields(mut tokens: Tokens) -> Result<Vec<Field>, Failure> {
    let mut found = Vec::new();
    while tokens.peek().is_some() {
        let attributes = attributes(&mut tokens);
        let visibility = visibility(&mut tokens);
        let name = ident(&mut tokens, "a field has a name")?;
        tokens.next(); // the colon; rustc has parsed the struct before us
        let mut kind = TokenStream::new();
        let mut depth = 0_i32; // commas between < and > belong to the type
        for token in tokens.by_ref() {
            if let TokenTree::Punct(p) = &token {
                match p.as_char() {
                    '<' => depth += 1,
                    '>' => depth -= 1,
                    ',' if depth == 0 => break,
                    _ => {}
                }
            }
            kind.extend([token]);
        }
        found.push(Field { attributes, visibility, name, kind });
    }
    Ok(found)
}

fn variants(mut tokens: Tokens, shape: &str) -> Result<Vec<Variant>, Failure> {
    let mut found = Vec::new();
    while tokens.peek().is_some() {
        let attributes = attributes(&mut tokens);
        let name = ident(&mut tokens, shape)?;
        match tokens.next() {
            None => {}
            Some(TokenTree::Punct(p)) if p.as_char() == ',' => {}
            Some(other) => return Err(Failure::new(other.span(), shape)),
        }
        found.push(Variant { attributes, name });
    }
    Ok(found)
}
