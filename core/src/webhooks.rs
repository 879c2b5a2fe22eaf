//! The webhooks of the config as those that run. `assemble.rs` starts them, `reload.rs` changes them.

use headwater_config::{Config, SecretRef, Webhook, WebhookFilter};
use headwater_event::{ChannelName, ChannelPattern, Draft, Position};
use headwater_filter::Filter;
use headwater_follow::Followers;
use headwater_gateway::{WebhookInfo, WebhookPosition};
use headwater_router::Router;
use headwater_webhooks::{
    Applied, Backoff, Endpoint, SecretSource, Statuses, WebhookSpec, WebhookState, WebhookStatus, Webhooks,
};
use std::{path::Path, sync::Arc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The webhooks of a daemon, and how the config changes them.
pub(crate) struct Hooks(Webhooks);

impl Hooks {
    /// None yet; their positions are kept below `state`.
    pub(crate) fn start(
        followers: Arc<Followers>,
        router: Arc<Router>,
        state: &Path,
        tasks: &TaskTracker,
        cancel: CancellationToken,
    ) -> Self {
        let publish = move |draft: Draft| router.publish(vec![draft]).map(drop).map_err(|error| error.to_string());
        Self(Webhooks::start(followers, Box::new(publish), state.join("webhooks"), tasks.clone(), cancel))
    }

    /// Says how they are doing, also after later changes.
    pub(crate) fn statuses(&self) -> Statuses {
        self.0.statuses()
    }

    /// Makes those of this config the webhooks.
    pub(crate) async fn apply(&mut self, config: &Config) -> Applied {
        let (mut specs, mut failed) = (Vec::new(), Vec::new());
        for webhook in config.webhooks.values() {
            match spec(webhook) {
                Ok(spec) => specs.push(spec),
                // The config's check and the rooms that read it do not agree: a fault of ours, and no reason for the others
                // to stand still.
                Err(reason) => {
                    tracing::error!(webhook = webhook.name, reason, "the webhook cannot run");
                    failed.push((webhook.name.clone(), reason));
                }
            }
        }
        let mut applied = self.0.apply(specs).await;
        applied.failed.extend(failed);
        applied
    }
}

fn spec(webhook: &Webhook) -> Result<WebhookSpec, String> {
    let channels: Result<_, _> = webhook.channels.iter().map(|pattern| ChannelPattern::parse(pattern)).collect();
    Ok(WebhookSpec {
        name: webhook.name.clone(),
        endpoint: Endpoint::parse(&webhook.url).map_err(|error| error.to_string())?,
        channels: channels.map_err(|error| error.to_string())?,
        filter: filter(&webhook.filter)?,
        secret: match &webhook.secret {
            SecretRef::Env(name) => SecretSource::Env(name.clone()),
            SecretRef::File(path) => SecretSource::File(path.clone()),
            SecretRef::Credential(name) => SecretSource::Credential(name.clone()),
        },
        enabled: webhook.enabled,
        timeout: webhook.timeout,
        attempts: webhook.max_attempts,
        backoff: Backoff { min: webhook.backoff_min, max: webhook.backoff_max },
        dead_letter: ChannelName::new(&webhook.dead_letter).map_err(|error| error.to_string())?,
        concurrency: webhook.concurrency,
    })
}

fn filter(filter: &WebhookFilter) -> Result<Filter, String> {
    let severity = filter.severity.map(|least| least.as_str().parse()).transpose();
    let severity = severity.map_err(|error: headwater_event::UnknownWord| error.to_string())?;
    let attributes: Vec<_> = filter.attributes.iter().map(|(name, glob)| (name.clone(), glob.clone())).collect();
    let plain = Filter::new(&filter.types, severity, &attributes, &filter.sources);
    match &filter.expression {
        Some(expression) => plain.with_expression(expression).map_err(|error| error.to_string()),
        None => Ok(plain),
    }
}

/// A webhook as the gateway shows it.
pub(crate) fn info(status: WebhookStatus) -> WebhookInfo {
    let (attempts, next_attempt) = match status.state {
        WebhookState::Retrying { failed, next } => (Some(failed), Some(next.to_string())),
        _ => (None, None),
    };
    let position = |(channel, at): (ChannelName, Position)| WebhookPosition {
        channel: channel.to_string(),
        epoch: at.epoch.to_string(),
        offset: at.offset,
    };
    WebhookInfo {
        name: status.name,
        state: status.state.as_str(),
        url: status.url,
        delivered: status.counts.delivered,
        gaps: status.counts.gaps,
        failures: status.counts.failures,
        dead_letters: status.counts.dead_letters,
        attempts,
        next_attempt,
        last_success: status.last_success.map(|time| time.to_string()),
        last_error: status.last_error,
        reason: match status.state {
            WebhookState::Failed(reason) => Some(reason),
            _ => None,
        },
        positions: status.positions.into_iter().map(position).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_config::{NoCatalog, Paths, load};
    use headwater_event::Severity;
    use std::{path::PathBuf, time::Duration};

    fn webhooks(text: &str) -> Result<Vec<Webhook>, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("headwater.toml");
        std::fs::write(&file, text).unwrap();
        let loaded = load(&Paths::new(&file), &NoCatalog).map_err(|faults| faults.to_string())?;
        Ok(loaded.config.webhooks.into_values().collect())
    }

    #[test]
    fn a_table_says_what_runs() {
        let text = r#"
            [[webhook]]
            name = "x"
            url = "https://example.org/hook?k=v"
            channels = ["a", "b:*"]
            secret = { file = "/etc/secret" }
            enabled = false
            timeout = "3s"
            max_attempts = 5
            backoff_min = "2s"
            backoff_max = "9s"
            dead_letter = "dead"
            concurrency = 4
            filter = { types = ["t.*"], severity = "warning", sources = ["s"], where = "data.x == 1", attributes = { a = "b*" } }
        "#;
        let plain = Filter::new(&["t.*".into()], Some(Severity::Warning), &[("a".into(), "b*".into())], &["s".into()]);
        let expected = WebhookSpec {
            name: "x".into(),
            endpoint: Endpoint::parse("https://example.org/hook?k=v").unwrap(),
            channels: vec![ChannelPattern::parse("a").unwrap(), ChannelPattern::parse("b:*").unwrap()],
            filter: plain.with_expression("data.x == 1").unwrap(),
            secret: SecretSource::File(PathBuf::from("/etc/secret")),
            enabled: false,
            timeout: Duration::from_secs(3),
            attempts: 5,
            backoff: Backoff { min: Duration::from_secs(2), max: Duration::from_secs(9) },
            dead_letter: ChannelName::new("dead").unwrap(),
            concurrency: 4,
        };
        assert_eq!(spec(&webhooks(text).unwrap()[0]).unwrap(), expected);
    }

    /// What the config takes and the webhooks refuse would only be told when it is too late.
    #[test]
    fn the_config_and_the_webhooks_take_the_same_addresses() {
        for url in [
            "https://example.org/hooks",
            "http://127.0.0.1:8080",
            "http://[::1]:8080/x?y=z",
            "https://a.b-c.example?x",
            "https://h/%40?user=a@b",
            "https://h_x/",
            "example.org",
            "ftp://example.org/",
            "https://",
            "https:///x",
            "https://me:pw@example.org/",
            "https://me@example.org/",
            "https://h:x/",
            "https://h:70000/",
            "https://h/a b",
            "https://[::1/",
            "https://ü.example/",
            "HTTPS://example.org/",
        ] {
            let text =
                format!("[[webhook]]\nname = \"x\"\nurl = \"{url}\"\nchannels = [\"a\"]\nsecret = {{ env = \"S\" }}\n");
            match webhooks(&text) {
                Ok(taken) => assert!(spec(&taken[0]).is_ok(), "{url}"),
                Err(refused) => assert!(refused.contains("E0104"), "{refused}"),
            }
        }
    }
}
