//! A host with a bus that remembers, and the files that it needs.

use headwater_config::{Isolation, Program, SourceConfig, Supervision};
use headwater_event::{Draft, Event};
use headwater_host::{
    Applied, DeliverySink, Discovery, Host, HostOptions, Ports, PublishRefused, SourceState, SourceStatus,
    SubscriptionHandle,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    env, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::sync::watch;

/// Far more than anything here takes; a fact that does not come by then will not come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The bus: it remembers what was published, and hands subscriptions to the test.
pub(crate) struct Bus {
    events: Mutex<Vec<Draft>>,
    counts: Mutex<HashMap<(String, String), usize>>,
    changed: watch::Sender<usize>,
    pub(crate) sinks: Mutex<Vec<(String, Value, DeliverySink)>>,
    pub(crate) ended: watch::Sender<usize>,
    pub(crate) refuse: Mutex<Option<String>>,
    /// A type of event that it panics on.
    pub(crate) panic: Mutex<Option<String>>,
}

impl Ports for Bus {
    fn publish(&self, batch: Vec<Draft>) -> Result<(), PublishRefused> {
        let panics = self.panic.lock().unwrap().as_deref() == Some(&*batch[0].kind);
        assert!(!panics, "the bus panics on `{}`", batch[0].kind);
        if let Some(reason) = &*self.refuse.lock().unwrap()
            && &*batch[0].source != "headwater"
        {
            return Err(PublishRefused(reason.clone()));
        }
        let mut counts = self.counts.lock().unwrap();
        for event in &batch {
            *counts.entry((event.source.to_string(), event.kind.to_string())).or_default() += 1;
        }
        drop(counts);
        let mut events = self.events.lock().unwrap();
        events.extend(batch);
        let count = events.len();
        drop(events);
        self.changed.send_replace(count);
        Ok(())
    }

    fn subscribe(&self, source: &str, request: &[u8], sink: DeliverySink) -> Result<SubscriptionHandle, String> {
        let request: Value = serde_json::from_slice(request).unwrap();
        if request["channels"] == json!([]) {
            return Err("`channels` names none".into());
        }
        self.sinks.lock().unwrap().push((source.to_owned(), request, sink));
        self.changed.send_modify(|count| *count += 1);
        Ok(SubscriptionHandle::new(OnDrop(self.ended.clone())))
    }
}

struct OnDrop(watch::Sender<usize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count += 1);
    }
}

pub(crate) struct World {
    pub(crate) host: Arc<Host>,
    pub(crate) bus: Arc<Bus>,
    pub(crate) directory: TempDir,
    config: BTreeMap<String, SourceConfig>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Supervision {
            backoff_min: Duration::from_millis(10),
            backoff_max: Duration::from_millis(50),
            quarantine_after: 1000,
            ..Supervision::default()
        })
    }

    /// A host with these options, and one plugin file: `plugins/libfixture.so`.
    pub(crate) fn with(supervision: Supervision) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("plugins")).unwrap();
        fs::copy(beside("libfixture.so"), directory.path().join("plugins/libfixture.so")).unwrap();
        let bus = Arc::new(Bus {
            events: Mutex::default(),
            counts: Mutex::default(),
            changed: watch::Sender::new(0),
            sinks: Mutex::default(),
            ended: watch::Sender::new(0),
            refuse: Mutex::default(),
            panic: Mutex::default(),
        });
        let options = HostOptions {
            discovery: Discovery::new([directory.path().join("plugins")]),
            state_dir: directory.path().join("state"),
            child_command: vec![beside("plugin-host").into()],
            supervision,
        };
        let host = Host::new(options, bus.clone());
        Self { host, bus, directory, config: BTreeMap::new() }
    }

    pub(crate) fn plugin_file(&self) -> PathBuf {
        self.directory.path().join("plugins/libfixture.so")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The table of a source that runs the fixture with these settings.
    pub(crate) fn fixture(name: &str, settings: Value) -> SourceConfig {
        let mut config = SourceConfig::new(name, Program::Plugin("fixture".into()));
        let Value::Object(settings) = settings else { panic!("settings are an object") };
        config.settings = settings;
        config
    }

    pub(crate) fn set(&mut self, config: SourceConfig) -> &mut Self {
        self.config.insert(config.name.clone(), config);
        self
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.config.remove(name);
    }

    pub(crate) async fn apply(&self) -> Applied {
        self.host.apply(&self.config).await
    }

    /// Adds a source and waits until it is up.
    pub(crate) async fn start(&mut self, config: SourceConfig) {
        let name = config.name.clone();
        self.set(config);
        let applied = self.apply().await;
        assert_eq!(applied.failed, [], "{applied:?}");
        self.state(&name, SourceState::Up).await;
    }

    pub(crate) fn status(&self, name: &str) -> SourceStatus {
        self.host.statuses().into_iter().find(|status| status.name == name).unwrap()
    }

    /// Waits until `look` sees it; it looks again whenever something was published.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let mut changed = self.bus.changed.subscribe();
        let wait = async {
            loop {
                changed.borrow_and_update();
                if let Some(seen) = look() {
                    return seen;
                }
                changed.changed().await.unwrap();
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, wait).await;
        outcome.unwrap_or_else(|_| panic!("{what} did not come; {:#?}\n{:#?}", self.host.statuses(), self.news("")))
    }

    /// Waits for one more event of a source.
    pub(crate) async fn more(&self, source: &str) {
        let before = self.count(source, "");
        self.until(&format!("more of {source}"), || (self.count(source, "") > before).then_some(())).await;
    }

    /// Waits until a source is in a state. Every change of state is told on the bus, so that there is something to wait for.
    pub(crate) async fn state(&self, name: &str, state: SourceState) -> SourceStatus {
        self.until(&format!("{name} {state}"), || {
            let status = self.status(name);
            (status.state == state).then_some(status)
        })
        .await
    }

    /// Waits for the news of a source, and gives its data.
    pub(crate) async fn told(&self, name: &str, kind: &str) -> Value {
        self.until(&format!("{kind} of {name}"), || {
            self.news(name).into_iter().find(|(told, _)| told == kind).map(|(_, data)| data)
        })
        .await
    }

    /// All news of a source so far; of all sources for an empty name.
    pub(crate) fn news(&self, name: &str) -> Vec<(String, Value)> {
        let events = self.bus.events.lock().unwrap();
        let news = events.iter().filter(|event| &*event.source == "headwater").map(|event| {
            assert_eq!(event.channel.as_str(), "system_events");
            (event.kind.to_string(), serde_json::from_slice::<Value>(event.data.as_bytes()).unwrap())
        });
        news.filter(|(_, data)| name.is_empty() || data["source"] == name).collect()
    }

    pub(crate) fn kinds(&self, name: &str) -> Vec<String> {
        self.news(name).into_iter().map(|(kind, _)| kind).collect()
    }

    /// The payloads of a source's events of one type.
    pub(crate) fn payloads(&self, source: &str, kind: &str) -> Vec<Value> {
        let events = self.bus.events.lock().unwrap();
        let of = |event: &&Draft| &*event.source == source && &*event.kind == kind;
        events.iter().filter(of).map(|event| serde_json::from_slice(event.data.as_bytes()).unwrap()).collect()
    }

    /// The first event that fits.
    pub(crate) fn find(&self, fits: impl Fn(&Draft) -> bool) -> Option<Draft> {
        self.bus.events.lock().unwrap().iter().find(|event| fits(event)).cloned()
    }

    /// How many events of this type a source has published; of all types for an empty one.
    pub(crate) fn count(&self, source: &str, kind: &str) -> usize {
        let counts = self.bus.counts.lock().unwrap();
        let fits = |(by, of): &(String, String)| by == source && (kind.is_empty() || of == kind);
        counts.iter().filter(|(key, _)| fits(key)).map(|(_, count)| count).sum()
    }

    /// Puts another build in the place of the plugin: the same code, other bytes.
    pub(crate) fn rebuild(&self, generation: u32) {
        let mut bytes = fs::read(beside("libfixture.so")).unwrap();
        bytes.extend_from_slice(&generation.to_le_bytes());
        self.replace(&bytes);
    }

    pub(crate) fn replace(&self, bytes: &[u8]) {
        let new = self.path("new.so");
        fs::write(&new, bytes).unwrap();
        fs::rename(new, self.plugin_file()).unwrap();
    }
}

/// An example of this package, which cargo has built for the tests.
pub(crate) fn beside(name: &str) -> PathBuf {
    let exe = env::current_exe().unwrap();
    let path = exe.parent().and_then(Path::parent).unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is built with the tests", path.display());
    path
}

pub(crate) const BOTH: [Isolation; 2] = [Isolation::Process, Isolation::Thread];

/// An event as a reading source gets it.
pub(crate) fn event(offset: u64) -> Arc<Event> {
    use headwater_event::{ChannelName, Epoch, Payload, Position};
    let draft = Draft::new(
        ChannelName::new("agents").unwrap(),
        "agent.status",
        "claude",
        Payload::new(offset.to_string().into()).unwrap(),
    );
    Arc::new(Event::new(draft, Position { epoch: Epoch(7), offset }, uuid::Uuid::now_v7()))
}
