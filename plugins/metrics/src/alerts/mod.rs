//! Alerts: which there are, how each stands, who has silenced them. Pure: the source gives it figures and the time, and
//! emits what comes back.

mod definition;
mod machine;
mod notice;
mod shipped;
mod state;

pub(crate) use definition::{AlertError, Definition};
pub(crate) use machine::Rule;
pub(crate) use notice::{Notice, Standing};
pub(crate) use state::State;

use crate::{
    config::AlertConfig,
    groups,
    metric::{Figures, Metric, Reading},
};
use headwater_plugin::serde_json::{Value, json};
use jiff::Timestamp;
use machine::{Change, Machine, Why};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// A moment by both clocks: spans are measured by the one that does not jump.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// Since the source started.
    pub(crate) clock: Duration,
    /// For people.
    pub(crate) at: Timestamp,
}

/// All alerts.
#[derive(Debug)]
pub(crate) struct Alerts {
    definitions: Vec<Arc<Definition>>,
    /// By name: that of the definition, or `name/group`.
    instances: BTreeMap<String, Instance>,
    /// Until when an alert, or all of a definition, is not to be told.
    silences: BTreeMap<String, Timestamp>,
    /// What was restored and is no alert any more.
    removed: Vec<Notice>,
}

#[derive(Debug)]
struct Instance {
    definition: Arc<Definition>,
    machine: Machine,
    value: Option<f64>,
    firing: Option<Firing>,
}

/// That it fires.
#[derive(Clone, Debug, PartialEq)]
struct Firing {
    id: String,
    since: Timestamp,
    /// By the clock that does not jump. That begins anew with the source: `earlier` is how long it had lasted before.
    began: Duration,
    earlier: Duration,
    /// Whether it has been told: what was silenced has not.
    told: bool,
}

impl Firing {
    fn lasted(&self, now: Now) -> Duration {
        self.earlier + now.clock.saturating_sub(self.began)
    }
}

impl Alerts {
    /// Those of the config, and the shipped ones whose names it does not use; and what is wrong with those of the config
    /// that are left out. For one slip in an alert all figures would be too high a price.
    pub(crate) fn new(configured: &[AlertConfig], shipped: bool) -> (Self, Vec<AlertError>) {
        let (mut definitions, mut wrong) = (Vec::<Arc<Definition>>::new(), Vec::new());
        for config in configured {
            match Definition::new(config) {
                Ok(definition) if definitions.iter().any(|other| other.name == definition.name) => {
                    wrong.push(AlertError::Twice(definition.name));
                }
                Ok(definition) => definitions.push(Arc::new(definition)),
                Err(error) => wrong.push(error),
            }
        }
        for config in shipped::alerts().iter().filter(|_| shipped) {
            if definitions.iter().all(|other| other.name != config.name) {
                definitions.push(Arc::new(Definition::new(config).expect("invariant: a shipped alert is right")));
            }
        }
        (Self { definitions, instances: BTreeMap::new(), silences: BTreeMap::new(), removed: Vec::new() }, wrong)
    }

    /// The figures that alerts are about.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = Metric> {
        self.definitions.iter().filter(|definition| definition.group.is_none()).map(|definition| definition.metric)
    }

    /// The first alert above a bound of this figure that fires within `longest`, by its rule: what the kernel may watch.
    pub(crate) fn rule_of(&self, metric: Metric, longest: Duration) -> Option<Rule> {
        let fits = |definition: &&Arc<Definition>| {
            let rule = &definition.rule;
            definition.metric == metric && definition.group.is_none() && rule.above && rule.hold <= longest
        };
        self.definitions.iter().find(fits).map(|definition| definition.rule)
    }

    /// How an alert stood before the source was started anew. Where that is read late, what is known by now counts more.
    pub(crate) fn restore(&mut self, state: State, now: Now) {
        if let Some(until) = state.silenced_until.filter(|until| *until > now.at) {
            self.silences.entry(state.name.clone()).or_insert(until);
        }
        let Some(id) = state.id.clone() else { return };
        let since = state.since.unwrap_or(now.at);
        let earlier = Duration::try_from(now.at.duration_since(since)).unwrap_or_default();
        let firing = Firing { id, since, began: now.clock, earlier, told: state.told };
        let anew = self.instances.get(&state.name).and_then(|instance| instance.firing.as_ref());
        let over = match (self.definition_of(&state.name), anew) {
            (_, Some(anew)) if anew.id == firing.id => return,
            (_, Some(_)) => "replaced",
            (Some(definition), None) if definition.metric == state.metric => {
                let (definition, machine) = (definition.clone(), Machine::firing(now.clock));
                let instance = Instance { definition, machine, value: None, firing: Some(firing) };
                self.instances.insert(state.name, instance);
                return;
            }
            _ => "removed",
        };
        // Whoever was told that it fires is told that it does so no more.
        if state.told {
            let definition = Arc::new(state.definition());
            let standing = Standing::Resolved { reason: over };
            let notice = Notice::new(&state.name, &definition, standing, &firing.id, firing.since);
            self.removed.push(notice.lasting(&firing, now));
        }
    }

    /// The definition of the alert of this name.
    fn definition_of(&self, name: &str) -> Option<&Arc<Definition>> {
        let (own, group) = match name.split_once('/') {
            Some((own, group)) => (own, Some(group)),
            None => (name, None),
        };
        self.definitions.iter().find(|definition| definition.name == own && definition.fits(name, group))
    }

    /// Looks at the figures of this moment. `groups` are those of the processes, where they were looked at.
    pub(crate) fn observe(&mut self, figures: &Figures, groups: Option<&groups::Look>, now: Now) -> Vec<Notice> {
        let mut notices = std::mem::take(&mut self.removed);
        self.silences.retain(|_, until| *until > now.at);
        for definition in self.definitions.clone() {
            if definition.group.is_none() {
                let reading = figures.reading(definition.metric);
                self.look(&definition.name, &definition, reading, now, &mut notices);
            } else if let Some(groups) = groups {
                self.look_at_groups(&definition, groups, now, &mut notices);
            }
        }
        self.told_late(now, &mut notices);
        notices
    }

    /// The kernel says that this figure has been above `asked` for all of `window`. That is all that it says: of a higher
    /// bound it says nothing, and nothing of a longer time. `value` is what is to be told.
    pub(crate) fn pushed(&mut self, metric: Metric, asked: f64, window: Duration, value: f64, now: Now) -> Vec<Notice> {
        let mut notices = Vec::new();
        let about = |definition: &&Arc<Definition>| {
            let Definition { rule, group, .. } = &***definition;
            let proven = rule.above && rule.threshold <= asked && rule.hold <= window;
            definition.metric == metric && group.is_none() && proven
        };
        for definition in self.definitions.iter().filter(about).cloned().collect::<Vec<_>>() {
            let name = definition.name.clone();
            let instance = self.instance(&name, &definition);
            instance.value = Some(value);
            let since = now.clock.saturating_sub(window);
            let change = instance.machine.pushed(&definition.rule, since, now.clock);
            self.changed(&name, change, now, &mut notices);
        }
        notices
    }

    /// Tells nothing of this alert, or of all that are called so, until then; `None`: again from now on. The names that it
    /// concerns, or nothing where there is no such alert.
    pub(crate) fn silence(&mut self, name: &str, until: Option<Timestamp>) -> Option<String> {
        let by_id = self.instances.iter().find(|(_, it)| it.firing.as_ref().is_some_and(|firing| firing.id == name));
        let name = by_id.map_or(name, |(name, _)| name).to_owned();
        let exists = self.definitions.iter().any(|definition| definition.name == name);
        if !exists && !self.instances.contains_key(&name) && !self.silences.contains_key(&name) {
            return None;
        }
        match until {
            Some(until) => self.silences.insert(name.clone(), until),
            None => self.silences.remove(&name),
        };
        Some(name)
    }

    /// What is to be known of them after a restart, by name: those that fire, and those that are silenced.
    pub(crate) fn states(&self) -> BTreeMap<&str, State> {
        let mut states: BTreeMap<&str, State> = BTreeMap::new();
        for (name, instance) in &self.instances {
            if let Some(firing) = &instance.firing {
                let state = State::new(name, &instance.definition);
                states.insert(name, state.firing(&firing.id, firing.since, firing.told));
            }
        }
        for (name, until) in &self.silences {
            // Of a group's alert there is no instance while the group is away, and of a name for all groups never.
            let of_all = || self.definitions.iter().find(|definition| definition.name == *name);
            if let Some(definition) = self.definition_of(name).or_else(of_all) {
                states.entry(name).or_insert_with(|| State::new(name, definition)).silenced_until = Some(*until);
            }
        }
        states
    }

    /// The answer to `list_alerts`: every alert that there is, and how it stands.
    pub(crate) fn list(&self) -> Value {
        let states = self.states();
        let grouped = |definition: &Definition| {
            let is_of_it = |name: &str| name.split_once('/').is_some_and(|(own, _)| own == definition.name);
            states.keys().filter(|name| is_of_it(name)).map(|name| (*name).to_owned()).collect::<Vec<_>>()
        };
        let alerts = self.definitions.iter().flat_map(|definition| match definition.group {
            None => vec![(definition.name.clone(), definition)],
            Some(_) => grouped(definition).into_iter().map(|name| (name, definition)).collect(),
        });
        let alerts = alerts.map(|(name, definition)| {
            let state = states.get(name.as_str()).cloned().unwrap_or_else(|| State::new(&name, definition));
            let silence = self.silences.get(&name).or_else(|| self.silences.get(&definition.name));
            let mut told = State { silenced_until: silence.copied(), ..state }.data();
            if let Some(instance) = self.instances.get(&name) {
                if matches!(instance.machine, Machine::Pending { .. }) {
                    told["state"] = "pending".into();
                }
                if let Some(value) = instance.value {
                    told["current_value"] = value.into();
                }
            }
            told
        });
        let rules = self.definitions.iter().filter_map(|definition| self.rule_of_groups(definition));
        let alerts: Vec<Value> = alerts.chain(rules).collect();
        let active: Vec<&Value> = alerts.iter().filter(|alert| alert["state"] == "firing").collect();
        json!({ "active": active, "alerts": alerts })
    }

    /// An alert of groups as it is defined: it fires for each of them, and so has no state of its own.
    fn rule_of_groups(&self, definition: &Definition) -> Option<Value> {
        let glob = definition.group.as_deref()?;
        let silenced_until = self.silences.get(&definition.name).copied();
        let mut told = State { silenced_until, ..State::new(&definition.name, definition) }.data();
        let of_it = self.instances.values().filter(|instance| instance.definition.name == definition.name);
        told.as_object_mut().expect("invariant: an object").remove("state");
        told["group"] = glob.into();
        told["groups"] = of_it.count().into();
        Some(told)
    }

    fn instance(&mut self, name: &str, definition: &Arc<Definition>) -> &mut Instance {
        if !self.instances.contains_key(name) {
            let instance =
                Instance { definition: definition.clone(), machine: Machine::default(), value: None, firing: None };
            self.instances.insert(name.to_owned(), instance);
        }
        self.instances.get_mut(name).expect("invariant: it has just been made")
    }

    fn look(
        &mut self,
        name: &str,
        definition: &Arc<Definition>,
        reading: Reading,
        now: Now,
        notices: &mut Vec<Notice>,
    ) {
        let instance = self.instance(name, definition);
        instance.value = if let Reading::Value(value) = reading { Some(value) } else { None };
        let change = instance.machine.observe(&definition.rule, reading, now.clock);
        self.changed(name, change, now, notices);
    }

    fn look_at_groups(
        &mut self,
        definition: &Arc<Definition>,
        groups: &groups::Look,
        now: Now,
        notices: &mut Vec<Notice>,
    ) {
        for usage in groups.usages.iter().filter(|usage| !groups.cut.contains(&usage.name)) {
            let name = format!("{}/{}", definition.name, usage.name);
            if definition.fits(&name, Some(&usage.name)) {
                let reading = usage.get(definition.metric).map_or(Reading::Unknown, Reading::Value);
                self.look(&name, definition, reading, now, notices);
            }
        }
        // Of a group that was not looked at whole there are no figures, though it is there.
        for group in &groups.cut {
            let name = format!("{}/{group}", definition.name);
            if self.instances.get(&name).is_some_and(|instance| instance.definition.name == definition.name) {
                self.look(&name, definition, Reading::Nothing, now, notices);
            }
        }
        let is_there = |name: &str| {
            let group = name.strip_prefix(&definition.name).and_then(|rest| rest.strip_prefix('/'));
            group.is_some_and(|group| groups.has(group))
        };
        let of_it = self.instances.iter().filter(|(_, it)| it.definition.name == definition.name);
        let gone: Vec<String> = of_it.filter(|(name, _)| !is_there(name)).map(|(name, _)| name.clone()).collect();
        for name in gone {
            let Some(instance) = self.instances.remove(&name) else { continue };
            if let Some(firing) = instance.firing.filter(|firing| firing.told) {
                let standing = Standing::Resolved { reason: "gone" };
                notices.push(Notice::new(&name, definition, standing, &firing.id, firing.since).lasting(&firing, now));
            }
        }
    }

    fn changed(&mut self, name: &str, change: Option<Change>, now: Now, notices: &mut Vec<Notice>) {
        let Some(change) = change else { return };
        let silenced = self.is_silenced(name);
        let Some(instance) = self.instances.get_mut(name) else { return };
        match change {
            Change::Fired { since } => {
                let ago = now.clock.saturating_sub(since);
                let since_at = now.at.checked_sub(ago).unwrap_or(now.at);
                let id = format!("{name}@{}", now.at.as_millisecond());
                let firing = Firing { id, since: since_at, began: since, earlier: Duration::ZERO, told: !silenced };
                if !silenced {
                    notices.push(instance.notice(name, Standing::Firing, &firing, now));
                }
                instance.firing = Some(firing);
            }
            Change::Resolved(why) => {
                let reason = match why {
                    Why::Cleared => "cleared",
                    Why::NoData => "no_data",
                };
                // Who was told that it fires is told of its end, silenced or not.
                if let Some(firing) = instance.firing.take().filter(|firing| firing.told) {
                    notices.push(instance.notice(name, Standing::Resolved { reason }, &firing, now));
                }
            }
        }
    }

    /// Tells of what fires still when its silence is over.
    fn told_late(&mut self, now: Now, notices: &mut Vec<Notice>) {
        let waiting = |(name, instance): (&String, &Instance)| {
            instance.firing.as_ref().is_some_and(|firing| !firing.told).then(|| name.clone())
        };
        let waiting: Vec<String> = self.instances.iter().filter_map(waiting).collect();
        for name in waiting {
            let silenced = self.is_silenced(&name);
            let Some(instance) = self.instances.get_mut(&name).filter(|_| !silenced) else { continue };
            if let Some(firing) = &mut instance.firing {
                firing.told = true;
                let firing = firing.clone();
                notices.push(instance.notice(&name, Standing::Firing, &firing, now));
            }
        }
    }

    fn is_silenced(&self, name: &str) -> bool {
        let definition = self.instances.get(name).map(|instance| instance.definition.name.as_str());
        self.silences.contains_key(name) || definition.is_some_and(|name| self.silences.contains_key(name))
    }
}

impl Instance {
    fn notice(&self, name: &str, standing: Standing, firing: &Firing, now: Now) -> Notice {
        let notice = Notice::new(name, &self.definition, standing, &firing.id, firing.since);
        Notice { value: self.value, ..notice.lasting(firing, now) }
    }
}

impl Notice {
    fn lasting(self, firing: &Firing, now: Now) -> Self {
        Self { lasted: firing.lasted(now), ..self }
    }
}

#[cfg(test)]
mod tests;
