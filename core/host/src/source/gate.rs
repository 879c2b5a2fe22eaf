//! The gate: every event of a source passes here, and nothing behind it checks again.
//!
//! It decides whether the source may publish to the channel, whether names and sizes are in bounds and whether the payload
//! is JSON, and turns what passes into drafts. Called by the source's task, for frames of a plugin and for lines of a
//! program alike.

use crate::link::event::{self, Broken, WireEvent};
use bytes::Bytes;
use headwater_abi::flags;
use headwater_event::{
    ChannelName, ChannelPattern, Draft, Evidence, NameError, Payload, PayloadError, Retention, Severity, Timestamp,
};
use std::{collections::HashMap, sync::Arc};

/// The channel of the daemon's own news. A source may write there only when the config names it.
pub(crate) const SYSTEM: &str = "system_events";

/// The longest type and the longest key, in bytes: they stand in every frame and in every index.
const MAX_WORD: usize = 128;
/// The most attributes of one event, and the longest of their names and values. They are held parsed for as long as the
/// event is; without a bound a small payload could hide a large event.
const MAX_ATTRIBUTES: usize = 32;
const MAX_ATTRIBUTE_BYTES: usize = 1024;
/// Names that are remembered with their checked form. A source that makes up ever new ones must not fill the memory.
const REMEMBERED: usize = 1024;

/// Why an event was refused. The text names the fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "the channel `{0}` is not among those it may publish to; add it to `channels` in [source.{1}], or to what the plugin declares in `emits`"
    )]
    NotGranted(String, Arc<str>),
    #[error(
        "the channel `{SYSTEM}` is the daemon's own; a source may publish there only when `channels` in [source.{0}] names it"
    )]
    System(Arc<str>),
    #[error("{0}")]
    Channel(#[from] NameError),
    #[error("an event's type has 1 to {MAX_WORD} bytes and no control characters, this one has {0} bytes")]
    Kind(usize),
    #[error("an event's key has at most {MAX_WORD} bytes, this one has {0}")]
    Key(usize),
    #[error(
        "an event has at most {MAX_ATTRIBUTES} attributes of at most {MAX_ATTRIBUTE_BYTES} bytes each in name and value"
    )]
    Attributes,
    #[error("{0}")]
    Payload(#[from] PayloadError),
    #[error("an event has at most {max} bytes, this one has {0}; send a reference instead of the content", max = crate::link::outbox::MAX_EVENT)]
    Size(u64),
    #[error("`{0}` is no severity: debug, info, warning, error or critical")]
    Severity(String),
    #[error("`{0}` is no evidence: observed, inferred or polled")]
    Evidence(String),
    #[error("`{0}` is no time; write RFC 3339, as in 2026-01-31T12:00:00Z")]
    Time(String),
}

/// Where a source may publish.
#[derive(Debug)]
struct Grant {
    /// `None`: anywhere but on the daemon's own channel.
    patterns: Option<Vec<ChannelPattern>>,
    system: bool,
}

impl Grant {
    /// What the config says, or else what the source declares. A pattern that cannot be read is none: the config's were
    /// checked when it was loaded.
    fn new(config: Option<&[String]>, declared: &[String]) -> Self {
        let texts = config.unwrap_or(declared);
        let patterns = (config.is_some() || !declared.is_empty())
            .then(|| texts.iter().filter_map(|text| ChannelPattern::parse(text).ok()).collect());
        Self { patterns, system: config.is_some_and(|texts| texts.iter().any(|text| text == SYSTEM)) }
    }

    fn allows(&self, channel: &str) -> bool {
        self.patterns.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(channel)))
    }
}

/// The gate of one source.
#[derive(Debug)]
pub(crate) struct Gate {
    source: Arc<str>,
    /// The `channels` of its table.
    config: Option<Vec<String>>,
    grant: Grant,
    channels: HashMap<Box<str>, ChannelName>,
    kinds: HashMap<Box<str>, Arc<str>>,
    /// The last ones: most events have the channel and type of the one before.
    channel: Option<ChannelName>,
    kind: Option<Arc<str>>,
}

/// What came of a frame.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    pub(crate) drafts: Vec<Draft>,
    /// Bytes of their payloads.
    pub(crate) bytes: u64,
    /// Why some were refused, and how many for that reason.
    pub(crate) refused: Vec<(Refusal, u32)>,
}

impl Admitted {
    pub(crate) fn add(&mut self, result: Result<Draft, Refusal>) {
        match result {
            Ok(draft) => {
                self.bytes += draft.data.as_bytes().len() as u64;
                self.drafts.push(draft);
            }
            Err(refusal) => match self.refused.iter_mut().find(|(known, _)| *known == refusal) {
                Some((_, count)) => *count += 1,
                None => self.refused.push((refusal, 1)),
            },
        }
    }
}

impl Gate {
    /// For a source whose table says `config`, and which declares nothing yet.
    pub(crate) fn new(source: Arc<str>, config: Option<Vec<String>>) -> Self {
        let grant = Grant::new(config.as_deref(), &[]);
        Self { source, config, grant, channels: HashMap::new(), kinds: HashMap::new(), channel: None, kind: None }
    }

    /// The source declares where it publishes.
    pub(crate) fn declare(&mut self, emits: &[String]) {
        self.grant = Grant::new(self.config.as_deref(), emits);
        self.channels.clear();
        self.channel = None;
    }

    /// Takes the events of a frame.
    ///
    /// Their payloads are copied once, because the frame's buffer is used again. They share one allocation only where
    /// they will leave the log together, that is on one channel and without snapshots: an event that stays must not hold
    /// the bytes of others that have gone.
    pub(crate) fn admit(&mut self, mut frame: &[u8]) -> Result<Admitted, Broken> {
        let mut events = Vec::with_capacity(64);
        while !frame.is_empty() {
            events.push(event::read(&mut frame)?);
        }
        let mut admitted = Admitted { drafts: Vec::with_capacity(events.len()), ..Admitted::default() };
        let now = Timestamp::now();
        let together = events
            .iter()
            .all(|event| event.channel == events[0].channel && event.flags & (flags::RETAIN | flags::FORGET) == 0);
        if together {
            let mut payloads = Vec::with_capacity(events.iter().map(|event| event.payload.len()).sum());
            for event in &events {
                payloads.extend_from_slice(event.payload);
            }
            let mut payloads = Bytes::from(payloads);
            for event in &events {
                let payload = payloads.split_to(event.payload.len());
                admitted.add(self.draft(event, payload, now));
            }
        } else {
            for event in &events {
                admitted.add(self.draft(event, Bytes::copy_from_slice(event.payload), now));
            }
        }
        Ok(admitted)
    }

    fn draft(&mut self, event: &WireEvent<'_>, payload: Bytes, now: Timestamp) -> Result<Draft, Refusal> {
        let channel = self.channel(event.channel)?;
        let kind = self.kind(event.kind)?;
        Ok(Draft {
            channel,
            kind,
            time: if event.time_ns == 0 { now } else { Timestamp(event.time_ns) },
            source: self.source.clone(),
            severity: Severity::from_number(flags::severity(event.flags)),
            attributes: attributes(event.attributes.len(), event.attributes.clone())?,
            evidence: Evidence::from_number(flags::evidence(event.flags)),
            retention: if event.flags & flags::FORGET != 0 {
                Retention::Forget(key(event.key)?)
            } else if event.flags & flags::RETAIN != 0 {
                Retention::Keep(key(event.key)?)
            } else {
                Retention::None
            },
            data: Payload::new(payload)?,
            idempotency_key: None,
        })
    }

    /// The source's name, as it stands in events.
    pub(crate) fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// A channel that the source may publish to.
    pub(crate) fn channel(&mut self, name: &str) -> Result<ChannelName, Refusal> {
        if let Some(last) = self.channel.as_ref().filter(|last| last.as_str() == name) {
            return Ok(last.clone());
        }
        if let Some(known) = self.channels.get(name) {
            self.channel = Some(known.clone());
            return Ok(known.clone());
        }
        let channel = ChannelName::new(name)?;
        if name == SYSTEM && !self.grant.system {
            return Err(Refusal::System(self.source.clone()));
        }
        if !self.grant.allows(name) {
            return Err(Refusal::NotGranted(name.into(), self.source.clone()));
        }
        if self.channels.len() == REMEMBERED {
            self.channels.clear();
        }
        self.channels.insert(name.into(), channel.clone());
        self.channel = Some(channel.clone());
        Ok(channel)
    }

    /// A type, shared with the events before it.
    pub(crate) fn kind(&mut self, name: &str) -> Result<Arc<str>, Refusal> {
        if let Some(last) = self.kind.as_ref().filter(|last| &***last == name) {
            return Ok(last.clone());
        }
        if let Some(known) = self.kinds.get(name) {
            self.kind = Some(known.clone());
            return Ok(known.clone());
        }
        if name.is_empty() || name.len() > MAX_WORD || name.chars().any(char::is_control) {
            return Err(Refusal::Kind(name.len()));
        }
        if self.kinds.len() == REMEMBERED {
            self.kinds.clear();
        }
        let kind: Arc<str> = name.into();
        self.kinds.insert(name.into(), kind.clone());
        self.kind = Some(kind.clone());
        Ok(kind)
    }
}

/// A key of a retained event.
pub(crate) fn key(text: &str) -> Result<Box<str>, Refusal> {
    if text.len() > MAX_WORD { Err(Refusal::Key(text.len())) } else { Ok(text.into()) }
}

/// A name and a value.
type Attribute = (Box<str>, Box<str>);

/// The attributes of an event.
pub(crate) fn attributes<'a>(
    count: usize,
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Box<[Attribute]>, Refusal> {
    if count == 0 {
        return Ok(Box::default());
    }
    if count > MAX_ATTRIBUTES {
        return Err(Refusal::Attributes);
    }
    // To the size: what grows and is cut to size afterwards is allocated twice.
    let mut attributes = Vec::with_capacity(count);
    for (name, value) in pairs {
        if name.len().max(value.len()) > MAX_ATTRIBUTE_BYTES {
            return Err(Refusal::Attributes);
        }
        attributes.push((name.into(), value.into()));
    }
    Ok(attributes.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_abi::{AttributeRef, EventRef, abi_stable::std_types::RSlice};

    fn frame(events: &[EventRef<'_>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for event in events {
            event::write(&mut bytes, event);
        }
        bytes
    }

    fn plain<'a>(channel: &'a str, payload: &'a str) -> EventRef<'a> {
        EventRef {
            channel: channel.into(),
            kind: "pane.created".into(),
            key: "".into(),
            attributes: RSlice::EMPTY,
            payload: RSlice::from_slice(payload.as_bytes()),
            time_ns: 0,
            flags: 0,
        }
    }

    fn gate(config: Option<&[&str]>, declared: &[&str]) -> Gate {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let mut gate = Gate::new("tmux".into(), config.map(owned));
        gate.declare(&owned(declared));
        gate
    }

    fn verdicts(gate: &mut Gate, events: &[EventRef<'_>]) -> Vec<bool> {
        events.iter().map(|event| gate.admit(&frame(&[*event])).unwrap().drafts.len() == 1).collect()
    }

    #[test]
    fn the_config_grants_before_the_manifest_and_none_grants_all_but_the_daemons_own() {
        let events = ["tmux", "tmux:1", "agents", SYSTEM].map(|channel| plain(channel, "1"));
        assert_eq!(verdicts(&mut gate(None, &["tmux"]), &events), [true, false, false, false]);
        assert_eq!(verdicts(&mut gate(Some(&["agents", "tmux:*"]), &["tmux"]), &events), [false, true, true, false]);
        assert_eq!(verdicts(&mut gate(None, &[]), &events), [true, true, true, false]);
        assert_eq!(verdicts(&mut gate(Some(&[]), &["tmux"]), &events), [false; 4]);
        assert_eq!(verdicts(&mut gate(Some(&["*"]), &[]), &events), [true, true, true, false]);
        assert!(!verdicts(&mut gate(None, &[SYSTEM]), &events)[3], "a plugin cannot grant it to itself");
        assert_eq!(verdicts(&mut gate(Some(&[SYSTEM]), &[]), &events), [false, false, false, true]);
    }

    #[test]
    fn a_new_declaration_holds_for_names_that_were_seen_before() {
        let mut gate = gate(None, &["tmux"]);
        assert_eq!(verdicts(&mut gate, &[plain("tmux", "1")]), [true]);
        gate.declare(&["agents".to_owned()]);
        assert_eq!(verdicts(&mut gate, &[plain("tmux", "1"), plain("agents", "1")]), [false, true]);
    }

    #[test]
    fn what_is_refused_says_how_many_and_names_the_fix() {
        let mut gate = gate(None, &["tmux"]);
        let admitted = gate.admit(&frame(&["tmux", "x", "y", "y"].map(|channel| plain(channel, "1")))).unwrap();
        let counts: Vec<u32> = admitted.refused.iter().map(|(_, count)| *count).collect();
        assert_eq!((admitted.drafts.len(), counts), (1, vec![1, 2]));
        assert_eq!(
            admitted.refused[1].0.to_string(),
            "the channel `y` is not among those it may publish to; add it to `channels` in [source.tmux], or to what the plugin declares in `emits`"
        );
        let mut why = |event: EventRef<'_>| gate.admit(&frame(&[event])).unwrap().refused[0].0.to_string();
        assert!(why(plain("tmux", "{")).starts_with("the data is no valid JSON"));
        assert!(why(plain("tm ux", "1")).contains("column 3"));
        let long = "k".repeat(129);
        let named = |kind| EventRef { kind, ..plain("tmux", "1") };
        assert!(why(named("".into())).contains("this one has 0 bytes"));
        assert!(why(named(long.as_str().into())).contains("129 bytes"));
        assert!(why(named("a\nb".into())).contains("no control characters"));
        let keyed = EventRef { key: long.as_str().into(), flags: flags::RETAIN, ..plain("tmux", "1") };
        assert!(why(keyed).contains("key has at most 128 bytes"));
        let many = [AttributeRef { name: "a".into(), value: "b".into() }; 33];
        assert!(
            why(EventRef { attributes: RSlice::from_slice(&many), ..plain("tmux", "1") }).contains("32 attributes")
        );
        let value = "v".repeat(1025);
        let one = [AttributeRef { name: "a".into(), value: value.as_str().into() }];
        assert!(why(EventRef { attributes: RSlice::from_slice(&one), ..plain("tmux", "1") }).contains("1024 bytes"));
    }

    #[test]
    fn every_part_of_an_event_arrives() {
        let attributes = [AttributeRef { name: "session".into(), value: "api".into() }];
        let full = EventRef {
            key: "pane-1".into(),
            attributes: RSlice::from_slice(&attributes),
            time_ns: 5,
            flags: flags::pack(true, 4, 2),
            ..plain("tmux", " {\"a\":1} ")
        };
        let forget = EventRef { flags: flags::FORGET, key: "pane-1".into(), ..plain("tmux", "null") };
        let mut drafts = gate(None, &[]).admit(&frame(&[full, forget, plain("agents", "[]")])).unwrap().drafts;
        let third = drafts.pop().unwrap();
        assert_eq!((third.severity, third.evidence, third.retention), (None, None, Retention::None));
        assert!(third.time.0 > 1_700_000_000_000_000_000, "the time of arrival");
        assert_eq!(drafts[1].retention, Retention::Forget("pane-1".into()));
        let first = &drafts[0];
        assert_eq!((first.channel.as_str(), &*first.kind, &*first.source), ("tmux", "pane.created", "tmux"));
        assert_eq!((first.severity, first.evidence), (Some(Severity::Error), Some(Evidence::Inferred)));
        assert_eq!((first.time, &first.retention), (Timestamp(5), &Retention::Keep("pane-1".into())));
        assert_eq!(first.attributes, Box::from([("session".into(), "api".into())]));
        assert_eq!(first.data.as_bytes(), b"{\"a\":1}");
    }

    #[test]
    fn a_source_that_makes_up_names_fills_no_memory() {
        let mut gate = gate(None, &[]);
        for number in 0..5000 {
            let (channel, kind) = (format!("c:{number}"), format!("k:{number}"));
            let event = EventRef { kind: kind.as_str().into(), ..plain(&channel, "1") };
            assert_eq!(gate.admit(&frame(&[event])).unwrap().drafts.len(), 1);
        }
        assert!(gate.channels.len() <= REMEMBERED && gate.kinds.len() <= REMEMBERED);
    }
}
