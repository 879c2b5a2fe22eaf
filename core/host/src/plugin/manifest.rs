//! The manifest: what a plugin says of itself before any of its code runs.
//!
//! Read by discovery, by pre-flight and by `headwater plugin inspect`. Unknown keys are ignored, so that the manifest
//! can grow.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A plugin's description of itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Manifest {
    /// The major version of the plugin ABI that it was built for.
    pub abi: u32,
    /// The plugin's name, by which configs call it.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// `unwind` or `abort`: what a panic in it does.
    pub panic: String,
    /// One line for people.
    #[serde(default)]
    pub description: Option<String>,
    /// Patterns of the channels that it publishes to.
    #[serde(default)]
    pub emits: Vec<String>,
    /// Patterns of the channels that it subscribes to.
    #[serde(default)]
    pub reads: Vec<String>,
    /// The commands that it takes.
    #[serde(default)]
    pub commands: Vec<CommandInfo>,
    /// The JSON Schema of its settings.
    #[serde(default)]
    pub config_schema: Option<Value>,
    /// The compiler that built it.
    #[serde(default)]
    pub rustc: Option<String>,
    /// The target triple that it was built for.
    #[serde(default)]
    pub target: Option<String>,
    /// The version of the SDK in it.
    #[serde(default)]
    pub sdk: Option<String>,
}

/// A command that a source takes.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandInfo {
    /// Its name.
    pub name: String,
    /// The permission that a caller needs.
    pub permission: Option<String>,
    /// One line for people.
    pub description: Option<String>,
    /// The JSON Schema of its parameters.
    pub parameters: Option<Value>,
}

/// A command as an object, or, where there is nothing else to say of it, as its name alone.
impl<'de> Deserialize<'de> for CommandInfo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Name(String),
            Full {
                name: String,
                #[serde(default)]
                permission: Option<String>,
                #[serde(default)]
                description: Option<String>,
                #[serde(default)]
                parameters: Option<Value>,
            },
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Name(name) => Self { name, permission: None, description: None, parameters: None },
            Written::Full { name, permission, description, parameters } => {
                Self { name, permission, description, parameters }
            }
        })
    }
}
