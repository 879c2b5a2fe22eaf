//! One HTTP post that ends by a deadline, whatever the network does. No runtime: starting one would cost more than all
//! the rest of a hook.

use headwater_client::Endpoint;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs},
    os::fd::AsFd,
    sync::mpsc,
    time::{Duration, Instant},
};

/// Heads of answers are shorter; one without end must not be read for ever.
const LARGEST_HEAD: usize = 16 << 10;

/// What has become of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Posted {
    /// The daemon has it.
    Taken,
    /// The daemon does not want it, and will not want it later.
    Refused,
    /// The daemon does not have it: nobody listens, or it cannot take anything at the moment.
    Away,
    /// It was sent whole, and no answer came in time.
    Unknown,
}

/// Where reports go.
#[derive(Clone, Debug)]
pub(super) struct Target {
    endpoint: Endpoint,
    /// A whole header line, or nothing.
    authorization: String,
}

impl Target {
    /// `None`: the address or the token cannot be used.
    pub(super) fn new(url: &str, token: Option<&str>) -> Option<Self> {
        let endpoint = Endpoint::parse(url).ok()?;
        let authorization = match token.map(str::trim).filter(|token| !token.is_empty()) {
            // A line end in it would make other headers of it.
            Some(token) if token.chars().any(char::is_control) => return None,
            Some(token) => format!("authorization: Bearer {token}\r\n"),
            None => String::new(),
        };
        Some(Self { endpoint, authorization })
    }

    /// Posts JSON to a route.
    pub(super) fn post(&self, route: &str, body: &[u8], deadline: Instant) -> Posted {
        let Some(mut stream) = self.connect(deadline) else { return Posted::Away };
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{}connection: \
             close\r\n\r\n",
            self.endpoint.path(route),
            self.endpoint.authority(),
            body.len(),
            self.authorization,
        );
        // One piece, so that one packet carries a small report.
        let request = [head.as_bytes(), body].concat();
        if write(&mut stream, &request, deadline).is_none() {
            return Posted::Away;
        }
        // The answer is awaited: a daemon drops a request whose sender has gone before it was looked at.
        match status(&mut stream, deadline) {
            Some(200..=299) => Posted::Taken,
            // Without a token, or with an old one, it is not taken now; with the right one it will be.
            Some(401 | 403 | 429 | 503) => Posted::Away,
            Some(_) => Posted::Refused,
            None => Posted::Unknown,
        }
    }

    fn connect(&self, deadline: Instant) -> Option<TcpStream> {
        let (host, port) = self.endpoint.address();
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) if host == "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            Err(_) => resolve(host, deadline),
        };
        let connect = |address| TcpStream::connect_timeout(&SocketAddr::new(address, port), left(deadline)?).ok();
        let stream = addresses.into_iter().find_map(connect)?;
        stream.set_nonblocking(true).ok()?;
        Some(stream)
    }
}

/// Asks the system for a name, which can take as long as it likes: the answer is waited for only until the deadline. The
/// thread that asks ends with the process, which is soon.
fn resolve(host: &str, deadline: Instant) -> Vec<IpAddr> {
    let (tell, told) = mpsc::sync_channel(1);
    let name = host.to_owned();
    let asked = std::thread::Builder::new().spawn(move || {
        let addresses = (name.as_str(), 0).to_socket_addrs().into_iter().flatten();
        let _ = tell.send(addresses.map(|address| address.ip()).collect());
    });
    match (asked, left(deadline)) {
        (Ok(_), Some(left)) => told.recv_timeout(left).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// Writes all of it. A reader that takes little at a time does not move the deadline.
fn write(stream: &mut TcpStream, mut bytes: &[u8], deadline: Instant) -> Option<()> {
    while !bytes.is_empty() {
        ready(stream, PollFlags::OUT, deadline)?;
        let count = stream.write(bytes).ok().filter(|&count| count > 0)?;
        bytes = &bytes[count..];
    }
    Some(())
}

/// Reads the status of the answer: `HTTP/1.1 202`.
fn status(stream: &mut TcpStream, deadline: Instant) -> Option<u16> {
    let mut head = Vec::new();
    let mut piece = [0; 512];
    // To the end of the head: closing before it has come would look like a fault to the daemon.
    while head.len() < LARGEST_HEAD && !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        if ready(stream, PollFlags::IN, deadline).is_none() {
            break;
        }
        let Ok(count @ 1..) = stream.read(&mut piece) else { break };
        head.extend_from_slice(&piece[..count]);
    }
    std::str::from_utf8(head.get(..12)?).ok()?.strip_prefix("HTTP/1.")?.get(2..)?.parse().ok()
}

/// Waits until something can be read or written; `None` when the time is up. Timeouts of sockets are too coarse: the system
/// rounds them up by as much as 10 ms.
pub(super) fn ready(descriptor: &impl AsFd, flags: PollFlags, deadline: Instant) -> Option<()> {
    let left = Timespec::try_from(left(deadline)?).ok()?;
    let found = poll(&mut [PollFd::new(descriptor, flags)], Some(&left)).ok()?;
    (found > 0).then_some(())
}

/// The time left; `None` when there is none.
pub(super) fn left(deadline: Instant) -> Option<Duration> {
    // Below a millisecond nothing can be done, and zero would mean that there is no limit.
    deadline.checked_duration_since(Instant::now()).filter(|left| *left >= Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn post_to(answer: Option<&str>) -> (Posted, String) {
        let answer = answer.map(str::to_owned);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/bus", listener.local_addr().unwrap());
        let target = Target::new(&url, Some("secret")).unwrap();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            while !request.ends_with("{}") {
                let mut buffer = [0; 512];
                let count = stream.read(&mut buffer).unwrap();
                request.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
            }
            if let Some(answer) = answer {
                stream.write_all(answer.as_bytes()).unwrap();
            } else {
                // Nothing is said until the other side has gone.
                let _ = stream.read(&mut [0; 1]);
            }
            request
        });
        let posted = target.post("/v1/hooks/claude", b"{}", Instant::now() + Duration::from_millis(200));
        (posted, served.join().unwrap())
    }

    #[test]
    fn the_status_says_what_has_become_of_it() {
        let (posted, request) = post_to(Some("HTTP/1.1 202 Accepted\r\n\r\n"));
        assert_eq!(posted, Posted::Taken);
        assert!(request.starts_with("POST /bus/v1/hooks/claude HTTP/1.1\r\nhost: 127.0.0.1:"), "{request}");
        assert!(request.contains("\r\nauthorization: Bearer secret\r\n") && request.ends_with("\r\n\r\n{}"));
        assert_eq!(post_to(Some("HTTP/1.1 404 Not Found\r\n\r\n")).0, Posted::Refused);
        for later in ["401 Unauthorized", "403 Forbidden", "429 Too Many Requests", "503 Service Unavailable"] {
            assert_eq!(post_to(Some(&format!("HTTP/1.1 {later}\r\n\r\n"))).0, Posted::Away, "{later}");
        }
        assert_eq!(post_to(Some("SSH-2.0-OpenSSH_9.2\r\n")).0, Posted::Unknown);
        assert_eq!(post_to(None).0, Posted::Unknown);
    }

    #[test]
    fn nobody_there_is_known_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        for host in ["127.0.0.1", "localhost", "[::1]"] {
            let target = Target::new(&format!("http://{host}:{port}"), None).unwrap();
            let begun = Instant::now();
            assert_eq!(target.post("/", b"{}", begun + Duration::from_mins(1)), Posted::Away, "{host}");
            assert!(begun.elapsed() < Duration::from_secs(30), "{host}");
        }
        assert!(Target::new("https://box", None).is_none());
        assert!(Target::new("http://box", Some("a\r\nx: y")).is_none());
    }

    #[test]
    fn a_deadline_that_has_passed_costs_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::new(&listener.local_addr().unwrap().to_string(), None).unwrap();
        assert_eq!(target.post("/", b"{}", Instant::now()), Posted::Away);
        // A name that nobody can resolve in time, or at all.
        let target = Target::new("http://no-such-host.invalid", None).unwrap();
        assert_eq!(target.post("/", b"{}", Instant::now() + Duration::from_millis(5)), Posted::Away);
    }
}
