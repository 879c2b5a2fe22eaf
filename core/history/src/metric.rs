//! Numbers in a payload, by name, found in one pass over the raw JSON: no value is built, and nothing is parsed but the
//! numbers that are asked for.
//!
//! A name is a dotted path from the root (`system.cpu.usage`, list items by number); where there is no number at that
//! path, it is the first key of that name anywhere that has a number; else the first key that begins with the name and
//! `_` and has a number (`cpu_usage` finds `cpu_usage_percent`). First means in the order of the text. Only JSON numbers
//! count: strings, booleans and null are passed over, and so is a number that no 64-bit float can hold.

use std::borrow::Cow;

/// The names of a question.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(Box<[Metric]>);

#[derive(Clone, Debug)]
struct Metric {
    name: Box<str>,
    path: Box<[Box<str>]>,
}

/// How well a place fits a name; the smaller the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Path,
    Key,
    Prefix,
}

/// What is known of one name in the payload that is being read.
#[derive(Clone, Copy, Default)]
struct Found {
    best: Option<(Fit, f64)>,
    /// How many keys of the path, from the root on, the place at hand fits.
    levels: usize,
}

/// Where the text stands.
enum Container {
    Object,
    /// With the number of the item at hand.
    List(u32),
}

impl Metrics {
    pub(crate) fn new(names: &[String]) -> Self {
        let metric = |name: &String| Metric { name: (**name).into(), path: name.split('.').map(Box::from).collect() };
        Self(names.iter().map(metric).collect())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|metric| &*metric.name)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Gives each name's number in a payload to `found`, in the order of names. The text is valid JSON: payloads are.
    pub(crate) fn read(&self, json: &[u8], mut found: impl FnMut(usize, f64)) {
        if self.0.is_empty() {
            return;
        }
        let mut pass = Pass { metrics: &self.0, found: vec![Found::default(); self.0.len()], open: self.0.len() };
        pass.run(json);
        for (index, seen) in pass.found.iter().enumerate() {
            if let Some((_, value)) = seen.best {
                found(index, value);
            }
        }
    }
}

/// One pass over one payload.
struct Pass<'a> {
    metrics: &'a [Metric],
    found: Vec<Found>,
    /// Names that have no number at their path yet.
    open: usize,
}

impl Pass<'_> {
    fn run(&mut self, json: &[u8]) {
        // On the heap: a payload may be nested as deep as it is long.
        let mut containers: Vec<Container> = Vec::new();
        let mut key: Cow<'_, [u8]> = Cow::Borrowed(b"");
        let mut expects_key = false;
        let mut at = 0;
        while let Some(&byte) = json.get(at) {
            at += 1;
            match byte {
                b'{' => {
                    containers.push(Container::Object);
                    expects_key = true;
                }
                b'[' => {
                    containers.push(Container::List(0));
                    self.enter(containers.len(), b"0");
                }
                b'}' | b']' => {
                    containers.pop();
                    expects_key = false;
                }
                b',' => match containers.last_mut() {
                    Some(Container::List(item)) => {
                        *item += 1;
                        let item = item.to_string();
                        self.enter(containers.len(), item.as_bytes());
                    }
                    _ => expects_key = true,
                },
                b'"' => {
                    let (text, end) = string(json, at);
                    if expects_key {
                        key = text;
                        self.enter(containers.len(), &key);
                        expects_key = false;
                    }
                    at = end;
                }
                b'-' | b'0'..=b'9' => {
                    let begin = at - 1;
                    while json
                        .get(at)
                        .is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
                    {
                        at += 1;
                    }
                    let named = matches!(containers.last(), Some(Container::Object));
                    self.number(containers.len(), named.then_some(&*key), &json[begin..at]);
                    if self.open == 0 {
                        return;
                    }
                }
                // White space, colons, and the letters of true, false and null.
                _ => {}
            }
        }
    }

    /// The next value stands under this key, in the container of this depth, from 1.
    fn enter(&mut self, depth: usize, key: &[u8]) {
        for (metric, found) in self.metrics.iter().zip(&mut self.found) {
            found.levels = found.levels.min(depth - 1);
            if found.levels == depth - 1 && metric.path.get(depth - 1).is_some_and(|part| part.as_bytes() == key) {
                found.levels = depth;
            }
        }
    }

    fn number(&mut self, depth: usize, key: Option<&[u8]>, text: &[u8]) {
        let mut value = None;
        for (metric, found) in self.metrics.iter().zip(&mut self.found) {
            let fit = if depth > 0 && found.levels == depth && metric.path.len() == depth {
                Fit::Path
            } else {
                match key.and_then(|key| key.strip_prefix(metric.name.as_bytes())) {
                    Some([]) => Fit::Key,
                    Some([b'_', ..]) => Fit::Prefix,
                    _ => continue,
                }
            };
            if found.best.is_some_and(|(best, _)| best <= fit) {
                continue;
            }
            let Some(value) = *value.get_or_insert_with(|| parse(text)) else { return };
            found.best = Some((fit, value));
            self.open -= usize::from(fit == Fit::Path);
        }
    }
}

fn parse(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// The string that begins behind the quote at `from - 1`, and where the text goes on.
fn string(json: &[u8], from: usize) -> (Cow<'_, [u8]>, usize) {
    let mut at = from;
    let mut escaped = false;
    loop {
        match json.get(at) {
            None | Some(b'"') => break,
            Some(b'\\') => {
                escaped = true;
                at += 2;
            }
            Some(_) => at += 1,
        }
    }
    let (end, next) = (at.min(json.len()), (at + 1).min(json.len()));
    let text = &json[from..end];
    if !escaped {
        return (Cow::Borrowed(text), next);
    }
    match serde_json::from_slice::<String>(&json[from - 1..next]) {
        Ok(text) => (Cow::Owned(text.into_bytes()), next),
        // A lone surrogate, which names no metric.
        Err(_) => (Cow::Borrowed(text), next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn numbers(names: &[&str], json: &str) -> Vec<Option<f64>> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut numbers = vec![None; names.len()];
        Metrics::new(&names).read(json.as_bytes(), |index, value| numbers[index] = Some(value));
        numbers
    }

    #[test]
    fn a_path_then_a_key_then_a_beginning() {
        for (name, json, value) in [
            ("cpu", r#"{"cpu": 1}"#, Some(1.0)),
            ("cpu", r#"{"a": {"cpu": 2}, "cpu": 1}"#, Some(1.0)),
            ("cpu", r#"{"a": {"cpu": 2}, "b": {"cpu": 3}}"#, Some(2.0)),
            ("cpu", r#"{"cpu_usage": 4, "a": {"cpu": 2}}"#, Some(2.0)),
            ("cpu", r#"{"cpu_usage": 4, "cpu_other": 5}"#, Some(4.0)),
            ("cpu", r#"{"cpus": 4, "xcpu": 5}"#, None),
            ("a.cpu", r#"{"b": {"cpu": 1}, "a": {"x": 0, "cpu": 2}}"#, Some(2.0)),
            ("a.cpu", r#"{"b": {"a": {"cpu": 1}}}"#, None),
            ("a.cpu", r#"{"a": {"b": {"cpu": 1}}, "x": {"cpu": 2}}"#, None),
            ("a.cpu", r#"{"a.cpu": 7}"#, Some(7.0)),
            ("a.1", r#"{"a": [5, 6, 7]}"#, Some(6.0)),
            ("a.1.x", r#"{"a": [{"x": 5}, {"y": 1, "x": 6}]}"#, Some(6.0)),
            ("1", "[5, 6]", Some(6.0)),
            ("a", r#"{"a": [5, 6]}"#, None),
            ("x", r#"{"a": [{"y": 1}, {"x": 6}]}"#, Some(6.0)),
            // A member of a list behind a nested list is the third one, not the second of the inner.
            ("a.2", r#"{"a": [[1, 2, 3], 4, 5]}"#, Some(5.0)),
        ] {
            assert_eq!(numbers(&[name], json), [value], "{name} in {json}");
        }
    }

    #[test]
    fn only_numbers_count() {
        for (json, value) in [
            (r#"{"x": "5", "a": {"x": 6}}"#, Some(6.0)),
            (r#"{"x": true}"#, None),
            (r#"{"x": null}"#, None),
            (r#"{"x": {"y": 1}}"#, None),
            (r#"{"x": 1e999}"#, None),
            (r#"{"x": 1e999, "x_ms": 2}"#, Some(2.0)),
            (r#"{"x": -1.5E-2}"#, Some(-0.015)),
            (r#"{"x": 9007199254740993}"#, Some(9_007_199_254_740_992.0)),
            (r#"{"s": "\"x\": 1", "x": 2}"#, Some(2.0)),
            (r#"{"s": "{[\\", "x": 2}"#, Some(2.0)),
            ("5", None),
            (r#""x""#, None),
            ("{}", None),
        ] {
            assert_eq!(numbers(&["x"], json), [value], "{json}");
        }
        assert_eq!(numbers(&["ü"], r#"{"\u00fc": 3}"#), [Some(3.0)]);
        assert_eq!(numbers(&["ü"], r#"{"\ud800": 3, "a": {"ü": 4}}"#), [Some(4.0)]);
    }

    #[test]
    fn all_names_in_one_pass() {
        let json =
            r#"{"data": {"metrics": {"system_performance": {"cpu_usage_percent": 12.5, "memory_usage_mb": 900}}}}"#;
        assert_eq!(
            numbers(
                &["cpu_usage", "memory_usage_mb", "data.metrics.system_performance.cpu_usage_percent", "disk"],
                json
            ),
            [Some(12.5), Some(900.0), Some(12.5), None]
        );
    }

    /// Harm prevented: a payload of nothing but brackets, which is valid, ends the daemon by the end of its stack.
    #[test]
    fn a_deep_payload_is_read_like_any_other() {
        let json = format!("{}{{\"x\": 1}}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(numbers(&["x"], &json), [Some(1.0)]);
    }

    /// The definition, over a tree.
    fn slow(name: &str, root: &Value) -> Option<f64> {
        fn leaves(value: &Value, key: Option<&str>, out: &mut Vec<(Option<String>, f64)>) {
            match value {
                Value::Number(number) => out.extend(number.as_f64().map(|n| (key.map(str::to_owned), n))),
                Value::Object(members) => members.iter().for_each(|(key, value)| leaves(value, Some(key), out)),
                Value::Array(items) => items.iter().for_each(|item| leaves(item, None, out)),
                _ => {}
            }
        }
        let at_path = name.split('.').try_fold(root, |value, part| match value {
            Value::Object(members) => members.get(part),
            Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        });
        let mut all = Vec::new();
        leaves(root, None, &mut all);
        let key = |fits: &dyn Fn(&str) -> bool| {
            all.iter().find(|(key, _)| key.as_deref().is_some_and(fits)).map(|(_, value)| *value)
        };
        at_path
            .and_then(Value::as_f64)
            .or_else(|| key(&|key| key == name))
            .or_else(|| key(&|key| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('_'))))
    }

    fn trees() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            (-9_i64..9).prop_map(Value::from),
            (-1e3..1e3_f64).prop_map(Value::from),
            "[ab\"\\\\{}]{0,3}".prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            Just(Value::Null),
        ];
        // A map of serde_json is sorted; that of the text is the same, since it is written from the map.
        leaf.prop_recursive(4, 30, 5, |inner| {
            prop_oneof![
                proptest::collection::btree_map("(a|b|a_b|b_|ab)", inner.clone(), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
                proptest::collection::vec(inner, 0..4).prop_map(Value::from),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_pass_finds_what_the_definition_says(tree in trees(), pretty in any::<bool>()) {
            let json = if pretty { serde_json::to_string_pretty(&tree) } else { serde_json::to_string(&tree) }.unwrap();
            for name in ["a", "b", "a.b", "a.a_b", "a.0", "0", "b.1.a", "ab"] {
                prop_assert_eq!(numbers(&[name], &json)[0], slow(name, &tree), "{} in {}", name, json);
            }
        }
    }
}
