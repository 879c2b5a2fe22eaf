//! What a source's settings look like: a tree of constants, from which the manifest's JSON Schema is written while
//! the plugin is compiled.
//!
//! `#[config]` implements [`ConfigType`] for an author's types; the plain types are implemented here. The tree holds no
//! logic: `manifest` writes it, serde reads the settings.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::PathBuf};

/// A type that can be part of a source's settings or of a command's parameters.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a source's settings",
    label = "no schema is known for this type",
    note = "put `#[config]` on your own type; String, PathBuf, bool, numbers, Period, Option, Vec, BTreeMap<String, _> \
            and serde_json::Value are known"
)]
pub trait ConfigType: DeserializeOwned {
    /// What values it takes.
    const SCHEMA: &'static Schema;
    /// Whether it has a value of its own when nothing is said.
    const OPTIONAL: bool = false;
}

/// What values a setting takes.
#[derive(Debug)]
pub enum Schema {
    /// Anything.
    Any,
    /// A string, of a format where one is named, with an example.
    Text {
        /// JSON Schema's `format`.
        format: Option<&'static str>,
        /// How it may look.
        example: Option<&'static str>,
    },
    /// `true` or `false`.
    Flag,
    /// A whole number in these bounds.
    Integer {
        /// The smallest, where it is nearer than that of 64 bits.
        minimum: Option<i128>,
        /// The largest, where it is nearer than that of 64 bits.
        maximum: Option<i128>,
    },
    /// A number.
    Number,
    /// A list.
    List(&'static Schema),
    /// A table with free keys.
    Map(&'static Schema),
    /// A table with these keys and no others.
    Object {
        /// The doc comment, a line each.
        docs: &'static [&'static str],
        /// The keys.
        fields: &'static [Field],
    },
    /// One of these words.
    Choice {
        /// The doc comment, a line each.
        docs: &'static [&'static str],
        /// The words.
        words: &'static [&'static str],
    },
}

/// A key of a table.
#[derive(Debug)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// The doc comment, a line each.
    pub docs: &'static [&'static str],
    /// What values it takes.
    pub schema: &'static Schema,
    /// Whether it must be there.
    pub required: bool,
    /// The value when it is not there, as far as it is known.
    pub default: Option<Literal>,
}

/// A value that the author wrote down as a default.
#[derive(Debug, Clone, Copy)]
pub enum Literal {
    /// A string.
    Text(&'static str),
    /// A whole number.
    Integer(i128),
    /// Any other number, in JSON's spelling.
    Number(&'static str),
    /// `true` or `false`.
    Flag(bool),
    /// A list.
    List(&'static [Literal]),
}

impl Literal {
    /// The default as a value of the field's type.
    ///
    /// # Panics
    /// When the author's default does not fit the type of the field: there is no value to go on with. The panic is
    /// caught where the instance is made, and told as the reason why it cannot start.
    pub fn read<T: DeserializeOwned>(&self, field: &str) -> T {
        match serde_json::from_value(self.to_value()) {
            Ok(value) => value,
            Err(error) => panic!("the default of `{field}` does not fit its type: {error}"),
        }
    }

    fn to_value(self) -> Value {
        match self {
            Self::Text(text) => text.into(),
            Self::Integer(number) => i64::try_from(number).map_or_else(|_| Value::from(number as u64), Value::from),
            Self::Number(text) => text.parse().map_or(Value::Null, Value::Number),
            Self::Flag(flag) => flag.into(),
            Self::List(items) => items.iter().map(|item| item.to_value()).collect(),
        }
    }
}

/// A string without further rules.
const TEXT: &Schema = &Schema::Text { format: None, example: None };

impl ConfigType for String {
    const SCHEMA: &'static Schema = TEXT;
}

impl ConfigType for PathBuf {
    const SCHEMA: &'static Schema = TEXT;
}

impl ConfigType for bool {
    const SCHEMA: &'static Schema = &Schema::Flag;
}

impl ConfigType for f32 {
    const SCHEMA: &'static Schema = &Schema::Number;
}

impl ConfigType for f64 {
    const SCHEMA: &'static Schema = &Schema::Number;
}

impl ConfigType for Value {
    const SCHEMA: &'static Schema = &Schema::Any;
}

impl ConfigType for Map<String, Value> {
    const SCHEMA: &'static Schema = &Schema::Map(&Schema::Any);
}

impl<T: ConfigType> ConfigType for Option<T> {
    const SCHEMA: &'static Schema = T::SCHEMA;
    const OPTIONAL: bool = true;
}

impl<T: ConfigType> ConfigType for Box<T> {
    const SCHEMA: &'static Schema = T::SCHEMA;
    const OPTIONAL: bool = T::OPTIONAL;
}

impl<T: ConfigType> ConfigType for Vec<T> {
    const SCHEMA: &'static Schema = &Schema::List(T::SCHEMA);
}

impl<T: ConfigType> ConfigType for BTreeMap<String, T> {
    const SCHEMA: &'static Schema = &Schema::Map(T::SCHEMA);
}

macro_rules! integers {
    ($($kind:ty: $minimum:expr, $maximum:expr;)*) => {
        $(impl ConfigType for $kind {
            const SCHEMA: &'static Schema = &Schema::Integer { minimum: $minimum, maximum: $maximum };
        })*
    };
}

integers! {
    u8: Some(0), Some(u8::MAX as i128);
    u16: Some(0), Some(u16::MAX as i128);
    u32: Some(0), Some(u32::MAX as i128);
    u64: Some(0), None;
    usize: Some(0), None;
    i8: Some(i8::MIN as i128), Some(i8::MAX as i128);
    i16: Some(i16::MIN as i128), Some(i16::MAX as i128);
    i32: Some(i32::MIN as i128), Some(i32::MAX as i128);
    i64: None, None;
    isize: None, None;
}
