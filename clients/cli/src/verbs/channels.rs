//! `headwater channel list`.

use crate::{Column, Failure, Table, run::Session, text::size, verbs::read};
use headwater_client::ChannelSummary;

pub(crate) async fn run(session: &mut Session) -> Result<(), Failure> {
    let channels = session.client.channels().await?;
    if !session.terminal.human {
        for channel in &channels {
            session.json(channel.get());
        }
        return Ok(());
    }
    if channels.is_empty() {
        session.output.line("no channels yet: they appear with their first event or subscriber");
        return Ok(());
    }
    let read = channels.iter().map(|channel| read::<ChannelSummary>(channel)).collect::<Result<Vec<_>, _>>()?;
    for line in table(&read).lines(session.terminal.width, session.terminal.style) {
        session.output.line(&line);
    }
    Ok(())
}

fn table(channels: &[ChannelSummary]) -> Table {
    let mut table = Table::new(&[
        Column::text("CHANNEL"),
        Column::number("HELD"),
        Column::number("SIZE"),
        Column::number("FIRST"),
        Column::number("LAST"),
        Column::text("EPOCH"),
    ]);
    for channel in channels {
        table.row(&[
            &channel.channel,
            &channel.events.to_string(),
            &size(channel.bytes),
            &channel.first.to_string(),
            &channel.head.to_string(),
            &channel.epoch,
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Style;
    use expect_test::expect;

    #[test]
    fn the_list_is_aligned() {
        let channels: Vec<ChannelSummary> = serde_json::from_str(
            r#"[{"channel":"performance_metrics","epoch":"00000000000000ab","first":1,"head":1200,"events":1200,"bytes":2400000},
                {"channel":"workflow:wf_123","epoch":"00000000000000ac","first":1,"head":0,"events":0,"bytes":0}]"#,
        )
        .unwrap();
        expect![[r"
            CHANNEL              HELD     SIZE  FIRST  LAST  EPOCH
            performance_metrics  1200  2.3 MiB      1  1200  00000000000000ab
            workflow:wf_123         0      0 B      1     0  00000000000000ac"]]
        .assert_eq(&table(&channels).lines(80, Style { colored: false }).join("\n"));
    }
}
