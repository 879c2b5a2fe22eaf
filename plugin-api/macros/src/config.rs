//! `#[config]`: serde's `Deserialize` and the schema as a constant.

use crate::{
    attribute::{Attribute, Container, Member, docs},
    case::Case,
    failure::Failure,
    item::{Body, Field, Item, Variant},
    template::fill,
};
use proc_macro::{Literal, Span, TokenStream, TokenTree};

// The derive stands first: attributes that belong to it must not come before it.
const HEAD: &str = r#"
    #[derive(::headwater_plugin::__private::serde::Deserialize)]
    #[serde(crate = "::headwater_plugin::__private::serde")]
    $attributes
"#;

const SCHEMA: &str = "
    #[automatically_derived]
    impl ::headwater_plugin::schema::ConfigType for $name {
        const SCHEMA: &'static ::headwater_plugin::schema::Schema = &::headwater_plugin::schema::Schema::$shape;
    }
";

pub(crate) fn expand(arguments: TokenStream, input: TokenStream) -> Result<TokenStream, Failure> {
    if let Some(first) = arguments.into_iter().next() {
        return Err(Failure::new(first.span(), "#[config] takes no arguments; defaults stand on the fields"));
    }
    let item = Item::read("config", input)?;
    if let Some(first) = item.generics.clone().into_iter().next() {
        return Err(Failure::new(first.span(), "#[config] describes one type; it cannot have parameters"));
    }
    let container = Container::read(&item.attributes)?;
    match &item.body {
        Body::Fields(fields) => of_struct(&item, &container, fields),
        Body::Variants(variants) => of_enum(&item, &container, variants),
    }
}

fn of_struct(item: &Item, container: &Container, fields: &[Field]) -> Result<TokenStream, Failure> {
    let mut written = TokenStream::new();
    let mut described = TokenStream::new();
    let mut defaults = TokenStream::new();
    for field in fields {
        let member = Member::read(&field.attributes)?;
        let plain = field.plain_name();
        let mut attributes: TokenStream = kept(&field.attributes, |a| a.name != "default");
        if let Some(literal) = &member.literal {
            let function = format!("__default_of_{plain}");
            let path = string(&format!("{}::{function}", item.name));
            attributes.extend(fill("#[serde(default = $path)]", &[("path", path)]));
            let parts = [("literal", literal.clone()), ("kind", field.kind.clone()), ("field", string(&plain))];
            defaults.extend(fill(
                &format!(
                    "fn {function}() -> $kind {{
                        const LITERAL: ::headwater_plugin::schema::Literal = $literal;
                        LITERAL.read($field)
                    }}"
                ),
                &parts,
            ));
        }
        written.extend(fill(
            "$attributes $visibility $name: $kind,",
            &[
                ("attributes", attributes),
                ("visibility", field.visibility.clone()),
                ("name", TokenTree::Ident(field.name.clone()).into()),
                ("kind", field.kind.clone()),
            ],
        ));
        if member.skip {
            continue;
        }
        let default = member.literal.clone().map_or_else(
            || fill("::core::option::Option::None", &[]),
            |literal| fill("::core::option::Option::Some($literal)", &[("literal", literal)]),
        );
        let given = member.default || member.literal.is_some() || container.default;
        described.extend(fill(
            &format!(
                "::headwater_plugin::schema::Field {{
                    name: $name,
                    docs: &$docs,
                    schema: <$kind as ::headwater_plugin::schema::ConfigType>::SCHEMA,
                    required: !({given} || <$kind as ::headwater_plugin::schema::ConfigType>::OPTIONAL),
                    default: $default,
                }},"
            ),
            &[
                ("name", member.rename.map_or_else(|| string(&spelled(container, &plain)), Into::into)),
                ("docs", docs(&field.attributes)),
                ("kind", field.kind.clone()),
                ("default", default),
            ],
        ));
    }
    let mut out = head(item);
    let name = || ("name", TokenStream::from(TokenTree::Ident(item.name.clone())));
    out.extend(fill(
        "#[serde(deny_unknown_fields)] $visibility struct $name { $fields }",
        &[("visibility", item.visibility.clone()), name(), ("fields", written)],
    ));
    if !defaults.is_empty() {
        out.extend(fill("#[automatically_derived] impl $name { $defaults }", &[name(), ("defaults", defaults)]));
    }
    let shape =
        fill("Object { docs: &$docs, fields: &[$fields] }", &[("docs", docs(&item.attributes)), ("fields", described)]);
    out.extend(fill(SCHEMA, &[name(), ("shape", shape)]));
    Ok(out)
}

fn of_enum(item: &Item, container: &Container, variants: &[Variant]) -> Result<TokenStream, Failure> {
    if container.default {
        return Err(Failure::new(item.name.span(), "a default belongs to the field that has this type"));
    }
    let mut written = TokenStream::new();
    let mut words = TokenStream::new();
    for variant in variants {
        let member = Member::read(&variant.attributes)?;
        if member.default || member.literal.is_some() {
            return Err(Failure::new(variant.name.span(), "a default belongs to the field that has this type"));
        }
        let name = ("name", TokenStream::from(TokenTree::Ident(variant.name.clone())));
        written.extend(fill("$attributes $name,", &[("attributes", kept(&variant.attributes, |_| true)), name]));
        if member.skip {
            continue;
        }
        let plain = variant.name.to_string();
        let spelled = container.rename_all.map_or_else(|| plain.clone(), |case| case.of_variant(&plain));
        let word = member.rename.map_or_else(|| string(&spelled), Into::into);
        words.extend(fill("$word,", &[("word", word)]));
    }
    let mut out = head(item);
    let name = || ("name", TokenStream::from(TokenTree::Ident(item.name.clone())));
    out.extend(fill(
        "$visibility enum $name { $variants }",
        &[("visibility", item.visibility.clone()), name(), ("variants", written)],
    ));
    let shape =
        fill("Choice { docs: &$docs, words: &[$words] }", &[("docs", docs(&item.attributes)), ("words", words)]);
    out.extend(fill(SCHEMA, &[name(), ("shape", shape)]));
    Ok(out)
}

fn head(item: &Item) -> TokenStream {
    fill(HEAD, &[("attributes", kept(&item.attributes, |_| true))])
}

fn kept(attributes: &[Attribute], keep: impl Fn(&Attribute) -> bool) -> TokenStream {
    attributes.iter().filter(|a| keep(a)).map(|a| a.tokens.clone()).collect()
}

fn spelled(container: &Container, field: &str) -> String {
    container.rename_all.map_or_else(|| field.to_owned(), |case: Case| case.of_field(field))
}

fn string(text: &str) -> TokenStream {
    let mut literal = Literal::string(text);
    literal.set_span(Span::call_site());
    TokenTree::Literal(literal).into()
}
