//! All that the source has before it: the counters, what others have told, the alerts. A look goes through all of it.

use crate::{
    alerts::{Alerts, Notice, Now, State},
    application::ApplicationPerformance,
    bus::{Bus, Stats},
    config::Config,
    emit::{self, Circumstances, GroupsUpdate, Module, Modules, Update},
    groups::{self, Groups, Kind, Look, Roots, Started},
    mcp::Servers,
    metric::{Figures, Metric},
    past::{CHANNEL, Left, STATE},
    pressure::{LONGEST, Saturated, Watches},
    sample::{RESOURCES, Sample, Sampler, SystemPerformance},
    trends::{Series, Trends},
};
use headwater_plugin::prelude::*;
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

/// The figures whose trends every event tells.
const TRENDS: [Metric; 4] =
    [Metric::CpuUsagePercent, Metric::MemoryUsageMb, Metric::AvgResponseTimeMs, Metric::ErrorRate];

/// The figure of each of [`RESOURCES`].
const PRESSURE: [Metric; 3] = [Metric::CpuPressurePercent, Metric::MemoryPressurePercent, Metric::IoPressurePercent];

/// The names of the watches of the kernel, as modules.
const TRIGGERS: [&str; 3] = ["cpu_pressure_trigger", "memory_pressure_trigger", "io_pressure_trigger"];

/// A watch that the kernel was asked for.
struct Trigger {
    resource: usize,
    threshold: f64,
    fault: Option<String>,
}

/// What the source has before it.
pub(crate) struct Desk {
    pub(crate) alerts: Alerts,
    /// What is wrong with alerts of the config that are left out.
    left_out: Option<String>,
    started: Instant,
    proc: PathBuf,
    sampler: Sampler,
    before: Option<Sample>,
    figures: Figures,
    modules: Modules,
    bus: Bus,
    servers: Servers,
    roots: Roots,
    groups: Groups,
    groups_interval: Duration,
    groups_looked: Option<Instant>,
    show: usize,
    look: Look,
    series: BTreeMap<Metric, Series>,
    /// For slopes; kept for its allocation.
    room: Vec<f64>,
    watches: Watches,
    /// Those asked for, each with the bound that the kernel was told, and why it does not watch.
    triggers: Vec<Trigger>,
    /// What was last told of alerts, by name.
    told: BTreeMap<String, State>,
    /// Whether they have begun. Before that they wait to be told how they stood.
    pub(crate) begun: bool,
}

impl Desk {
    pub(crate) fn new(config: &Config) -> Self {
        let (alerts, wrong) = Alerts::new(&config.alerts, config.shipped_alerts);
        for error in &wrong {
            warn!("an alert is left out: {error}");
        }
        let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        let series = TRENDS.into_iter().chain(alerts.metrics()).map(|metric| (metric, Series::default())).collect();
        Self {
            alerts,
            left_out: (!wrong.is_empty()).then(|| wrong.join("; ")),
            started: Instant::now(),
            proc: config.proc.clone(),
            sampler: Sampler::new(&config.proc),
            before: None,
            figures: Figures::default(),
            modules: Modules::default(),
            bus: Bus::default(),
            servers: Servers::default(),
            roots: Roots::default(),
            groups: Groups::new(&config.proc, &config.groups),
            groups_interval: config.groups.interval.duration(),
            groups_looked: None,
            show: config.groups.show.into(),
            look: Look::default(),
            series,
            room: Vec::new(),
            watches: Watches::new(),
            triggers: Vec::new(),
            told: BTreeMap::new(),
            begun: false,
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now { clock: self.started.elapsed(), at: Timestamp::now() }
    }

    /// How things stood before.
    pub(crate) fn restore(&mut self, left: Left) {
        let now = self.now();
        for state in left.alerts {
            self.told.entry(state.name.clone()).or_insert_with(|| state.clone());
            self.alerts.restore(state, now);
        }
        self.modules.restore(left.degraded);
        self.begun = true;
    }

    /// Asks the kernel to watch over the resources that alerts are about.
    pub(crate) fn watch_pressure(&mut self, config: &Config) {
        for (resource, metric) in PRESSURE.into_iter().enumerate().filter(|_| config.pressure_triggers) {
            let Some(rule) = self.alerts.rule_of(metric, LONGEST) else { continue };
            let asked = self.watches.watch(&self.proc, resource, rule.threshold, rule.hold);
            let fault = asked.err().map(|error| format!("pressure/{}: {error}", RESOURCES[resource]));
            if let Some(fault) = &fault {
                info!("the kernel does not watch over {}: looking instead: {fault}", RESOURCES[resource]);
            }
            self.triggers.push(Trigger { resource, threshold: rule.threshold, fault });
        }
    }

    /// The kernel's next word. Cancel-safe.
    pub(crate) async fn saturated(&mut self) -> Saturated {
        self.watches.next().await
    }

    /// Something on the bus.
    pub(crate) fn hear(&mut self, delivery: Delivery) {
        let event = match delivery {
            Delivery::Event(event) => event,
            Delivery::Gap(gap) => return debug!(channel = gap.channel, reason = gap.reason, "events missed"),
            Delivery::Notice(notice) => return warn!(%notice, "a subscription was not taken"),
        };
        match event.channel.as_str() {
            "daemon_metrics" => self.hear_daemon(&event),
            "mcp_traffic" if event.kind == "mcp.calls" => self.servers.hear_calls(&event, Instant::now()),
            "mcp_traffic" => self.hear_session(&event),
            channel => {
                if channel == "mcp_servers" {
                    self.servers.hear_state(&event);
                }
                self.roots.hear(&event);
            }
        }
    }

    /// What the daemon tells of itself; others may publish there too, and are not heard.
    fn hear_daemon(&mut self, event: &BusEvent) {
        let Ok(stats) = event.data::<Stats>() else { return };
        if event.source == "headwater" {
            if let Some(pid) = stats.pid {
                self.roots.put_process(Kind::Daemon, "daemon", pid, None);
            }
            self.bus.hear(stats);
        }
    }

    /// A server that is wrapped begins or ends.
    fn hear_session(&mut self, event: &BusEvent) {
        let Ok(data) = event.data::<Value>() else { return };
        let pid = data["child"]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let (Some(server), Some(pid)) = (data["server"].as_str(), pid) else { return };
        if data["state"] == "ended" {
            self.roots.take_process(Kind::Server, server, pid);
        } else {
            // It may have been told days ago, and the number be another's by now.
            let started = data["child"]["started"].as_u64().map(Started::At).or_else(|| groups::spoken_of(event));
            self.roots.put_process(Kind::Server, server, pid, started);
        }
    }

    /// Looks at everything, and tells of it. `false` after the first look, which has nothing to be compared with.
    pub(crate) async fn look(&mut self, ctx: &mut Context, interval: Period) -> Result<bool> {
        let sample = self.sampler.sample();
        self.tell_modules(ctx).await?;
        let looked = self.look_at_groups(ctx, interval).await?;
        let Some(before) = self.before.take() else {
            self.before = Some(sample);
            return Ok(false);
        };
        self.figures = Figures {
            system: SystemPerformance::between(&before, &sample),
            application: self.bus.application.take(sample.at),
            bus: self.bus.take(sample.at),
            mcp: self.servers.take(sample.at),
        };
        let trends = self.trends();
        let update = Update {
            metrics: (&self.figures).into(),
            interval,
            window_ms: sample.at.saturating_duration_since(before.at).as_millis() as u64,
            trends: (!trends.is_empty()).then_some(trends),
        };
        let event = ctx.event("performance_metrics", "performance_metrics_update").time(sample.time);
        event.evidence(Evidence::Polled).key("system").emit(&update).await?;
        self.before = Some(sample);
        if !self.begun {
            return Ok(true);
        }
        let now = self.now();
        let notices = self.alerts.observe(&self.figures, looked.then_some(&self.look), now);
        self.tell(ctx, notices, Evidence::Polled).await?;
        Ok(true)
    }

    /// The kernel says that a resource is short.
    pub(crate) async fn push(&mut self, ctx: &mut Context, saturated: Saturated) -> Result<()> {
        let metric = PRESSURE[saturated.resource];
        let asked = self.triggers.iter().find(|trigger| trigger.resource == saturated.resource);
        let Some(asked) = asked.map(|trigger| trigger.threshold).filter(|_| self.begun) else { return Ok(()) };
        // It says that the bound was passed, and not by how much; the last look may know.
        let value = self.figures.get(metric).unwrap_or(0.0).max(asked);
        let now = self.now();
        let notices = self.alerts.pushed(metric, asked, saturated.window, value, now);
        self.tell(ctx, notices, Evidence::Observed).await
    }

    /// Tells of the alerts that fire or are silenced, for late clients and for the time after a restart.
    pub(crate) async fn tell_states(&mut self, ctx: &mut Context) -> Result<()> {
        let states = self.alerts.states();
        let gone: Vec<String> = self.told.keys().filter(|name| !states.contains_key(name.as_str())).cloned().collect();
        for (name, state) in &states {
            if self.told.get(*name) != Some(state) {
                ctx.retain(CHANNEL, STATE, name, &state.data()).await?;
            }
        }
        for name in &gone {
            ctx.forget(CHANNEL, STATE, name).await?;
        }
        self.told = states.into_iter().map(|(name, state)| (name.to_owned(), state)).collect();
        Ok(())
    }

    async fn tell(&mut self, ctx: &mut Context, notices: Vec<Notice>, evidence: Evidence) -> Result<()> {
        for notice in &notices {
            let metric = notice.definition.metric;
            let trend = match notice.group() {
                None => self.series.get(&metric).and_then(|series| series.trend(&mut self.room)),
                Some(_) => None,
            };
            let components = match metric {
                Metric::SourcesFailing => self.bus.failing().to_vec(),
                Metric::ActiveServers | Metric::AvgServerResponseTimeMs | Metric::ServerErrorRate => {
                    self.servers.unwell()
                }
                _ => Vec::new(),
            };
            let beside = Circumstances {
                at: Timestamp::now(),
                trend,
                groups: &self.look.usages,
                components: &components,
                evidence,
            };
            emit::alert(notice, &beside).emit(ctx).await?;
        }
        self.tell_states(ctx).await
    }

    async fn tell_modules(&mut self, ctx: &mut Context) -> Result<()> {
        let at = Timestamp::now();
        let groups = ("process_groups", &["process_groups_update"][..], self.groups.fault.as_deref());
        let trigger =
            |trigger: &Trigger| (TRIGGERS[trigger.resource], &["alerts_between_looks"][..], trigger.fault.clone());
        let triggers: Vec<_> = self.triggers.iter().map(trigger).collect();
        let triggers = triggers.iter().map(|(name, figures, fault)| (*name, *figures, fault.as_deref()));
        let alerts = ("alerts", &["alerts_left_out"][..], self.left_out.as_deref());
        let modules = self.sampler.counters().into_iter().chain([groups, alerts]).chain(triggers);
        for (name, figures, fault) in modules {
            if let Some(event) = self.modules.look(Module { name, figures, fault }, at) {
                event.emit(ctx).await?;
            }
        }
        Ok(())
    }

    /// Looks at the processes when it is time to. Whether it was.
    async fn look_at_groups(&mut self, ctx: &mut Context, interval: Period) -> Result<bool> {
        let every = self.groups_interval.max(interval.duration());
        // A tick comes a little early or late; half an interval decides which of two it is.
        let slack = interval.duration() / 2;
        if self.groups_looked.is_some_and(|looked| looked.elapsed() + slack < every) {
            return Ok(false);
        }
        self.groups_looked = Some(Instant::now());
        let look = self.groups.look(&mut self.roots);
        let had_some = !self.look.usages.is_empty();
        self.look = look;
        let usages = &self.look.usages;
        if !usages.is_empty() || had_some {
            let told = &usages[..usages.len().min(self.show)];
            let update = GroupsUpdate {
                groups: told,
                window_ms: self.look.window.map(|window| window.as_millis() as u64),
                further: usages.len() - told.len(),
                cut: !self.look.cut.is_empty(),
            };
            let event = ctx.event("process_groups", "process_groups_update");
            event.evidence(Evidence::Polled).key("groups").emit(&update).await?;
        }
        Ok(true)
    }

    fn trends(&mut self) -> Trends {
        let at = self.started.elapsed();
        for (metric, series) in &mut self.series {
            series.push(at, self.figures.get(*metric));
        }
        let answered = self.figures.application.is_some_and(|it: ApplicationPerformance| it.requests_per_second > 0.0);
        let word = |metric: Metric, room: &mut Vec<f64>| {
            self.series.get(&metric)?.trend(room).map(|trend| trend.direction.word())
        };
        let room = &mut self.room;
        let cpu_trend = word(Metric::CpuUsagePercent, room);
        let memory_trend = word(Metric::MemoryUsageMb, room);
        // Of a time in which nothing is answered there is no trend.
        let of_answers = |metric, room: &mut Vec<f64>| answered.then(|| word(metric, room)).flatten();
        let response_time_trend = of_answers(Metric::AvgResponseTimeMs, room).map(|word| match word {
            "decreasing" => "improving",
            other => other,
        });
        let error_rate_trend = of_answers(Metric::ErrorRate, room);
        Trends { cpu_trend, memory_trend, response_time_trend, error_rate_trend }
    }
}
