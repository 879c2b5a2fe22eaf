//! `headwater agents`: who is working, waiting, done and dead, since when, and in which pane. Asks the source `agents`.

mod answer;
mod screen;

use crate::{AgentsArgs, Failure, clock::Clock, run::Session, signals::Interrupt, terminal, text::cut};
use answer::Answer;
use headwater_client::{Answer as Reply, Backoff, Client, Error, Follow, Followed, Item, Step, Subscription};
use jiff::Timestamp;
use screen::Screen;
use serde_json::value::RawValue;
use std::{collections::HashMap, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

/// The command, and the source that has it.
const COMMAND: &str = "agents/get_status";
/// Where changes of agents are told.
const CHANNEL: &str = "agent";
/// How long the source may think about it. It has the answer in memory.
const PATIENCE: Duration = Duration::from_secs(10);
/// Changes that come together are shown together: an agent that starts is three events.
const TOGETHER: Duration = Duration::from_millis(100);
/// How often the ages on the screen are counted up.
const TICK: Duration = Duration::from_secs(1);

pub(crate) async fn run(args: AgentsArgs, session: &mut Session) -> Result<(), Failure> {
    if args.watch {
        return watch(session).await;
    }
    let answer = ask(&session.client).await?;
    if !session.terminal.human {
        for agent in &answer.lines {
            session.json(agent.get());
        }
        return Ok(());
    }
    let screen = Screen { clock: Clock::local(), style: session.terminal.style };
    for line in screen.lines(&answer, session.terminal.width, Timestamp::now()) {
        session.output.line(&line);
    }
    Ok(())
}

/// Asks the source once.
async fn ask(client: &Client) -> Result<Answer, Failure> {
    let asked = timeout(PATIENCE, async {
        let mut stream = client.stream().await?;
        let parameters = RawValue::from_string("{}".to_owned()).expect("invariant: this is JSON");
        let request = stream.command(COMMAND, &parameters).await?;
        loop {
            match stream.next().await {
                Item::Answer(Reply { request_id, step, .. }) if request_id == request => match step {
                    Step::Completed { result } => {
                        stream.close().await;
                        return Answer::read(&result);
                    }
                    Step::Failed(problem) if problem.code == "UNKNOWN_COMMAND" => return Err(disabled()),
                    Step::Failed(problem) => return Err(Error::from(*problem).into()),
                    Step::Accepted { .. } | Step::Progress { .. } => {}
                },
                Item::Notice(notice) => return Err(Failure::Other(format!("{} ({})", notice.message, notice.code))),
                Item::Closed(closed) => {
                    return Err(Failure::Away(format!("the connection to the daemon ended: {closed}")));
                }
                _ => {}
            }
        }
    });
    let late = |_| Err(Failure::Away(format!("the source `agents` does not answer within {} s", PATIENCE.as_secs())));
    asked.await.unwrap_or_else(late)
}

fn disabled() -> Failure {
    Failure::Other("the source `agents` does not run; enable it: headwater source enable agents".to_owned())
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
    let mut view = View::new(session, ask(&session.client).await?);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut due: Option<Instant> = None;
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
                Ok(Followed::Lost { reason, .. }) => view.away = Some(reason),
                Ok(Followed::Notice(_) | Followed::Lag(_)) => {}
                Ok(Followed::Event(_) | Followed::Gap(_) | Followed::Back) => {
                    due.get_or_insert_with(|| Instant::now() + TOGETHER);
                }
                Err(error) => break Err(error.into()),
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                due = None;
                match ask(&session.client).await {
                    Ok(answer) => view.renew(answer),
                    // The connection will tell when it is back.
                    Err(Failure::Away(reason)) => view.away = Some(reason),
                    Err(failure) => break Err(failure),
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
    answer: Answer,
    /// Absent where programs read.
    screen: Option<Screen>,
    /// What each agent's line was when it was printed last, for programs: only changes are printed. As many as there are
    /// agents.
    printed: HashMap<String, String>,
    /// Why nothing new comes at the moment.
    away: Option<String>,
}

impl View {
    fn new(session: &Session, answer: Answer) -> Self {
        let screen = session.terminal.human.then(|| Screen { clock: Clock::local(), style: session.terminal.style });
        Self { answer, screen, printed: HashMap::new(), away: None }
    }

    fn renew(&mut self, answer: Answer) {
        self.answer = answer;
        self.away = None;
    }

    fn show(&mut self, session: &mut Session) {
        let Some(screen) = &self.screen else {
            let mut printed = HashMap::new();
            for (agent, line) in self.answer.agents.iter().zip(&self.answer.lines) {
                if self.printed.get(&agent.id).is_none_or(|before| before != line.get()) {
                    session.json(line.get());
                }
                printed.insert(agent.id.clone(), line.get().to_owned());
            }
            self.printed = printed;
            return;
        };
        let (width, height) = terminal::size().unwrap_or((session.terminal.width, usize::MAX));
        let mut lines = screen.lines(&self.answer, width, Timestamp::now());
        if let Some(reason) = &self.away {
            let said = format!("the connection is lost ({reason}); trying again");
            lines.push(session.terminal.style.bad(cut(&crate::visible(&said), width)));
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
        scripted::{Daemon, Scene, stream},
    };
    use expect_test::expect;
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
        let mut view = View::new(&session, answer("active"));
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
        let mut view = View::new(&session, answer("active"));
        view.away = Some("restart\x1b".to_owned());
        view.show(&mut session);
        let shown = session.output.taken();
        assert!(shown.starts_with("\x1b[HSTATUS") && shown.contains("\x1b[K\nworking"), "{shown:?}");
        assert!(shown.ends_with("the connection is lost (restart␛); trying again\x1b[K\n\x1b[J"), "{shown:?}");
        view.renew(answer("active"));
        view.show(&mut session);
        assert!(!session.output.taken().contains("lost"));
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
        let refused = stream(|peer| {
            let id = peer.expect("command")["request_id"].clone();
            let why = "no source has a command `agents/get_status`";
            peer.say(
                &json!({"type": "command_error", "request_id": id, "error_code": "UNKNOWN_COMMAND", "message": why}),
            );
        });
        let daemon = Daemon::play(vec![agents_are(answer.clone()), agents_are(answer.clone()), refused]);
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
        assert_eq!(json!(printed), answer["agents"], "as they came, fields of later versions included");
        let failure = run(once, &mut people).await.unwrap_err();
        let words = "the source `agents` does not run; enable it: headwater source enable agents";
        assert_eq!((failure.code(), failure.to_string().as_str()), (1, words));
        daemon.done();
    }
}
