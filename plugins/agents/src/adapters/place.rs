//! Where a hook was called: the part of the intake's data that stands beside the payload.

use super::fields::Fields;
use crate::signal::{Ancestor, Place, TmuxPlace};
use serde_json::Value;

/// The most ancestors that are looked at. A caller sends no more; whoever publishes by hand may.
const MAX_ANCESTORS: usize = 8;

impl Place {
    /// The place in the data of an event `hook.<emitter>`.
    pub fn of(data: &Value) -> Self {
        let data = Fields(data);
        let processes = data.get("processes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        Self {
            processes: processes.iter().take(MAX_ANCESTORS).filter_map(|process| ancestor(Fields(process))).collect(),
            tmux: data.inner("tmux").and_then(tmux),
            cwd: data.path("cwd"),
            host: data.id("host"),
        }
    }
}

fn ancestor(process: Fields<'_>) -> Option<Ancestor> {
    Some(Ancestor {
        pid: u32::try_from(process.number("pid")?).ok().filter(|pid| *pid > 0)?,
        started: process.number("started")?,
        name: process.id("name").unwrap_or_default(),
    })
}

fn tmux(tmux: Fields<'_>) -> Option<TmuxPlace> {
    let pane =
        tmux.id("pane").filter(|pane| pane.strip_prefix('%').is_some_and(|digits| digits.parse::<u32>().is_ok()))?;
    // The variable TMUX: the socket's path, which may hold commas itself, the server's process, the session's number.
    let server = tmux.path("server");
    let mut parts = server.as_deref().unwrap_or_default().rsplitn(3, ',');
    let (_session, pid, socket) = (parts.next(), parts.next(), parts.next());
    Some(TmuxPlace { pane, socket: socket.map(str::to_owned), server_pid: pid.and_then(|pid| pid.parse().ok()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn processes_and_the_pane_are_read() {
        let place = Place::of(&json!({
            "payload": {},
            "processes": [{ "pid": 7, "started": 99, "name": "zsh" }, { "pid": 0, "started": 1 }, { "pid": 8 }, "x"],
            "tmux": { "pane": "%3", "server": "/tmp/a,b/default,4242,0" },
            "cwd": "/home/dev",
        }));
        assert_eq!(place.processes, [Ancestor { pid: 7, started: 99, name: "zsh".into() }]);
        let tmux = TmuxPlace { pane: "%3".into(), socket: Some("/tmp/a,b/default".into()), server_pid: Some(4242) };
        assert_eq!((place.tmux, place.cwd.as_deref(), place.host), (Some(tmux), Some("/home/dev"), None));
    }

    #[test]
    fn what_is_no_place_is_none() {
        assert_eq!(Place::of(&json!("x")), Place::default());
        let odd = Place::of(&json!({ "processes": 7, "tmux": { "pane": "; kill-server" }, "cwd": 7 }));
        assert_eq!(odd, Place::default());
        let many: Vec<_> = (1..100).map(|pid| json!({ "pid": pid, "started": 1 })).collect();
        assert_eq!(Place::of(&json!({ "processes": many })).processes.len(), MAX_ANCESTORS);
        let bare = Place::of(&json!({ "tmux": { "pane": "%3" } })).tmux.unwrap();
        assert_eq!((bare.socket, bare.server_pid), (None, None));
    }
}
