//! `headwater agents`: who is working, waiting, done and dead, since when, and in which pane. Asks the source `agents`.

mod answer;
mod ask;
mod order;
mod screen;

use crate::{AgentsArgs, Failure, clock::Clock, failure::say, run::Session, signals::Interrupt, terminal, text::cut};
use answer::Answer;
use ask::{Unanswered, ask};
use headwater_client::{Backoff, Follow, Followed, Subscription};
use jiff::Timestamp;
use order::order;
use screen::Screen;
use std::{collections::HashMap, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// Where changes of agents are told.
const CHANNEL: &str = "agent";
/// Changes that come together are shown together: an agent that starts is three events.
const TOGETHER: Duration = Duration::from_millis(100);
/// How often a source that does not answer yet is asked again.
const AGAIN: Duration = Duration::from_millis(500);
/// How often the ages on the screen are counted up.
const TICK: Duration = Duration::from_secs(1);

pub(crate) async fn run(args: AgentsArgs, session: &mut Session) -> Result<(), Failure> {
    if args.watch {
        return watch(session).await;
    }
    let answer = ask(&session.client).await?;
    if !session.terminal.human {
        for place in order(&answer.agents) {
            session.json(answer.lines[place.at].get());
        }
        return Ok(());
    }
    let screen = Screen { clock: Clock::local(), style: session.terminal.style };
    for line in screen.lines(&answer, session.terminal.width, Timestamp::now()) {
        session.output.line(&line);
    }
    Ok(())
}

/// Shows the agents, and again whenever one of them changes.
async fn watch(session: &mut Session) -> Result<(), Failure> {
    let mut interrupt = Interrupt::watch()?;
    // Subscribed before asked: a change between the two would stay unseen.
    let subscription = Subscription::to([CHANNEL]);
    let mut follow = tokio::select! {
        follow = Follow::start(session.client.clone(), subscription, Backoff::default()) => follow?,
        () = interrupt.received() => return Err(Failure::Interrupted),
    };
    let mut view = View::new(session);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut due = Some(Instant::now());
    let mut connected = true;
    let client = session.client.clone();
    // Kept from round to round: an answer may take longer than a tick.
    let mut asking = None;
    let outcome = loop {
        view.show(session);
        tokio::select! {
            biased;
            () = interrupt.received() => break Err(Failure::Interrupted),
            flushed = session.output.flush() => if let Err(failure) = flushed { break Err(failure) },
        }
        tokio::select! {
            biased;
            () = interrupt.received() => break Err(Failure::Interrupted),
            () = session.output.reader_left() => break Err(Failure::ReaderLeft),
            followed = follow.next() => match followed {
                Ok(Followed::Lost { reason, .. }) => {
                    // The connection will tell when it is back.
                    (connected, due) = (false, None);
                    view.wait(format!("the connection is lost ({reason}); trying again"));
                }
                Ok(Followed::Notice(_) | Followed::Lag(_)) => {}
                Ok(Followed::Event(_) | Followed::Gap(_) | Followed::Back) => {
                    connected = true;
                    due.get_or_insert_with(|| Instant::now() + TOGETHER);
                }
                Err(error) => break Err(error.into()),
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() && asking.is_none() => {
                due = None;
                asking = Some(Box::pin(ask(&client)));
            }
            asked = async { asking.as_mut().expect("invariant: only then it is awaited").await }, if asking.is_some() => {
                asking = None;
                match asked {
                    Ok(answer) => view.renew(answer),
                    Err(unanswered) => {
                        // Who has watched already goes on: the source may be disabled for a moment.
                        let never = match unanswered {
                            Unanswered::Never(_) => true,
                            Unanswered::Disabled => view.answer.is_none(),
                            Unanswered::Starting(_) | Unanswered::Yet(_) => false,
                        };
                        if never {
                            break Err(unanswered.into());
                        }
                        view.wait(unanswered.waiting());
                        // A daemon that restarts has its sources a moment later, and no event tells of that.
                        due = connected.then(|| Instant::now() + AGAIN);
                    }
                }
            }
            _ = tick.tick(), if view.screen.is_some() => {}
        }
    };
    follow.close().await;
    outcome
}

/// What is shown while watching.
struct View {
    /// Absent until the source has answered for the first time.
    answer: Option<Answer>,
    /// Absent where programs read.
    screen: Option<Screen>,
    /// What each agent's line was when it was printed last, for programs: only changes are printed. As many as there are
    /// agents.
    printed: HashMap<String, String>,
    /// Why nothing new comes at the moment.
    waiting: Option<String>,
}

impl View {
    fn new(session: &Session) -> Self {
        let screen = session.terminal.human.then(|| Screen { clock: Clock::local(), style: session.terminal.style });
        Self { answer: None, screen, printed: HashMap::new(), waiting: None }
    }

    fn renew(&mut self, answer: Answer) {
        self.answer = Some(answer);
        self.waiting = None;
    }

    /// Nothing new comes, and why. Programs read it on standard error, once.
    fn wait(&mut self, why: String) {
        if self.screen.is_none() && self.waiting.as_ref() != Some(&why) {
            say(&format!("headwater: {}", crate::visible(&why)));
        }
        self.waiting = Some(why);
    }

    fn show(&mut self, session: &mut Session) {
        let Some(screen) = &self.screen else {
            let Some(answer) = &self.answer else { return };
            let mut printed = HashMap::new();
            for place in order(&answer.agents) {
                let (agent, line) = (&answer.agents[place.at], &answer.lines[place.at]);
                if self.printed.get(&agent.id).is_none_or(|before| before != line.get()) {
                    session.json(line.get());
                }
                printed.insert(agent.id.clone(), line.get().to_owned());
            }
            self.printed = printed;
            return;
        };
        let (width, height) = terminal::size().unwrap_or((session.terminal.width, usize::MAX));
        let mut lines =
            self.answer.as_ref().map_or_else(Vec::new, |answer| screen.lines(answer, width, Timestamp::now()));
        if let Some(why) = &self.waiting {
            lines.push(session.terminal.style.bad(cut(&crate::visible(why), width)));
        }
        // The last line of a screen stays free: a line end there would move the first one out.
        if lines.len() >= height {
            let more = lines.len() + 2 - height;
            lines.truncate(height.saturating_sub(2));
            lines.push(session.terminal.style.dim(format!("… {more} more lines")));
        }
        // Written over what stands there, and the rest cleared: clearing first would flicker.
        session.output.text("\x1b[H");
        for line in lines {
            session.output.line(&format!("{line}\x1b[K"));
        }
        session.output.text("\x1b[J");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Output, Style, Terminal,
        scripted::{Daemon, Scene, http, stream},
    };
    use expect_test::expect;
    use headwater_client::Client;
    use serde_json::{Value, json};

    fn session(url: &str, human: bool) -> Session {
        let terminal = Terminal { human, shown: human, width: 80, style: Style { colored: false } };
        let client = Client::new(url, None).unwrap();
        Session { client, terminal, output: Output::memory() }
    }

    fn answer(status: &str) -> Answer {
        let agents = format!(r#"{{"agents":[{{"id":"a","status":"{status}"}},{{"id":"b","status":"idle"}}]}}"#);
        Answer::read(&agents).unwrap()
    }

    #[test]
    fn programs_get_what_changed_and_nothing_twice() {
        let mut session = session(crate::DEFAULT_URL, false);
        let mut view = View::new(&session);
        view.renew(answer("active"));
        view.show(&mut session);
        assert_eq!(session.output.taken().lines().count(), 2);
        view.show(&mut session);
        view.renew(answer("waiting"));
        view.show(&mut session);
        view.show(&mut session);
        assert_eq!(session.output.taken(), "{\"id\":\"a\",\"status\":\"waiting\"}\n");
    }

    #[test]
    fn people_see_the_whole_again_and_why_nothing_new_comes() {
        let mut session = session(crate::DEFAULT_URL, true);
        let mut view = View::new(&session);
        view.renew(answer("active"));
        view.wait("restart\x1b; waiting".to_owned());
        view.show(&mut session);
        let shown = session.output.taken();
        assert!(shown.starts_with("\x1b[HSTATUS") && shown.contains("\x1b[K\nworking"), "{shown:?}");
        assert!(shown.ends_with("\nrestart␛; waiting\x1b[K\n\x1b[J"), "{shown:?}");
        view.renew(answer("active"));
        view.show(&mut session);
        assert!(!session.output.taken().contains("waiting"));
    }

    /// A scene in which the source `agents` answers.
    fn agents_are(answer: Value) -> Scene {
        stream(move |peer| {
            let asked = peer.expect("command");
            assert_eq!(asked["command"], "agents/get_status");
            let id = &asked["request_id"];
            peer.say(&json!({"type": "command_response", "status": "accepted", "request_id": id}));
            peer.say(&json!({"type": "command_completed", "request_id": id, "result": answer}));
            peer.expect_close();
        })
    }

    #[tokio::test]
    async fn agents_are_a_table_for_people_and_lines_for_programs() {
        let answer = json!({"agents": [
            {"id": "b", "status": "active", "pane": {"session": "api", "window": 1, "pane_id": "%3"}, "new": {"x": 1}},
            {"id": "a", "name": "web\u{1b}", "status": "waiting"},
        ]});
        let daemon = Daemon::play(vec![agents_are(answer.clone()), agents_are(answer.clone())]);
        let mut people = session(daemon.url(), true);
        let once = AgentsArgs { watch: false };
        run(once, &mut people).await.unwrap();
        expect![[r"
            STATUS   AGENT  PANE
            waiting  web␛
            working  b      api:1 %3
            1 waiting, 1 working
        "]]
        .assert_eq(&people.output.taken());
        let mut programs = session(daemon.url(), false);
        run(once, &mut programs).await.unwrap();
        let printed: Vec<Value> =
            programs.output.taken().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let waiting_first = json!([answer["agents"][1], answer["agents"][0]]);
        assert_eq!(json!(printed), waiting_first, "each as it came, fields of later versions included");
        daemon.done();
    }

    /// A scene of a source that has no commands yet.
    fn nobody_knows() -> Scene {
        stream(|peer| {
            let id = peer.expect("command")["request_id"].clone();
            let why = "no source has a command `agents/get_status`";
            peer.say(
                &json!({"type": "command_error", "request_id": id, "error_code": "UNKNOWN_COMMAND", "message": why}),
            );
        })
    }

    /// Scenes in which the daemon is asked why.
    fn sources_are(ready: &'static str, sources: Value) -> Vec<Scene> {
        let answered = http(move |request| {
            assert!(request.starts_with("GET /readyz "), "{request}");
            (ready, "ready\n".to_owned())
        });
        let mut scenes = vec![answered];
        if ready == "200 OK" {
            scenes.push(http(move |request| {
                assert!(request.starts_with("GET /v1/sources "), "{request}");
                ("200 OK", json!({"sources": sources}).to_string())
            }));
        }
        scenes
    }

    #[tokio::test]
    async fn a_source_that_starts_is_not_taken_for_one_that_is_not_enabled() {
        let of = |state: &str| json!([{"name": "tmux", "state": "up"}, {"name": "agents", "state": state}]);
        let cases = [
            ("200 OK", json!([]), "is not enabled; enable it: headwater source enable agents"),
            ("200 OK", of("disabled"), "is not enabled; enable it: headwater source enable agents"),
            ("200 OK", of("starting"), "the source `agents` is starting; try again in a moment"),
            ("200 OK", of("quarantined"), "the source `agents` is quarantined; look: headwater source list"),
            ("503 Service Unavailable", json!([]), "the daemon is starting; try again in a moment"),
        ];
        for (ready, sources, words) in cases {
            let scenes = std::iter::once(nobody_knows()).chain(sources_are(ready, sources)).collect();
            let daemon = Daemon::play(scenes);
            let failure = run(AgentsArgs { watch: false }, &mut session(daemon.url(), true)).await.unwrap_err();
            assert!(failure.to_string().ends_with(words), "{failure}");
            daemon.done();
        }
    }

    /// Harm prevented: whoever watches loses the view for good because the daemon was restarted.
    #[tokio::test]
    async fn a_watch_waits_for_a_source_that_starts() {
        let follows = stream(|peer| {
            peer.subscribed(&json!({}));
            // Open as long as the test watches.
            peer.expect_end();
        });
        let aside: Scene = Box::new(|stream| drop(std::thread::spawn(move || follows(stream))));
        let starting = json!([{"name": "agents", "state": "starting"}]);
        let mut scenes = vec![aside, nobody_knows()];
        scenes.extend(sources_are("503 Service Unavailable", json!([])));
        scenes.push(nobody_knows());
        scenes.extend(sources_are("200 OK", starting));
        scenes.push(agents_are(json!({"agents": [{"id": "a", "status": "active"}]})));
        let daemon = Daemon::play(scenes);
        let mut people = session(daemon.url(), true);
        {
            let played = tokio::task::spawn_blocking(move || daemon.done());
            tokio::select! {
                ended = watch(&mut people) => panic!("{ended:?}"),
                played = played => played.unwrap(),
            }
        }
        let shown = people.output.taken();
        assert!(shown.contains("the daemon is starting; waiting"), "{shown:?}");
        assert!(shown.contains("the source `agents` is starting; waiting"), "{shown:?}");
    }
}
