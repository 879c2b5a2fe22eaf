//! Servers that are named somewhere, and whether they are started: ours always, others only as they were allowed.

use super::{Fleet, From, Moment, Server, With};
use crate::{
    config::ConfigError,
    discovery::{Change, Discovered, Fault, Http, Launch, Permit},
    emit::{self, ERRORS, Event, Keep},
    evidence::Level,
    health::Cause,
};
use headwater_plugin::{
    Severity,
    serde_json::{Map, json},
    tracing::info,
};
use std::collections::BTreeMap;

/// Why a server of a file is not run or asked as it was.
const CHANGED: &str = "its entry changed";
const DISABLED: &str = "its entry was switched on or off";
const GONE: &str = "its entry is gone, or is not understood any more";

impl Fleet {
    /// Adds a server of our own settings, and starts it where that can be done: the others are not held up by one that is wrong.
    pub(crate) fn own(&mut self, name: &str, launch: Result<Launch, ConfigError>, moment: Moment) {
        let mut server = Server::new(name.to_owned(), name.to_owned(), From::Settings, self.options.window, moment.at);
        match launch {
            Ok(launch) => {
                server.launch = Some(launch.clone());
                server.runner = Some(self.crew.hire(name, launch.clone(), launch));
                self.add(server);
            }
            Err(error) => {
                if self.add(server) {
                    self.hinder(name, error.to_string(), moment);
                }
            }
        }
    }

    /// It may be started and cannot be: says why.
    fn hinder(&mut self, id: &str, reason: String, moment: Moment) {
        self.fail(id, "not_ready", &format!("it cannot be started: {reason}"), Map::new(), moment);
        if let Some(server) = self.servers.get_mut(id) {
            server.hindered = Some(reason);
        }
    }

    /// Takes what has changed in the files.
    pub(crate) fn read(&mut self, changes: Vec<Change>, moment: Moment) {
        let mut appeared: BTreeMap<_, Vec<Discovered>> = BTreeMap::new();
        for change in changes {
            match change {
                Change::Appeared(server) => appeared.entry(server.origin.clone()).or_default().push(server),
                Change::Changed { now, .. } => self.changed(&now, moment),
                Change::Gone(server) => self.gone(&server.id, moment),
                Change::Fault(fault) => self.fault(&fault, moment),
                Change::Mended(fault) => {
                    info!(file = %fault.file.display(), place = fault.place, "an MCP config is understood again");
                }
            }
        }
        for servers in appeared.into_values() {
            self.finds += 1;
            let found: Vec<_> = servers.iter().map(|server| (server, self.pins.permit(server))).collect();
            self.out.extend(emit::discovered(self.finds, &found, moment));
            for server in &servers {
                self.appeared(server, moment);
            }
        }
        self.unfit(moment);
    }

    /// Tells once what was allowed and stands in no file: a slip of the hand would be found by nobody.
    fn unfit(&mut self, moment: Moment) {
        if std::mem::replace(&mut self.allowed, true) {
            return;
        }
        let named = |key: &str| self.servers.values().any(|server| server.id == key || server.name == key);
        let unfit: Vec<String> = self.pins.names().filter(|key| !named(key)).map(str::to_owned).collect();
        for key in unfit {
            let name = key.split('@').next().unwrap_or_default();
            let meant =
                self.servers.values().find(|server| server.hash.is_some() && server.name.eq_ignore_ascii_case(name));
            self.errors += 1;
            self.out.push(emit::unfit(&key, meant, self.errors, moment));
        }
    }

    fn appeared(&mut self, found: &Discovered, moment: Moment) {
        if let Some(server) = self.servers.get_mut(&found.id) {
            // It was named before, and somebody has run it all the while.
            server.from = From::File(found.origin.clone());
            self.dismiss(&found.id, CHANGED, moment);
            self.describe(found, moment);
            return;
        }
        let from = From::File(found.origin.clone());
        let server = Server::new(found.id.clone(), found.name.clone(), from, self.options.window, moment.at);
        if self.add(server) {
            self.describe(found, moment);
        }
    }

    fn changed(&mut self, now: &Discovered, moment: Moment) {
        let same = |server: &Server| server.hash == Some(now.hash) && server.disabled == now.disabled;
        if self.servers.get(&now.id).is_some_and(same) {
            // Another description is no reason to start it anew.
            return;
        }
        let same_text = self.servers.get(&now.id).is_some_and(|server| server.hash == Some(now.hash));
        self.dismiss(&now.id, if same_text { DISABLED } else { CHANGED }, moment);
        self.describe(now, moment);
    }

    /// Takes over what stands in the file, and starts the server if it may be.
    fn describe(&mut self, found: &Discovered, moment: Moment) {
        let permit = self.pins.permit(found);
        if let Some(server) = self.servers.get_mut(&found.id) {
            server.hindered = None;
        }
        let launch = self.launch(found, permit, moment);
        let Some(server) = self.servers.get_mut(&found.id) else { return };
        server.launch = Some(found.launch.clone());
        server.running = found.ready(&|name| std::env::var(name).ok()).ok();
        server.tried = permit != Permit::Pinned;
        server.hash = Some(found.hash);
        server.permit = Some(permit);
        server.disabled = found.disabled;
        server.dirty = true;
        server.runner = launch.map(|launch| self.crew.hire(&found.id, launch, found.launch.clone()));
    }

    /// How a server is started or asked; nothing where it is not.
    fn launch(&mut self, found: &Discovered, permit: Permit, moment: Moment) -> Option<Launch> {
        if found.disabled {
            return None;
        }
        if let Permit::Changed { pinned } = permit {
            let more = Map::from_iter([
                ("allowed_hash".to_owned(), json!(pinned)),
                ("hash".to_owned(), json!(found.hash)),
                ("config_file".to_owned(), json!(found.origin.file.to_string_lossy())),
            ]);
            // Only what fitted in this life of ours is known to have fitted.
            let fitted = self.servers.get(&found.id).is_some_and(|server| server.permit == Some(Permit::Pinned));
            let why = if fitted {
                "its entry was changed after it had been allowed"
            } else {
                "the hash that allows it does not fit"
            };
            let message = format!("{why}: it is not started; now it is {}", found.hash);
            self.fail(&found.id, "changed_since_allowed", &message, more, moment);
        }
        let ready = found.ready(&|name| std::env::var(name).ok());
        match (permit, ready) {
            (_, Ok(Launch::Http(Http { sse: true, .. }))) => None,
            (Permit::Pinned, Ok(launch)) => Some(launch),
            (Permit::Pinned, Err(error)) => {
                self.hinder(&found.id, error.to_string(), moment);
                None
            }
            _ => match &found.launch {
                // Whoever listens on this machine may be asked whether it is there; what else stands in the file it is not
                // told, and of our environment nothing: the URL is the one in the file, with no variable replaced.
                Launch::Http(http) if !http.sse && is_plain_loopback(&http.url) => {
                    Some(Launch::Http(Http { url: http.url.clone(), ..Http::default() }))
                }
                _ => None,
            },
        }
    }

    /// No file names it any more.
    fn gone(&mut self, id: &str, moment: Moment) {
        self.dismiss(id, GONE, moment);
        let Some(server) = self.servers.get_mut(id) else { return };
        server.from = From::Seen;
        if server.is_wanted() {
            server.dirty = true;
        } else {
            self.forget(id, moment);
        }
    }

    /// Ends what runs it, where that is us.
    fn dismiss(&mut self, id: &str, reason: &'static str, moment: Moment) {
        let Some(server) = self.servers.get_mut(id) else { return };
        if server.runner.take().is_none() {
            return;
        }
        server.own = None;
        let change = server.machine.stop(Cause::LetGo { reason });
        self.tell(id, change, With { quiet: true, ..With::default() }, Level::Probe, moment);
    }

    fn fault(&mut self, fault: &Fault, moment: Moment) {
        self.errors += 1;
        let place = if fault.place.is_empty() { String::new() } else { format!(" at {}", fault.place) };
        let data = json!({
            "error_id": format!("err_{:03}", self.errors),
            "severity": "medium",
            "component": "mcp",
            "error_type": "config_not_understood",
            "message": format!("{}{place}: {}", fault.file.display(), fault.reason),
            "details": {
                "config_file": fault.file.to_string_lossy(),
                "place": fault.place,
                "client": fault.client.name(),
                "last_error": fault.reason,
            },
            "impact": {},
            "recovery_actions": [],
            "context": {},
        });
        self.out.push(Event {
            channel: ERRORS,
            kind: "error_event",
            data,
            keep: Keep::No,
            severity: Severity::Warning,
            evidence: moment.evidence,
            at: moment.at,
            attributes: vec![("client", fault.client.name().to_owned())],
        });
    }
}

/// Whether a URL is one of this machine, and nothing but a place: no variable, no user, no query.
fn is_plain_loopback(url: &str) -> bool {
    !url.contains(['$', '{', '}', '@', '?', '#', '%']) && is_loopback(url)
}

/// Whether a URL is one of this machine.
fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<hyper::Uri>() else { return false };
    let Some(host) = uri.host().filter(|_| uri.scheme().is_some()) else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    // A name could be anybody's, but for this one: resolvers may not send it anywhere.
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{is_loopback, is_plain_loopback};

    /// Harm prevented: a file of somebody else's project had us bring our secrets to whoever listens here.
    #[test]
    fn what_a_file_may_have_us_ask_is_a_place_and_nothing_else() {
        assert!(is_plain_loopback("http://127.0.0.1:3000/mcp/v1"));
        for url in [
            "http://127.0.0.1:3000/?k=${AWS_SECRET_ACCESS_KEY}",
            "http://127.0.0.1:3000/$AWS_SECRET_ACCESS_KEY",
            "http://127.0.0.1:3000/{env:AWS_SECRET_ACCESS_KEY}",
            "http://me:pw@127.0.0.1:3000/",
            "http://127.0.0.1:3000/?key=1",
        ] {
            assert!(!is_plain_loopback(url), "{url}");
        }
    }

    #[test]
    fn only_this_machine_is_this_machine() {
        for url in ["http://127.0.0.1:3000/mcp", "http://localhost/mcp", "https://[::1]:1/x", "http://127.9.9.9"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "http://127.0.0.1.example.org/mcp",
            "http://localhost.example.org",
            "http://127.0.0.1@example.org/",
            "http://10.0.0.1",
            "file:///etc/passwd",
            "localhost",
            "",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
