//! Texts that nobody should send, and events that nobody should publish: nothing panics, nothing overflows the stack of a
//! thread, nothing takes long.

use crate::event;
use bytes::Bytes;
use headwater_event::{Event, Payload};
use headwater_filter::{ExpressionError, Filter};
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::json;
use std::{
    thread,
    time::{Duration, Instant},
};

/// Half of what a worker thread of the daemon has; unoptimised code needs most.
const STACK: usize = 1024 * 1024;
/// Far more than anything may take, so that a busy machine fails no test.
const LONG: Duration = Duration::from_secs(2);

fn compile(text: &str) -> Result<Filter, ExpressionError> {
    let began = Instant::now();
    let compiled = Filter::default().with_expression(text);
    assert!(began.elapsed() < LONG, "{} bytes took {:?}: {text:.80}", text.len(), began.elapsed());
    if let Err(error) = &compiled {
        assert!((1..=text.chars().count() + 1).contains(&error.column), "{error} in {text:.80}");
        // What only the parser finds has no better words than that.
        assert!(!error.message.contains("no expression"), "{error} in {text:.80}");
    }
    compiled
}

fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(STACK).spawn(work).unwrap().join().unwrap();
}

fn with_data(data: String) -> Event {
    let mut event = event(&json!({"data": null}));
    event.data = Payload::new(Bytes::from(data)).unwrap();
    event
}

#[test]
fn nothing_that_repeats_overflows_the_stack() {
    on_a_small_stack(|| {
        let pieces = [
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            "!",
            "-",
            "- ",
            "!-",
            "a.",
            "a[",
            "f(",
            "a.f(",
            "a?",
            "a?b:",
            "a?(",
            "{a:",
            "{\"a\":",
            "has(",
            "a+",
            "a&&",
            "a||",
            "a==",
            "a,",
            "[a,",
            "1<",
            "(a+",
            "a+(",
            "!(",
            "-(",
            "data.exists(x,",
            "x.map(x,x,",
            "\"",
            "'",
            "\"\"\"",
            "r\"",
            "\\",
            "`",
            "//",
            "/",
            "0x",
            "1e",
            "1.",
            "9",
            "é",
            "\u{0}",
            "\n",
            "if ",
            "in ",
            "a in ",
            "data.a.",
            "data[0]",
            "data[\"a\"]",
            "(true)&&",
            "(data.a+data.b)*",
        ];
        for piece in pieces {
            for count in [1, 7, 30, 47, 100, 4_096 / piece.len()] {
                let open = piece.repeat(count);
                drop(compile(&open));
                // Closed again, and with something inside.
                let close: String = open.chars().rev().filter_map(closing).collect();
                drop(compile(&format!("{open}data.a{close}")));
                drop(compile(&format!("{open}true{close}")));
            }
        }
    });
}

fn closing(open: char) -> Option<char> {
    match open {
        '(' => Some(')'),
        '[' => Some(']'),
        '{' => Some('}'),
        _ => None,
    }
}

/// The tallest trees that are let through, of each kind; each one level more is refused.
#[test]
fn the_tallest_expressions_compile_and_run_on_a_small_stack() {
    on_a_small_stack(|| {
        let event = with_data("{\"a\":[[1]],\"x\":1}".into());
        let shapes: [&dyn Fn(usize) -> String; 8] = [
            &|n| format!("{}true{}", "(".repeat(n), ")".repeat(n)),
            &|n| format!("{}true{}", "!(".repeat(n), ")".repeat(n)),
            &|n| format!("data.x{} > 0", " + 1".repeat(n)),
            &|n| format!("{}data.x{} > 0", "(".repeat(n), " + 1)".repeat(n)),
            &|n| format!("data{} == 1", ".x".repeat(n)),
            &|n| format!("{}1{} == data.a", "[".repeat(n), "]".repeat(n)),
            &|n| format!("{}true", "data.x == 2 ? false : ".repeat(n)),
            &|n| format!("{}data.x{} == 1", "int(".repeat(n), ")".repeat(n)),
        ];
        for shape in shapes {
            let tallest = (1..=200).take_while(|n| compile(&shape(*n)).is_ok()).last().unwrap_or(0);
            assert!((10..60).contains(&tallest), "{tallest} levels: {}", shape(3));
            compile(&shape(tallest)).unwrap().matches(&event);
            assert!(compile(&shape(tallest + 1)).unwrap_err().message.contains("deeper"), "{}", shape(3));
        }
        // Flat, and as long as can be.
        assert!(compile(&["data.x==1"; 300].join("||")).unwrap_err().message.contains("words"));
        assert!(compile(&["data.x == 1"; 150].join(" && ")).unwrap().matches(&event));
        let numbers: Vec<_> = (0..500).map(|n| n.to_string()).collect();
        assert!(compile(&format!("data.x in [{}]", numbers.join(","))).unwrap().matches(&event));
    });
}

#[test]
fn an_expression_that_is_too_long_is_refused() {
    let text = format!("type == \"{}\"", "é".repeat(2_100));
    let error = compile(&text).unwrap_err();
    assert_eq!((error.column, error.message.as_str()), (2_053, "the expression is longer than 4096 bytes"));
}

/// Without a bound each of these would hold up every reader of its thread.
#[test]
fn no_payload_makes_an_expression_run_for_long() {
    let numbers: Vec<String> = (0..200_000).map(|n| n.to_string()).collect();
    let numbers = with_data(format!("[{}]", numbers.join(",")));
    let text = with_data(format!("{{\"text\":\"{}\",\"list\":[1,2,3]}}", "a\\u0061".repeat(150_000)));
    let nested = with_data(format!("{}1{}", "[".repeat(400_000), "]".repeat(400_000)));
    let wide: Vec<String> = (0..50_000).map(|n| format!("\"k{n}\":{n}")).collect();
    let wide = with_data(format!("{{{}}}", wide.join(",")));
    let doubled = format!("size([\"aaaaaaaa\"]{}) > 0", ".map(x, x + x + x + x)".repeat(6));
    let copied = format!("size([data]{}) > 0", ".map(x, [x, x, x, x, x, x])".repeat(8));
    on_a_small_stack(move || {
        for expression in [
            "data.all(x, data.exists(y, y == x + 1))",
            "data.exists(x, data == x)",
            "data == data",
            "data.map(x, data)[0] == data.map(y, data)[1]",
            "data.exists(x, 200001 in data)",
            "size(data + data + data + data) > 1",
            "data.filter(x, true).filter(x, true).filter(x, true).all(x, x == 1)",
            "data.text.matches(\"(a|aa|aaa)*b\") || data.text.matches(\"(?i)(x+x+)+y\")",
            "data.list.all(x, data.text.contains(\"b\"))",
            "data.list.all(x, data.text.matches(\"a{200}b\"))",
            "[data.text + data.text].exists(x, size(x + x + x) > 1)",
            "data.exists(k, data[k] == -1)",
            "data[0][0][0] == 2",
            &doubled,
            &copied,
        ] {
            let filter = compile(expression).unwrap();
            for (name, event) in [("numbers", &numbers), ("text", &text), ("nested", &nested), ("wide", &wide)] {
                let began = Instant::now();
                filter.matches(event);
                assert!(began.elapsed() < LONG, "{expression} took {:?} on {name}", began.elapsed());
            }
        }
    });
}

/// A budget that is used up is no answer: nothing that builds on it is true.
#[test]
fn what_costs_too_much_does_not_match() {
    let numbers: Vec<String> = (0..100_000).map(|n| n.to_string()).collect();
    let event = with_data(format!("{{\"list\":[{}],\"few\":[1]}}", numbers.join(",")));
    for expression in [
        "data.list.exists(x, x == -1)",
        "!data.list.exists(x, x == -1)",
        "data.list.all(x, x >= 0)",
        "!(-1 in data.list)",
        "!(data.list == [1])|| size(data.list) > 1 && size(data.list) < 0",
        "size(data.list) == 100000",
        "!has(data.list[99999].x)",
        "data.few.exists(y, !data.list.exists(x, x == -1))",
    ] {
        let matches = compile(expression).unwrap().matches(&event);
        // The first elements differ, which is found at once.
        assert_eq!(matches, expression.starts_with("!(data.list == [1])"), "{expression}");
    }
    assert!(compile("data.list.exists(x, x == 5)").unwrap().matches(&event));
    // A long text costs as often as it is looked at.
    let text = with_data(format!("{{\"few\":[1,2,3],\"text\":\"{}\"}}", "ab".repeat(400_000)));
    assert!(compile("data.text != \"a\"").unwrap().matches(&text));
    assert!(!compile("data.few.all(x, data.text != \"a\")").unwrap().matches(&text));
    assert!(compile("data.few == [1] || data.list.exists(x, x == -1)").unwrap().matches(&event));
}

#[test]
fn filters_are_the_same_when_their_texts_mean_the_same() {
    let filter = |text: &str| compile(text).unwrap();
    let one = filter("type == 'a' && data.x in [1, 2]");
    for other in ["type==\"a\"&&data.x in[1,2]", " type == \"a\"\n  && data . x in [ 1 , 2 ] // why"] {
        assert_eq!(one, filter(other), "{other}");
    }
    for other in
        ["type == 'b' && data.x in [1, 2]", "data.x in [1, 2] && type == 'a'", "type == ' a' && data.x in [1, 2]"]
    {
        assert_ne!(one, filter(other), "{other}");
    }
    let with = |types: &[String]| Filter::new(types, None, &[], &[]).with_expression("true").unwrap();
    assert_ne!(with(&["a".into()]), with(&[]));
    assert_ne!(with(&[]), Filter::default());
    assert!(!with(&[]).is_empty());
}

/// What expressions are made of, and what they are not.
const WORDS: [&str; 48] = [
    "type",
    "severity",
    "data",
    "attributes",
    ".x",
    ".a",
    "x",
    "has",
    "exists",
    "map",
    "size",
    "timestamp",
    "matches",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ".",
    "?",
    ":",
    "&&",
    "||",
    "!",
    "==",
    "<",
    ">=",
    "=",
    "&",
    " in ",
    "+",
    "-",
    "/",
    "%",
    "1",
    "2.5",
    "7u",
    "\"warning\"",
    "\"",
    "'s'",
    "null",
    "true",
    "and",
    "é",
    "\\",
    "//",
];

proptest! {
    #[test]
    fn any_text_is_a_filter_or_an_error_with_a_column(text in "\\PC{0,80}|(?s).{0,200}") {
        drop(compile(&text));
    }

    #[test]
    fn any_words_in_any_order_are_a_filter_or_an_error(words in vec(select(WORDS.to_vec()), 0..40)) {
        if let Ok(filter) = compile(&words.concat()) {
            filter.matches(&event(&json!({"data": {"x": [1, {"a": 2}], "a": "s"}})));
        }
    }

    /// The page's examples with one word taken away or put in: almost right, as people write.
    #[test]
    fn almost_an_expression(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), word in select(WORDS.to_vec()), cut in 0..3_usize) {
        let page = include_str!("../../../../docs/filters.md");
        let rows: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split("` |").next()).collect();
        let row = which.get(&rows).replace("\\|", "|");
        let places: Vec<usize> = row.char_indices().map(|(at, _)| at).collect();
        let at = *at.get(&places);
        let after: String = row[at..].chars().skip(cut).collect();
        drop(compile(&format!("{}{word}{after}", &row[..at])));
    }
}
