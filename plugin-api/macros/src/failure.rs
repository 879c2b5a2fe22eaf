//! What is wrong with the macro's input, and where: it becomes a `compile_error!` on that token.

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// A refusal, with the place in the author's file.
#[derive(Debug)]
pub(crate) struct Failure {
    span: Span,
    message: String,
}

impl Failure {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into() }
    }

    /// `::core::compile_error! { "message" }`, all of it at the place of the fault.
    pub(crate) fn into_tokens(self) -> TokenStream {
        let mut text = Literal::string(&self.message);
        text.set_span(self.span);
        let mut body = Group::new(Delimiter::Brace, TokenTree::Literal(text).into());
        body.set_span(self.span);
        let mut tokens: Vec<TokenTree> = Vec::new();
        for word in ["core", "compile_error"] {
            tokens.extend([punct(':', Spacing::Joint), punct(':', Spacing::Alone)]);
            tokens.push(Ident::new(word, self.span).into());
        }
        tokens.extend([punct('!', Spacing::Alone), body.into()]);
        for token in &mut tokens {
            token.set_span(self.span);
        }
        tokens.into_iter().collect()
    }
}

fn punct(character: char, spacing: Spacing) -> TokenTree {
    Punct::new(character, spacing).into()
}
