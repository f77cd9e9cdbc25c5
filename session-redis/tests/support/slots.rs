//! Finds the node of a slot.

use redis::Value;
use session_servers::redis::RedisCluster;

use super::command;

/// The URL of the node that has the slot of this key.
pub(crate) async fn node_of(cluster: &RedisCluster, key: &str) -> String {
    let mut connection = command::connect(&cluster.nodes()[0].url()).await;
    let Value::Int(slot) = command::run(&mut connection, &["CLUSTER", "KEYSLOT", key]).await else {
        panic!("a slot is a number");
    };
    let Value::Array(ranges) = command::run(&mut connection, &["CLUSTER", "SLOTS"]).await else {
        panic!("slots are a list");
    };
    for range in ranges {
        let Value::Array(range) = range else { continue };
        let [Value::Int(first), Value::Int(last), Value::Array(node), ..] = &range[..] else { continue };
        if let [_, Value::Int(port), ..] = &node[..]
            && (first..=last).contains(&&slot)
        {
            return format!("redis://127.0.0.1:{port}");
        }
    }
    panic!("nobody has slot {slot}");
}
