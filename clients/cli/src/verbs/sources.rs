//! `headwater source list` and `headwater source restart`.

use crate::{Column, Failure, Style, Table, run::Session, text::visible, verbs::read};
use headwater_client::SourceSummary;

pub(crate) async fn list(session: &mut Session) -> Result<(), Failure> {
    let sources = session.client.sources().await?;
    if !session.terminal.human {
        for source in &sources {
            session.json(source.get());
        }
        return Ok(());
    }
    if sources.is_empty() {
        session.output.line("no sources; enable one: headwater source enable metrics");
        return Ok(());
    }
    let read = sources.iter().map(|source| read::<SourceSummary>(source)).collect::<Result<Vec<_>, _>>()?;
    for line in lines(&read, session.terminal.width, session.terminal.style) {
        session.output.line(&line);
    }
    Ok(())
}

pub(crate) async fn restart(name: &str, session: &mut Session) -> Result<(), Failure> {
    session.client.restart_source(name).await?;
    if session.terminal.human {
        session.output.line(&format!("{} is restarted", visible(name)));
    } else {
        session.output.line(&serde_json::json!({"status": "restarted", "source": name}).to_string());
    }
    Ok(())
}

/// The table, and below it why sources are not up: a reason is a sentence, and a sentence has no room in a column.
fn lines(sources: &[SourceSummary], width: usize, style: Style) -> Vec<String> {
    let mut lines = table(sources).lines(width, style);
    for source in sources {
        if let Some(reason) = source.reason.as_deref().filter(|reason| !reason.is_empty()) {
            lines.push(format!("{}: {}", style.bold(visible(&source.name)), visible(reason)));
        }
    }
    lines
}

fn table(sources: &[SourceSummary]) -> Table {
    let mut table = Table::new(&[
        Column::text("SOURCE"),
        Column::text("STATE"),
        Column::text("RUNS"),
        Column::number("EVENTS"),
        Column::number("DROPPED"),
        Column::number("RESTARTS"),
    ]);
    for source in sources {
        let version = source.version.as_deref().unwrap_or_default();
        let runs = match (&source.plugin, &source.exec) {
            // A source is most often named after its plugin; once is enough.
            (Some(plugin), _) if *plugin == source.name => version.to_owned(),
            (Some(plugin), _) => format!("{plugin} {version}"),
            (None, Some(exec)) => exec.to_string(),
            (None, None) => String::new(),
        };
        let quiet = |count: u64| if count == 0 { String::new() } else { count.to_string() };
        table.row(&[
            &source.name,
            &source.state,
            runs.trim_end(),
            &source.events.to_string(),
            &quiet(source.dropped),
            &quiet(source.restarts),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn the_list_fits_80_columns() {
        let sources: Vec<SourceSummary> = serde_json::from_str(
            r#"[{"name":"metrics","state":"up","plugin":"metrics","version":"0.1.0","events":1234,"pid":7},
                {"name":"disk","state":"quarantined","plugin":"disk-usage","version":"1.0.0","restarts":5,"dropped":2,
                 "reason":"it panicked: index out of bounds: the len is 0 but the index is 3"},
                {"name":"py","state":"backoff","exec":["python3","sources/weather.py"],"events":0,"newer":"field"}]"#,
        )
        .unwrap();
        expect![[r"
            SOURCE   STATE        RUNS                        EVENTS  DROPPED  RESTARTS
            metrics  up           0.1.0                         1234
            disk     quarantined  disk-usage 1.0.0                 0        2         5
            py       backoff      python3 sources/weather.py       0
            disk: it panicked: index out of bounds: the len is 0 but the index is 3"]]
        .assert_eq(&lines(&sources, 80, Style { colored: false }).join("\n"));
    }
}
