//! What is read of a message: enough to pass it on, and to say something where nobody answers it.

use super::Headers;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

/// Codes of JSON-RPC.
pub(super) const PARSE_ERROR: i32 = -32700;
pub(super) const INVALID_REQUEST: i32 = -32600;
pub(super) const INTERNAL_ERROR: i32 = -32603;

/// Where a message of the era without a handshake says its version.
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// What a client says.
#[derive(Debug)]
pub(super) enum Said {
    /// It wants an answer.
    Request(Request),
    /// A request is not wanted any more, by its id as it was written.
    Withdrawn(String),
    /// Something that wants no answer, and that a server without sessions has no use for.
    Nothing,
    /// It is no message.
    Garbage { code: i32, why: String },
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// As it was written.
    pub(super) id: String,
    pub(super) method: String,
    /// The version that it says itself.
    version: Option<String>,
    /// The tool that it calls, or what else it names.
    name: Option<String>,
    pub(super) text: Vec<u8>,
}

#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<String>,
    params: Option<Params<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Params<'a> {
    name: Option<Value>,
    #[serde(rename = "_meta")]
    meta: Option<Value>,
    #[serde(borrow, rename = "requestId")]
    withdrawn: Option<&'a RawValue>,
}

/// Reads one line.
pub(super) fn read(line: Vec<u8>) -> Said {
    if line.first() == Some(&b'[') {
        return Said::Garbage { code: INVALID_REQUEST, why: "batches are not taken; send one message a line".into() };
    }
    let read: Read<'_> = match serde_json::from_slice(&line) {
        Ok(read) => read,
        Err(error) => {
            let code = if error.is_data() { INVALID_REQUEST } else { PARSE_ERROR };
            return Said::Garbage { code, why: format!("the message: {error}") };
        }
    };
    let params = read.params.unwrap_or_default();
    match (read.id.map(RawValue::get), read.method) {
        (Some(id), Some(method)) => {
            let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
            let version = text(params.meta.as_ref().and_then(|meta| meta.get(VERSION)));
            let (id, name) = (id.to_owned(), text(params.name.as_ref()));
            Said::Request(Request { id, method, version, name, text: line })
        }
        (None, Some(method)) if method == "notifications/cancelled" => match params.withdrawn {
            Some(id) => Said::Withdrawn(id.get().to_owned()),
            None => Said::Nothing,
        },
        // Answers too: nothing is ever asked of a client.
        (None, Some(_)) | (Some(_), None) => Said::Nothing,
        (None, None) => Said::Garbage { code: INVALID_REQUEST, why: "the message has neither id nor method".into() },
    }
}

impl Request {
    /// The headers of this request over HTTP. `agreed` is the version of the handshake, where there was one.
    pub(super) fn headers(&self, agreed: Option<&str>) -> Headers {
        let mut headers = vec![("accept", "application/json, text/event-stream".to_owned())];
        let agreed = agreed.filter(|_| self.method != "initialize").map(str::to_owned);
        let version = self.version.clone().or(agreed).filter(|version| fits_a_header(version));
        if let Some(version) = version {
            headers.push(("mcp-protocol-version", version));
        }
        if fits_a_header(&self.method) {
            headers.push(("mcp-method", self.method.clone()));
        }
        if let Some(name) = self.name.clone().filter(|name| fits_a_header(name)) {
            headers.push(("mcp-name", name));
        }
        headers
    }

    /// An answer for who cannot be answered: what a model reads where it called a tool, an error otherwise.
    pub(super) fn failed(&self, why: &str) -> String {
        let id: Box<RawValue> = RawValue::from_string(self.id.clone()).expect("invariant: it was read as JSON");
        if self.method != "tools/call" {
            return json!({ "jsonrpc": "2.0", "id": id, "error": { "code": INTERNAL_ERROR, "message": why } })
                .to_string();
        }
        let mut result = json!({ "content": [{ "type": "text", "text": why }], "isError": true });
        if self.version.is_some() {
            result["resultType"] = "complete".into();
        }
        json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()
    }
}

/// An error about something that has no id.
pub(super) fn garbage(code: i32, why: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": null, "error": { "code": code, "message": why } }).to_string()
}

/// The version that an answer to `initialize` agrees to.
pub(super) fn agreed(answer: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    answer["result"]["protocolVersion"].as_str().map(str::to_owned)
}

/// What a message of the daemon is to who has asked for something.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Comes {
    /// The answer.
    Answer,
    /// Something on the way to it.
    Before,
    /// The answer, of one who could not read the request: why.
    Refusal(String),
    /// No message, or one that answers something else. Who listens there is no MCP server.
    Nonsense,
}

impl Request {
    /// What a message is to this request. No other one goes to the client: whoever listens at that address could confuse it.
    pub(super) fn comes(&self, message: &str) -> Comes {
        let Ok(Value::Object(message)) = serde_json::from_str(message) else { return Comes::Nonsense };
        if message.get("jsonrpc") != Some(&json!("2.0")) {
            return Comes::Nonsense;
        }
        if message.contains_key("method") {
            return Comes::Before;
        }
        let own: Value = serde_json::from_str(&self.id).unwrap_or_default();
        match (message.get("id"), message.get("result"), message.get("error")) {
            (Some(id), Some(_), None) | (Some(id), None, Some(_)) if *id == own => Comes::Answer,
            (None | Some(Value::Null), None, Some(error)) => {
                Comes::Refusal(error["message"].as_str().unwrap_or("it refuses the request").to_owned())
            }
            _ => Comes::Nonsense,
        }
    }
}

fn fits_a_header(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= 256
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Request {
        match read(text.into()) {
            Said::Request(request) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn both_eras_have_their_headers() {
        let call = request(r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"list_agents"}}"#);
        let all = [
            ("accept", "application/json, text/event-stream".to_owned()),
            ("mcp-protocol-version", "2025-11-25".into()),
            ("mcp-method", "tools/call".into()),
            ("mcp-name", "list_agents".into()),
        ];
        assert_eq!(call.headers(Some("2025-11-25")), all);
        let hello = request(r#"{"id":"a","method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#);
        assert!(hello.headers(Some("2024-11-05")).iter().all(|(name, _)| *name != "mcp-protocol-version"));
        let alone = format!(r#"{{"id":1,"method":"tools/list","params":{{"_meta":{{"{VERSION}":"2026-07-28"}}}}}}"#);
        assert_eq!(request(&alone).headers(None)[1], ("mcp-protocol-version", "2026-07-28".to_owned()));
        // What fits no header does not become one.
        let hostile = request(r#"{"id":1,"method":"tools/call","params":{"name":"a\r\nhost: evil"}}"#);
        assert!(hostile.headers(None).iter().all(|(name, _)| *name != "mcp-name"));
    }

    #[test]
    fn what_is_no_request_is_told_apart() {
        assert!(matches!(
            read(br#"{"method":"notifications/cancelled","params":{"requestId":"x","reason":"r"}}"#.into()),
            Said::Withdrawn(id) if id == "\"x\""
        ));
        for text in [r#"{"method":"notifications/initialized"}"#, r#"{"id":1,"result":{}}"#] {
            assert!(matches!(read(text.into()), Said::Nothing), "{text}");
        }
        for (text, expected) in
            [("{", PARSE_ERROR), ("[]", INVALID_REQUEST), ("7", INVALID_REQUEST), ("{}", INVALID_REQUEST)]
        {
            assert!(matches!(read(text.into()), Said::Garbage { code, .. } if code == expected), "{text}");
        }
    }

    #[test]
    fn a_failure_is_a_result_of_a_tool_and_an_error_of_all_else() {
        let told = |text: &str| -> Value { serde_json::from_str(&request(text).failed("why")).unwrap() };
        let tool = told(r#"{"id":"a","method":"tools/call"}"#);
        assert_eq!((&tool["id"], &tool["result"]["isError"]), (&json!("a"), &json!(true)));
        assert_eq!(tool["result"]["content"][0]["text"], "why");
        assert_eq!(told(r#"{"id":1,"method":"tools/list"}"#)["error"]["message"], "why");
    }

    #[test]
    fn answers_are_told_from_what_comes_before_them() {
        for id in ["1", r#""a""#] {
            let asked = request(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#));
            let comes = |rest: &str| asked.comes(&format!(r#"{{"jsonrpc":"2.0",{rest}}}"#));
            assert_eq!(comes(&format!(r#""id":{id},"result":{{}}"#)), Comes::Answer);
            assert_eq!(comes(&format!(r#""id":{id},"error":{{}}"#)), Comes::Answer);
            assert_eq!(comes(r#""method":"notifications/progress","params":{}"#), Comes::Before);
            assert_eq!(comes(r#""id":null,"error":{"code":-32700,"message":"what?"}"#), Comes::Refusal("what?".into()));
            for nonsense in
                [r#""id":2,"result":{}"#, r#""id":"2","error":{}"#, r#""result":{}"#, &format!(r#""id":{id}"#)]
            {
                assert_eq!(comes(nonsense), Comes::Nonsense, "{nonsense}");
            }
            for nonsense in ["x", "[]", "{}", &format!(r#"{{"id":{id},"result":{{}}}}"#)] {
                assert_eq!(asked.comes(nonsense), Comes::Nonsense, "{nonsense}");
            }
        }
        assert_eq!(agreed(r#"{"result":{"protocolVersion":"2025-06-18"}}"#).as_deref(), Some("2025-06-18"));
    }
}
