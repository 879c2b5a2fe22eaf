//! The one table of what this gateway answers: every route and every socket, with the permission it needs. The axum
//! router is built from it and from nothing else, so that no route can be without its line here.

use super::{
    app::App,
    asyncapi, channels, guard, health, history, hooks, ingest, mcp,
    problem::{Kind, Problem},
    reload, scrape, sources, stream, upgrade, webhooks,
};
use axum::{
    Router,
    extract::Request,
    http::Uri,
    middleware,
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use headwater_protocol::{Dialect, ErrorCode, dialects};
use std::{future::ready, sync::Arc};

/// Where the MCP server is.
pub(super) const MCP: &str = "/mcp";

/// What a client must be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Nothing: says no more than that a gateway is here.
    Public,
    /// To see what happens.
    Monitor,
    /// To bring events in.
    Publish,
    /// To act on sources.
    Control,
    /// To change what the daemon does.
    Admin,
}

/// One line of the table, for checks and docs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    /// `GET`, `POST`, …; a route for `GET` answers `HEAD` too.
    pub method: &'static str,
    /// With `{name}` where one segment is free.
    pub path: &'static str,
    /// What it needs.
    pub permission: Permission,
    /// One line.
    pub summary: &'static str,
}

/// A route of plain HTTP.
struct Route {
    method: Method,
    path: &'static str,
    permission: Permission,
    summary: &'static str,
    mount: fn(MethodFilter) -> MethodRouter<Arc<App>>,
}

enum Method {
    Get,
    Post,
}

/// Gives a dialect; a function, since a table is built before anything runs.
pub(super) type DialectOf = fn() -> &'static dyn Dialect;

/// A path where WebSocket is spoken.
pub(super) struct Socket {
    /// The path.
    pub(super) path: &'static str,
    /// What the connection itself needs; each request on it needs its own.
    pub(super) permission: Permission,
    /// One line.
    pub(super) summary: &'static str,
    /// The subprotocols that can be chosen.
    pub(super) subprotocols: &'static [(&'static str, DialectOf)],
    /// What is spoken when the client offers none of them.
    pub(super) without: DialectOf,
}

static ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/healthz",
        permission: Permission::Public,
        summary: "200 while the daemon runs",
        mount: |method| on(method, health::healthz),
    },
    Route {
        method: Method::Get,
        path: "/readyz",
        permission: Permission::Public,
        summary: "200 when work can be sent here, 503 while it starts or ends",
        mount: |method| on(method, health::readyz),
    },
    Route {
        method: Method::Get,
        path: "/metrics",
        permission: Permission::Monitor,
        summary: "counters for Prometheus",
        mount: |method| on(method, scrape::metrics),
    },
    Route {
        method: Method::Get,
        path: "/v1/info",
        permission: Permission::Monitor,
        summary: "version, config files, pid, uptime and address of the daemon",
        mount: |method| on(method, health::info),
    },
    Route {
        method: Method::Get,
        path: "/asyncapi.json",
        permission: Permission::Monitor,
        summary: "the channels, messages and commands of this daemon as an AsyncAPI 3 document",
        mount: |method| on(method, asyncapi::document),
    },
    Route {
        method: Method::Get,
        path: "/v1/channels",
        permission: Permission::Monitor,
        summary: "every channel with its epoch and what its log holds",
        mount: |method| on(method, channels::list),
    },
    Route {
        method: Method::Get,
        path: "/v1/snapshot",
        permission: Permission::Monitor,
        summary: "the retained events of the channels that ?channel= names",
        mount: |method| on(method, channels::snapshot),
    },
    Route {
        method: Method::Get,
        path: "/v1/history",
        permission: Permission::Monitor,
        summary: "a page of the past of ?channel=, or what each ?granularity= came to",
        mount: |method| on(method, history::history),
    },
    Route {
        method: Method::Get,
        path: "/v1/events",
        permission: Permission::Monitor,
        summary: "events of ?channel= as lines of JSON or as server-sent events, past and, with ?follow=1, to come",
        mount: |method| on(method, stream::events),
    },
    Route {
        method: Method::Post,
        path: "/v1/events",
        permission: Permission::Publish,
        summary: "publishes one event, an array, or one event a line, all or none",
        mount: |method| on(method, ingest::publish),
    },
    Route {
        method: Method::Post,
        path: "/v1/hooks/{emitter}",
        permission: Permission::Publish,
        summary: "takes what an agent's hook has said, without its text unless ?text=1, to agent_hooks",
        mount: |method| on(method, hooks::hook),
    },
    Route {
        method: Method::Post,
        path: "/v1/logs",
        permission: Permission::Publish,
        summary: "takes log records of OTLP/HTTP as JSON, each as an event of agent_hooks",
        mount: |method| on(method, hooks::logs),
    },
    Route {
        method: Method::Post,
        path: MCP,
        // What each tool needs stands in the table of tools.
        permission: Permission::Monitor,
        summary: "the bus as an MCP server, over Streamable HTTP",
        mount: |method| on(method, mcp::serve),
    },
    Route {
        method: Method::Get,
        path: "/v1/sources",
        permission: Permission::Monitor,
        summary: "every source with its state and counts",
        mount: |method| on(method, sources::list),
    },
    Route {
        method: Method::Post,
        path: "/v1/sources/{name}/restart",
        permission: Permission::Control,
        summary: "ends a source's instance and starts a new one",
        mount: |method| on(method, sources::restart),
    },
    Route {
        method: Method::Get,
        path: "/v1/webhooks",
        permission: Permission::Monitor,
        summary: "every webhook with its state, counts and positions",
        mount: |method| on(method, webhooks::list),
    },
    Route {
        method: Method::Post,
        path: "/v1/reload",
        permission: Permission::Admin,
        summary: "reads the config again and applies what changed; ?dry_run=true only says what would",
        mount: |method| on(method, reload::reload),
    },
];

static SOCKETS: &[Socket] = &[Socket {
    path: "/v1/stream",
    permission: Permission::Monitor,
    summary: "events as they happen, publishing and commands: the native protocol or CloudEvents over WebSocket",
    subprotocols: &[("headwater.v1", dialects::native), ("cloudevents.json", dialects::cloudevents)],
    without: dialects::native,
}];

impl Method {
    const fn filter(&self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
        }
    }

    const fn as_str(&self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// Every line of the table.
pub fn routes() -> impl Iterator<Item = RouteEntry> {
    let routes = ROUTES.iter().map(|route| RouteEntry {
        method: route.method.as_str(),
        path: route.path,
        permission: route.permission,
        summary: route.summary,
    });
    let sockets = SOCKETS.iter().map(|socket| RouteEntry {
        method: "GET",
        path: socket.path,
        permission: socket.permission,
        summary: socket.summary,
    });
    routes.chain(sockets)
}

/// The table's own copy of a path, if it has it.
pub(super) fn known(path: &str) -> Option<&'static str> {
    routes().map(|entry| entry.path).find(|known| *known == path)
}

/// The axum router: the table, what answers outside of it, and the guard before all.
pub(super) fn build(app: &Arc<App>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, (route.mount)(route.method.filter()));
    }
    for socket in SOCKETS {
        let answer = move |request: Request| ready(upgrade::answer(socket, &request));
        router = router.route(socket.path, on(MethodFilter::GET, answer));
    }
    router
        .fallback(nowhere)
        .method_not_allowed_fallback(not_so)
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .with_state(app.clone())
}

async fn nowhere(uri: Uri) -> Response {
    let similar = routes().map(|entry| entry.path).find(|path| path.trim_start_matches("/v1") == uri.path());
    let problem = match similar {
        Some(path) => Problem::new(ErrorCode::NotFound, format!("nothing is here; did you mean {path}?")),
        None => Problem::new(ErrorCode::NotFound, "nothing is here; GET /v1/info says what this daemon is"),
    };
    problem.into_response()
}

/// axum adds the `Allow` header, which names the methods that do work.
async fn not_so() -> Problem {
    Problem::new(Kind::NO_SUCH_METHOD, "the Allow header names the methods of this path")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::app::tests::app;
    use std::collections::{BTreeSet, HashSet};

    /// The paths that the axum router really has, read from its debug form, which lists them.
    fn paths_of(router: &Router) -> BTreeSet<String> {
        let text = format!("{router:?}");
        // Behind it come axum's own catch-all paths.
        let (text, _) = text.split_once("fallback_router").expect("axum has changed its debug form");
        text.split('"').filter(|piece| piece.starts_with('/')).map(str::to_owned).collect()
    }

    /// Harm prevented: a route that someone adds beside the table would pass the permission checks that hang on it.
    #[tokio::test]
    async fn the_router_has_the_paths_of_the_table_and_no_other() {
        let app = app();
        let table: BTreeSet<String> = routes().map(|entry| entry.path.to_owned()).collect();
        assert_eq!(paths_of(&build(&app)), table);
        // The test itself can fail: a path beside the table shows.
        let more = Router::<()>::new().route("/hidden", on(MethodFilter::GET, || ready("")));
        assert!(paths_of(&build(&app).merge(more)).contains("/hidden"));
    }

    #[test]
    fn no_line_stands_twice_and_each_says_what_it_does() {
        let mut seen = HashSet::new();
        for entry in routes() {
            assert!(seen.insert((entry.method, entry.path)), "{entry:?}");
            assert!(entry.path.starts_with('/') && !entry.summary.is_empty(), "{entry:?}");
            assert_eq!(entry.permission == Permission::Public, entry.path.ends_with('z'), "{entry:?}");
            assert_eq!(known(entry.path), Some(entry.path));
        }
    }
}
