//! The loop that hosts one instance: loads the plugin, creates the instance when told, passes requests and deliveries on,
//! ends it. The same in a child process and in a thread of the daemon.

use super::{
    deliverer::Deliverer,
    host_table::{self, Context},
    inlet::Inlet,
};
use crate::{
    link::{
        message::{Down, Start, Up},
        outbox::Outbox,
    },
    plugin::loader::LoadError,
};
use headwater_abi::{PluginV1Ref, abi_stable::std_types::RSlice, sent};
use std::{borrow::Cow, ops::ControlFlow, sync::Arc, thread, time::Duration};

/// How long an instance may take to end after the link has closed under it. Nobody hears of it any more.
const ORPHAN_GRACE: Duration = Duration::from_secs(1);

/// Runs until the link closes or the instance has ended. `load` may run foreign code, hence it is called here.
pub(crate) fn serve(load: impl FnOnce() -> Result<PluginV1Ref, LoadError>, inlet: Inlet, outbox: &Arc<Outbox>) {
    match load() {
        Ok(plugin) => {
            outbox.must(|buffer| Up::Loaded.write(buffer));
            let mut serving = Serving { plugin, outbox: outbox.clone(), state: State::Loaded };
            inlet.run(|frame| serving.handle(frame));
            serving.end();
        }
        Err(error) => {
            if let LoadError::Layout { full, .. } = &error {
                outbox.log(4, "headwater", full);
            }
            let reason = Cow::Owned(error.to_string());
            let passing = matches!(error, LoadError::NotNow(_));
            outbox.must(|buffer| if passing { Up::NotNow(reason) } else { Up::Failed(reason) }.write(buffer));
        }
    }
    outbox.close();
}

struct Serving {
    plugin: PluginV1Ref,
    outbox: Arc<Outbox>,
    state: State,
}

enum State {
    Loaded,
    Running {
        instance: u64,
        deliverer: Option<Deliverer>,
        /// Held for its drop: without it the plugin's calls go nowhere.
        context: Context,
    },
    /// A thread waits for the instance to end, and then says so.
    Stopping(#[allow(dead_code, reason = "held for its drop")] Context),
}

impl Serving {
    fn handle(&mut self, frame: &[u8]) -> ControlFlow<()> {
        let Ok(message) = Down::read(frame) else { return ControlFlow::Break(()) };
        match (message, &mut self.state) {
            (Down::Credit(count), _) => self.outbox.grant(count),
            (Down::Start(json), State::Loaded) => return self.create(json),
            (Down::Send { request, json }, State::Running { instance, .. }) => {
                let code = (self.plugin.send())(*instance, request, RSlice::from_slice(json));
                if let Some((code, message)) = refusal(code).filter(|_| request != 0) {
                    host_table::error(&self.outbox, request, code, message);
                }
            }
            (Down::Send { request, .. }, _) if request != 0 => {
                host_table::error(&self.outbox, request, "SYSTEM_UNAVAILABLE", "the source is ending");
            }
            (Down::Deliver(events), State::Running { instance, deliverer, .. }) => {
                if deliverer.is_none() {
                    *deliverer = Deliverer::start(self.plugin, *instance, self.outbox.clone()).ok();
                }
                match deliverer {
                    Some(deliverer) => deliverer.deliver(events),
                    None => self.outbox.log(1, "headwater", "no thread could be started to deliver events"),
                }
            }
            (Down::Stop(grace_ms), _) => return self.stop(grace_ms),
            // What else comes is late: the instance is ending.
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn create(&mut self, json: &[u8]) -> ControlFlow<()> {
        let start: Start<'_> = match serde_json::from_slice(json) {
            Ok(start) => start,
            Err(error) => {
                self.fail(format!("the start message cannot be read: {error}"));
                return ControlFlow::Break(());
            }
        };
        let context = Context::new(self.outbox.clone());
        self.outbox.grant(start.window);
        let settings = RSlice::from_slice(start.settings.get().as_bytes());
        match (self.plugin.create())(host_table::table(), context.number, settings).into_result() {
            Ok(instance) => {
                let message = serde_json::json!({ "kind": "log_level", "level": start.log_level }).to_string();
                (self.plugin.send())(instance, 0, RSlice::from_slice(message.as_bytes()));
                self.outbox.must(|buffer| Up::Started.write(buffer));
                self.state = State::Running { instance, deliverer: None, context };
                ControlFlow::Continue(())
            }
            Err(reason) => {
                self.fail(reason.into_string());
                ControlFlow::Break(())
            }
        }
    }

    fn fail(&self, reason: String) {
        self.outbox.must(|buffer| Up::Failed(Cow::Owned(reason)).write(buffer));
    }

    /// The instance ends in a thread of its own: until it has, it may need credit for its last events.
    fn stop(&mut self, grace_ms: u64) -> ControlFlow<()> {
        match std::mem::replace(&mut self.state, State::Loaded) {
            State::Running { instance, context, .. } => {
                self.state = State::Stopping(context);
                let (plugin, outbox) = (self.plugin, self.outbox.clone());
                let run = move || {
                    (plugin.stop())(instance);
                    let joined = (plugin.join())(instance, grace_ms);
                    outbox.must(|buffer| Up::Stopped(joined).write(buffer));
                    outbox.close();
                };
                let thread = thread::Builder::new().name("hw-stop".into()).spawn(run);
                if thread.is_err() {
                    self.outbox.must(|buffer| Up::Stopped(false).write(buffer));
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            }
            State::Loaded => {
                self.outbox.must(|buffer| Up::Stopped(true).write(buffer));
                ControlFlow::Break(())
            }
            stopping @ State::Stopping(_) => {
                self.state = stopping;
                ControlFlow::Continue(())
            }
        }
    }

    /// The link is closed. An instance that still runs is orphaned.
    fn end(self) {
        if let State::Running { instance, .. } = self.state {
            (self.plugin.stop())(instance);
            (self.plugin.join())(instance, ORPHAN_GRACE.as_millis() as u64);
        }
    }
}

/// What a code of `send` other than taken means to the asker.
fn refusal(code: u32) -> Option<(&'static str, &'static str)> {
    Some(match code {
        sent::TAKEN => return None,
        sent::MALFORMED => ("VALIDATION_ERROR", "the source does not understand the request"),
        sent::PANICKED => ("INTERNAL_ERROR", "the source panicked while it took the request"),
        _ => ("SYSTEM_UNAVAILABLE", "the source has ended, or has as many requests waiting as it takes"),
    })
}
