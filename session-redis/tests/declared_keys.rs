//! Scripts touch only the keys that their calls declare. Servers and proxies that place keys by
//! themselves refuse any other key.

mod support;

use std::{collections::HashSet, net::SocketAddr, process::ExitCode, time::Duration};

use session_core::{
    DeleteItem, Expected, Owner, OwnerChange, SessionId, SessionStore, TouchItem, Ttl, When, Write, WriteItem,
};
use session_redis::{BatchSettings, RedisStore};
use session_servers::redis::{RedisCluster, RedisServer};
use support::{
    command,
    harness::{self, cases},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

const END: &str = "this is the end";

/// Records all commands of a server and of its scripts, until the command that ends the test.
async fn listen(server: SocketAddr) -> JoinHandle<Vec<String>> {
    let mut stream = BufReader::new(TcpStream::connect(server).await.expect("a connection"));
    stream.write_all(b"MONITOR\r\n").await.expect("sent");
    let mut lines = stream.lines();
    assert_eq!(lines.next_line().await.expect("a line").as_deref(), Some("+OK"));
    tokio::spawn(async move {
        let mut heard = Vec::new();
        while let Some(line) = lines.next_line().await.expect("a line") {
            if line.contains(END) {
                break;
            }
            heard.push(line);
        }
        heard
    })
}

/// The words of a command, as `MONITOR` quotes them.
fn words(line: &str) -> Vec<&str> {
    line.split("] ").nth(1).unwrap_or_default().trim_matches('"').split("\" \"").collect()
}

/// Checks each script's commands against the keys of its call. Returns the names of those commands.
fn check(heard: &[String]) -> HashSet<String> {
    let (mut declared, mut commands) = (HashSet::new(), HashSet::new());
    for line in heard {
        let words = words(line);
        if line.contains(" lua] ") {
            commands.insert(words[0].to_owned());
            for word in words.iter().filter(|word| word.starts_with("web:")) {
                assert!(declared.contains(*word), "{word} was not declared, in {line}");
            }
        } else if words[0] == "EVALSHA" {
            let keys = words[2].parse().expect("a number");
            declared = words[3..].iter().take(keys).map(|key| (*key).to_owned()).collect();
        }
    }
    commands
}

fn owned(owner: &str) -> Write {
    Write::new("x", Ttl::MAX).owner(OwnerChange::Set(Owner::new(owner).expect("an owner")))
}

/// Runs all operations that use a script, alone and in batches, on sessions whose owners this store
/// has seen and on others.
async fn everything(one: &RedisStore, other: &RedisStore) {
    let alice = Owner::new("alice").expect("an owner");
    let owners = |store: &RedisStore| {
        let store = store.clone();
        let alice = alice.clone();
        async move { store.owners().expect("it has them").list(&alice).await.expect("a list").len() }
    };
    let mut ids = Vec::new();
    for _ in 0..12 {
        let id = SessionId::generate();
        let write = owned("alice");
        let version = write.version;
        assert!(one.write(&id.key(), write, When::Absent).await.expect("a write").is_written());
        ids.push((id, version));
    }
    assert_eq!((owners(one).await, owners(other).await), (12, 12));
    for ((id, version), store) in ids.iter_mut().zip([one, other].into_iter().cycle()) {
        assert!(store.touch(&id.key(), Ttl::MAX).await.expect("a touch"));
        let write = Write::new("y", Ttl::MAX);
        let next = write.version;
        assert!(store.write(&id.key(), write, When::Version(*version)).await.expect("a write").is_written());
        *version = next;
    }
    // In batches, by a store that has not seen the owners of some sessions.
    let keys: Vec<_> = ids.iter().map(|(id, _)| id.key()).collect();
    let third = other;
    for ttl in [Duration::from_mins(1), Duration::from_hours(1)] {
        let ttl = Ttl::new(ttl).expect("a ttl");
        let touches: Vec<_> = keys.iter().map(|key| TouchItem { key: *key, ttl }).collect();
        assert!(third.touch_many(&touches).await.into_iter().all(|done| done.expect("a touch")));
        let writes =
            keys.iter().map(|key| WriteItem { key: *key, write: Write::new("z", ttl), when: When::Any });
        for outcome in third.write_many(&writes.collect::<Vec<_>>()).await {
            assert!(outcome.expect("a write").is_written());
        }
    }
    assert_eq!(owners(one).await, 12);
    // A change to another owner and to none; renames within a shard and across shards.
    for (at, key) in keys.iter().take(4).enumerate() {
        let write =
            if at % 2 == 0 { owned("bob") } else { Write { owner: OwnerChange::Clear, ..owned("bob") } };
        assert!(one.write(key, write, When::Any).await.expect("a write").is_written());
    }
    assert_eq!(owners(other).await, 8);
    for (at, (id, _)) in ids.iter().enumerate().skip(4).take(4) {
        let seen = one.read(&id.key()).await.expect("a read").expect("it is live");
        let new = if at % 2 == 0 { id.rotate().key() } else { SessionId::generate().key() };
        let write = if at % 2 == 0 { Write::new("r", Ttl::MAX) } else { owned("alice") };
        let renamed = other.rename(&id.key(), &new, write, seen.version).await.expect("a rename");
        assert_eq!(renamed, session_core::RenameOutcome::Renamed);
    }
    assert_eq!(owners(one).await, 8);
    let items = |keys: &[_]| -> Vec<_> {
        keys.iter().map(|key| DeleteItem { key: *key, expected: Expected::Any }).collect()
    };
    for (store, keys) in [(one, &keys[8..9]), (other, &keys[9..])] {
        for done in store.delete_many(&items(keys)).await {
            assert_eq!(done.expect("a delete"), session_core::DeleteOutcome::Deleted);
        }
    }
    let ended =
        one.owners().expect("it has them").delete_all(&alice, Some(&keys[0])).await.expect("a deletion");
    assert_eq!((ended.len(), owners(other).await), (4, 0));
}

async fn open(url: &str) -> RedisStore {
    let builder = RedisStore::builder().namespace("web").batching(BatchSettings::disabled());
    builder.connect(url).await.expect("a store")
}

async fn commands_of(servers: &[&RedisServer], url: &str) -> HashSet<String> {
    let mut listeners = Vec::new();
    for server in servers {
        listeners.push(listen(server.addr()).await);
    }
    everything(&open(url).await, &open(url).await).await;
    let mut commands = HashSet::new();
    for (server, listener) in servers.iter().zip(listeners) {
        command::run(&mut command::connect(&server.url()).await, &["ECHO", END]).await;
        let heard = timeout(Duration::from_secs(20), listener).await.expect("the end is heard");
        commands.extend(check(&heard.expect("no panic")));
    }
    commands
}

async fn on_one_server() {
    let server = RedisServer::start().await.expect("a server");
    let commands = commands_of(&[&server], &server.url()).await;
    for command in ["SET", "SADD", "SREM", "UNLINK", "SMEMBERS", "SRANDMEMBER", "PEXPIREAT"] {
        assert!(commands.contains(command), "no script has used {command}: {commands:?}");
    }
}

async fn in_a_cluster() {
    let cluster = RedisCluster::builder().without_replicas().start().await.expect("a cluster");
    let servers: Vec<_> = cluster.nodes().iter().collect();
    let commands = commands_of(&servers, &cluster.url()).await;
    for command in ["SET", "SADD", "SREM", "UNLINK", "EXISTS", "PEXPIRE"] {
        assert!(commands.contains(command), "no script has used {command}: {commands:?}");
    }
}

/// Expired sessions do not stay in the index of an owner that is never listed.
async fn indexes_do_not_grow_with_sessions_that_expired() {
    let server = RedisServer::start().await.expect("a server");
    let store = RedisStore::builder().namespace("web").connect(&server.url()).await.expect("a store");
    let mut connection = command::connect(&server.url()).await;
    let brief = Ttl::new(Duration::from_millis(20)).expect("a ttl");
    let long = SessionId::generate().key();
    assert!(store.write(&long, owned("alice"), When::Absent).await.expect("a write").is_written());
    for _ in 0..400 {
        let write = Write { ttl: brief, ..owned("alice") };
        assert!(
            store
                .write(&SessionId::generate().key(), write, When::Absent)
                .await
                .expect("a write")
                .is_written()
        );
    }
    let begun = std::time::Instant::now();
    loop {
        let size = command::run(&mut connection, &["SCARD", "web:@alice"]).await;
        let redis::Value::Int(size) = size else { panic!("{size:?} is no number") };
        if size < 100 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "there are {size} members");
        // With the minimum TTL, few sessions are live at once, however fast the machine is.
        let write = Write { ttl: Ttl::MIN, ..owned("alice") };
        assert!(
            store
                .write(&SessionId::generate().key(), write, When::Absent)
                .await
                .expect("a write")
                .is_written()
        );
    }
}

fn main() -> ExitCode {
    harness::main(cases![on_one_server, in_a_cluster, indexes_do_not_grow_with_sessions_that_expired])
}
