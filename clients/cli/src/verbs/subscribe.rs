//! `headwater sub`: prints events as they happen, across restarts of the daemon.

use crate::{
    Failure, SubscribeArgs, clock::Clock, failure::say, line::Lines, run::Session, signals::Interrupt, text::visible,
};
use headwater_client::{Backoff, Event, Follow, Followed, Start, Subscription};
use jiff::Timestamp;

pub(crate) async fn run(args: SubscribeArgs, session: &mut Session) -> Result<(), Failure> {
    let several = args.channels.len() > 1 || args.channels.iter().any(|channel| is_pattern(channel));
    if several && matches!(args.from, Start::After(_)) {
        return Err(Failure::Usage("--from EPOCH:OFFSET is a place in one channel; name just that one".into()));
    }
    // Before the connection: a Ctrl-C in between must end it in order too.
    let mut interrupt = Interrupt::watch()?;
    let follow = tokio::select! {
        follow = Follow::start(session.client.clone(), subscription(&args), Backoff::default()) => follow?,
        () = interrupt.received() => return Err(Failure::Interrupted),
    };
    // The zone database is read only where times are shown.
    let lines = session.terminal.human.then(|| Lines::new(session.terminal, Clock::local(), several));
    // With history asked for, what is held comes first, and silence shows that nothing is.
    if session.terminal.human && !args.history && args.since.is_none() && args.from == Start::Latest {
        announce(&follow, &args.channels);
    }
    let mut printer = Printer { follow, lines, left: args.count, reconnect: !args.no_reconnect, down: false };
    let outcome = printer.print(session, &mut interrupt).await;
    printer.follow.close().await;
    outcome
}

fn subscription(args: &SubscribeArgs) -> Subscription {
    Subscription {
        channels: args.channels.clone(),
        types: args.filter.types.clone(),
        severity: args.filter.severity,
        attributes: args.filter.attributes.iter().cloned().collect(),
        sources: args.filter.sources.clone(),
        expression: args.filter.expression.clone(),
        start: args.since.clone().map_or_else(|| args.from.clone(), Start::Since),
        include_historical: args.history,
    }
}

fn is_pattern(channel: &str) -> bool {
    channel.contains(['*', '?'])
}

/// A channel on which nothing was ever published is most often a mistyped one, and silence would not show it.
fn announce(follow: &Follow, channels: &[String]) {
    for channel in channels.iter().filter(|channel| !is_pattern(channel)) {
        if follow.places().get(channel).is_some_and(|place| place.offset == 0) {
            let channel = visible(channel);
            say(&format!("headwater: nothing on `{channel}` yet, waiting (all channels: headwater channel list)"));
        }
    }
}

struct Printer {
    follow: Follow,
    /// Absent where programs read.
    lines: Option<Lines>,
    /// Events until the end.
    left: Option<u64>,
    reconnect: bool,
    /// It has been said that the connection is lost.
    down: bool,
}

impl Printer {
    /// Prints until the last event, the end of the connection, or a signal.
    async fn print(&mut self, session: &mut Session, interrupt: &mut Interrupt) -> Result<(), Failure> {
        loop {
            let waiting = !session.output.is_empty();
            let followed = tokio::select! {
                biased;
                () = interrupt.received() => return Err(Failure::Interrupted),
                () = session.output.reader_left() => return Err(Failure::ReaderLeft),
                followed = self.follow.next() => Some(followed?),
                // Nothing more is there at the moment: what was collected is written in one go.
                () = std::future::ready(()), if waiting => None,
            };
            match followed {
                Some(Followed::Event(event)) => {
                    self.event(&event, session);
                    let last = self.left.as_mut().is_some_and(|left| {
                        *left -= 1;
                        *left == 0
                    });
                    if last || session.output.is_full() {
                        flush(session, interrupt).await?;
                    }
                    if last {
                        return Ok(());
                    }
                }
                Some(other) => {
                    // What is said on stderr stands between the events it came between.
                    flush(session, interrupt).await?;
                    self.tell(&other)?;
                }
                None => flush(session, interrupt).await?,
            }
        }
    }

    fn event(&mut self, event: &Event, session: &mut Session) {
        match &mut self.lines {
            Some(lines) => {
                let line = lines.event(event, Timestamp::now());
                session.output.line(&line);
            }
            None => session.json(event.line()),
        }
    }

    fn tell(&mut self, followed: &Followed) -> Result<(), Failure> {
        let words = match followed {
            Followed::Event(_) => return Ok(()),
            Followed::Gap(gap) if gap.to < gap.from => {
                let kept = gap.to;
                format!(
                    "{} goes on under a new numbering behind {kept}; later ones seen before are not kept",
                    gap.channel
                )
            }
            Followed::Gap(gap) => {
                format!("gap: events {} to {} of {} will not come ({})", gap.from, gap.to, gap.channel, gap.reason)
            }
            Followed::Lag(lag) => {
                format!("too slow: {} events of {} are waiting and will be lost soon", lag.behind, lag.channel)
            }
            Followed::Notice(notice) => format!("{} ({})", notice.message, notice.code),
            Followed::Lost { reason, .. } if !self.reconnect => {
                return Err(Failure::Away(format!("the connection to the daemon ended: {reason}")));
            }
            // Once for each outage: a daemon that is down all night is no thousand lines.
            Followed::Lost { .. } if self.down => return Ok(()),
            Followed::Lost { reason, .. } => {
                self.down = true;
                format!("the connection is lost ({reason}); trying again")
            }
            Followed::Back => {
                self.down = false;
                "connected again".to_owned()
            }
        };
        say(&format!("headwater: {}", visible(&words)));
        Ok(())
    }
}

/// Writes what was collected. A reader that stopped reading must not make Ctrl-C useless.
async fn flush(session: &mut Session, interrupt: &mut Interrupt) -> Result<(), Failure> {
    tokio::select! {
        biased;
        () = interrupt.received() => Err(Failure::Interrupted),
        flushed = session.output.flush() => flushed,
    }
}
