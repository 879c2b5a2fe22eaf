//! Calls under way, as `notifications/cancelled` names them. Over HTTP a client withdraws a call by dropping its answer; those
//! of the versions with `initialize` send this notice and may leave the answer open, and a wait would go on for minutes.
//!
//! There are no sessions: who sent a notice is known by its address, where clients number their calls alike. So only a call
//! that is the only one of its name there is withdrawn, and to withdraw is no more than to let its patience end: should it be
//! another client's, whose namesake has just ended, it is told where to go on and has lost nothing but time.

use rmcp::model::RequestId;
use serde::Deserialize;
use std::{
    borrow::Cow,
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::sync::CancellationToken;

/// A notice is not longer; what is larger is not read for one.
const LONGEST_NOTICE: usize = 4 * 1024;

type Name = (IpAddr, RequestId);

/// The calls of all clients: as many as there are requests, which the connections bound.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(Arc<Mutex<HashMap<Name, Namesakes>>>);

/// Calls of the same name.
#[derive(Debug, Default)]
struct Namesakes {
    count: usize,
    /// Of all of them: it is used only where there is one.
    withdrawn: CancellationToken,
}

/// A call that is under way.
#[derive(Debug)]
pub(super) struct UnderWay {
    calls: Calls,
    name: Name,
    withdrawn: CancellationToken,
}

impl Calls {
    /// A call begins; it is under way until this is dropped.
    pub(super) fn enter(&self, address: IpAddr, id: RequestId) -> UnderWay {
        let name = (address, id);
        let mut calls = self.lock();
        let namesakes = calls.entry(name.clone()).or_default();
        if namesakes.withdrawn.is_cancelled() {
            // The one before it is on its way out.
            namesakes.withdrawn = CancellationToken::new();
        }
        namesakes.count += 1;
        UnderWay { calls: self.clone(), withdrawn: namesakes.withdrawn.clone(), name }
    }

    /// Lets the patience of this call end, if there is one and no other of its name.
    pub(crate) fn withdraw(&self, address: IpAddr, id: RequestId) {
        if let Some(Namesakes { count: 1, withdrawn }) = self.lock().get(&(address, id)) {
            withdrawn.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Namesakes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    /// Cancelled when its client no longer waits.
    pub(super) fn withdrawn(&self) -> CancellationToken {
        self.withdrawn.clone()
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut calls = self.calls.lock();
        if let Some(namesakes) = calls.get_mut(&self.name) {
            namesakes.count -= 1;
            if namesakes.count == 0 {
                calls.remove(&self.name);
            }
        }
    }
}

/// Which call a message withdraws, if it is such a notice.
pub(crate) fn withdrawn(message: &[u8]) -> Option<RequestId> {
    #[derive(Deserialize)]
    struct Notice<'a> {
        #[serde(borrow)]
        method: Cow<'a, str>,
        params: Params,
    }
    #[derive(Deserialize)]
    struct Params {
        #[serde(rename = "requestId")]
        id: RequestId,
    }
    if message.len() > LONGEST_NOTICE {
        return None;
    }
    let notice: Notice<'_> = serde_json::from_slice(message).ok()?;
    (notice.method == "notifications/cancelled").then_some(notice.params.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

    /// Harm prevented: a client withdraws the call of another one that numbers its calls alike.
    #[test]
    fn only_the_one_call_of_its_name_is_withdrawn() {
        let calls = Calls::default();
        let id = RequestId::Number(1);
        let one = calls.enter(HERE, id.clone());
        calls.withdraw(THERE, id.clone());
        calls.withdraw(HERE, RequestId::Number(2));
        calls.withdraw(HERE, RequestId::String("1".into()));
        let two = calls.enter(HERE, id.clone());
        calls.withdraw(HERE, id.clone());
        assert!(!one.withdrawn().is_cancelled() && !two.withdrawn().is_cancelled(), "whose is it?");
        drop(one);
        calls.withdraw(HERE, id.clone());
        assert!(two.withdrawn().is_cancelled());
        // The next one of this name is not withdrawn with it.
        let three = calls.enter(HERE, id.clone());
        drop(two);
        assert!(!three.withdrawn().is_cancelled());
        calls.withdraw(HERE, id);
        assert!(three.withdrawn().is_cancelled());
        drop(three);
        assert!(calls.lock().is_empty(), "who has gone leaves nothing behind");
    }

    #[test]
    fn a_notice_is_known_however_it_is_written() {
        for (message, id) in [
            (r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#, RequestId::Number(7)),
            (
                r#"{"params":{"reason":"r","requestId":"x"},"method":"notifications\/cancelled"}"#,
                RequestId::String("x".into()),
            ),
        ] {
            assert_eq!(withdrawn(message.as_bytes()), Some(id));
        }
        for message in [
            r#"{"method":"notifications/initialized"}"#,
            r#"{"method":"tools/call","params":{"requestId":7}}"#,
            r#"{"method":"notifications/cancelled","params":{}}"#,
            "",
        ] {
            assert_eq!(withdrawn(message.as_bytes()), None, "{message}");
        }
    }
}
