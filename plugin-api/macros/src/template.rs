//! Code to write, as text with `$name` where tokens of the author go in: those keep their place in the author's file, so
//! that rustc's own errors about them point there.

use proc_macro::{Group, TokenStream, TokenTree};

/// Reads `text` as Rust and puts the parts where it names them.
///
/// # Panics
/// When `text` is no Rust or names a part that is not given: faults of this crate, not of its user.
pub(crate) fn fill(text: &str, parts: &[(&str, TokenStream)]) -> TokenStream {
    let tokens: TokenStream = text.parse().expect("a template is Rust tokens");
    replace(tokens, parts)
}

fn replace(tokens: TokenStream, parts: &[(&str, TokenStream)]) -> TokenStream {
    let mut out = TokenStream::new();
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(dollar) if dollar.as_char() == '$' => {
                let name = tokens.next().expect("a name follows a dollar").to_string();
                let (_, part) = parts.iter().find(|(n, _)| *n == name).expect("every part of a template is given");
                out.extend(part.clone());
            }
            TokenTree::Group(group) => {
                let mut filled = Group::new(group.delimiter(), replace(group.stream(), parts));
                filled.set_span(group.span());
                out.extend([TokenTree::Group(filled)]);
            }
            other => out.extend([other]),
        }
    }
    out
}
