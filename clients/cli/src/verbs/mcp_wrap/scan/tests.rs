//! Messages as clients and servers write them, whole and in pieces.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn scan(pieces: &[&[u8]]) -> Vec<Message> {
    let (mut scanner, mut found) = (Scanner::default(), Vec::new());
    for piece in pieces {
        scanner.feed(piece, |message| found.push(message));
    }
    found
}

fn one(text: &str) -> Message {
    let [message] = <[Message; 1]>::try_from(scan(&[text.as_bytes(), b"\n"])).unwrap();
    message
}

#[allow(clippy::unnecessary_wraps, reason = "it is what is compared with")]
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn questions_and_answers() {
    let call = r#"{"method":"tools/call","params":{"name":"echo","arguments":{"name":"no","id":9,"method":"no"}},"jsonrpc":"2.0","id":3}"#;
    assert_eq!(
        one(call),
        Message { id: some("3"), method: some("tools/call"), name: some("echo"), ..Message::default() }
    );
    let answer = r#"{ "jsonrpc" : "2.0", "id" : "a\"1" , "result" : { "content": [{"type":"text","text":"\"}{\\"}], "isError": true } }"#;
    assert_eq!(one(answer), Message { id: some("\"a\\\"1\""), has_result: true, is_error: true, ..Message::default() });
    let error = r#"{"result":null,"error":{"code":-32602,"message":"id"},"id":null}"#;
    assert_eq!(one(error), Message { has_result: true, has_error: true, ..Message::default() });
    let cancelled =
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7,"reason":"timeout"}}"#;
    let wanted = Message { method: some("notifications/cancelled"), cancelled: some("7"), ..Message::default() };
    assert_eq!(one(cancelled), wanted);
}

#[test]
fn what_servers_say_of_themselves() {
    let initialize = r#"{"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"everything","title":"No","version":"1.0.0","icons":[{"name":"no"}]}},"jsonrpc":"2.0","id":0}"#;
    let wanted = Message {
        id: some("0"),
        has_result: true,
        revision: some("2025-06-18"),
        server_name: some("everything"),
        server_version: some("1.0.0"),
        ..Message::default()
    };
    assert_eq!(one(initialize), wanted);
    let discover = r#"{"id":1,"result":{"supportedVersions":["2026-07-28"],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"git","version":"2"}}}}"#;
    let wanted = Message {
        id: some("1"),
        has_result: true,
        server_name: some("git"),
        server_version: some("2"),
        ..Message::default()
    };
    assert_eq!(one(discover), wanted);
    let request = r#"{"id":1,"method":"tools/list","params":{"cursor":"x","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    let wanted = Message {
        id: some("1"),
        method: some("tools/list"),
        revision: some("2026-07-28"),
        has_cursor: true,
        ..Message::default()
    };
    assert_eq!(one(request), wanted);
    let tools = r#"{"id":1,"result":{"tools":[{"name":"a","inputSchema":{"properties":{"tools":[1,2]}}},{"name":"b"},{}],"nextCursor":"p2"}}"#;
    assert_eq!(
        one(tools),
        Message { id: some("1"), has_result: true, tools: Some(3), has_more: true, ..Message::default() }
    );
    assert_eq!(one(r#"{"id":1,"result":{"tools":[]}}"#).tools, Some(0));
}

#[test]
fn batches_are_their_messages() {
    let found = scan(&[
        br#"[{"id":1,"method":"a"},{"id":2,"method":"b","params":[1,{"id":9}]},{"method":"c"}]"#,
        b"\n{\"id\":3}",
    ]);
    let told: Vec<_> = found.iter().map(|message| (message.id.as_deref(), message.method.as_deref())).collect();
    let wanted = [(Some("1"), Some("a")), (Some("2"), Some("b")), (None, Some("c")), (Some("3"), None)];
    assert_eq!(told, wanted);
}

#[test]
fn what_is_no_message_costs_only_its_line() {
    let text = b"Server listening {\"id\":1}\n\n\x00\xff\"{\n{\"id\":1,\"method\":\"half\n]]}}}\n[[{\"id\":5}]]\n{\"id\":2,\"method\":\"m\"}\n";
    let found = scan(&[text]);
    assert_eq!(found, [Message { id: some("2"), method: some("m"), ..Message::default() }]);
    let (mut scanner, mut found) = (Scanner::default(), 0);
    scanner.feed(b"{\"id\":1,\"meth", |_| found += 1);
    scanner.gap();
    scanner.feed(b"{\"id\":2}{\"id\":2}\n", |_| found += 1);
    assert_eq!(found, 0, "nobody knows what was before it");
    scanner.feed(b"{\"id\":3}\n", |_| found += 1);
    assert_eq!(found, 1);
}

#[test]
fn memory_does_not_grow_with_a_message() {
    let mut scanner = Scanner::default();
    let mut found = Vec::new();
    scanner.feed(b"{\"result\":{\"content\":[{\"text\":\"", |_| panic!());
    for _ in 0..1_000 {
        scanner.feed(&vec![b'x'; 65_536], |_| panic!());
    }
    scanner.feed(b"\"}],\"deep\":", |_| panic!());
    for _ in 0..1_000 {
        scanner.feed(&[b'['; 1_000], |_| panic!());
    }
    assert!(scanner.text.capacity() <= 2 * LONGEST, "{}", scanner.text.capacity());
    for _ in 0..1_000 {
        scanner.feed(&[b']'; 1_000], |_| panic!());
    }
    scanner.feed(b"},\"id\":4}", |message| found.push(message));
    assert_eq!(found, [Message { id: some("4"), has_result: true, ..Message::default() }]);
    let long = format!("{{\"id\":\"{0}\",\"method\":\"{0}\"}}", "y".repeat(LONGEST + 1));
    assert_eq!(one(&long), Message::default());
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("id|method|params|result|name|tools|[a-z\"\\\\]{1,3}", inner, 0..4)
                .prop_map(|pairs| pairs.into_iter().collect()),
        ]
    })
}

/// The same by a parser that reads everything.
fn parsed(value: &Value) -> Message {
    let member = |object: &Value, name: &str| object.get(name).cloned().unwrap_or_default();
    let string = |value: Value| value.as_str().map(str::to_owned);
    let id = |value: Value| match value {
        Value::String(text) => Some(format!("{text:?}")),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    };
    let (params, result) = (member(value, "params"), member(value, "result"));
    Message {
        id: id(member(value, "id")),
        method: string(member(value, "method")),
        has_result: value.get("result").is_some(),
        name: string(member(&params, "name")),
        tools: result.get("tools").map(|tools| tools.as_array().map_or(0, Vec::len) as u32),
        ..Message::default()
    }
}

proptest! {
    #[test]
    fn a_scan_in_pieces_finds_what_a_parser_finds(
        object in prop::collection::btree_map("id|method|params|result|jsonrpc", value(), 0..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let object: Value = object.into_iter().collect();
        let text = object.to_string().into_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        prop_assert_eq!(scan(&pieces), vec![parsed(&object)], "{}", object);
    }

    #[test]
    fn no_bytes_make_it_panic(pieces in prop::collection::vec(prop::collection::vec(
        prop_oneof![Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b'"'), Just(b'\\'), Just(b','), Just(b':'),
            Just(b'\n'), any::<u8>()], 0..40), 0..4)) {
        scan(&pieces.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
}
