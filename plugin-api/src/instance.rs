//! One running source: a named thread, a current-thread runtime, and the queues between it and the host's calls.

use crate::{
    Command, Context, Source,
    command::{Failure, unknown},
    current,
    link::{Link, lock},
    log::Level,
    manifest::Declared,
    panics,
    source::Error,
    subscription,
    wire::{Answer, Message},
};
use headwater_abi::{sent, state};
use std::{
    io,
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::{runtime::Builder, sync::mpsc, task::JoinSet};

/// Commands that wait for the source. A further one is not taken: the host tells the client that the source is busy.
const COMMANDS: usize = 64;

/// Heartbeats and refusals that wait for the source's runtime. The host sends one heartbeat at a time.
const QUESTIONS: usize = 16;

/// How long blocking work of the source may go on after `run` has returned.
const BLOCKING_GRACE: Duration = Duration::from_millis(500);

/// An instance, as the host's calls see it.
#[derive(Debug)]
pub(crate) struct Instance {
    link: Arc<Link>,
    commands: mpsc::Sender<Command>,
    questions: mpsc::Sender<Question>,
    declared: Declared,
    ended: Arc<Ended>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the source's runtime answers by itself.
#[derive(Debug)]
enum Question {
    Heartbeat(u64),
    Refuse(u64, Failure),
}

/// Whether the thread is through.
#[derive(Debug, Default)]
struct Ended {
    ended: Mutex<bool>,
    changed: Condvar,
}

/// What goes to the thread.
pub(crate) struct Parts {
    link: Arc<Link>,
    context: Context,
    questions: mpsc::Receiver<Question>,
    ended: Arc<Ended>,
}

/// How the source came to its end.
enum Outcome {
    Returned(Result<(), Error>),
    Panicked(String),
}

impl Instance {
    /// An instance without a thread, and what the thread will need.
    pub(crate) fn new(link: Link, declared: Declared) -> (Self, Parts) {
        let link = Arc::new(link);
        let (commands, command_queue) = mpsc::channel(COMMANDS);
        let (questions, question_queue) = mpsc::channel(QUESTIONS);
        let ended = Arc::new(Ended::default());
        let context = Context::new(Arc::clone(&link), command_queue);
        let parts = Parts { link: Arc::clone(&link), context, questions: question_queue, ended: Arc::clone(&ended) };
        (Self { link, commands, questions, declared, ended, thread: Mutex::default() }, parts)
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Starts the source.
    pub(crate) fn start<S: Source>(&self, name: &str, config: S::Config, parts: Parts) -> io::Result<()> {
        let name = format!("{name}-{}", thread_number());
        let thread = thread::Builder::new().name(name).spawn(move || parts.live::<S>(config))?;
        *lock(&self.thread) = Some(thread);
        Ok(())
    }

    /// Takes a message of the host; the answer is one of [`sent`].
    pub(crate) fn send(&self, request: u64, message: Message) -> u32 {
        let ask = |question| if self.questions.try_send(question).is_ok() { sent::TAKEN } else { sent::NOT_TAKEN };
        match message {
            Message::Heartbeat => ask(Question::Heartbeat(request)),
            Message::Command { name, .. } if !self.takes(&name) => ask(Question::Refuse(request, unknown(&name))),
            Message::Command { name, parameters, caller } => match self.commands.try_reserve() {
                Ok(place) => {
                    place.send(Command::new(Arc::clone(&self.link), request, name, parameters, caller));
                    sent::TAKEN
                }
                Err(_) => sent::NOT_TAKEN,
            },
            Message::LogLevel { level } => match Level::parse(&level) {
                Some(level) => {
                    self.link.set_level(level);
                    crate::log::levels_changed();
                    sent::TAKEN
                }
                None => sent::MALFORMED,
            },
            Message::Notice { subscription, notice } => {
                if subscription::notice(&self.link, subscription, notice) {
                    sent::TAKEN
                } else {
                    sent::NOT_TAKEN
                }
            }
            Message::Unknown if request == 0 => sent::TAKEN,
            Message::Unknown => {
                let failure = Failure::new("UNKNOWN_COMMAND", "the plugin does not know this kind of message");
                ask(Question::Refuse(request, failure))
            }
        }
    }

    fn takes(&self, command: &str) -> bool {
        self.declared.commands.is_none_or(|commands| commands.iter().any(|known| known.name == command))
    }

    /// Waits until the thread is through, at most this long.
    pub(crate) fn join(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut ended = lock(&self.ended.ended);
        while !*ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            ended = match self.ended.changed.wait_timeout(ended, left) {
                Ok((ended, _)) => ended,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        drop(ended);
        if let Some(thread) = lock(&self.thread).take() {
            // Its panics are caught inside; what is left to wait for are its thread-locals.
            let _ = thread.join();
        }
        true
    }
}

/// Threads of one plugin are told apart by a number, as in `metrics-2`.
fn thread_number() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Relaxed)
}

impl Parts {
    /// The whole life of the source, on its thread.
    fn live<S: Source>(self, config: S::Config) {
        let Self { link, context, questions, ended } = self;
        current::set(Some(Arc::clone(&link)));
        let outcome = panics::caught(|| run::<S>(&link, config, context, questions)).unwrap_or_else(Outcome::Panicked);
        link.announce_drops(true);
        match outcome {
            Outcome::Returned(Ok(())) => link.state(state::STOPPED, ""),
            Outcome::Returned(Err(error)) => link.state(state::FAILED, &chain(&*error)),
            Outcome::Panicked(text) => link.state(state::PANICKED, &text),
        }
        current::set(None);
        *lock(&ended.ended) = true;
        ended.changed.notify_all();
    }
}

/// Makes the runtime, runs the source on it, and takes it down again with all the source's tasks.
fn run<S: Source>(
    link: &Arc<Link>,
    config: S::Config,
    context: Context,
    questions: mpsc::Receiver<Question>,
) -> Outcome {
    let for_threads = Arc::clone(link);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .on_thread_start(move || current::set(Some(Arc::clone(&for_threads))))
        .on_thread_stop(|| current::set(None))
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Outcome::Returned(Err(error.into())),
    };
    link.state(state::RUNNING, "");
    let result = panics::caught(|| {
        runtime.block_on(async {
            let mut own = JoinSet::new();
            own.spawn(answer(Arc::clone(link), questions));
            tokio::select! {
                biased;
                result = S::run(config, context) => Some(result),
                () = link.faulted() => None,
            }
        })
    });
    // Not by drop: that would wait for blocking work without an end.
    runtime.shutdown_timeout(BLOCKING_GRACE);
    match (result, link.fault()) {
        (Err(text), _) => Outcome::Panicked(text),
        (Ok(Some(result)), None) => Outcome::Returned(result),
        (Ok(_), fault) => Outcome::Panicked(format!("a task panicked: {}", fault.unwrap_or_default())),
    }
}

/// An error with its causes: `cannot read the table: no such file`.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some errors repeat their cause in their own text.
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// Answers what the host asks of the runtime itself, so that the answer proves that the runtime turns.
async fn answer(link: Arc<Link>, mut questions: mpsc::Receiver<Question>) {
    while let Some(question) = questions.recv().await {
        match question {
            Question::Heartbeat(request) => link.reply(request, &Answer::Alive),
            Question::Refuse(request, failure) => link.reply(request, &Answer::Error(&failure)),
        }
        link.announce_drops(false);
    }
}
