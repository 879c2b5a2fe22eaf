//! The attributes of one CloudEvent, in either direction: gathered and checked on the way in, listed on the way out.

use super::{VERSION, is_name};
use crate::{
    RequestError, percent,
    publish::{RawItem, Text},
};
use headwater_event::{ChannelName, Draft, Event, Retention, Timestamp};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};

/// The longest `source` and `id` together: the two are kept for two minutes to know the event when it comes again.
const MAX_IDENTITY: usize = 512;
/// The longest name of an extension that is written; the specification advises against longer ones.
const MAX_NAME: usize = 20;

/// The attributes of a CloudEvent that comes in. All values are strings here; the other types of the specification
/// have canonical texts.
#[derive(Default)]
pub(super) struct Context<'a> {
    values: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

impl<'a> Context<'a> {
    /// Adds an attribute.
    pub(super) fn add(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) -> Result<(), RequestError> {
        if !is_name(&name) {
            return Err(wrong(&name, "an attribute's name has lower-case letters and digits only"));
        }
        if self.values.contains_key(&name) {
            return Err(wrong(&name, "stands twice"));
        }
        self.values.insert(name, value);
        Ok(())
    }

    /// The attribute `datacontenttype`, if there is one.
    pub(super) fn content_type(&self) -> Option<&str> {
        self.values.get("datacontenttype").map(AsRef::as_ref)
    }

    /// The event with this data, for `channel` unless it names one itself.
    pub(super) fn item(
        mut self,
        data: Option<&RawValue>,
        channel: Option<&ChannelName>,
        before: Option<&Draft>,
    ) -> Result<Draft, RequestError> {
        let version = self.required("specversion")?;
        if version != VERSION {
            return Err(wrong("specversion", &format!("`{}` is not understood, {VERSION} is", short(&version))));
        }
        let (id, source, kind) = (self.required("id")?, self.required("source")?, self.required("type")?);
        // So the two can be told apart in one text.
        if source.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong("source", "is a URI or the end of one, without white space"));
        }
        let identity = format!("{source} {id}");
        if identity.len() > MAX_IDENTITY {
            return Err(RequestError::validation(format!(
                "CloudEvents attributes `source` and `id` have at most {} bytes together",
                MAX_IDENTITY - 1
            )));
        }
        let channel = match (self.values.remove("channel"), channel) {
            (Some(named), _) => named,
            (None, Some(channel)) => Cow::Borrowed(channel.as_str()),
            (None, None) => {
                return Err(wrong(
                    "channel",
                    "is missing; add this extension, or say `?channel=` where there is a URL",
                ));
            }
        };
        let key = self.values.remove("key").map(|key| Box::from(&*key));
        let (severity, time) = (self.values.remove("severity"), self.values.remove("time"));
        for given_out_here in ["datacontenttype", "epoch", "offset", "evidence", "forgotten"] {
            self.values.remove(given_out_here);
        }
        let raw = RawItem {
            channel: Some(Text(channel)),
            kind: Some(Text(kind)),
            event: None,
            data,
            severity: severity.map(Text),
            timestamp: time.map(Text),
            attributes: Some(self.attributes(id, source, key.as_deref())?),
            key,
            idempotency_key: None,
        };
        let draft = raw.check(before, Timestamp::now()).map_err(renamed)?;
        Ok(Draft { idempotency_key: Some(identity.into()), ..draft })
    }

    fn required(&mut self, name: &str) -> Result<Cow<'a, str>, RequestError> {
        match self.values.remove(name) {
            Some(value) if !value.is_empty() => Ok(value),
            Some(_) => Err(wrong(name, "is empty")),
            None => Err(wrong(name, "is missing")),
        }
    }

    /// What is left becomes the event's attributes.
    fn attributes(
        mut self,
        id: Cow<'a, str>,
        source: Cow<'a, str>,
        key: Option<&str>,
    ) -> Result<BTreeMap<String, String>, RequestError> {
        for name in ["subject", "dataschema"] {
            if self.values.get(name).is_some_and(|value| value.is_empty()) {
                return Err(wrong(name, "is empty"));
            }
        }
        // Of a retained event the subject is the key, which has its own place.
        if self.values.get("subject").map(AsRef::as_ref) == key {
            self.values.remove("subject");
        }
        let mut attributes: BTreeMap<String, String> = match self.values.remove("attributes") {
            None => BTreeMap::new(),
            Some(text) => serde_json::from_str(&text)
                .map_err(|_| wrong("attributes", "is the text of a JSON object of strings"))?,
        };
        for (name, value) in self.values {
            if attributes.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(wrong(&name, "stands in `attributes` too"));
            }
        }
        // Where the event has come by another daemon, `attributes` says where it came from first.
        attributes.entry("id".into()).or_insert_with(|| id.into_owned());
        attributes.entry("source".into()).or_insert_with(|| source.into_owned());
        Ok(attributes)
    }
}

/// An error about one attribute.
pub(super) fn wrong(name: &str, what: &str) -> RequestError {
    RequestError::validation(format!("CloudEvents attribute `{}`: {what}", short(name)))
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The native name of a field in an error, said in the words of CloudEvents.
fn renamed(error: RequestError) -> RequestError {
    RequestError { message: error.message.replace("`timestamp`", "`time`"), ..error }
}

/// The value of an attribute that is written.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// A string, or what is written as one.
    Text(&'a str),
    /// A boolean.
    Bool(bool),
}

/// Names every attribute of an event, in a fixed order; `datacontenttype` is left to the form.
pub(super) fn attributes_of(event: &Event, mut each: impl FnMut(&str, Value<'_>)) {
    let mut text = |name: &str, value: &str| each(name, Value::Text(&allowed(value)));
    text("specversion", VERSION);
    text("id", event.id.hyphenated().encode_lower(&mut [0; 36]));
    text("source", &source_of(&event.source));
    text("type", &event.kind);
    text("time", &event.time.to_string());
    let key = match &event.retention {
        Retention::None => None,
        Retention::Keep(key) | Retention::Forget(key) => Some(&**key),
    };
    let given = event.attribute("subject");
    let own_subject = key.is_none() && given.is_some_and(is_flat);
    if let Some(subject) = if own_subject { given } else { key.filter(|key| !key.is_empty()) } {
        text("subject", subject);
    }
    text("channel", event.channel.as_str());
    text("epoch", &event.position.epoch.to_string());
    text("offset", &event.position.offset.to_string());
    if let Some(severity) = event.severity {
        text("severity", severity.as_str());
    }
    if let Some(evidence) = event.evidence {
        text("evidence", evidence.as_str());
    }
    if let Some(key) = key {
        text("key", key);
    }
    let mut others = BTreeMap::new();
    for (name, value) in &event.attributes {
        match &**name {
            "subject" if own_subject => {}
            name if can_be_extension(name) && is_flat(value) => text(name, value),
            name => {
                others.insert(name, &**value);
            }
        }
    }
    if !others.is_empty() {
        text("attributes", &ascii_json(&others));
    }
    if matches!(event.retention, Retention::Forget(_)) {
        each("forgotten", Value::Bool(true));
    }
}

/// A URI for the name of a source.
pub(super) fn source_of(name: &str) -> String {
    let mut source = String::from("/headwater/");
    percent::encode(&mut source, name, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    source
}

/// Whether an attribute of an event can stand beside the attributes of CloudEvents.
fn can_be_extension(name: &str) -> bool {
    const TAKEN: [&str; 16] = [
        "specversion",
        "id",
        "source",
        "type",
        "time",
        "subject",
        "datacontenttype",
        "data",
        "channel",
        "epoch",
        "offset",
        "severity",
        "evidence",
        "key",
        "forgotten",
        "attributes",
    ];
    is_name(name) && name.len() <= MAX_NAME && !TAKEN.contains(&name)
}

/// Whether a value can be written as it is: not empty, and nothing that the specification forbids.
fn is_flat(value: &str) -> bool {
    !value.is_empty() && value.chars().all(is_allowed)
}

/// What a string may hold: no control characters and no noncharacters.
fn is_allowed(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{fdd0}'..='\u{fdef}') && u32::from(c) & 0xfffe != 0xfffe
}

/// The text, with what the specification forbids replaced. In types and keys alone: other text is escaped.
fn allowed(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_allowed) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().map(|c| if is_allowed(c) { c } else { char::REPLACEMENT_CHARACTER }).collect())
    }
}

/// JSON text in ASCII: whatever the attributes hold, as a value of CloudEvents it is allowed.
fn ascii_json(attributes: &BTreeMap<&str, &str>) -> String {
    use std::fmt::Write;
    let json = serde_json::to_string(attributes).expect("strings serialise into memory");
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && !c.is_control() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("writing into memory does not fail");
            }
        }
    }
    out
}
