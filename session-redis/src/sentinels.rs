use std::{fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use redis::{Value, pipe};
use tokio::time::{sleep, timeout};

use crate::{
    address::Address,
    connector::Connector,
    errors::{Refusal, refusal, sentence},
    link::Link,
};

/// The sentinels of a deployment, which report where its primary is.
#[derive(Debug)]
pub(crate) struct Sentinels {
    addresses: Vec<Address>,
    service: String,
    connector: Connector,
    /// The link to the sentinel that answered last. It is asked first.
    link: Mutex<Option<Arc<Link>>>,
}

/// How often the sentinels are asked for the primary.
const ROUND: Duration = Duration::from_millis(500);

impl Sentinels {
    pub(crate) fn new(addresses: Vec<Address>, service: String, connector: Connector) -> Self {
        Self { addresses, service, connector, link: Mutex::default() }
    }

    /// The address of the primary, from the first sentinel that answers. The error says why none
    /// reported one, and whether the cause is permanent.
    pub(crate) async fn primary(&self) -> Result<Address, (String, bool)> {
        let known = self.link.lock().clone().filter(|link| link.is_usable());
        let mut trouble = (String::new(), false);
        if let Some(link) = known {
            match self.ask(&link).await {
                Ok(address) => return Ok(address),
                Err(error) => trouble = error,
            }
            link.give_up();
        }
        for address in &self.addresses {
            let link = match Link::connect(&self.connector, address).await {
                Ok(link) => link,
                Err(error) => {
                    trouble = (format!("the sentinel {address}: {error}"), error.is_lasting());
                    continue;
                }
            };
            match self.ask(&link).await {
                Ok(primary) => {
                    *self.link.lock() = Some(Arc::new(link));
                    return Ok(primary);
                }
                Err(error) => trouble = error,
            }
        }
        Err(trouble)
    }

    async fn ask(&self, link: &Link) -> Result<Address, (String, bool)> {
        let place = &link.address;
        let mut question = pipe();
        question.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
        let reply = timeout(self.connector.timeout, link.send(&question))
            .await
            .map_err(|_| (format!("the sentinel {place} does not answer"), false))?
            .map_err(|error| (format!("the sentinel {place}: {error}"), false))?;
        match &reply[..] {
            [Value::Array(parts)] => {
                let [Value::BulkString(host), Value::BulkString(port)] = &parts[..] else {
                    return Err((format!("the sentinel {place} gave no address"), false));
                };
                let (host, port) = (String::from_utf8_lossy(host), String::from_utf8_lossy(port));
                let port = port.parse().map_err(|_| (format!("the sentinel {place} gave no port"), false))?;
                Ok(self.connector.map.reachable(host.into_owned(), port))
            }
            [Value::Nil] => {
                Err((format!("the sentinel {place} does not know a service {:?}", self.service), true))
            }
            [Value::ServerError(error)] => Err((
                format!("the sentinel {place} refuses: {}", sentence(error)),
                refusal(error) == Refusal::Final,
            )),
            _ => Err((format!("{place} is not a sentinel"), true)),
        }
    }

    /// Returns when the sentinels report that the primary is not at this address.
    pub(crate) async fn points_elsewhere(&self, than: &Address) {
        loop {
            sleep(ROUND).await;
            if self.primary().await.is_ok_and(|primary| primary != *than) {
                return;
            }
        }
    }
}

impl fmt::Display for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the primary of {:?}", self.service)
    }
}
