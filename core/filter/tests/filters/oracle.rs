//! The compiled form says what CEL says: random expressions on random events, with the interpreter of the `cel` crate as
//! the judge. Where filters deliberately say more than CEL, the judge gets the same in CEL's words: a severity as its
//! rank, and `has()` of a path as one `has()` for each step.

use crate::event;
use cel::{Context, Program, Value as Cel};
use headwater_event::Event;
use headwater_filter::Filter;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};
use std::{collections::HashMap, fmt::Write};

/// An expression as filters have it, and the same for the judge.
type Pair = (String, String);

fn same(text: impl Into<String>) -> Pair {
    let text = text.into();
    (text.clone(), text)
}

const TEXTS: [&str; 6] = ["\"\"", "\"a\"", "\"ab\"", "\"b\"", "\"é\"", "'x\"\\n'"];
const WORDS: [&str; 5] = ["debug", "info", "warning", "error", "critical"];
const OPERATORS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];
const PATHS: [&str; 9] =
    ["data", "data.a", "data.b", "data[\"é\"]", "data.a.b", "data.b.a.b", "data.a[0]", "data.b[1].a", "data.b[\"a\"]"];

fn number() -> impl Strategy<Value = &'static str> {
    select(vec!["0", "1", "-1", "2", "1.0", "0.5", "2u", "9007199254740993", "18446744073709551615u", "1e300"])
}

fn text() -> impl Strategy<Value = &'static str> {
    select(TEXTS.to_vec())
}

fn path() -> impl Strategy<Value = &'static str> {
    select(PATHS.to_vec())
}

fn text_variable() -> impl Strategy<Value = &'static str> {
    select(vec!["type", "channel", "source", "attributes.a", "attributes[\"b\"]"])
}

fn operator() -> impl Strategy<Value = &'static str> {
    select(OPERATORS.to_vec())
}

fn literal() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        number().prop_map(str::to_owned),
        text().prop_map(str::to_owned),
        select(vec!["true", "false"]).prop_map(str::to_owned),
    ];
    prop_oneof![
        4 => scalar.clone(),
        1 => Just("null".to_owned()),
        1 => vec(scalar.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
        1 => scalar.prop_map(|item| format!("{{\"a\": {item}}}")),
    ]
}

/// A comparison that can hold: what has no order is refused, and has a table of its own.
fn comparison(left: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (left, operator(), literal(), any::<bool>()).prop_map(|(left, operator, literal, turned)| {
        let unordered = literal.starts_with(['n', '[', '{']);
        let operator = if unordered && !operator.ends_with("==") && operator != "!=" { "==" } else { operator };
        if turned { format!("{literal} {operator} {left}") } else { format!("{left} {operator} {literal}") }
    })
}

/// What is asked of the loop variable `x`.
fn asked_of(x: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![
        comparison(Just(x.to_owned())),
        comparison(Just(format!("{x}.a"))),
        text().prop_map(move |text| format!("{x}.startsWith({text})")),
        path().prop_map(move |path| format!("{x} == {path}")),
        path().prop_map(move |path| format!("{x} in {path}")),
        Just(x.to_owned()),
    ]
}

fn has() -> impl Strategy<Value = Pair> {
    vec(select(vec!["a", "b"]), 1..4).prop_map(|names| {
        let mut steps = Vec::new();
        let mut whole = "data".to_owned();
        for name in names {
            steps.push(format!("type({whole}) == map"));
            whole = format!("{whole}.{name}");
            steps.push(format!("has({whole})"));
        }
        (format!("has({whole})"), format!("({})", steps.join(" && ")))
    })
}

fn severity() -> impl Strategy<Value = Pair> {
    let rank = |word: &str| WORDS.iter().position(|known| *known == word).unwrap() + 1;
    prop_oneof![
        (operator(), select(WORDS.to_vec())).prop_map(move |(operator, word)| {
            (format!("severity {operator} \"{word}\""), format!("rank {operator} {}", rank(word)))
        }),
        vec(select(WORDS.to_vec()), 0..3).prop_map(|words| {
            let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
            same(format!("severity in [{}]", words.join(", ")))
        }),
    ]
}

fn condition() -> impl Strategy<Value = Pair> {
    let plain = prop_oneof![
        3 => (text_variable(), operator(), text()).prop_map(|(v, o, t)| format!("{v} {o} {t}")),
        2 => (text_variable(), select(vec!["startsWith", "endsWith", "contains"]), text())
            .prop_map(|(v, f, t)| format!("{v}.{f}({t})")),
        1 => (text_variable(), vec(text(), 0..3)).prop_map(|(v, t)| format!("{v} in [{}]", t.join(", "))),
        1 => (select(vec!["evidence", "key"]), operator(), text()).prop_map(|(v, o, t)| format!("{v} {o} {t}")),
        1 => select(vec!["evidence", "key"]).prop_map(|v| format!("{v} == null")),
        1 => (operator(), number()).prop_map(|(o, n)| format!("offset {o} {n}")),
        1 => (operator(), -2..9_i64).prop_map(|(o, n)| format!("(offset * 3 - 4) % 5 / 2 + 1 {o} {n}")),
        1 => text().prop_map(|name| format!("{name} in attributes")),
        1 => Just("has(attributes.a)".to_owned()),
        6 => comparison(path().prop_map(str::to_owned)),
        1 => (path(), path()).prop_map(|(a, b)| format!("{a} == {b}")),
        2 => (path(), vec(literal(), 0..3)).prop_map(|(p, l)| format!("{p} in [{}]", l.join(", "))),
        1 => (text(), path()).prop_map(|(t, p)| format!("{t} in {p}")),
        1 => (path(), path()).prop_map(|(a, b)| format!("{a} in [{b}, 1]")),
        1 => (path(), select(vec!["startsWith", "contains"]), text()).prop_map(|(p, f, t)| format!("{p}.{f}({t})")),
        1 => (path(), text()).prop_map(|(p, t)| format!("{p} + \"a\" == {t}")),
        1 => (path(), path()).prop_map(|(a, b)| format!("{a} + [1] == {b}")),
        1 => (path(), operator(), 0..3_i64).prop_map(|(p, o, n)| format!("size({p}) {o} {n}")),
        1 => (select(vec!["int", "double", "uint"]), path(), operator()).prop_map(|(f, p, o)| format!("{f}({p}) {o} 1")),
        1 => (path(), text()).prop_map(|(p, t)| format!("string({p}) == {t}")),
        1 => path().prop_map(|p| format!("-{p} < 1")),
        1 => path().prop_map(str::to_owned),
        3 => (path(), select(vec!["exists", "all", "exists_one"]), asked_of("x"))
            .prop_map(|(p, m, asked)| format!("{p}.{m}(x, {asked})")),
        1 => (path(), asked_of("x"), operator()).prop_map(|(p, asked, o)| format!("size({p}.filter(x, {asked})) {o} 1")),
        1 => (path(), asked_of("y")).prop_map(|(p, asked)| format!("{p}.exists(x, x.all(y, {asked}))")),
        1 => (vec(literal(), 0..3), asked_of("x")).prop_map(|(l, asked)| format!("[{}].exists(x, {asked})", l.join(", "))),
        1 => (path(), literal()).prop_map(|(p, l)| format!("{p}.map(x, x == 1, x) == [{l}]")),
    ];
    let plain = prop_oneof![8 => plain.prop_map(same), 1 => has(), 1 => severity()];
    plain.prop_recursive(3, 8, 3, |inner| {
        let joined = |operator: &'static str| {
            move |pairs: Vec<Pair>| {
                let (ours, theirs): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
                let join = |sides: Vec<String>| format!("({})", sides.join(operator));
                (join(ours), join(theirs))
            }
        };
        prop_oneof![
            2 => vec(inner.clone(), 2..4).prop_map(joined(" && ")),
            2 => vec(inner.clone(), 2..4).prop_map(joined(" || ")),
            1 => vec(inner.clone(), 2).prop_map(|pairs| {
                let [a, b] = &pairs[..] else { unreachable!() };
                (format!("({} ? {} : {})", a.0, b.0, a.0), format!("({} ? {} : {})", a.1, b.1, a.1))
            }),
            1 => inner.prop_map(|(ours, theirs)| (format!("!({ours})"), format!("!({theirs})"))),
        ]
    })
}

fn payload() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        select(vec![json!(0), json!(1), json!(-1), json!(2), json!(1.0), json!(0.5), json!(9_007_199_254_740_993_i64)]),
        select(vec![json!(u64::MAX), json!(1e300)]),
        select(vec![json!(""), json!("a"), json!("ab"), json!("b"), json!("é"), json!("x\"\n"), json!("1")]),
    ];
    scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..3).prop_map(Value::from),
            3 => vec((select(vec!["a", "b", "é", "c"]), inner), 0..4).prop_map(|members| {
                Value::from(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
            }),
        ]
    })
}

fn whole_event() -> impl Strategy<Value = Value> {
    let name = || select(vec!["a", "ab", "b", "é"]);
    let word = |words: &[&'static str]| proptest::option::of(select(words.to_vec()));
    let attributes = (proptest::option::of(name()), proptest::option::of(name()));
    let key = proptest::option::of(name());
    let evidence = word(&["observed", "inferred", "polled"]);
    (name(), name(), word(&WORDS), evidence, key, 0..5_u64, attributes, payload()).prop_map(
        |(kind, source, severity, evidence, key, offset, (a, b), data)| {
            let mut attributes = Map::new();
            attributes.extend(a.map(|a| ("a".to_owned(), Value::from(a))));
            attributes.extend(b.map(|b| ("b".to_owned(), Value::from(b))));
            json!({"type": kind, "channel": "ab", "source": source, "severity": severity, "evidence": evidence,
                "key": key, "offset": offset, "attributes": attributes, "data": data})
        },
    )
}

fn cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(bool) => (*bool).into(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => int.into(),
            (None, Some(unsigned)) => unsigned.into(),
            _ => number.as_f64().unwrap().into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(cel).collect::<Vec<Cel>>().into(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), cel(value))).collect::<HashMap<String, Cel>>().into()
        }
    }
}

/// What the judge says.
fn judged(expression: &str, json: &Value) -> bool {
    let mut context = Context::default();
    for variable in ["type", "channel", "source", "evidence", "key", "offset", "attributes", "data"] {
        context.add_variable_from_value(variable, cel(&json[variable]));
    }
    let severity = json["severity"].as_str().unwrap_or("info");
    context.add_variable_from_value("severity", severity);
    context.add_variable_from_value("rank", WORDS.iter().position(|word| *word == severity).unwrap() as i64 + 1);
    Program::compile(expression).unwrap().execute(&context) == Ok(Cel::Bool(true))
}

/// The payload with white space between all words and every letter escaped.
fn spelled_out(event: &Event) -> String {
    let mut text = String::new();
    let mut inside = false;
    let compact = std::str::from_utf8(event.data.as_bytes()).unwrap();
    let mut escaped = false;
    for char in compact.chars() {
        match char {
            _ if escaped => {
                text.push(char);
                escaped = false;
            }
            '\\' => {
                text.push(char);
                escaped = true;
            }
            '"' => {
                inside = !inside;
                text.push(char);
            }
            'a'..='z' | 'é' if inside => write!(text, "\\u{:04x}", u32::from(char)).unwrap(),
            '{' | '}' | '[' | ']' | ',' | ':' if !inside => write!(text, " {char}\t").unwrap(),
            _ => text.push(char),
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1_000), ..ProptestConfig::default() })]

    #[test]
    fn the_compiled_form_says_what_cel_says((ours, theirs) in condition(), json in whole_event()) {
        let filter = match Filter::default().with_expression(&ours) {
            Ok(filter) => filter,
            Err(error) => return Err(TestCaseError::fail(format!("{ours}: {error}"))),
        };
        let said = judged(&theirs, &json);
        let plain = event(&json);
        prop_assert_eq!(filter.matches(&plain), said, "{} on {}", ours, json);
        let mut spelled = event(&json);
        spelled.data = headwater_event::Payload::new(spelled_out(&plain).into()).unwrap();
        prop_assert_eq!(filter.matches(&spelled), said, "{} on {}", ours, spelled_out(&plain));
    }
}
