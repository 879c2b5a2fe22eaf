//! Runs a verb: a runtime, a client, the exit code.

use crate::{ChannelVerb, Failure, Globals, HookVerb, Output, SourceVerb, Terminal, Verb, verbs};
use headwater_client::Client;
use std::{io::IsTerminal, process::ExitCode, time::Instant};

/// What every verb works with.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) terminal: Terminal,
    pub(crate) output: Output,
}

/// Does what a verb says and gives the exit code of the process: 0, 1, 2 usage, 69 no daemon, 77 denied, 78 config.
/// Errors are on stderr by then.
pub fn run(verb: Verb, globals: &Globals) -> ExitCode {
    if let Verb::McpWrap(args) = &verb {
        // It ends as the program ends that it runs.
        return verbs::mcp_wrap::run(args, globals);
    }
    match start(verb, globals) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn start(verb: Verb, globals: &Globals) -> Result<(), Failure> {
    if let Verb::Hook(HookVerb::Run(args)) = &verb {
        verbs::hook::run::run(args, globals, Instant::now());
        return Ok(());
    }
    // An empty variable is how shells and units say "none".
    let token = globals.token.as_deref().filter(|token| !token.is_empty());
    let client = Client::new(&globals.url, token)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(format!("the runtime does not start: {error}")))?;
    runtime.block_on(async {
        let terminal = Terminal::of_stdout(globals.color, globals.json);
        let mut session = Session { client, terminal, output: Output::stdout()? };
        let outcome = perform(verb, globals, &mut session).await;
        if matches!(outcome, Err(Failure::ReaderLeft | Failure::Interrupted)) {
            // Nobody reads on: writing more could wait for ever.
            return outcome;
        }
        // What was printed before a failure is shown too.
        outcome.and(session.output.flush().await)
    })
}

async fn perform(verb: Verb, globals: &Globals, session: &mut Session) -> Result<(), Failure> {
    match verb {
        Verb::Sub(args) => verbs::subscribe::run(args, session).await,
        Verb::Pub(args) => {
            let input = std::io::stdin();
            let piped = !input.is_terminal();
            verbs::publish::run(&args, session, input, piped).await
        }
        Verb::Reload => verbs::reload::run(false, session).await,
        Verb::Diff => verbs::reload::run(true, session).await,
        Verb::Channel(ChannelVerb::List) => verbs::channels::run(session).await,
        Verb::Snapshot(args) => verbs::snapshot::run(&args, session).await,
        Verb::History(args) => verbs::history::run(&args, session).await,
        Verb::Command(args) => verbs::command::run(&args, session).await,
        Verb::Agents(args) => verbs::agents::run(args, session).await,
        Verb::Hook(HookVerb::Run(_)) | Verb::McpWrap(_) => unreachable!("it is done before a runtime starts"),
        Verb::Hook(HookVerb::Install(args)) => verbs::hook::install::install(&args, globals, session),
        Verb::Hook(HookVerb::Uninstall(args)) => verbs::hook::install::take_out(&args, session),
        Verb::Hook(HookVerb::Status(args)) => verbs::hook::status::run(&args, globals, session).await,
        Verb::Source(SourceVerb::List) => verbs::sources::list(session).await,
        Verb::Source(SourceVerb::Restart { name }) => verbs::sources::restart(&name, session).await,
    }
}

impl Session {
    /// Prints one JSON text: as it is for programs, without anything that steers for a terminal.
    pub(crate) fn json(&mut self, json: &str) {
        if self.terminal.shown {
            self.output.line(&crate::text::visible_json(json));
        } else {
            self.output.line(json);
        }
    }
}
