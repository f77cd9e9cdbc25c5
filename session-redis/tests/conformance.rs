//! The suite, on one server, bare and batched.

mod support;

use std::{process::ExitCode, sync::Arc, time::Duration};

use session_conformance::{Breakable, Fault, FaultControl, Foreign, Namespace, Suite, Target, Unavailable};
use session_core::{SessionKey, SessionStore, async_trait};
use session_redis::{BatchSettings, RedisStore, RedisStoreBuilder};
use session_servers::{Proxy, redis::RedisServer};
use support::{command, once::Once};
use tokio::runtime::Runtime;

const ALL: [Foreign; 3] = [Foreign::WrongType, Foreign::Truncated, Foreign::NewerFormat];

const DEADLINE: Duration = Duration::from_secs(1);

/// What the README promises.
const RECOVERY: Duration = Duration::from_secs(2);

type Opened = Result<Arc<dyn SessionStore>, Unavailable>;

fn settings(namespace: &Namespace, batched: bool) -> RedisStoreBuilder {
    let settings = RedisStore::builder().namespace(namespace.as_str());
    if batched { settings } else { settings.batching(BatchSettings::off()) }
}

async fn open(url: &str, settings: RedisStoreBuilder) -> Opened {
    let opened = settings.connect(url).await;
    opened.map(|store| -> Arc<dyn SessionStore> { Arc::new(store) }).map_err(Unavailable::because)
}

/// The key of a session, as the crate's documentation has it.
fn name(namespace: &Namespace, key: &SessionKey) -> String {
    let digits = key.to_string();
    format!("{namespace}:s:{{{}}}{}", &digits[..2], &digits[2..])
}

async fn plant(url: &str, namespace: &Namespace, key: SessionKey, foreign: Foreign) {
    let name = name(namespace, &key);
    let mut connection = command::connect(url).await;
    match foreign {
        Foreign::WrongType => {
            command::run(&mut connection, &["DEL", &name]).await;
            command::run(&mut connection, &["RPUSH", &name, "a", "list"]).await;
        }
        Foreign::Truncated => {
            let cut = "redis.call('SET', KEYS[1], redis.call('GETRANGE', KEYS[1], 0, 40))";
            command::run(&mut connection, &["EVAL", cut, "1", &name]).await;
        }
        _ => drop(command::run(&mut connection, &["SETRANGE", &name, "1", "\x02"]).await),
    }
}

/// A server of its own behind a proxy.
struct Broken {
    server: RedisServer,
    proxy: Proxy,
}

#[async_trait]
impl FaultControl for Broken {
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

fn one_server(name: &str, batched: bool, server: &'static Once<RedisServer>) -> Target {
    let url = || server.get().map(|server| server.url()).map_err(|missing| Unavailable::because(missing));
    let handle = move |namespace: Namespace| async move { open(&url()?, settings(&namespace, batched)).await };
    Target::new(name, handle)
        .second_handle(move |namespace, _first| handle(namespace))
        .foreign_bytes(&ALL, move |namespace, key, foreign| async move {
            plant(&url().expect("it is there"), &namespace, key, foreign).await;
        })
        .faults(&[Fault::Freeze, Fault::Kill, Fault::LoseReplies], move |namespace| async move {
            let server = RedisServer::start().await.map_err(Unavailable::because)?;
            let proxy = Proxy::start(server.addr()).await.map_err(Unavailable::because)?;
            let url = format!("redis://{}", proxy.addr());
            let store = open(&url, settings(&namespace, batched).deadline(DEADLINE)).await?;
            let control = Arc::new(Broken { server, proxy });
            Ok(Breakable { store, control, deadline: DEADLINE, recovery: RECOVERY })
        })
        .required_as("redis")
}

fn main() -> ExitCode {
    let runtime: &'static Runtime = Box::leak(Box::new(support::runtime()));
    let server: &'static Once<RedisServer> = Box::leak(Box::new(Once::new(runtime, RedisServer::start())));
    let code = Suite::new()
        .target(one_server("redis", false, server))
        .target(one_server("redis-batched", true, server))
        .main();
    server.end();
    code
}
