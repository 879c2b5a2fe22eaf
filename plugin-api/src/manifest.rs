//! The manifest: what a plugin says of itself, written as JSON while it is compiled, so that it can be read from the
//! file without running a line of the plugin.
//!
//! `export_source!` makes a [`Manifest`] and places [`Manifest::write`]'s bytes in the ELF section; `describe` returns the
//! same bytes.

use crate::{
    json::Out,
    schema::{Field, Literal, Schema},
};

/// What `export_source!` was told in its braces.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    /// Patterns of the channels it publishes to; without them, the channel of its own name.
    pub emits: Option<&'static [&'static str]>,
    /// Patterns of the channels it reads.
    pub reads: Option<&'static [&'static str]>,
    /// The commands it takes; without them, whatever reaches it.
    pub commands: Option<&'static [Declaration]>,
}

impl Declared {
    /// Nothing was said.
    pub const NONE: Self = Self { emits: None, reads: None, commands: None };
}

/// A declared command.
#[derive(Clone, Copy, Debug)]
pub struct Declaration {
    /// Its name.
    pub name: &'static str,
    /// The permission that a caller needs.
    pub permission: &'static str,
    /// The doc comment, a line each.
    pub docs: &'static [&'static str],
    /// What parameters it takes, where it says so.
    pub parameters: Option<&'static Schema>,
}

/// All that the manifest says.
#[derive(Clone, Copy, Debug)]
pub struct Manifest {
    /// The plugin's name: see [`plugin_name`].
    pub name: &'static str,
    /// The package's version.
    pub version: &'static str,
    /// The package's description; it may be empty.
    pub description: &'static str,
    /// Channels and commands.
    pub declared: Declared,
    /// The settings.
    pub config: &'static Schema,
    /// `unwind` or `abort`: what a panic does.
    pub panic: &'static str,
}

/// The package's name without `headwater-plugin-` in front: what a config calls the plugin.
pub const fn plugin_name(package: &'static str) -> &'static str {
    const PREFIX: &[u8] = b"headwater-plugin-";
    let bytes = package.as_bytes();
    if bytes.len() <= PREFIX.len() {
        return package;
    }
    let mut at = 0;
    while at < PREFIX.len() {
        if bytes[at] != PREFIX[at] {
            return package;
        }
        at += 1;
    }
    package.split_at(at).1
}

/// Stops the compilation where a channel pattern has a character that no channel name has.
pub const fn check_patterns(patterns: &'static [&'static str]) {
    let mut index = 0;
    while index < patterns.len() {
        let bytes = patterns[index].as_bytes();
        assert!(!bytes.is_empty(), "a channel pattern cannot be empty");
        assert!(bytes.len() <= 128, "a channel pattern has at most 128 bytes");
        let mut at = 0;
        while at < bytes.len() {
            let fits = matches!(bytes[at], b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b':' | b'/' | b'*' | b'?');
            assert!(fits, "a channel pattern has letters, digits, `_ - . : /` and the wildcards `*` and `?`");
            at += 1;
        }
        index += 1;
    }
}

impl Manifest {
    /// How many bytes the JSON has.
    pub const fn len(&self) -> usize {
        let mut nothing: [u8; 0] = [];
        let mut out = Out::new(&mut nothing);
        out.manifest(self);
        out.len()
    }

    /// Never: the JSON has at least its braces.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The JSON, in exactly [`Manifest::len`] bytes.
    pub const fn write<const LEN: usize>(&self) -> [u8; LEN] {
        let mut bytes = [b' '; LEN];
        let mut out = Out::new(&mut bytes);
        out.manifest(self);
        bytes
    }
}

/// The parts of a manifest, in JSON.
impl Out<'_> {
    const fn literal(&mut self, literal: &Literal) {
        match literal {
            Literal::Text(text) => self.text(text),
            Literal::Integer(number) => self.integer(*number),
            Literal::Number(text) => self.raw(text),
            Literal::Flag(flag) => self.raw(if *flag { "true" } else { "false" }),
            Literal::List(items) => {
                self.raw("[");
                let mut at = 0;
                while at < items.len() {
                    if at > 0 {
                        self.raw(",");
                    }
                    self.literal(&items[at]);
                    at += 1;
                }
                self.raw("]");
            }
        }
    }

    /// One schema; `docs` and `default` are those of the field that has it.
    const fn schema(&mut self, schema: &Schema, docs: &[&str], default: Option<&Literal>) {
        let own: &[&str] = match schema {
            Schema::Object { docs, .. } | Schema::Choice { docs, .. } => docs,
            _ => &[],
        };
        let docs = if docs.is_empty() { own } else { docs };
        match schema {
            // A table's keys may be refused only by a schema that says it is one: `{}` takes anything.
            Schema::Any => self.raw("{\"$comment\":\"any value\""),
            Schema::Text { format, example } => {
                self.raw("{\"type\":\"string\"");
                if let Some(format) = format {
                    self.key("format");
                    self.text(format);
                }
                if let Some(example) = example {
                    self.key("examples");
                    self.texts(&[example]);
                }
            }
            Schema::Flag => self.raw("{\"type\":\"boolean\""),
            Schema::Integer { minimum, maximum } => {
                self.raw("{\"type\":\"integer\"");
                if let Some(minimum) = minimum {
                    self.key("minimum");
                    self.integer(*minimum);
                }
                if let Some(maximum) = maximum {
                    self.key("maximum");
                    self.integer(*maximum);
                }
            }
            Schema::Number => self.raw("{\"type\":\"number\""),
            Schema::List(item) => {
                self.raw("{\"type\":\"array\",\"items\":");
                self.schema(item, &[], None);
            }
            Schema::Map(value) => {
                self.raw("{\"type\":\"object\",\"additionalProperties\":");
                self.schema(value, &[], None);
            }
            Schema::Object { fields, .. } => self.object(fields),
            Schema::Choice { words, .. } => {
                self.raw("{\"type\":\"string\",\"enum\":");
                self.texts(words);
            }
        }
        if !docs.is_empty() {
            self.key("description");
            self.docs(docs);
        }
        if let Some(default) = default {
            self.key("default");
            self.literal(default);
        }
        self.raw("}");
    }

    /// An object's schema, without the closing brace.
    const fn object(&mut self, fields: &[Field]) {
        self.raw("{\"type\":\"object\",\"properties\":{");
        let mut at = 0;
        while at < fields.len() {
            let field = &fields[at];
            if at > 0 {
                self.raw(",");
            }
            self.text(field.name);
            self.raw(":");
            self.schema(field.schema, field.docs, field.default.as_ref());
            at += 1;
        }
        self.raw("},\"required\":[");
        let mut any = false;
        at = 0;
        while at < fields.len() {
            if fields[at].required {
                if any {
                    self.raw(",");
                }
                any = true;
                self.text(fields[at].name);
            }
            at += 1;
        }
        self.raw("],\"additionalProperties\":false");
    }

    const fn command(&mut self, command: &Declaration) {
        self.raw("{\"name\":");
        self.text(command.name);
        self.key("permission");
        self.text(command.permission);
        if !command.docs.is_empty() {
            self.key("description");
            self.docs(command.docs);
        }
        if let Some(parameters) = command.parameters {
            self.key("parameters");
            self.schema(parameters, &[], None);
        }
        self.raw("}");
    }

    const fn manifest(&mut self, manifest: &Manifest) {
        self.raw("{\"abi\":");
        self.integer(headwater_abi::ABI_MAJOR as i128);
        self.key("name");
        self.text(manifest.name);
        self.key("version");
        self.text(manifest.version);
        if !manifest.description.is_empty() {
            self.key("description");
            self.text(manifest.description);
        }
        self.key("emits");
        match manifest.declared.emits {
            Some(patterns) => self.texts(patterns),
            None => self.texts(&[manifest.name]),
        }
        self.key("reads");
        match manifest.declared.reads {
            Some(patterns) => self.texts(patterns),
            None => self.texts(&[]),
        }
        self.key("commands");
        self.raw("[");
        if let Some(commands) = manifest.declared.commands {
            let mut at = 0;
            while at < commands.len() {
                if at > 0 {
                    self.raw(",");
                }
                self.command(&commands[at]);
                at += 1;
            }
        }
        self.raw("]");
        self.key("config_schema");
        self.schema(manifest.config, &[], None);
        self.key("rustc");
        self.text(env!("HEADWATER_RUSTC"));
        self.key("target");
        self.text(env!("HEADWATER_TARGET"));
        self.key("sdk");
        self.text(env!("CARGO_PKG_VERSION"));
        self.key("panic");
        self.text(manifest.panic);
        self.raw("}");
    }
}

#[cfg(test)]
mod tests;
