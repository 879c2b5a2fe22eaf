//! Which agents can do a task: by the capabilities that clients supplied, and by nothing else.

use serde_json::Value;

/// Something that an agent can do, as whoever created it says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Capability {
    /// What: `data_processing`.
    pub(crate) name: String,
    /// How well, 0 to 1.
    pub(crate) proficiency: Option<f64>,
    /// How fast it learns, as supplied.
    pub(crate) learning_rate: Option<f64>,
}

/// Something that a task needs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Requirement {
    /// What.
    pub(crate) name: String,
    /// How well at least, 0 to 1; without, any proficiency will do, also one that is not known.
    pub(crate) min_proficiency: Option<f64>,
}

/// Whether these capabilities are enough for all of these requirements. A proficiency that nobody supplied does not reach
/// a minimum.
pub(crate) fn fits(capabilities: &[Capability], requirements: &[Requirement]) -> bool {
    requirements.iter().all(|needed| {
        capabilities.iter().any(|has| {
            has.name == needed.name
                && needed.min_proficiency.is_none_or(|least| has.proficiency.is_some_and(|has| has >= least))
        })
    })
}

/// How well: the sum of the proficiencies that the task asks for. To choose among those that fit.
pub(crate) fn score(capabilities: &[Capability], requirements: &[Requirement]) -> f64 {
    let best = |needed: &Requirement| {
        let named = capabilities.iter().filter(|has| has.name == needed.name);
        named.filter_map(|has| has.proficiency).reduce(f64::max)
    };
    requirements.iter().filter_map(best).sum()
}

/// Reads a list of objects with a `name`; the error says what is wrong with it.
fn named(list: Option<&Value>, key: &str, mut each: impl FnMut(String, &Value)) -> Result<(), String> {
    let list = match list {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(format!("`{key}` is no list")),
    };
    if list.len() > MOST {
        return Err(format!("`{key}` has more than {MOST} entries"));
    }
    for entry in list {
        let name = entry.get("name").and_then(Value::as_str).filter(|name| !name.is_empty() && name.len() <= LONGEST);
        let name = name.ok_or_else(|| format!("each entry of `{key}` has a `name` of 1 to {LONGEST} bytes"))?;
        each(name.to_owned(), entry);
    }
    Ok(())
}

/// A number that may be absent, from 0 to 1 where `share`.
fn number(entry: &Value, key: &str, share: bool) -> Result<Option<f64>, String> {
    match entry.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let fits = |number: &f64| number.is_finite() && (!share || (0.0..=1.0).contains(number));
            let wanted = if share { "a number from 0 to 1" } else { "a number" };
            value.as_f64().filter(fits).map(Some).ok_or_else(|| format!("`{key}` is {wanted}"))
        }
    }
}

/// More entries than this are refused: they are compared with those of every agent.
const MOST: usize = 64;

/// The longest name of a capability, in bytes.
const LONGEST: usize = 256;

/// Reads `capabilities`.
pub(crate) fn capabilities(list: Option<&Value>) -> Result<Vec<Capability>, String> {
    let mut all = Vec::new();
    let mut wrong = None;
    named(list, "capabilities", |name, entry| {
        match (number(entry, "proficiency", true), number(entry, "learning_rate", false)) {
            (Ok(proficiency), Ok(learning_rate)) => all.push(Capability { name, proficiency, learning_rate }),
            (Err(error), _) | (_, Err(error)) => wrong = Some(error),
        }
    })?;
    wrong.map_or(Ok(all), Err)
}

/// Reads `required_capabilities`.
pub(crate) fn requirements(list: Option<&Value>) -> Result<Vec<Requirement>, String> {
    let mut all = Vec::new();
    let mut wrong = None;
    named(list, "required_capabilities", |name, entry| match number(entry, "min_proficiency", true) {
        Ok(min_proficiency) => all.push(Requirement { name, min_proficiency }),
        Err(error) => wrong = Some(error),
    })?;
    wrong.map_or(Ok(all), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn can(list: &Value) -> Vec<Capability> {
        capabilities(Some(list)).unwrap()
    }

    fn needs(list: &Value) -> Vec<Requirement> {
        requirements(Some(list)).unwrap()
    }

    #[test]
    fn all_that_is_required_must_be_there_and_good_enough() {
        let able = can(&json!([{ "name": "a", "proficiency": 0.7 }, { "name": "b" }]));
        assert!(fits(&able, &[]));
        assert!(fits(&able, &needs(&json!([{ "name": "a", "min_proficiency": 0.7 }]))));
        assert!(!fits(&able, &needs(&json!([{ "name": "a", "min_proficiency": 0.71 }]))));
        assert!(fits(&able, &needs(&json!([{ "name": "a" }, { "name": "b" }]))));
        assert!(!fits(&able, &needs(&json!([{ "name": "b", "min_proficiency": 0.1 }]))), "nobody said how good it is");
        assert!(!fits(&able, &needs(&json!([{ "name": "c" }]))));
        assert!(score(&able, &needs(&json!([{ "name": "a" }, { "name": "b" }]))) > 0.69);
    }

    #[test]
    fn what_is_no_capability_is_refused_with_a_reason() {
        for (list, reason) in [
            (json!({}), "`capabilities` is no list"),
            (json!([{}]), "each entry of `capabilities` has a `name` of 1 to 256 bytes"),
            (json!([{ "name": "" }]), "each entry of `capabilities` has a `name` of 1 to 256 bytes"),
            (json!([{ "name": "a", "proficiency": 1.5 }]), "`proficiency` is a number from 0 to 1"),
            (json!([{ "name": "a", "proficiency": "good" }]), "`proficiency` is a number from 0 to 1"),
            (json!(vec![json!({ "name": "a" }); 65]), "`capabilities` has more than 64 entries"),
        ] {
            assert_eq!(capabilities(Some(&list)).unwrap_err(), reason);
        }
        assert_eq!(capabilities(None), Ok(vec![]));
    }
}
