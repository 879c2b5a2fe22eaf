//! What runners tell of their servers.

use super::{Fleet, Moment, With, server::Facts};
use crate::{
    emit::Trouble,
    evidence::Level,
    health::{Cause, Kind, Outcome, Sample},
    probe::{Ended, Greeting, Report, Seen, Way},
    process::Process,
};
use headwater_plugin::serde_json::{Map, Value, json};
use std::time::Duration;

impl Fleet {
    /// Takes a report. `false`: it is one of a runner that has been dismissed.
    pub(crate) fn report(&mut self, report: Report, moment: Moment) -> bool {
        let id = report.server;
        let run = self.servers.get(&id).and_then(|server| server.runner.as_ref()).map(|hand| hand.run);
        if run != Some(report.run) {
            return false;
        }
        if self.is_in_vain(&id, &report.seen) {
            return true;
        }
        let Some(hand) = self.servers.get_mut(&id).and_then(|server| server.runner.as_mut()) else { return false };
        match report.seen {
            Seen::Started { process } => {
                hand.running = true;
                self.started(&id, process, moment);
            }
            Seen::Ready(greeting) => self.ready(&id, *greeting, moment),
            Seen::Locked => {
                let Some(server) = self.servers.get_mut(&id) else { return false };
                server.facts.locked = true;
                server.last_seen = Some(moment.at);
                let change = server.machine.alive();
                self.tell(&id, change, With::default(), Level::Probe, moment);
            }
            Seen::Tools(count) => {
                if let Some(server) = self.servers.get_mut(&id) {
                    server.facts.tools = Some(count);
                    server.dirty = true;
                }
                self.snapshots(moment);
            }
            Seen::Pong { outcome, latency, written, noise } => {
                if let Some(server) = self.servers.get_mut(&id) {
                    server.written = written;
                    server.last_seen = Some(moment.at);
                    server.dirty = true;
                }
                self.noise(&id, noise, moment);
                self.probed(&id, outcome, Some(latency), moment);
            }
            Seen::Silent { calls, waited } => {
                for _ in 0..calls {
                    self.probed(&id, Outcome::Timeout, None, moment);
                }
                let more = Map::from_iter([("timeout_ms".to_owned(), json!(waited.as_millis()))]);
                let message = format!("no answer within {} ms", waited.as_millis());
                self.fail(&id, "timeout", &message, more, moment);
            }
            Seen::Gone { reason } => {
                let Some(server) = self.servers.get_mut(&id) else { return false };
                let change = server.machine.stop(Cause::Ended { reason });
                self.tell(&id, change, With::default(), Level::Probe, moment);
            }
            Seen::Ended(ended) => {
                hand.running = false;
                self.ended(&id, &ended, moment);
            }
        }
        true
    }

    /// Whether somebody was looked for who need not be there, and is not.
    fn is_in_vain(&mut self, id: &str, seen: &Seen) -> bool {
        let Some(server) = self.servers.get_mut(id).filter(|server| server.tried) else { return false };
        if matches!(seen, Seen::Ready(_) | Seen::Locked) {
            server.facts = Facts::default();
            server.answered = true;
        }
        let in_vain = !server.answered;
        // What comes after its end is in vain again.
        server.answered &= !matches!(seen, Seen::Ended(_));
        in_vain
    }

    fn started(&mut self, id: &str, process: Option<Process>, moment: Moment) {
        let Some(server) = self.servers.get_mut(id) else { return };
        server.own = process;
        server.began = Some(moment.clock);
        server.facts = Facts::default();
        server.written = (0, 0);
        let change = server.machine.start();
        self.tell(id, change, With::default(), Level::Probe, moment);
    }

    fn ready(&mut self, id: &str, greeting: Greeting, moment: Moment) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let info = greeting.info;
        server.facts = Facts {
            era: Some(greeting.era.to_owned()),
            version: Some(info.protocol_version.to_string()),
            info: info.server_info.map(|info| (info.name, Some(info.version))),
            tools: greeting.tools,
            startup: Some(greeting.took),
            locked: false,
        };
        server.last_seen = Some(moment.at);
        server.usage = self.meter.look(&server.processes()).map(|(usage, _)| usage);
        let change = server.machine.alive();
        self.tell(id, change, With::default(), Level::Probe, moment);
    }

    fn probed(&mut self, id: &str, outcome: Outcome, latency: Option<Duration>, moment: Moment) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let change = server.machine.sample(&Sample { at: moment.clock, kind: Kind::Probe, outcome, latency });
        self.tell(id, change, With::default(), Level::Probe, moment);
    }

    /// A server that writes what is no message among its messages works, and clients may stumble over it.
    fn noise(&mut self, id: &str, noise: u64, moment: Moment) {
        let Some(server) = self.servers.get_mut(id) else { return };
        let first = server.noise == 0 && noise > 0;
        server.noise = noise;
        if first {
            let more = Map::from_iter([("lines".to_owned(), json!(noise))]);
            self.fail(id, "stdout_noise", "it writes to its output what is no message", more, moment);
        }
    }

    fn ended(&mut self, id: &str, ended: &Ended, moment: Moment) {
        let Some(server) = self.servers.get_mut(id) else { return };
        server.own = None;
        server.usage = None;
        server.restarts = ended.restarts;
        // Who is asked at a URL does not end: nobody is there.
        let ours = server.owns_process();
        let flapping = ended.flapping && ours;
        let began_to_flap = flapping && !server.flapping;
        server.flapping = flapping;
        if let Some(written) = &ended.written {
            server.written = (written.bytes, written.lines);
        }
        let mut trouble = Vec::new();
        if began_to_flap {
            trouble.push(Trouble::Flapping { restarts: ended.restarts });
        }
        let orphans = ended.ending.as_ref().map(|ending| ending.orphans.as_slice()).unwrap_or_default();
        if !orphans.is_empty() {
            trouble.push(Trouble::Orphans(orphans.iter().map(|process| process.pid).collect()));
        }
        let reason = ended.reason.clone();
        let change = if ended.way == Way::Asked {
            server.machine.stop(Cause::Asked)
        } else if ended.was_ready || ended.way == Way::ByItself {
            server.machine.stop(Cause::Ended { reason })
        } else {
            server.machine.not_ready(reason)
        };
        self.tell(id, change, With { trouble, quiet: ended.way == Way::Asked }, Level::Probe, moment);
        if ended.way != Way::Asked {
            let kind = match (ended.was_ready, ended.timeout, ended.way) {
                // It makes no difference whether anybody has ever been there.
                (_, None, Way::ByItself) if !ours => "unreachable",
                (true, Some(_), _) => "hung",
                (true, None, _) => "ended",
                (false, Some(_), _) => "handshake_timeout",
                (false, None, Way::ByItself) => "ended_at_start",
                (false, None, _) => "not_ready",
            };
            self.fail(id, kind, &ended.reason, details(ended), moment);
        }
        self.snapshots(moment);
    }
}

fn details(ended: &Ended) -> Map<String, Value> {
    let mut details = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            details.insert(key.to_owned(), value);
        }
    };
    put("attempt_count", ended.restarts.into());
    put("last_error", ended.reason.as_str().into());
    put("timeout_ms", ended.timeout.map(|timeout| timeout.as_millis() as u64).into());
    put("restart_in_ms", ended.again.map(|again| again.as_millis() as u64).into());
    if let Some(ending) = &ended.ending {
        put("exit_code", ending.code.into());
        put("signal", ending.signal.into());
        let pids = |processes: &[Process]| processes.iter().map(|process| process.pid).collect::<Vec<_>>();
        put("killed", if ending.killed.is_empty() { Value::Null } else { pids(&ending.killed).into() });
        put("orphans", if ending.orphans.is_empty() { Value::Null } else { pids(&ending.orphans).into() });
    }
    if let Some(written) = ended.written.as_ref().filter(|written| written.bytes > 0) {
        put("stderr", json!(written));
    }
    details
}
