//! What goes over the wire: requests, made of rmcp's types, and what comes back, of which no more is understood than is
//! needed. A server that answers strangely still answers.

use headwater_plugin::serde_json::{self, Value, json};
use rmcp::model::{
    ClientCapabilities, ClientJsonRpcMessage, ClientNotification, ClientRequest, ClientResult, DiscoverRequest,
    DiscoverRequestParams, ErrorCode, ErrorData, GetMeta, Implementation, InitializeRequest, InitializeRequestParams,
    InitializedNotification, ListToolsRequest, PaginatedRequestParams, PingRequest, ProtocolVersion, RequestId,
    RequestMetaObject, SubscriptionFilter, SubscriptionsListenRequest, SubscriptionsListenRequestParams,
};

/// How a server of this kind begins, and whether it can be pinged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// With `initialize`, up to the revision 2025-11-25.
    Initialize,
    /// Without: each request says who asks. `server/discover` says what there is.
    Discover,
}

impl Era {
    /// As events name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::Discover => "discover",
        }
    }

    /// The revision that we offer.
    pub(crate) fn version(self) -> ProtocolVersion {
        match self {
            Self::Initialize => ProtocolVersion::LATEST_WITH_INITIALIZE,
            Self::Discover => ProtocolVersion::V_2026_07_28,
        }
    }
}

/// What a server has agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// Its era.
    pub(crate) era: Era,
    /// The revision, which every request over HTTP names: a server refuses one that it has not agreed to.
    pub(crate) version: ProtocolVersion,
}

/// A message of ours, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// The id, of a request.
    pub(crate) id: Option<i64>,
    /// The method; empty for an answer.
    pub(crate) method: &'static str,
    /// The revision that its headers name over HTTP.
    pub(crate) version: Option<ProtocolVersion>,
    /// The JSON.
    pub(crate) json: String,
}

fn client() -> Implementation {
    Implementation::new("headwater", env!("CARGO_PKG_VERSION"))
}

fn request(id: i64, method: &'static str, agreed: Option<&Agreed>, mut request: ClientRequest) -> Outgoing {
    let version = agreed.map(|agreed| agreed.version.clone());
    if let Some(Agreed { era: Era::Discover, version }) = agreed {
        let meta = RequestMetaObject::with_client_context(version.clone(), client(), ClientCapabilities::default());
        *request.get_meta_mut() = meta;
    }
    let message = ClientJsonRpcMessage::request(request, RequestId::Number(id));
    Outgoing { id: Some(id), method, version, json: encode(&message) }
}

fn encode(message: &ClientJsonRpcMessage) -> String {
    serde_json::to_string(message).expect("invariant: messages of the protocol have a JSON form")
}

/// `server/discover`: what a server of the newer era answers at any time.
pub(crate) fn discover(id: i64) -> Outgoing {
    discover_in(id, &Agreed { era: Era::Discover, version: Era::Discover.version() })
}

fn discover_in(id: i64, agreed: &Agreed) -> Outgoing {
    let ask = DiscoverRequest::new(DiscoverRequestParams {});
    request(id, "server/discover", Some(agreed), ClientRequest::DiscoverRequest(ask))
}

/// `initialize`.
pub(crate) fn initialize(id: i64) -> Outgoing {
    let params = InitializeRequestParams::new(ClientCapabilities::default(), client())
        .with_protocol_version(Era::Initialize.version());
    // Before the answer no revision is agreed upon: no header names one.
    request(id, "initialize", None, ClientRequest::InitializeRequest(InitializeRequest::new(params)))
}

/// `notifications/initialized`.
pub(crate) fn initialized(version: ProtocolVersion) -> Outgoing {
    let told = ClientNotification::InitializedNotification(InitializedNotification::default());
    let json = encode(&ClientJsonRpcMessage::notification(told));
    Outgoing { id: None, method: "notifications/initialized", version: Some(version), json }
}

/// Are you there?
pub(crate) fn ping(id: i64, agreed: &Agreed) -> Outgoing {
    match agreed.era {
        Era::Initialize => request(id, "ping", Some(agreed), ClientRequest::PingRequest(PingRequest::default())),
        Era::Discover => discover_in(id, agreed),
    }
}

/// `tools/list`, from this place on.
pub(crate) fn tools(id: i64, agreed: &Agreed, cursor: Option<String>) -> Outgoing {
    let ask = ListToolsRequest::with_param(PaginatedRequestParams::default().with_cursor(cursor));
    request(id, "tools/list", Some(agreed), ClientRequest::ListToolsRequest(ask))
}

/// Asks a server of the newer era to tell when its tools are others.
pub(crate) fn listen(id: i64, agreed: &Agreed) -> Outgoing {
    let filter = SubscriptionFilter::builder().tools_list_changed().build();
    let ask = SubscriptionsListenRequest::new(SubscriptionsListenRequestParams::new(filter));
    request(id, "subscriptions/listen", Some(agreed), ClientRequest::SubscriptionsListenRequest(ask))
}

/// The answer to a request of the server: pings are answered, nothing else is known here.
pub(crate) fn answer(id: &Value, method: &str, version: Option<ProtocolVersion>) -> Option<Outgoing> {
    let id: RequestId = serde_json::from_value(id.clone()).ok()?;
    let message = if method == "ping" {
        ClientJsonRpcMessage::response(ClientResult::empty(()), id)
    } else {
        let error =
            ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "this client only looks whether servers are well", None);
        ClientJsonRpcMessage::error(error, Some(id))
    };
    Some(Outgoing { id: None, method: "", version, json: encode(&message) })
}

/// A message of the server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Incoming {
    /// It answers the request of this id.
    Answer {
        /// The request's id; an error may have none.
        id: Option<i64>,
        /// What it answers.
        result: Result<Value, Refusal>,
    },
    /// It asks.
    Request {
        /// Its id.
        id: Value,
        /// What it asks.
        method: String,
    },
    /// It tells.
    Notification {
        /// What it tells.
        method: String,
    },
}

/// An error that a server answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Its number.
    pub(crate) code: i64,
    /// What it says of it.
    pub(crate) message: String,
}

impl Refusal {
    /// The server does not know the method: it answers, and that is all that was asked.
    pub(crate) fn is_unknown_method(&self) -> bool {
        self.code == i64::from(ErrorCode::METHOD_NOT_FOUND.0)
    }
}

impl Incoming {
    /// Reads a message; nothing where it is none of JSON-RPC.
    pub(crate) fn read(json: &[u8]) -> Option<Self> {
        let Value::Object(mut message) = serde_json::from_slice(json).ok()? else { return None };
        if message.get("jsonrpc") != Some(&json!("2.0")) {
            return None;
        }
        let id = message.remove("id").filter(|id| !id.is_null());
        if let Some(Value::String(method)) = message.remove("method") {
            return Some(match id {
                Some(id) => Self::Request { id, method },
                None => Self::Notification { method },
            });
        }
        let id = id.as_ref().and_then(Value::as_i64);
        if let Some(result) = message.remove("result") {
            return Some(Self::Answer { id, result: Ok(result) });
        }
        let error = message.remove("error")?;
        let code = error["code"].as_i64().unwrap_or_default();
        let message = error["message"].as_str().unwrap_or_default().to_owned();
        Some(Self::Answer { id, result: Err(Refusal { code, message }) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_those_of_the_protocol() {
        let sent = |outgoing: &Outgoing| serde_json::from_str::<Value>(&outgoing.json).unwrap();
        let hello = sent(&initialize(1));
        assert_eq!((&hello["method"], &hello["id"]), (&json!("initialize"), &json!(1)));
        assert_eq!(hello["params"]["protocolVersion"], "2025-11-25");
        assert_eq!(hello["params"]["clientInfo"]["name"], "headwater");
        let old = Agreed { era: Era::Initialize, version: ProtocolVersion::V_2025_06_18 };
        let new = Agreed { era: Era::Discover, version: Era::Discover.version() };
        assert_eq!(sent(&ping(2, &old)), json!({ "jsonrpc": "2.0", "id": 2, "method": "ping" }));
        assert_eq!(
            ping(2, &old).version,
            Some(ProtocolVersion::V_2025_06_18),
            "what was agreed to, not what was offered"
        );
        let discover = sent(&ping(3, &new));
        assert_eq!(discover["method"], "server/discover");
        let meta = &discover["params"]["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28", "{meta}");
        let more = sent(&tools(4, &old, Some("c".to_owned())));
        assert_eq!((&more["method"], &more["params"]["cursor"]), (&json!("tools/list"), &json!("c")));
        let listen = sent(&listen(5, &new));
        assert_eq!(listen["params"]["notifications"]["toolsListChanged"], true, "{listen}");
        assert_eq!(sent(&answer(&json!("x"), "ping", None).unwrap())["result"], json!({}));
        assert_eq!(sent(&answer(&json!(7), "roots/list", None).unwrap())["error"]["code"], -32601);
    }

    #[test]
    fn whatever_is_json_rpc_is_read() {
        let read = |json: Value| Incoming::read(json.to_string().as_bytes());
        let answer = |id, result| Some(Incoming::Answer { id, result });
        assert_eq!(read(json!({ "jsonrpc": "2.0", "id": 1, "result": {} })), answer(Some(1), Ok(json!({}))));
        let refusal = Refusal { code: -32601, message: "no".to_owned() };
        assert!(refusal.is_unknown_method());
        let error = json!({ "code": -32601, "message": "no" });
        assert_eq!(read(json!({ "jsonrpc": "2.0", "id": null, "error": error })), answer(None, Err(refusal)));
        let ping = Incoming::Request { id: json!("a"), method: "ping".to_owned() };
        assert_eq!(read(json!({ "jsonrpc": "2.0", "id": "a", "method": "ping" })), Some(ping));
        let told = Incoming::Notification { method: "x".to_owned() };
        assert_eq!(read(json!({ "jsonrpc": "2.0", "method": "x" })), Some(told));
        for none in [json!(1), json!([]), json!({ "id": 1, "result": {} }), json!({ "jsonrpc": "2.0", "id": 1 })] {
            assert_eq!(read(none.clone()), None, "{none}");
        }
        assert_eq!(Incoming::read(b"listening"), None);
    }
}
