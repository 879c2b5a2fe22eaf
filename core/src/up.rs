//! `headwater up`: reads the config, starts the daemon, says what runs, and waits for signals.

use crate::{
    args::{LogFormat, UpArgs},
    assemble::{Assembly, Setup, assemble, discovery},
    catalog::Knowledge,
    exit, history, logging, place,
    reload::listening,
    say::say,
    shutdown::{Asked, Signals},
};
use headwater_config::load_for_start;
use headwater_gateway::{Listener, UnixListener};
use headwater_host::{SourceState, SourceStatus};
use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    process::ExitCode,
};
use tokio::task::JoinSet;

/// Threads for HTTP, sources and reloads; deliveries have their own. More would only cost memory.
const WORKERS: usize = 2;
/// The source that hears the hooks of coding agents.
const AGENTS: &str = "agents";

pub(crate) fn run(args: UpArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(up(args)),
        Err(error) => exit::fail(exit::FAILURE, format!("cannot start: {error}")),
    }
}

async fn up(args: UpArgs) -> ExitCode {
    let paths = args.config.paths();
    if let Some(refusal) = args.listen.and_then(headwater_config::listen_refusal) {
        return exit::fail(exit::CONFIG, refusal);
    }
    let loaded = match load_for_start(&paths, &Knowledge(&discovery(&[]))) {
        Ok(loaded) => listening(loaded, args.listen),
        Err(diagnostics) => {
            eprintln!("{}", if exit::coloured() { diagnostics.coloured() } else { diagnostics.plain() });
            return ExitCode::from(exit::CONFIG);
        }
    };
    let format = args.log_format.unwrap_or(match loaded.config.log.format {
        headwater_config::LogFormat::Human => LogFormat::Human,
        headwater_config::LogFormat::Json => LogFormat::Json,
    });
    logging::start(format, loaded.config.log.level.as_str());
    for warning in &loaded.warnings {
        tracing::warn!("{}", warning.plain());
    }
    let state = args.state_dir.unwrap_or_else(place::user_state);
    let listener = match Listener::bind(loaded.config.gateway.listen) {
        Ok(listener) => listener,
        Err(error) => return exit::fail(exit::FAILURE, error),
    };
    let unix = match loaded.config.gateway.socket.as_deref().map(UnixListener::bind).transpose() {
        Ok(unix) => unix,
        Err(error) => return exit::fail(exit::FAILURE, error),
    };
    let kept = match history::open(&loaded.config, &state) {
        Ok(kept) => kept,
        Err(error) => return exit::fail(exit::FAILURE, error),
    };
    serve(Setup { loaded, paths, listen: args.listen, state, kept, unix }, listener, format).await
}

async fn serve(setup: Setup, listener: Listener, format: LogFormat) -> ExitCode {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return exit::fail(exit::FAILURE, format!("cannot take signals over: {error}")),
    };
    let (address, config) = (listener.address(), describe(&setup.paths.main));
    let assembly = assemble(setup, listener).await;
    let mut reloads = JoinSet::new();
    greet(&assembly, address, &config, format);
    loop {
        match signals.next().await {
            Asked::Reload => {
                // In a task of its own, so that a signal to end is not kept waiting; what came of it is logged and
                // published by the reloader.
                let reloader = assembly.reloader.clone();
                reloads.spawn(async move { drop(reloader.reload(false).await) });
                while reloads.try_join_next().is_some() {}
            }
            Asked::End(code) => {
                tracing::info!("ending");
                tokio::select! {
                    () = assembly.shutdown(code) => return ExitCode::SUCCESS,
                    () = asked_again(&mut signals) => return exit::fail(exit::FAILURE, "ended at once, on a second signal"),
                }
            }
        }
    }
}

async fn asked_again(signals: &mut Signals) {
    while signals.next().await == Asked::Reload {}
}

fn describe(main: &Path) -> String {
    if main.exists() { main.display().to_string() } else { format!("no config at {}, built-in one", main.display()) }
}

/// What a person sees first.
fn greet(assembly: &Assembly, address: SocketAddr, config: &str, format: LogFormat) {
    if format == LogFormat::Json {
        tracing::info!(%address, config, version = env!("CARGO_PKG_VERSION"), "headwater is up");
        return;
    }
    say(format_args!("headwater {} · {config}", env!("CARGO_PKG_VERSION")));
    let statuses = assembly.host.statuses();
    let width = statuses.iter().map(|status| status.name.len()).max().unwrap_or(0);
    for status in &statuses {
        let (mark, word) = match status.state {
            SourceState::Up => ('✓', status.version.clone().unwrap_or_default()),
            SourceState::Starting => ('…', "starting".into()),
            SourceState::Disabled => ('–', "disabled".into()),
            _ => ('✗', status.reason.clone().unwrap_or_else(|| status.state.to_string())),
        };
        say(format_args!(" {mark} {:width$}  {word}", status.name));
    }
    greet_agents(&statuses);
    for (source, reason) in &assembly.applied.failed {
        tracing::error!(source, reason, "the source did not start");
    }
    say(format_args!(" listening on http://{address}   try: headwater sub '*'{}", url_of(address)));
}

/// What the other verbs must be told to find a daemon that listens here; nothing where they look anyway.
fn url_of(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    let url = format!("http://{address}");
    if url == headwater_cli::DEFAULT_URL { String::new() } else { format!(" --url {url}") }
}

/// A source that hears what agents report hears nothing until they have hooks.
fn greet_agents(statuses: &[SourceStatus]) {
    if statuses.iter().any(|status| status.name == AGENTS && status.state != SourceState::Disabled) {
        for agent in headwater_cli::hooks_missing() {
            say(format_args!("   {agent}: hooks missing → headwater hook install {agent}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_finds_the_daemon_that_gives_it() {
        for (address, words) in [
            ("127.0.0.1:8765", ""),
            ("0.0.0.0:8765", ""),
            ("127.0.0.1:40001", " --url http://127.0.0.1:40001"),
            ("0.0.0.0:9000", " --url http://127.0.0.1:9000"),
            ("[::]:9000", " --url http://[::1]:9000"),
            ("192.0.2.1:8765", " --url http://192.0.2.1:8765"),
        ] {
            assert_eq!(url_of(address.parse().unwrap()), words);
        }
    }
}
