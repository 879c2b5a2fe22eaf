//! The file that carries sessions from one life of the daemon to the next. Written when the daemon ends in order, read and
//! taken away when it starts: a session is resumed once. A subscription stands in it as the message that makes it.

use super::{
    connection::Terms,
    sessions::{Kept, Session, Token},
};
use headwater_event::{ChannelName, Epoch, Position, Timestamp};
use headwater_protocol::{
    ConflateBy, FilterSpec, LagPolicy, Options, Pace, Request, Start, StartAt, Subscribe, dialects,
};
use serde_json::{Map, Value, json};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Writes all sessions, beside the file and then in its place. Its tokens open the sessions, so nobody else may read it.
pub(super) fn write(path: &Path, kept: &[Kept]) -> io::Result<()> {
    if kept.is_empty() {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let beside = path.with_extension("new");
    // One that a crash has left may be another user's to read.
    let _ = fs::remove_file(&beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    let sessions: Vec<Value> = kept.iter().map(to_json).collect();
    file.write_all(json!({"version": 1, "sessions": sessions}).to_string().as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, path)
}

/// Takes the sessions of the life before. What cannot be read is left out: its client subscribes anew.
pub(super) fn take(path: &Path) -> Vec<Kept> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "cannot read the sessions of before; clients subscribe anew");
            return Vec::new();
        }
    };
    if let Err(error) = fs::remove_file(path) {
        // Without that they would come again after a crash, from places that lie further and further back.
        tracing::warn!(%error, path = %path.display(), "cannot remove the file of sessions; they are not resumed");
        return Vec::new();
    }
    let file: Value = serde_json::from_slice(&text).unwrap_or_default();
    let Some(sessions) = file["sessions"].as_array().filter(|_| file["version"] == 1) else {
        tracing::warn!(path = %path.display(), "the file of sessions is not one; clients subscribe anew");
        return Vec::new();
    };
    sessions.iter().filter_map(from_json).collect()
}

fn to_json(kept: &Kept) -> Value {
    let subscriptions = kept.session.subscriptions.iter().map(|(pattern, terms)| {
        let (filter, options) = (filter(&terms.filter), options(&terms.options));
        json!({"type": "subscribe", "channels": pattern.as_str(), "filter": filter, "options": options})
    });
    let positions = kept.session.positions.iter().map(|(channel, Position { epoch, offset })| {
        (channel.as_str().to_owned(), json!({"epoch": epoch.to_string(), "offset": offset}))
    });
    json!({
        "token": kept.token.to_string(),
        "until": kept.until.to_string(),
        "subscriptions": subscriptions.collect::<Vec<_>>(),
        "positions": positions.collect::<Map<_, _>>(),
    })
}

fn from_json(kept: &Value) -> Option<Kept> {
    let mut session = Session::default();
    for message in kept["subscriptions"].as_array()? {
        let request = dialects::native().decode(&message.to_string(), None).ok()?;
        let Request::Subscribe(Subscribe { channels, filter, options, start: Start::At(StartAt::Latest), .. }) =
            request
        else {
            return None;
        };
        let terms = Terms { filter, options };
        session.subscriptions.extend(channels.into_iter().map(|pattern| (pattern, terms.clone())));
    }
    for (channel, position) in kept["positions"].as_object()? {
        let epoch = Epoch::parse(position["epoch"].as_str()?)?;
        let position = Position { epoch, offset: position["offset"].as_u64()? };
        session.positions.push((ChannelName::new(channel).ok()?, position));
    }
    let until = Timestamp::parse(kept["until"].as_str()?)?;
    Some(Kept { token: Token::parse(kept["token"].as_str()?)?, until, session })
}

fn filter(filter: &FilterSpec) -> Value {
    let FilterSpec { types, severity, attributes, sources, expression } = filter;
    let severity = severity.map(headwater_event::Severity::as_str);
    json!({"types": types, "severity": severity, "attributes": attributes, "sources": sources, "where": expression})
}

fn options(options: &Options) -> Value {
    let Options { include_historical, filter_level, lag_policy, buffer_size, pace, priority_events } = options;
    let mut all = json!({
        "include_historical": include_historical,
        "filter_level": filter_level.map(headwater_event::Severity::as_str),
        "lag_policy": lag_policy.as_ref().map(policy),
        "buffer_size": buffer_size,
        "priority_events": priority_events,
    });
    match pace {
        Pace::Realtime { throttle } => all["throttle_ms"] = json!(throttle.as_millis() as u64),
        Pace::Buffered { interval, size } => {
            all["streaming_mode"] = "buffered".into();
            all["buffer_interval_ms"] = json!(interval.as_millis() as u64);
            all["max_buffer_size"] = json!(size);
        }
    }
    all
}

fn policy(policy: &LagPolicy) -> Value {
    match policy {
        LagPolicy::Store => "store".into(),
        LagPolicy::Gap => "gap".into(),
        LagPolicy::Disconnect => "disconnect".into(),
        LagPolicy::Sample { interval } => json!({"policy": "sample", "interval_ms": interval.as_millis() as u64}),
        LagPolicy::Latest { key } => {
            let key = match key {
                ConflateBy::Key => "key".to_owned(),
                ConflateBy::Type => "type".to_owned(),
                ConflateBy::Attribute(name) => format!("attributes.{name}"),
            };
            json!({"policy": "latest", "key": key})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_event::{ChannelPattern, Severity};
    use std::{os::unix::fs::PermissionsExt, time::Duration};

    fn options_of_all_kinds() -> Vec<Options> {
        let ms = Duration::from_millis;
        let policies = [
            LagPolicy::Store,
            LagPolicy::Gap,
            LagPolicy::Disconnect,
            LagPolicy::Sample { interval: ms(250) },
            LagPolicy::Latest { key: ConflateBy::Key },
            LagPolicy::Latest { key: ConflateBy::Type },
            LagPolicy::Latest { key: ConflateBy::Attribute("pane".into()) },
        ];
        let mut all: Vec<Options> =
            policies.into_iter().map(|policy| Options { lag_policy: Some(policy), ..Options::default() }).collect();
        all.push(Options::default());
        all.push(Options { pace: Pace::Realtime { throttle: ms(100) }, ..Options::default() });
        all.push(Options {
            include_historical: true,
            filter_level: Some(Severity::Warning),
            buffer_size: Some(100),
            pace: Pace::Buffered { interval: ms(700), size: 7 },
            priority_events: vec!["alarm".into(), "fire".into()],
            lag_policy: None,
        });
        all
    }

    #[test]
    fn what_is_written_is_read_once_and_by_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sessions.json");
        let filter = FilterSpec {
            types: vec!["a.*".into()],
            severity: Some(Severity::Error),
            attributes: [("pane".to_owned(), "%1".to_owned())].into(),
            sources: vec!["tmux".into()],
            expression: Some("data.x > 1".into()),
        };
        let terms = options_of_all_kinds().into_iter().map(|options| Terms { filter: filter.clone(), options });
        let pattern = ChannelPattern::parse("a*").unwrap();
        let mut subscriptions: Vec<_> = terms.map(|terms| (pattern.clone(), terms)).collect();
        subscriptions.push((ChannelPattern::parse("plain").unwrap(), Terms::default()));
        let position = Position { epoch: Epoch(0xab), offset: 12 };
        let session = Session { subscriptions, positions: vec![(ChannelName::new("a").unwrap(), position)] };
        let until = Timestamp(1_704_067_200_000_000_000);
        let kept = vec![Kept { token: Token::new().unwrap(), until, session }];
        write(&path, &kept).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(take(&path), kept);
        assert_eq!(take(&path), []);
    }

    #[test]
    fn a_file_that_is_none_brings_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sessions.json");
        for text in ["", "{", "[]", r#"{"version":2,"sessions":[]}"#, r#"{"version":1,"sessions":[{"token":"x"}]}"#] {
            fs::write(&path, text).unwrap();
            assert_eq!(take(&path), [], "{text}");
        }
    }
}
