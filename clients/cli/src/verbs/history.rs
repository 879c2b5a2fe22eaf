//! `headwater history`: prints the past, page by page, or what each stretch of it came to.

use crate::{
    Column, Failure, HistoryArgs, HistoryVerb, Style, Table,
    clock::Clock,
    failure::say,
    line::Lines,
    run::Session,
    signals::Interrupt,
    text::visible,
    verbs::{export, read},
};
use headwater_client::{Gap, History, HistoryPage, HistoryQuery};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;

pub(crate) async fn run(args: &HistoryArgs, session: &mut Session) -> Result<(), Failure> {
    if let Some(HistoryVerb::Export(export)) = &args.verb {
        return export::run(export, session).await;
    }
    let mut interrupt = Interrupt::watch()?;
    let query = HistoryQuery {
        descending: args.desc,
        granularity: args.granularity.clone(),
        metrics: args.metrics.clone(),
        limit: args.limit,
        ..args.which.query()
    };
    let several = query.channel.contains(['*', '?']);
    let mut history = session.client.history(query);
    // The zone database is read only where times are shown.
    let mut people = session.terminal.human.then(|| People {
        lines: Lines::new(session.terminal, Clock::local(), several),
        clock: Clock::local(),
        shown: false,
    });
    while let Some(page) = next(&mut history, &mut interrupt).await? {
        if let Some(people) = &mut people {
            people.print(&page, session)?;
        } else {
            page.events.iter().for_each(|event| session.json(event.line()));
            page.points.iter().for_each(|point| session.json(point.get()));
        }
        tokio::select! {
            biased;
            () = interrupt.received() => return Err(Failure::Interrupted),
            flushed = session.output.flush() => flushed?,
        }
        page.gaps.iter().for_each(tell);
    }
    if people.is_some_and(|people| !people.shown) {
        session.output.line("nothing is kept of that");
    }
    Ok(())
}

/// The next page, unless the person has had enough.
pub(crate) async fn next(history: &mut History, interrupt: &mut Interrupt) -> Result<Option<HistoryPage>, Failure> {
    tokio::select! {
        biased;
        () = interrupt.received() => Err(Failure::Interrupted),
        page = history.next_page() => Ok(page?),
    }
}

/// Says on standard error what is missing.
pub(crate) fn tell(gap: &Gap) {
    let words = format!("gap: events {} to {} of {} are lost ({})", gap.from, gap.to, gap.channel, gap.reason);
    say(&format!("headwater: {}", visible(&words)));
}

/// How people are shown pages.
struct People {
    lines: Lines,
    clock: Clock,
    /// Something has been shown.
    shown: bool,
}

impl People {
    fn print(&mut self, page: &HistoryPage, session: &mut Session) -> Result<(), Failure> {
        let now = Timestamp::now();
        for event in &page.events {
            let line = self.lines.event(event, now);
            session.output.line(&line);
        }
        let points = page.points.iter().map(|point| read::<Point>(point)).collect::<Result<Vec<_>, _>>()?;
        if !points.is_empty() {
            let terminal = session.terminal;
            for line in lines(&points, &self.clock, now, terminal.width, terminal.style) {
                session.output.line(&line);
            }
        }
        self.shown |= !page.events.is_empty() || !points.is_empty();
        Ok(())
    }
}

/// What a stretch of time came to.
#[derive(Deserialize)]
struct Point {
    timestamp: String,
    count: u64,
    #[serde(default)]
    stats: BTreeMap<String, Stats>,
}

#[derive(Deserialize)]
struct Stats {
    avg: f64,
    min: f64,
    max: f64,
    p50: f64,
    p95: f64,
    last: f64,
}

fn lines(points: &[Point], clock: &Clock, now: Timestamp, width: usize, style: Style) -> Vec<String> {
    let mut table = Table::new(&[
        Column::text("TIME"),
        Column::number("EVENTS"),
        Column::text("METRIC"),
        Column::number("AVG"),
        Column::number("MIN"),
        Column::number("MAX"),
        Column::number("P50"),
        Column::number("P95"),
        Column::number("LAST"),
    ]);
    for point in points {
        let (mut time, mut count) = (clock.show(&point.timestamp, now), point.count.to_string());
        if point.stats.is_empty() {
            table.row(&[&time, &count, "", "", "", "", "", "", ""]);
        }
        for (name, Stats { avg, min, max, p50, p95, last }) in &point.stats {
            let [avg, min, max, p50, p95, last] = [avg, min, max, p50, p95, last].map(|value| number(*value));
            table.row(&[&time, &count, name, &avg, &min, &max, &p50, &p95, &last]);
            // Once for each stretch.
            (time, count) = (String::new(), String::new());
        }
    }
    table.lines(width, style)
}

/// A number for people: three digits behind the point are enough for the eye.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn points_are_a_table() {
        let points: Vec<Point> = serde_json::from_str(
            r#"[{"timestamp":"2026-11-20T10:02:00.000000Z","count":60,"cpu":12.5,"stats":{
                    "cpu":{"count":60,"avg":12.523456,"min":0,"max":100,"p50":12,"p95":80.25,"last":7},
                    "mem":{"count":60,"avg":1e12,"min":1,"max":2,"p50":1,"p95":2,"last":2}}},
                {"timestamp":"2026-11-20T10:03:00.000000Z","count":7}]"#,
        )
        .unwrap();
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        expect![[r"
            TIME      EVENTS  METRIC            AVG  MIN  MAX  P50    P95  LAST
            10:02:00      60  cpu            12.523    0  100   12  80.25     7
                              mem     1000000000000    1    2    1      2     2
            10:03:00       7"]]
        .assert_eq(&lines(&points, &Clock::utc(), now, 80, Style { colored: false }).join("\n"));
    }
}
