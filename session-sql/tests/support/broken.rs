//! A server that is broken on purpose.

use session_conformance::{Fault, FaultControl};
use session_core::async_trait;
use session_servers::{Engine, Proxy, Server};

/// A server of its own behind a proxy.
pub(crate) struct Broken<E> {
    pub(crate) server: Server<E>,
    pub(crate) proxy: Proxy,
}

#[async_trait]
impl<E: Engine> FaultControl for Broken<E> {
    async fn inject(&self, fault: Fault) {
        match fault {
            Fault::Freeze => self.server.freeze().await.expect("frozen"),
            Fault::Kill => drop(self.server.kill().await.expect("killed")),
            Fault::LoseReplies => self.proxy.swallow_replies(true),
            other => panic!("{other:?} was not declared"),
        }
    }

    async fn heal(&self, fault: Fault) {
        match fault {
            Fault::Freeze => self.server.thaw().expect("thawed"),
            Fault::Kill => self.server.restart().await.expect("restarted"),
            _ => self.proxy.swallow_replies(false),
        }
    }
}
