//! The attribute macros, with their documentation: here the examples in it can be compiled.

/// Makes a struct with named fields, or an enum of plain variants, part of a source's settings.
///
/// It derives serde's `Deserialize` (unknown fields are refused) and writes down the JSON Schema as a constant, which
/// the manifest carries: the doc comments become descriptions, so that an editor shows them in `headwater.toml`.
///
/// * `#[default = "5s"]` on a field: the value when the config does not say one; also `= 5`, `= 0.5`, `= true`,
///   `= ["a", "b"]`. The schema shows it.
/// * `#[serde(default)]` and `#[serde(default = "path")]` work too; the schema then shows no value.
/// * A field of type `Option` need not be set.
/// * `#[serde(rename = "…")]` and `#[serde(rename_all = "…")]` are followed.
///
/// ```
/// use headwater_plugin::prelude::*;
///
/// /// Free space of one mount point.
/// #[config]
/// struct Config {
///     /// Where it is mounted.
///     mount: String,
///     /// How often to look.
///     #[default = "5s"]
///     every: Period,
///     unit: Option<Unit>,
/// }
///
/// #[config]
/// #[serde(rename_all = "kebab-case")]
/// enum Unit {
///     Bytes,
///     MebiBytes,
/// }
/// ```
///
/// What it cannot describe is refused where it stands:
///
/// ```compile_fail
/// use headwater_plugin::prelude::*;
/// #[config]
/// struct Pair(u32, u32);
/// ```
/// ```compile_fail
/// use headwater_plugin::prelude::*;
/// #[config]
/// enum Shape {
///     Circle(f64),
/// }
/// ```
/// ```compile_fail
/// use headwater_plugin::prelude::*;
/// #[config]
/// struct Outer {
///     #[serde(flatten)]
///     inner: std::collections::BTreeMap<String, String>,
/// }
/// ```
/// ```compile_fail
/// use headwater_plugin::prelude::*;
/// #[config]
/// struct Config {
///     #[default = some_function()]
///     every: Period,
/// }
/// ```
/// ```compile_fail
/// use headwater_plugin::prelude::*;
/// #[config]
/// struct Config {
///     started: std::time::Instant,
/// }
/// ```
pub use headwater_plugin_macros::config;
/// Makes a struct something to emit: derives serde's `Serialize` without a dependency on serde.
///
/// A field of type `Option` that is `None` is left out: what a source does not know is absent, never `null`.
///
/// ```
/// use headwater_plugin::prelude::*;
///
/// #[payload]
/// struct Usage<'a> {
///     mount: &'a str,
///     used: Option<u64>,
/// }
/// let usage = Usage { mount: "/", used: None };
/// assert_eq!(serde_json::to_string(&usage).unwrap(), r#"{"mount":"/"}"#);
/// ```
pub use headwater_plugin_macros::payload;
