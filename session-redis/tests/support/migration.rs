//! Moves slots from one node of a cluster to another like `redis-cli --cluster reshard`: a few keys
//! at a time.

use redis::{Value, aio::MultiplexedConnection};
use session_servers::redis::RedisCluster;

use super::command;

/// How much was moved.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    pub(crate) keys: usize,
}

async fn text(connection: &mut MultiplexedConnection, words: &[&str]) -> String {
    redis::from_redis_value(command::run(connection, words).await).expect("a text")
}

/// Moves the slots of this number of shards from one node to another.
pub(crate) async fn move_shards(cluster: &RedisCluster, from: usize, to: usize, shards: usize) -> Moved {
    let (source, target) = (&cluster.nodes()[from], &cluster.nodes()[to]);
    let (mut at_source, mut at_target) =
        (command::connect(&source.url()).await, command::connect(&target.url()).await);
    let source_id = text(&mut at_source, &["CLUSTER", "MYID"]).await;
    let target_id = text(&mut at_target, &["CLUSTER", "MYID"]).await;
    let port = target.port().to_string();
    let mut moved = Moved::default();
    let mut left = shards;
    for shard in 0..=u8::MAX {
        let slot = text(&mut at_source, &["CLUSTER", "KEYSLOT", &format!("{shard:02x}")]).await;
        let slot = slot.as_str();
        if left == 0 || slot.parse::<usize>().expect("a number") >= 16_384 / 3 {
            continue;
        }
        left -= 1;
        command::run(&mut at_target, &["CLUSTER", "SETSLOT", slot, "IMPORTING", &source_id]).await;
        command::run(&mut at_source, &["CLUSTER", "SETSLOT", slot, "MIGRATING", &target_id]).await;
        loop {
            let keys = command::run(&mut at_source, &["CLUSTER", "GETKEYSINSLOT", slot, "5"]).await;
            let Value::Array(keys) = keys else { panic!("keys are a list") };
            if keys.is_empty() {
                break;
            }
            let keys: Vec<String> =
                keys.into_iter().map(|key| redis::from_redis_value(key).expect("a key")).collect();
            let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            words.extend(keys.iter().map(String::as_str));
            command::run(&mut at_source, &words).await;
            moved.keys += keys.len();
            // Sessions must change while their slot is split between the nodes.
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        for connection in [&mut at_target, &mut at_source] {
            command::run(connection, &["CLUSTER", "SETSLOT", slot, "NODE", &target_id]).await;
        }
    }
    moved
}
