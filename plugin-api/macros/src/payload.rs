//! `#[payload]`: serde's `Serialize`, with absent things left out.

use crate::{
    failure::Failure,
    item::{Body, Item},
    template::fill,
};
use proc_macro::{TokenStream, TokenTree};

pub(crate) fn expand(arguments: TokenStream, input: TokenStream) -> Result<TokenStream, Failure> {
    if let Some(first) = arguments.into_iter().next() {
        return Err(Failure::new(first.span(), "#[payload] takes no arguments"));
    }
    let item = Item::read("payload", input)?;
    let mut body = TokenStream::new();
    let keyword = match &item.body {
        Body::Fields(fields) => {
            for field in fields {
                let mut attributes: TokenStream = field.attributes.iter().map(|a| a.tokens.clone()).collect();
                let own_rule = field.attributes.iter().any(|a| a.tokens.to_string().contains("skip_serializing"));
                if is_option(&field.kind) && !own_rule {
                    attributes.extend(fill("#[serde(skip_serializing_if = \"::core::option::Option::is_none\")]", &[]));
                }
                body.extend(fill(
                    "$attributes $visibility $name: $kind,",
                    &[
                        ("attributes", attributes),
                        ("visibility", field.visibility.clone()),
                        ("name", TokenTree::Ident(field.name.clone()).into()),
                        ("kind", field.kind.clone()),
                    ],
                ));
            }
            "struct"
        }
        Body::Variants(variants) => {
            for variant in variants {
                let attributes = variant.attributes.iter().map(|a| a.tokens.clone()).collect();
                let name = TokenTree::Ident(variant.name.clone()).into();
                body.extend(fill("$attributes $name,", &[("attributes", attributes), ("name", name)]));
            }
            "enum"
        }
    };
    Ok(fill(
        &format!(
            "#[derive(::headwater_plugin::__private::serde::Serialize)]
            #[serde(crate = \"::headwater_plugin::__private::serde\")]
            $attributes
            $visibility {keyword} $name $generics {{ $body }}"
        ),
        &[
            ("attributes", item.attributes.iter().map(|a| a.tokens.clone()).collect()),
            ("visibility", item.visibility.clone()),
            ("name", TokenTree::Ident(item.name.clone()).into()),
            ("generics", item.generics.clone()),
            ("body", body),
        ],
    ))
}

/// `Option<…>`, also by its full path.
fn is_option(kind: &TokenStream) -> bool {
    let before = kind.clone().into_iter().take_while(|t| !matches!(t, TokenTree::Punct(p) if p.as_char() == '<'));
    before.last().is_some_and(|t| t.to_string() == "Option")
}
