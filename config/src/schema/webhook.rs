//! `[[webhook]]`: an HTTP endpoint that events are sent to.

use crate::{Period, period};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap, path::PathBuf, time::Duration};

/// An HTTP endpoint that gets events, signed as Standard Webhooks says and repeated until it takes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// What it is called in the log, in events and in the file of its position.
    #[schemars(length(min = 1), example = &"deploys")]
    pub name: String,
    /// Where each event is posted to. Redirects are not followed.
    #[schemars(extend("format" = "webhook-url"), example = &"https://example.org/hooks/headwater")]
    pub url: String,
    /// The channels whose events are sent, names or patterns.
    #[schemars(length(min = 1), example = ["workflow:*"])]
    pub channels: Vec<String>,
    /// Where the secret is found that signs each post: a variable of the daemon's environment (`env`), a `file`, or a
    /// `credential` that systemd passes. The secret begins with `whsec_` and goes on in base64; it never stands here.
    /// Without a signature a receiver could not tell an event from what anybody else posts.
    #[schemars(example = SecretRef::Env("DEPLOYS_SECRET".to_owned()))]
    pub secret: SecretRef,
    /// Whether events are sent. While it is off they wait in the history; it goes on where it stopped.
    #[serde(default = "Webhook::enabled")]
    pub enabled: bool,
    /// The time the endpoint has to answer. Without a bound one that never answers would hold up all that follows.
    #[serde(default = "Webhook::timeout", with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "100ms", "x-maximum" = "5m"))]
    pub timeout: Duration,
    /// How often an event is tried before it goes to `dead_letter`. Each event waits for the one before it, so an endpoint
    /// that refuses one for ever would get no other.
    #[serde(default = "Webhook::max_attempts")]
    #[schemars(range(min = 1, max = 1_000))]
    pub max_attempts: u32,
    /// Pause before the second attempt. It doubles with each failure, with jitter; an endpoint that names a pause
    /// (`Retry-After`) gets that, up to `backoff_max`.
    #[serde(default = "Webhook::backoff_min", with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "10ms", "x-maximum" = "1h"))]
    pub backoff_min: Duration,
    /// The longest such pause.
    #[serde(default = "Webhook::backoff_max", with = "period::plain")]
    #[schemars(with = "Period", extend("x-minimum" = "10ms", "x-maximum" = "1d"))]
    pub backoff_max: Duration,
    /// The channel that gets what the endpoint did not take.
    #[serde(default = "Webhook::dead_letter")]
    #[schemars(length(min = 1))]
    pub dead_letter: String,
    /// Channels whose events are sent at the same time. Those of one channel always go one after the other.
    #[serde(default = "Webhook::concurrency")]
    #[schemars(range(min = 1, max = 64))]
    pub concurrency: usize,
    /// Which events of the channels are sent. All by default.
    #[serde(default)]
    pub filter: WebhookFilter,
}

impl Webhook {
    fn enabled() -> bool {
        true
    }

    fn timeout() -> Duration {
        Duration::from_secs(10)
    }

    fn max_attempts() -> u32 {
        12
    }

    fn backoff_min() -> Duration {
        Duration::from_secs(1)
    }

    fn backoff_max() -> Duration {
        Duration::from_mins(5)
    }

    fn dead_letter() -> String {
        "webhooks.dead_letter".to_owned()
    }

    fn concurrency() -> usize {
        1
    }

    /// `backoff_min` and `backoff_max` when nothing is said.
    pub(crate) fn default_backoff() -> (Duration, Duration) {
        (Self::backoff_min(), Self::backoff_max())
    }

    /// Every key with some value.
    pub(super) fn full() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            channels: Vec::new(),
            secret: SecretRef::Env(String::new()),
            enabled: Self::enabled(),
            timeout: Self::timeout(),
            max_attempts: Self::max_attempts(),
            backoff_min: Self::backoff_min(),
            backoff_max: Self::backoff_max(),
            dead_letter: Self::dead_letter(),
            concurrency: Self::concurrency(),
            filter: WebhookFilter::full(),
        }
    }
}

/// Which events are sent; all parts must agree. The same keys as in a subscription's `filter`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookFilter {
    /// Globs over the type, one of which must fit. All types by default.
    pub types: Vec<String>,
    /// The least severity: debug, info, warning, error or critical. All by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LeastSeverity", example = &"warning")]
    pub severity: Option<LeastSeverity>,
    /// Globs over the source, one of which must fit. All sources by default.
    pub sources: Vec<String>,
    /// A CEL expression over the event that must be true.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1), example = &"data.exit_code != 0")]
    pub expression: Option<String>,
    /// Globs over attributes by name, all of which must fit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(example = BTreeMap::from([("branch", "main")]))]
    pub attributes: BTreeMap<String, String>,
}

impl WebhookFilter {
    fn full() -> Self {
        let attributes = BTreeMap::from([("a".to_owned(), String::new())]);
        Self { severity: Some(LeastSeverity::Info), expression: Some(String::new()), attributes, ..Self::default() }
    }
}

/// How bad an event is at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[allow(missing_docs)] // The names say it; docs would only blow the enum up in the JSON Schema.
pub enum LeastSeverity {
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

impl LeastSeverity {
    /// The word in the config: `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// Where a secret is found. The config never holds the secret: it is shown, copied, logged and sent to editors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretRef {
    /// A variable of the daemon's environment.
    Env(String),
    /// A file, absolute, that holds it on its only line.
    File(PathBuf),
    /// A credential that systemd passes (`LoadCredential=`), by its name.
    Credential(String),
}

impl JsonSchema for SecretRef {
    fn schema_name() -> Cow<'static, str> {
        "SecretRef".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let word = |about: &str| json_schema!({"type": "string", "minLength": 1, "description": about});
        json_schema!({
            "type": "object",
            "format": SECRET_FORMAT,
            "properties": {
                "env": word("A variable of the daemon's environment."),
                "file": word("A file that holds it; a relative path starts at the directory of this file."),
                "credential": word("A credential that systemd passes (`LoadCredential=`)."),
            },
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
        })
    }
}

/// The `format` of a place where a [`SecretRef`] belongs.
pub(crate) const SECRET_FORMAT: &str = "secret-reference";
