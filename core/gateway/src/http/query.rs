//! Queries that ask for events: the keys that say which, and those of `GET /v1/events`. Read strictly: a key that is
//! misspelt would otherwise be answered with events that nobody asked for.

use axum::http::{HeaderMap, HeaderName, header};
use headwater_config::nearest;
use headwater_event::{ChannelPattern, Timestamp};
use headwater_protocol::{FilterSpec, RequestError, cursor::Cursor, moment};

/// The keys of `GET /v1/events`.
const KEYS: [&str; 13] = [
    "channel",
    "type",
    "severity",
    "where",
    "source",
    "attr.NAME",
    "since",
    "from",
    "until",
    "limit",
    "follow",
    "format",
    "last_event_id",
];

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What `GET /v1/events` is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// At least one.
    pub(super) channels: Vec<ChannelPattern>,
    pub(super) filter: FilterSpec,
    pub(super) start: Begin,
    pub(super) until: Option<Timestamp>,
    /// At most this many events.
    pub(super) limit: Option<u64>,
    /// Whether it goes on with what happens.
    pub(super) follow: bool,
    pub(super) form: Form,
}

/// Where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    Latest,
    Earliest,
    Since(Timestamp),
    /// Where an earlier stream ended. A channel that it does not name has come to be since.
    Behind(Cursor),
}

/// How the events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON object a line.
    Lines,
    /// Server-sent events.
    Sse,
}

/// The values of one query, key by key.
#[derive(Default)]
struct Keys {
    channels: Vec<String>,
    filter: FilterSpec,
    since: Option<String>,
    from: Option<String>,
    until: Option<String>,
    limit: Option<String>,
    follow: Option<String>,
    format: Option<String>,
    last_event_id: Option<String>,
}

impl Asked {
    /// Reads the pairs of a query, and what the headers say besides.
    pub(super) fn read(pairs: Vec<(String, String)>, headers: &HeaderMap) -> Result<Self, RequestError> {
        let mut keys = Keys::default();
        for (key, value) in pairs {
            keys.take(&key, value)?;
        }
        let form = form(keys.format.as_deref(), headers)?;
        let follow = keys.follow.map(|text| flag("follow", &text)).transpose()?;
        if form == Form::Sse && follow == Some(false) {
            let why = "`follow`: server-sent events follow always; ask for `format=ndjson`";
            return Err(RequestError::validation(why));
        }
        let follow = form == Form::Sse || follow == Some(true);
        // What a browser sends when it comes back goes before what the page first asked for.
        let back = last_event_id(headers)?.map(|text| ("Last-Event-ID", text));
        let back = back.or(keys.last_event_id.filter(|text| !text.is_empty()).map(|text| ("last_event_id", text)));
        let (channels, since) = (channels(&keys.channels)?, keys.since);
        let start = match (back, keys.from, since) {
            (Some((place, text)), _, _) => Begin::Behind(Cursor::parse(place, &text)?),
            (None, Some(_), Some(_)) => {
                return Err(RequestError::validation("`from` and `since` both say where to begin; give one of them"));
            }
            (None, Some(text), None) => begin(&text, &channels)?,
            (None, None, Some(text)) => Begin::Since(moment("since", &text)?),
            (None, None, None) if follow => Begin::Latest,
            (None, None, None) => Begin::Earliest,
        };
        let until = keys.until.map(|text| moment("until", &text)).transpose()?;
        if let (Begin::Since(since), Some(until)) = (&start, until)
            && until < *since
        {
            return Err(RequestError::validation("`until` is before `since`; exchange them"));
        }
        let limit = keys.limit.map(|text| match text.parse() {
            Ok(limit @ 1..) => Ok(limit),
            _ => Err(RequestError::validation("`limit` is a number of events, at least 1")),
        });
        Ok(Self { channels, filter: keys.filter, start, until, limit: limit.transpose()?, follow, form })
    }
}

impl Keys {
    fn take(&mut self, key: &str, value: String) -> Result<(), RequestError> {
        let once = match key {
            "channel" => {
                self.channels.push(value);
                return Ok(());
            }
            "since" => &mut self.since,
            "from" => &mut self.from,
            "until" => &mut self.until,
            "limit" => &mut self.limit,
            "follow" => &mut self.follow,
            "format" => &mut self.format,
            "last_event_id" => &mut self.last_event_id,
            _ => return filter_key(&mut self.filter, key, value, &KEYS),
        };
        given(once, key, value)
    }
}

/// Takes a key that says which events are meant. `known` are all keys of the query, for those who misspelt one.
pub(super) fn filter_key(
    filter: &mut FilterSpec,
    key: &str,
    value: String,
    known: &[&str],
) -> Result<(), RequestError> {
    match key {
        "type" => filter.types.push(value),
        "source" => filter.sources.push(value),
        "where" => return given(&mut filter.expression, key, value),
        "severity" => {
            let severity = value.parse().map_err(|error| RequestError::validation(format!("`severity`: {error}")))?;
            return given(&mut filter.severity, key, severity);
        }
        _ => {
            let name = key.strip_prefix("attr.").filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| unknown(key, known))?;
            if filter.attributes.insert(name.to_owned(), value).is_some() {
                return Err(twice(key));
            }
        }
    }
    Ok(())
}

/// Takes a key that stands once.
pub(super) fn given<T>(place: &mut Option<T>, key: &str, value: T) -> Result<(), RequestError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(twice(key)),
    }
}

fn twice(key: &str) -> RequestError {
    RequestError::validation(format!("`{key}` stands twice; give it once"))
}

fn unknown(key: &str, known: &[&str]) -> RequestError {
    let meant = match nearest(key, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there are {}", known.join(", ")),
    };
    RequestError::validation(format!("`{key}` is no key of this query; {meant}"))
}

/// All channels without a key, as for snapshots.
fn channels(names: &[String]) -> Result<Vec<ChannelPattern>, RequestError> {
    if names.is_empty() {
        return Ok(vec![ChannelPattern::parse("*").expect("invariant: `*` is a pattern")]);
    }
    let mut channels: Vec<ChannelPattern> = Vec::new();
    for name in names {
        let pattern = ChannelPattern::parse(name)
            .map_err(|error| RequestError::validation(format!("`channel={name}`: {error}")))?;
        if !channels.contains(&pattern) {
            channels.push(pattern);
        }
    }
    Ok(channels)
}

fn begin(text: &str, channels: &[ChannelPattern]) -> Result<Begin, RequestError> {
    match text {
        "latest" => Ok(Begin::Latest),
        "earliest" => Ok(Begin::Earliest),
        cursor if cursor.contains('@') => {
            let cursor = Cursor::parse("from", cursor)?;
            let is_meant = |name: &&str| channels.iter().any(|pattern| pattern.matches(name));
            let names = cursor.channels().map(headwater_event::ChannelName::as_str);
            if let Some(other) = names.min_by_key(is_meant).filter(|name| !is_meant(name)) {
                let why = format!("`from`: no `channel` of this query means `{other}`; name it, or leave it out");
                return Err(RequestError::validation(why));
            }
            Ok(Begin::Behind(cursor))
        }
        _ => Err(RequestError::validation("`from` is latest, earliest, or a cursor: name@epoch:offset")),
    }
}

fn flag(key: &str, text: &str) -> Result<bool, RequestError> {
    match text {
        "1" | "true" | "" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(RequestError::validation(format!("`{key}` is 1 or 0"))),
    }
}

fn form(asked: Option<&str>, headers: &HeaderMap) -> Result<Form, RequestError> {
    match asked {
        Some("ndjson") => Ok(Form::Lines),
        Some("sse") => Ok(Form::Sse),
        Some(_) => Err(RequestError::validation("`format` is ndjson or sse")),
        None if wants(headers, &header::ACCEPT, &["text/event-stream"]) => Ok(Form::Sse),
        None => Ok(Form::Lines),
    }
}

/// Whether a header that lists what a client takes names one of these, and not as what it does not take.
pub(super) fn wants(headers: &HeaderMap, name: &HeaderName, words: &[&str]) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut items = lines.flat_map(|line| line.split(','));
    items.any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let word = parts.next().unwrap_or_default();
        // `q=0`, and `q=0.0` as well.
        let refused = |part: &str| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.trim_end_matches(['0', '.']).is_empty())
        };
        words.iter().any(|wanted| word.eq_ignore_ascii_case(wanted)) && !parts.any(refused)
    })
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<String>, RequestError> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else { return Ok(None) };
    let text = value.to_str().map_err(|_| RequestError::validation("`Last-Event-ID` is no text"))?;
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use headwater_event::{ChannelName, Epoch, Position, Severity};

    fn read(pairs: &[(&str, &str)], headers: &[(&'static str, &'static str)]) -> Result<Asked, RequestError> {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        Asked::read(pairs, &map)
    }

    fn of(pairs: &[(&str, &str)]) -> Asked {
        read(pairs, &[]).unwrap()
    }

    #[test]
    fn every_key_is_read() {
        let asked = of(&[
            ("channel", "a*"),
            ("channel", "b"),
            ("channel", "b"),
            ("type", "x.*"),
            ("type", "y"),
            ("severity", "warning"),
            ("where", "data.n > 1"),
            ("source", "metrics"),
            ("attr.mount", "/*"),
            ("since", "2024-01-01T00:00:00Z"),
            ("until", "2024-01-01T06:00:00Z"),
            ("limit", "7"),
            ("follow", "1"),
        ]);
        let channels: Vec<_> = asked.channels.iter().map(ChannelPattern::as_str).collect();
        assert_eq!(channels, ["a*", "b"]);
        let midnight = 1_704_067_200_000_000_000;
        assert_eq!(asked.start, Begin::Since(Timestamp(midnight)));
        assert_eq!(asked.until, Some(Timestamp(midnight + 21_600_000_000_000)));
        assert_eq!((asked.limit, asked.follow, asked.form), (Some(7), true, Form::Lines));
        let FilterSpec { types, severity, attributes, sources, expression } = asked.filter;
        assert_eq!((types, sources), (vec!["x.*".to_owned(), "y".into()], vec!["metrics".to_owned()]));
        assert_eq!((severity, expression.as_deref()), (Some(Severity::Warning), Some("data.n > 1")));
        assert_eq!(attributes.get("mount").map(String::as_str), Some("/*"));
    }

    #[test]
    fn without_keys_everything_there_is_and_with_follow_what_comes() {
        let asked = of(&[]);
        assert_eq!((asked.channels[0].as_str(), asked.start, asked.follow), ("*", Begin::Earliest, false));
        assert_eq!(of(&[("follow", "1")]).start, Begin::Latest);
        assert_eq!(of(&[("follow", ""), ("from", "earliest")]).start, Begin::Earliest);
        assert_eq!(of(&[("follow", "0"), ("from", "latest")]).start, Begin::Latest);
    }

    #[test]
    fn the_form_is_that_of_the_query_or_of_the_header() {
        let sse = ("accept", "text/event-stream");
        for (pairs, headers, form) in [
            (&[][..], &[][..], Form::Lines),
            (&[], &[("accept", "*/*")], Form::Lines),
            (&[], &[sse], Form::Sse),
            (&[], &[("accept", "application/json;q=0.5, Text/Event-Stream; q=0.9")], Form::Sse),
            (&[], &[("accept", "text/event-stream;q=0")], Form::Lines),
            (&[("format", "sse")], &[], Form::Sse),
            (&[("format", "ndjson")], &[sse], Form::Lines),
        ] {
            let asked = read(pairs, headers).unwrap();
            assert_eq!((asked.form, asked.follow), (form, form == Form::Sse), "{pairs:?} {headers:?}");
        }
    }

    #[test]
    fn who_comes_back_goes_on_where_it_was() {
        let position = Position { epoch: Epoch(0xab), offset: 3 };
        let behind = |pairs: &[(&str, &str)], headers: &[(&'static str, &'static str)]| {
            let Begin::Behind(cursor) = read(pairs, headers).unwrap().start else { panic!("no cursor") };
            cursor.get(&ChannelName::new("a").unwrap())
        };
        let (header, other) = (("last-event-id", "a@00000000000000ab:3"), "a@00000000000000ab:9");
        assert_eq!(behind(&[], &[header]), Some(position));
        assert_eq!(behind(&[("from", other), ("last_event_id", other)], &[header]), Some(position));
        assert_eq!(behind(&[("since", "5m")], &[header]), Some(position));
        assert_eq!(behind(&[("last_event_id", "a@00000000000000ab:3"), ("from", "latest")], &[]), Some(position));
        assert_eq!(behind(&[("channel", "a*"), ("from", "a@00000000000000ab:3")], &[]), Some(position));
        // What EventSource sends before the first event.
        assert_eq!(read(&[("from", "earliest")], &[("last-event-id", "")]).unwrap().start, Begin::Earliest);
        assert_eq!(of(&[("from", "earliest"), ("last_event_id", "")]).start, Begin::Earliest);
        // The page asks for fewer channels than when it began: no reason to send it away.
        assert_eq!(behind(&[("channel", "b")], &[header]), Some(position));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (pairs, word) in [
            (&[("chanel", "a")][..], "did you mean `channel`?"),
            (&[("typ", "a")], "did you mean `type`?"),
            (&[("attr", "a")], "is no key of this query"),
            (&[("attr.", "a")], "is no key of this query"),
            (&[("zzz", "a")], "there are channel, type"),
            (&[("channel", "a b")], "`channel=a b`: "),
            (&[("severity", "loud")], "critical"),
            (&[("severity", "info"), ("severity", "info")], "stands twice"),
            (&[("attr.x", "1"), ("attr.x", "2")], "stands twice"),
            (&[("where", "true"), ("where", "true")], "stands twice"),
            (&[("since", "soon")], "`since`"),
            (&[("until", "soon")], "`until`"),
            (&[("since", "5m"), ("from", "latest")], "give one of them"),
            (&[("since", "5m"), ("until", "10m")], "`until` is before `since`"),
            (&[("from", "now")], "latest, earliest, or a cursor"),
            (&[("from", "a@1:1")], "position of `a`"),
            (&[("channel", "b"), ("from", "a@00000000000000ab:3")], "means `a`"),
            (&[("last_event_id", "x")], "`last_event_id`"),
            (&[("limit", "0")], "`limit`"),
            (&[("limit", "-1")], "`limit`"),
            (&[("follow", "yes")], "`follow` is 1 or 0"),
            (&[("format", "xml")], "ndjson or sse"),
            (&[("format", "sse"), ("follow", "0")], "`follow`"),
        ] {
            let error = read(pairs, &[]).unwrap_err();
            assert!(error.message.contains(word), "{pairs:?}: {error}");
        }
        assert!(read(&[], &[("last-event-id", "x")]).unwrap_err().message.contains("`Last-Event-ID`"));
    }
}
