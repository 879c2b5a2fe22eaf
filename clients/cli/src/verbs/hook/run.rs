//! `headwater hook run`: one report to the daemon, made while an agent waits for it.
//!
//! The agent must not notice. Whatever happens, the exit code is 0, nothing is printed (but with `--verbose`), and it is over
//! within 50 ms of when the agent has said everything. So this verb is recognised before the command line of all the others is built, and no runtime is started for it.

use super::{
    caller::Caller,
    post::{Posted, Target, ready},
    spool::Spool,
    stream,
};
use crate::{Globals, RunArgs, failure::say, text::visible};
use clap::Parser;
use headwater_protocol::hooks::{EMITTERS, reduce};
use jiff::Timestamp;
use rustix::event::PollFlags;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::{
    env,
    ffi::OsString,
    io,
    os::fd::AsFd,
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
    time::{Duration, Instant},
};

/// What a report may take of its agent's time in all, where nobody says otherwise.
const WITHIN_MS: u64 = 50;
/// What of it goes into starting and ending a process.
const PROCESS_MS: u64 = 5;
/// How long it may take until standard input ends. An agent closes it at once; a pipe of programs that start only now
/// takes longer than a report may. Less than what agents allow a hook in all (3 s).
const INPUT: Duration = Duration::from_secs(2);
/// The largest report that is read. A daemon takes 4 MiB in one call.
pub(super) const LARGEST: usize = (4 << 20) - (64 << 10);

/// The verb with the options that every verb has.
#[derive(Parser, Debug)]
#[command(name = "headwater hook run")]
struct Command {
    #[command(flatten)]
    globals: Globals,
    #[command(flatten)]
    args: RunArgs,
}

/// Does `headwater hook run …` when these words of the command line say so; otherwise nothing, and `None`.
pub fn hook_run(words: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let words = words_of_run(words)?;
    // A person who looks it up, and no agent, which gives an emitter first.
    if words.first().is_some_and(|word| word == "--help" || word == "-h") {
        return None;
    }
    let asked =
        env::var("HEADWATER_VERBOSE").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false" | "no" | "off"));
    let verbose = asked || words.iter().any(|word| word == "--verbose");
    // A panic would be printed, and give another exit code.
    panic::set_hook(Box::new(|_| {}));
    let _ = panic::catch_unwind(AssertUnwindSafe(|| {
        let begun = Instant::now();
        let name = OsString::from("headwater hook run");
        match Command::try_parse_from(std::iter::once(name).chain(words)) {
            Ok(command) => run(&command.args, &command.globals, begun),
            // An agent that is still writing would take a closed pipe for a fault.
            Err(error) => {
                if verbose {
                    say(error.to_string().trim_end());
                }
                drop(standard_input(begun + budget(None)));
            }
        }
    }));
    Some(ExitCode::SUCCESS)
}

/// The words without `hook run`, when these are the verb: nothing but global options may stand before them.
fn words_of_run(words: impl IntoIterator<Item = OsString>) -> Option<Vec<OsString>> {
    let mut words = words.into_iter();
    let mut others = Vec::new();
    loop {
        let word = words.next()?;
        if word == "hook" {
            break;
        }
        let takes_value = ["--url", "--token", "--color"].iter().any(|option| word == *option);
        if !word.as_encoded_bytes().starts_with(b"--") {
            return None;
        }
        others.push(word);
        if takes_value {
            others.push(words.next()?);
        }
    }
    (words.next()? == "run").then_some(())?;
    // The emitter stays first, so that it is seen who asks for help.
    let mut found: Vec<OsString> = words.collect();
    found.extend(others);
    Some(found)
}

/// What a report may take.
fn budget(within_ms: Option<u64>) -> Duration {
    // Longer than an hour is as good as for ever.
    Duration::from_millis(within_ms.unwrap_or(WITHIN_MS).min(3_600_000).saturating_sub(PROCESS_MS))
}

/// Reports; fails at nothing.
pub(crate) fn run(args: &RunArgs, globals: &Globals, begun: Instant) {
    if args.stream {
        match Reporter::new(args, globals) {
            Ok(reporter) => stream::run(&reporter, io::BufReader::new(io::stdin())),
            Err(why) => tell(args.verbose, &format!("{why}; nothing was sent")),
        }
        return;
    }
    let text = match &args.payload {
        Some(payload) => payload.clone().into_bytes(),
        None => match standard_input(begun + INPUT) {
            Some(text) => text,
            None => return tell(args.verbose, "standard input did not end within 2 s; nothing was sent"),
        },
    };
    // What others took to write it is not time of ours.
    let deadline = begun.max(Instant::now()) + budget(args.options.within_ms);
    let reporter = match Reporter::new(args, globals) {
        Ok(reporter) => reporter,
        Err(why) => return tell(args.verbose, &format!("{why}; nothing was sent")),
    };
    if text.trim_ascii().is_empty() {
        tell(args.verbose, "there is no JSON, neither as an argument nor on standard input; nothing was sent");
    } else if text.len() > LARGEST {
        tell(args.verbose, "it is larger than 4 MiB; nothing was sent");
    } else {
        reporter.report(&payload(&text), None, deadline);
    }
}

/// Says what has become of a report, to those who have asked for that.
fn tell(verbose: bool, words: &str) {
    if verbose {
        say(&format!("headwater hook run: {}", visible(words)));
    }
}

/// The JSON of an emitter as it is. What is no JSON is told by its size: it may be anything, prompts included.
pub(super) fn payload(text: &[u8]) -> Box<RawValue> {
    serde_json::from_slice(text).unwrap_or_else(|_| {
        to_raw_value(&serde_json::json!({"unreadable_bytes": text.len()})).expect("invariant: a number serialises")
    })
}

/// How the JSON of what is no JSON begins.
const UNREADABLE: &str = r#"{"unreadable_bytes":"#;

/// A payload without what people and models have written in it.
fn reduced(payload: &RawValue) -> Box<RawValue> {
    let value = serde_json::from_str(payload.get()).map(reduce);
    to_raw_value(&value.unwrap_or_default()).expect("invariant: a value serialises")
}

/// All of standard input; `None` when it does not end in time. What is too large is read to its end all the same, and comes
/// as one byte too many.
fn standard_input(deadline: Instant) -> Option<Vec<u8>> {
    let input = io::stdin();
    let mut text = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        ready(&input, PollFlags::IN, deadline)?;
        match rustix::io::read(input.as_fd(), &mut piece).ok()? {
            0 => return Some(text),
            count => {
                let room = (LARGEST + 1).saturating_sub(text.len());
                text.extend_from_slice(&piece[..count.min(room)]);
            }
        }
    }
}

/// Makes reports of payloads and sends them.
pub(super) struct Reporter {
    route: String,
    keeps_text: bool,
    budget: Duration,
    target: Target,
    spool: Option<Spool>,
    caller: Caller,
    url: String,
    verbose: bool,
}

impl Reporter {
    /// Fails where the emitter or the daemon's address is none.
    fn new(args: &RunArgs, globals: &Globals) -> Result<Self, &'static str> {
        let emitter = args.emitter.as_str();
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if emitter.is_empty() || emitter.len() > 32 || !emitter.bytes().all(is_name) {
            return Err("an emitter's name has only lower-case letters, digits and `_`");
        }
        let text = if args.options.text { "?text=1" } else { "" };
        Ok(Self {
            route: format!("/v1/hooks/{emitter}{text}"),
            keeps_text: args.options.text || emitter == "report",
            budget: budget(args.options.within_ms),
            target: Target::new(&globals.url, globals.token.as_deref())
                .ok_or("the address or the token cannot be used")?,
            spool: args.options.spool.as_deref().map(|directory| Spool::new(directory, args.options.spool_bytes)),
            caller: Caller::look(),
            url: globals.url.clone(),
            verbose: args.verbose,
        })
    }

    /// When a report that begins now has to be over.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.budget
    }

    /// Sends one, after those that were kept, or keeps it. `session` is whose it is, where the payload does not say that.
    pub(super) fn report(&self, payload: &RawValue, session: Option<&str>, deadline: Instant) {
        let Some(spool) = &self.spool else {
            let posted = self.target.post(&self.route, &self.body(payload, session, None), deadline);
            return self.became(posted, payload, "it is lost; `--spool DIR` would keep it");
        };
        let now = Timestamp::now();
        // More than half of the time is left for this one.
        let earlier = spool.send(&self.target, deadline.checked_sub(self.budget * 5 / 9).unwrap_or(deadline));
        let posted = match earlier {
            Posted::Away => Posted::Away,
            _ => self.target.post(&self.route, &self.body(payload, session, None), deadline),
        };
        let mut left = "";
        if posted == Posted::Away {
            // As the daemon would: what people have written stays on no disk.
            let kept = if self.keeps_text { payload.to_owned() } else { reduced(payload) };
            let kept = spool.keep(&self.route, &self.body(&kept, session, Some(now)));
            left = if kept.is_some() { "it is kept in the spool" } else { "the spool cannot keep it; it is lost" };
        }
        self.became(posted, payload, left);
    }

    /// Says what has become of one; `left` is what that means where nobody took it.
    fn became(&self, posted: Posted, payload: &RawValue, left: &str) {
        if !self.verbose {
            return;
        }
        let Self { url, route, budget, .. } = self;
        let words = match posted {
            Posted::Taken => format!("{url}{route} has it"),
            Posted::Refused => {
                format!("{url} refuses {route}: emitters are {}, and a report is a JSON object", EMITTERS.join(", "))
            }
            Posted::Away => {
                let ms = budget.as_millis();
                format!("{url} did not take it within {ms} ms: no daemon, a busy one, or no token for it; {left}")
            }
            Posted::Unknown => format!("it was sent to {url}, which did not answer in time"),
        };
        let unreadable = payload.get().starts_with(UNREADABLE);
        tell(true, &if unreadable { format!("it is no JSON, so only its size was sent: {words}") } else { words });
    }

    /// What is posted; `time` is when it happened, where that is not now.
    fn body(&self, payload: &RawValue, session: Option<&str>, time: Option<Timestamp>) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'a> {
            payload: &'a RawValue,
            #[serde(skip_serializing_if = "Option::is_none")]
            session: Option<&'a str>,
            #[serde(flatten)]
            caller: &'a Caller,
            #[serde(skip_serializing_if = "Option::is_none")]
            time: Option<String>,
        }
        let body = Body { payload, session, caller: &self.caller, time: time.map(|time| time.to_string()) };
        serde_json::to_vec(&body).expect("invariant: strings, numbers and raw JSON serialise into memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Daemon, http};
    use serde_json::{Value, json};

    fn words(line: &str) -> Option<Vec<String>> {
        let found = words_of_run(line.split_whitespace().map(OsString::from))?;
        Some(found.into_iter().map(|word| word.into_string().unwrap()).collect())
    }

    fn command(words: &[&str]) -> Command {
        Command::try_parse_from([&["headwater hook run"], words].concat()).unwrap()
    }

    fn report(words: &[&str]) {
        let command = command(words);
        run(&command.args, &command.globals, Instant::now() + Duration::from_secs(5));
    }

    fn body(request: &str) -> Value {
        serde_json::from_str(request.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    }

    #[test]
    fn the_verb_is_found_behind_global_options_and_nowhere_else() {
        assert_eq!(words("hook run claude").unwrap(), ["claude"]);
        let found = words("--url http://box:1 --json hook run codex_notify {}").unwrap();
        assert_eq!(found, ["codex_notify", "{}", "--url", "http://box:1", "--json"]);
        assert_eq!(words("--url=x hook run claude --spool /s").unwrap(), ["claude", "--spool", "/s", "--url=x"]);
        for line in ["hook", "hook install claude", "pub hook run {}", "sub hook run", "", "--url hook run claude"] {
            assert_eq!(words(line), None, "{line}");
        }
    }

    #[test]
    fn a_report_takes_as_long_as_it_may_and_no_longer() {
        let millis = |within| budget(within).as_millis();
        assert_eq!([None, Some(0), Some(200), Some(u64::MAX)].map(millis), [45, 0, 195, 3_599_995]);
        let reporter = |words: &[&str]| {
            let command = command(words);
            Reporter::new(&command.args, &command.globals).unwrap()
        };
        assert_eq!(reporter(&["claude", "--within-ms", "300"]).budget.as_millis(), 295);
    }

    #[test]
    fn a_report_carries_the_payload_and_who_called() {
        let daemon = Daemon::play(vec![http(|request| {
            assert!(request.starts_with("POST /v1/hooks/codex_notify HTTP/1.1\r\n"), "{request}");
            let body = body(request);
            assert_eq!(body["payload"], json!({"type": "agent-turn-complete", "turn-id": "t"}));
            assert!(body["processes"][0]["pid"].as_u64().unwrap() > 0 && body.get("time").is_none(), "{body}");
            assert_eq!(body["cwd"], json!(std::env::current_dir().unwrap()));
            ("202 Accepted", String::new())
        })]);
        report(&["codex_notify", r#"{"type":"agent-turn-complete","turn-id":"t"}"#, "--url", daemon.url()]);
        daemon.done();
    }

    /// Harm prevented: the programs of a pipe need longer to start than a report may take, and all of them are lost.
    #[test]
    fn the_time_of_a_report_begins_when_its_input_is_whole() {
        let daemon = Daemon::play(vec![http(|request| {
            assert_eq!(body(request)["payload"], json!({"n": 1}));
            ("202 Accepted", String::new())
        })]);
        let command = command(&["claude", r#"{"n":1}"#, "--url", daemon.url(), "--within-ms", "5005"]);
        // It began so long ago that nothing of the time would be left.
        let begun = Instant::now().checked_sub(Duration::from_mins(1)).unwrap();
        run(&command.args, &command.globals, begun);
        daemon.done();
    }

    #[test]
    fn what_is_no_json_is_told_by_its_size_and_nothing_is_sent_to_no_emitter() {
        let daemon = Daemon::play(vec![http(|request| {
            assert!(request.starts_with("POST /v1/hooks/claude?text=1 "), "{request}");
            assert_eq!(body(request)["payload"], json!({"unreadable_bytes": 19}));
            ("202 Accepted", String::new())
        })]);
        let url = daemon.url().to_owned();
        report(&["../../v1/events", "{}", "--url", &url]);
        report(&["claude", "  ", "--url", &url]);
        report(&["claude", r#"{"prompt": "my secr"#, "--url", &url, "--text"]);
        daemon.done();
    }

    #[test]
    fn what_nobody_took_is_sent_later_with_its_time() {
        let home = tempfile::tempdir().unwrap();
        let spool = home.path().to_str().unwrap();
        let before = Timestamp::now();
        report(&["claude", r#"{"n":1,"prompt":"my secret"}"#, "--url", "http://127.0.0.1:9", "--spool", spool]);
        report(&["claude", r#"{"n":2}"#, "--url", "http://127.0.0.1:9", "--spool", spool]);
        let between = Timestamp::now();
        let kept = move |n: u64| {
            http(move |request| {
                let body = body(request);
                let time: Timestamp = body["time"].as_str().unwrap().parse().unwrap();
                let secret = request.contains("secret") || (n == 1 && body["payload"]["prompt_bytes"] != 9);
                assert!(!secret, "{body}");
                assert!(body["payload"]["n"] == n && before <= time && time <= between, "{body}");
                ("202 Accepted", String::new())
            })
        };
        let now = http(|request| {
            let body = body(request);
            assert!(body["payload"]["n"] == 3 && body.get("time").is_none(), "{body}");
            ("202 Accepted", String::new())
        });
        let daemon = Daemon::play(vec![kept(1), kept(2), now]);
        report(&["claude", r#"{"n":3}"#, "--url", daemon.url(), "--spool", spool]);
        daemon.done();
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "only the lock's file is left");
    }
}
