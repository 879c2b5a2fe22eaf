//! `headwater reload` and `headwater diff`: the config's changes, done or only shown.

use crate::{Failure, Style, run::Session, text::visible};
use headwater_client::Reloaded;

pub(crate) async fn run(dry_run: bool, session: &mut Session) -> Result<(), Failure> {
    if !session.terminal.human {
        let answer = session.client.reload_raw(dry_run).await?;
        session.json(answer.get());
        return Ok(());
    }
    let reloaded = session.client.reload(dry_run).await?;
    for line in lines(&reloaded, dry_run, session.terminal.style) {
        session.output.line(&line);
    }
    match (reloaded.failed.len(), reloaded.failed_webhooks.len()) {
        (0, 0) => Ok(()),
        (0, 1) => Err(Failure::Other("one webhook cannot run".into())),
        (0, several) => Err(Failure::Other(format!("{several} webhooks cannot run"))),
        (1, _) => Err(Failure::Other("one source did not take its new table; it goes on as before".into())),
        (several, _) => {
            Err(Failure::Other(format!("{several} sources did not take their new tables; they go on as before")))
        }
    }
}

fn lines(reloaded: &Reloaded, dry_run: bool, style: Style) -> Vec<String> {
    let failed = !(reloaded.failed.is_empty() && reloaded.failed_webhooks.is_empty());
    if reloaded.changes.is_empty() && reloaded.restarted.is_empty() && !failed {
        return vec!["no changes: the daemon runs the config as it is on disk".to_owned()];
    }
    let mut lines: Vec<String> = reloaded.changes.iter().map(|change| painted(&visible(change), style)).collect();
    let bad =
        |what: &str, name: &str, reason: &str| style.bad(format!("✗ {what}.{}: {}", visible(name), visible(reason)));
    lines.extend(reloaded.failed.iter().map(|failed| bad("source", &failed.source, &failed.reason)));
    lines.extend(reloaded.failed_webhooks.iter().map(|failed| bad("webhook", &failed.webhook, &failed.reason)));
    let counts = format!(
        "{} restarted, {} kept, {} clients dropped",
        reloaded.restarted.len(),
        reloaded.kept.len(),
        reloaded.clients_dropped
    );
    lines.push(if dry_run {
        format!("nothing is changed yet; a reload would mean {counts}: headwater reload")
    } else {
        let number = reloaded.reload.map(|number| format!(" #{number}")).unwrap_or_default();
        let took = reloaded.took_ms.map(|ms| format!(" in {ms} ms")).unwrap_or_default();
        format!("reloaded{number}{took}: {counts}")
    });
    lines
}

fn painted(change: &str, style: Style) -> String {
    match change.chars().next() {
        Some('+') => style.good(change),
        Some('-') => style.bad(change),
        Some('~') => style.warning(change),
        _ => change.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use headwater_client::{FailedSource, FailedWebhook};

    #[test]
    fn a_reload_says_what_it_did_and_a_dry_run_what_it_would_do() {
        let mut reloaded = Reloaded {
            status: "applied".into(),
            reload: Some(2),
            changes: vec!["~ source.metrics.interval 1s → 5s".into(), "- source.old".into()],
            restarted: vec!["metrics".into()],
            kept: vec!["a".into(), "b".into()],
            failed: Vec::new(),
            failed_webhooks: Vec::new(),
            clients_dropped: 0,
            took_ms: Some(4),
        };
        let plain = Style { colored: false };
        expect![[r"
            ~ source.metrics.interval 1s → 5s
            - source.old
            reloaded #2 in 4 ms: 1 restarted, 2 kept, 0 clients dropped"]]
        .assert_eq(&lines(&reloaded, false, plain).join("\n"));
        expect![[r"
            ~ source.metrics.interval 1s → 5s
            - source.old
            nothing is changed yet; a reload would mean 1 restarted, 2 kept, 0 clients dropped: headwater reload"]]
        .assert_eq(&lines(&reloaded, true, plain).join("\n"));
        reloaded.failed = vec![FailedSource { source: "metrics".into(), reason: "no such unit".into() }];
        let failed = lines(&reloaded, false, plain).join("\n");
        assert!(failed.contains("✗ source.metrics: no such unit"), "{failed}");
        reloaded.failed_webhooks = vec![FailedWebhook { webhook: "x".into(), reason: "no secret".into() }];
        let failed = lines(&reloaded, false, plain).join("\n");
        assert!(failed.contains("✗ webhook.x: no secret"), "{failed}");
        reloaded.failed_webhooks.clear();
        (reloaded.failed, reloaded.restarted) = (Vec::new(), Vec::new());
        reloaded.changes.clear();
        expect!["no changes: the daemon runs the config as it is on disk"]
            .assert_eq(&lines(&reloaded, false, plain).join("\n"));
    }
}
