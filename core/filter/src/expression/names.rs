//! The names an expression may use, and what to say of others.

use super::{
    ExpressionError,
    functions::{Function, Search},
    kind::Kind,
    node::{Field, Macro, Node},
};

/// Every variable but `attributes` and `data`.
const FIELDS: [(&str, Field, Kind); 8] = [
    ("type", Field::Type, Kind::Text),
    ("channel", Field::Channel, Kind::Text),
    ("source", Field::Source, Kind::Text),
    ("severity", Field::Severity, Kind::Text),
    ("evidence", Field::Evidence, Kind::Text),
    ("key", Field::Key, Kind::Text),
    ("offset", Field::Offset, Kind::Number),
    ("time", Field::Time, Kind::Time),
];

/// The macros over lists and maps, each called on one.
pub(super) const MACROS: [(&str, Macro); 5] = [
    ("all", Macro::All),
    ("exists", Macro::Exists),
    ("exists_one", Macro::ExistsOne),
    ("filter", Macro::Filter),
    ("map", Macro::Map),
];

/// What people call the variables elsewhere, and what they then want.
const ELSEWHERE: [(&str, &str); 21] = [
    ("True", "write `true`"),
    ("False", "write `false`"),
    ("TRUE", "write `true`"),
    ("FALSE", "write `false`"),
    ("None", "write `null`"),
    ("nil", "write `null`"),
    ("NULL", "write `null`"),
    ("event", "write the field alone: `type`, `data.x`"),
    ("e", "write the field alone: `type`, `data.x`"),
    ("kind", "did you mean `type`?"),
    ("event_type", "did you mean `type`?"),
    ("level", "did you mean `severity`?"),
    ("payload", "did you mean `data`?"),
    ("body", "did you mean `data`?"),
    ("timestamp", "did you mean `time`?"),
    ("attr", "did you mean `attributes`?"),
    ("attrs", "did you mean `attributes`?"),
    ("labels", "did you mean `attributes`?"),
    ("tags", "did you mean `attributes`?"),
    ("id", "an event's id is no part of filters"),
    ("epoch", "an event's epoch is no part of filters"),
];

/// The variable of this name.
pub(super) fn variable(name: &str) -> Option<(Node, Kind)> {
    match name {
        "attributes" => Some((Node::Attributes, Kind::Map)),
        "data" => Some((Node::Payload, Kind::Payload)),
        _ => FIELDS.iter().find(|(field, ..)| *field == name).map(|(_, field, kind)| (Node::Field(*field), *kind)),
    }
}

/// What to say of a name that is no variable. `locals` are those of the loops around it.
pub(super) fn unknown_variable(column: usize, name: &str, locals: &[(String, Kind)]) -> ExpressionError {
    let error = ExpressionError::new(column, format!("unknown variable `{name}`"));
    if let Some((_, help)) = ELSEWHERE.iter().find(|(elsewhere, _)| *elsewhere == name) {
        return error.help(*help);
    }
    let fields = FIELDS.iter().map(|(field, ..)| *field).chain(["attributes", "data"]);
    match nearest(name, fields.chain(locals.iter().map(|(local, _)| local.as_str()))) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format!("what the payload holds is data.{name}, an attribute is attributes.{name}")),
    }
}

/// What to say of a function that is called as `f(…)` and is none.
pub(super) fn unknown_function(column: usize, name: &str) -> ExpressionError {
    let error = ExpressionError::new(column, format!("unknown function `{name}`"));
    let member = member_names().find(|member| *member == name);
    let known = Function::GLOBAL.iter().map(|(name, _)| *name).chain(["has"]);
    match (name, member, nearest(name, known)) {
        (_, Some("size"), _) => error,
        (_, Some(member), _) => error.help(format!("write a.{member}(…)")),
        ("len" | "length" | "count", ..) => error.help("did you mean `size`?"),
        ("now", ..) => error.help("a filter knows no present; compare `time` with timestamp(\"…\")"),
        ("str", ..) => error.help("did you mean `string`?"),
        ("float" | "number", ..) => error.help("did you mean `double`?"),
        (_, _, Some(near)) => error.help(format!("did you mean `{near}`?")),
        _ => error.help("functions are has, size, int, uint, double, string, bool, timestamp and duration"),
    }
}

/// What to say of a function that is called as `x.f(…)` and is none.
pub(super) fn unknown_member(column: usize, name: &str) -> ExpressionError {
    let error = ExpressionError::new(column, format!("unknown function `{name}`"));
    match (name, nearest(name, member_names())) {
        ("len" | "length" | "count", _) => error.help("did you mean `size`?"),
        ("includes" | "has" | "contain", _) => error.help("did you mean `contains`?"),
        ("any" | "some", _) => error.help("did you mean `exists`?"),
        ("every", _) => error.help("did you mean `all`?"),
        (_, Some(near)) => error.help(format!("did you mean `{near}`?")),
        _ if Function::GLOBAL.iter().any(|(global, _)| *global == name) => error.help(format!("write {name}(x)")),
        _ => error.help("on texts there are startsWith, endsWith, contains and matches; on lists exists, all and size"),
    }
}

fn member_names() -> impl Iterator<Item = &'static str> {
    let searches = Search::ALL.iter().map(|(name, _)| *name);
    let functions = Function::MEMBER.iter().map(|(name, _)| *name);
    searches.chain(["matches"]).chain(functions).chain(MACROS.iter().map(|(name, _)| *name))
}

/// The name that was likely meant: at most one letter in three is wrong, or it was cut short.
pub(super) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = name.to_lowercase();
    known
        .map(|known| {
            let short = lower.len() >= 3 && known.starts_with(&lower);
            (if short { 1 } else { strsim::damerau_levenshtein(&lower, &known.to_lowercase()) }, known)
        })
        .filter(|(wrong, known)| *wrong * 3 <= known.len())
        .min_by_key(|(wrong, _)| *wrong)
        .map(|(_, known)| known)
}
