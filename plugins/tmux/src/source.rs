//! The source: waits for a server, watches it as long as it lives, waits for the next one.

use crate::{
    Config, commands,
    events::{past, place::Place, told::Told},
    ladder::{Ladder, Mode},
    server::{
        ask::{AskError, Program},
        identity::Server,
        socket,
    },
    watch::Rules,
    watching::Watching,
};
use headwater_plugin::prelude::*;
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::sleep,
};

/// How often it is looked whether somebody listens. It costs some microseconds.
const LOOK: Duration = Duration::from_millis(250);

/// How often a server that listens but does not let us in is asked again, and how often a missing tmux is looked for.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// The source.
#[derive(Debug)]
pub struct Tmux;

impl Source for Tmux {
    type Config = Config;

    async fn run(config: Config, mut ctx: Context) -> Result<()> {
        let path = config.socket.clone().unwrap_or_else(|| socket::named(&config.socket_name));
        let program = Program::new(config.tmux.clone(), path);
        // Before a server is there: nobody would look for what is wrong in the settings when it comes.
        let (redaction, rules) = (Arc::new(config.redaction()?), Arc::new(Rules::new(&config.watch)?));
        let mut tidying = JoinSet::new();
        let socket = program.socket().to_string_lossy().into_owned();
        tidying.spawn(past::clear(past::read(&ctx)?, ctx.emitter(), socket));
        let mut ladder = Ladder::default();
        let mut absent_since = None;
        // Each server that is gone, for some seconds.
        let mut mourned = JoinSet::new();
        while let Some(server) = wait(&program, &mut ladder, &mut absent_since, &mut ctx).await? {
            // All that is in a server that was born while we waited is new.
            let newborn = absent_since.take().is_some_and(|since| server.started >= since);
            let watching = Watching::new(&config, &program, server, newborn, &mut ladder, (&redaction, &rules))?;
            let Some(mourning) = watching.run(&mut ctx).await? else { break };
            while mourned.try_join_next().is_some() {}
            mourned.spawn(mourning.tell(ctx.emitter()));
        }
        Ok(())
    }
}

/// Waits for a server, and says why; `None`: the source is to stop. `absent_since` is when nobody was there, in seconds
/// since 1970.
async fn wait(
    program: &Program,
    ladder: &mut Ladder,
    absent_since: &mut Option<u64>,
    ctx: &mut Context,
) -> Result<Option<Server>> {
    loop {
        let error = match find(program).await? {
            Ok(server) => return Ok(Some(server)),
            Err(error) => error,
        };
        let pause = match error {
            AskError::NoServer => LOOK,
            _ => ASK_AGAIN,
        };
        if matches!(error, AskError::NoServer | AskError::NotInstalled) {
            absent_since.get_or_insert_with(unix_now);
        }
        let reason = error.to_string();
        if ladder.moves_to(Mode::Waiting, Some(&reason)) {
            tell_mode(ctx, program, Place::default(), Mode::Waiting, Some(&reason)).await?;
        }
        let over = sleep(pause);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => break,
                command = ctx.command() => match command {
                    Some(command) => commands::answer_without_server(command, program, &reason),
                    None => return Ok(None),
                },
            }
        }
        // Nobody is there: as long as that is so, tmux itself is not asked.
        while matches!(error, AskError::NoServer) && !socket::is_alive(program.socket()).await {
            tokio::select! {
                () = sleep(LOOK) => {}
                command = ctx.command() => match command {
                    Some(command) => commands::answer_without_server(command, program, &reason),
                    None => return Ok(None),
                },
            }
        }
    }
}

/// Asks who is there.
async fn find(program: &Program) -> Result<Result<Server, AskError>> {
    let program = program.clone();
    Ok(spawn_blocking(move || Server::ask(&program)).await?)
}

/// Tells how the server is watched now. It stays as the snapshot `mode:` and the socket: other sources watch other servers.
pub(crate) async fn tell_mode(
    ctx: &mut Context,
    program: &Program,
    place: Place,
    mode: Mode,
    reason: Option<&str>,
) -> Result<()> {
    info!(%mode, reason, "tmux");
    let socket = program.socket().to_string_lossy();
    let mut more = json!({ "mode": mode.to_string(), "socket": socket });
    if let Some(reason) = reason {
        more["reason"] = reason.into();
    }
    Told::new("tmux.mode", place, more).emit(ctx, Evidence::Observed, Some(&format!("mode:{socket}"))).await
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
