//! An endpoint: takes what is posted to it, or answers as a test has written down.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet, time::timeout};

/// Longer than anything here takes, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What is answered to a post.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A status, with a header.
    Status(u16, Option<(&'static str, &'static str)>),
    /// Nothing, ever.
    Silence,
    /// A head, and a body that never ends.
    Endless,
    /// A head, and a body of which nothing comes.
    Unfinished,
}

/// A post as it came in.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) raw: Bytes,
    pub(crate) body: Value,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// The event's number: the tests count in its data.
    pub(crate) fn n(&self) -> u64 {
        self.body["data"]["n"].as_u64().unwrap_or_else(|| panic!("{}", self.body))
    }
}

/// The endpoint. Ends when it is dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    posts: mpsc::UnboundedReceiver<Received>,
    script: Arc<Mutex<VecDeque<Answer>>>,
    accepted: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, posts) = mpsc::unbounded_channel();
        let script: Arc<Mutex<VecDeque<Answer>>> = Arc::default();
        let (accepted, mut tasks) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        tasks.spawn(serve(listener, sender, script.clone(), accepted.clone()));
        Self { address, posts, script, accepted, _tasks: tasks }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections there have been.
    pub(crate) fn connections(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// What the next posts are answered; those after them are taken.
    pub(crate) fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.script.lock().unwrap().extend(answers);
    }

    /// The next post.
    pub(crate) async fn next(&mut self) -> Received {
        timeout(PATIENCE, self.posts.recv()).await.expect("a post comes").unwrap()
    }

    /// The numbers of the next posts.
    pub(crate) async fn numbers(&mut self, count: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        for _ in 0..count {
            numbers.push(self.next().await.n());
        }
        numbers
    }

    /// Posts that have come and were not looked at.
    pub(crate) fn waiting(&mut self) -> usize {
        std::iter::from_fn(|| self.posts.try_recv().ok()).count()
    }
}

async fn serve(
    listener: TcpListener,
    posts: mpsc::UnboundedSender<Received>,
    script: Arc<Mutex<VecDeque<Answer>>>,
    accepted: Arc<AtomicUsize>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::Relaxed);
        let (posts, script) = (posts.clone(), script.clone());
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, posts.clone(), script.clone()));
            // A client that goes away is none of a test's business.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Body = http_body_util::Either<Full<Bytes>, Endless>;

async fn answer(
    request: Request<Incoming>,
    posts: mpsc::UnboundedSender<Received>,
    script: Arc<Mutex<VecDeque<Answer>>>,
) -> Result<Response<Body>, Infallible> {
    assert_eq!(request.method(), "POST");
    let (head, body) = request.into_parts();
    let raw = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&raw).unwrap();
    let answer = script.lock().unwrap().pop_front().unwrap_or(Answer::Status(204, None));
    let _ = posts.send(Received { path: head.uri.to_string(), headers: head.headers, raw, body });
    let (status, header) = match answer {
        Answer::Status(status, header) => (status, header),
        Answer::Silence => std::future::pending().await,
        Answer::Endless => return Ok(Response::new(Body::Right(Endless::Bytes))),
        Answer::Unfinished => return Ok(Response::new(Body::Right(Endless::Silence))),
    };
    let mut response = Response::builder().status(status);
    if let Some((name, value)) = header {
        response = response.header(name, value);
    }
    Ok(response.body(Body::Left(Full::default())).unwrap())
}

/// What has no end.
pub(crate) enum Endless {
    Bytes,
    Silence,
}

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        match *self {
            Self::Bytes => {
                std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(Bytes::from_static(&[b'x'; 1024])))))
            }
            Self::Silence => std::task::Poll::Pending,
        }
    }
}
