use std::sync::Arc;

use rand::RngExt as _;
use redis::{Value, cmd};
use session_core::{Error, Operation, Owner, OwnerIndex, Result, SessionKey, Version, async_trait};

use crate::{
    backend::RedisBackend,
    core::{Core, late},
    errors::unexpected,
    namespace::{Namespace, parse_member},
    request::{Idempotency, Request, Route, evalsha},
    scripts::{DELETE_OWNER, LIFT_FENCE, LIST_OWNER, SWEEP},
    write::told,
};

/// How many sessions one script call ends at most, so that no call blocks the server for long.
const MOST: usize = 1_000;

/// Expired sessions stay in an index until it is read or swept. One in so many logins starts a
/// sweep of some members, so that stale members stay few.
const SWEEP_EVERY: u32 = 4;

/// The number of members that a sweep checks.
const SWEPT: usize = 8;

/// Without Cluster, an owner has one index. In Cluster, an owner has one index for each shard, so
/// that a session and its index change in one step. All shards are then asked.
#[async_trait]
impl OwnerIndex for RedisBackend {
    async fn list(&self, owner: &Owner) -> Result<Vec<SessionKey>> {
        self.0.list_owner(Operation::ListOwner, owner).await
    }

    async fn count(&self, owner: &Owner) -> Result<u64> {
        Ok(self.0.list_owner(Operation::CountOwner, owner).await?.len() as u64)
    }

    async fn delete_all(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>> {
        self.0.delete_owner(owner, except).await
    }
}

impl Core {
    /// The shards of an owner's indexes: all of them in Cluster, and otherwise `None` alone.
    fn index_shards(&self) -> Vec<Option<u8>> {
        if self.topology.is_cluster() { (0..=u8::MAX).map(Some).collect() } else { vec![None] }
    }

    /// Takes two round trips, or one if there are no sessions. The first returns the members, which
    /// the second must name.
    async fn list_owner(&self, operation: Operation, owner: &Owner) -> Result<Vec<SessionKey>> {
        let until = self.until();
        let mut shards: Vec<(Option<u8>, Vec<SessionKey>)> =
            self.index_shards().into_iter().map(|shard| (shard, Vec::new())).collect();
        let mut keys = Vec::new();
        while !shards.is_empty() {
            let requests = shards.iter().map(|(shard, members)| {
                let (namespace, owner, shard) = (self.namespace.clone(), owner.clone(), *shard);
                let members: Vec<_> = members.iter().map(|key| namespace.session(key)).collect();
                Request::movable(to(shard), &LIST_OWNER, Idempotency::Query, move |moving| {
                    let mut command = evalsha(&LIST_OWNER, 1 + members.len());
                    command.arg(namespace.owner(shard, &owner)).arg(&members);
                    command.arg(&namespace.sessions).arg(told(moving)).arg(owner.as_str());
                    command
                })
            });
            let answers = self.many(operation, requests.collect(), false, until).await;
            let mut left = Vec::new();
            for ((shard, _), answer) in shards.into_iter().zip(answers) {
                let Value::Array(members) = answer?.value else {
                    return Err(unexpected(operation, "a list"));
                };
                match &members[..] {
                    // The index has members that were not named.
                    [Value::Nil, members @ ..] => {
                        left.push((shard, members.iter().filter_map(key).collect()));
                    }
                    members => keys.extend(members.iter().filter_map(key)),
                }
            }
            if !left.is_empty() && tokio::time::Instant::now() > until {
                return Err(late(operation, false));
            }
            shards = left;
        }
        Ok(keys)
    }

    /// Ends the sessions of an owner, some at a time in each shard, until none is left.
    ///
    /// In Cluster, a rename could meanwhile move a session from a shard that is still to come into
    /// one that is done. A fence in each shard, set together with the first deletion there,
    /// prevents that: see [`AcrossShards`](crate::across_shards::AcrossShards).
    async fn delete_owner(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>> {
        let operation = Operation::DeleteOwner;
        let until = self.until();
        let spared = except.map(Namespace::member).unwrap_or_default();
        let mut shards: Vec<(Option<u8>, Vec<SessionKey>)> =
            self.index_shards().into_iter().map(|shard| (shard, Vec::new())).collect();
        let token = Version::random();
        let fence = self.topology.is_cluster().then_some((token, 2 * self.deadline));
        let mut ended = Vec::new();
        while !shards.is_empty() {
            let requests = shards.iter().map(|(shard, members)| {
                let (namespace, owner, shard) = (self.namespace.clone(), owner.clone(), *shard);
                let (spared, members) = (spared.clone(), members.clone());
                // Carried out late, a deletion could end sessions that were created since. Without
                // members to end, the script changes nothing but the fence.
                let again = if members.is_empty() { Idempotency::Query } else { Idempotency::Once };
                Request::movable(to(shard), &DELETE_OWNER, again, move |moving| {
                    let index = namespace.owner(shard, &owner).into_bytes();
                    let mut command = evalsha(&DELETE_OWNER, 2 + members.len());
                    command.arg(&index).arg(Namespace::fence(&index));
                    for member in &members {
                        command.arg(namespace.session(member));
                    }
                    command.arg(&namespace.sessions).arg(told(moving));
                    command.arg(owner.as_str()).arg(&spared).arg(MOST);
                    if let Some((token, longest)) = fence {
                        command.arg(token.as_bytes()).arg(longest.as_millis().max(1));
                    }
                    command
                })
            });
            let answers = self.many(operation, requests.collect(), false, until).await;
            let (mut left, mut failed) = (Vec::new(), None);
            for ((shard, _), answer) in shards.into_iter().zip(answers) {
                match answer.and_then(|answer| parts_of(operation, &answer.value)) {
                    Ok((rest, members, next)) => {
                        ended.extend(members);
                        if rest > 0 {
                            left.push((shard, next));
                        }
                    }
                    Err(error) => failed = Some(error),
                }
            }
            if let Some(error) = failed {
                let partly = error.is_transient() && !ended.is_empty();
                return Err(if partly {
                    Error::unavailable(operation, true)
                        .because("some of the sessions were ended")
                        .with_source(error)
                } else {
                    error
                });
            }
            shards = left;
        }
        if fence.is_some() {
            self.lift_fences(owner, token).await;
        }
        Ok(ended)
    }

    /// Removes the fences. A fence that cannot be removed expires by itself.
    async fn lift_fences(&self, owner: &Owner, token: Version) {
        let requests = self.index_shards().into_iter().map(|shard| {
            let mut command = evalsha(&LIFT_FENCE, 1);
            let index = self.namespace.owner(shard, owner).into_bytes();
            command.arg(Namespace::fence(&index)).arg(token.as_bytes());
            Request::call(to(shard), &LIFT_FENCE, Idempotency::Repeatable, command)
        });
        self.many(Operation::DeleteOwner, requests.collect(), false, self.until()).await;
    }

    /// Sweeps an index at random: removes some of the members whose records are gone.
    pub(crate) fn sweep_now_and_then(self: &Arc<Self>, key: &SessionKey, owner: &Owner) {
        if rand::rng().random_ratio(1, SWEEP_EVERY) {
            let (core, owner, shard) =
                (Arc::clone(self), owner.clone(), self.topology.index_shard(key.shard()));
            // What this sweep does not reach is swept another time.
            tokio::spawn(async move { drop(core.sweep(&owner, shard).await) });
        }
    }

    async fn sweep(&self, owner: &Owner, shard: Option<u8>) -> Result<()> {
        let operation = Operation::Write;
        let index = self.namespace.owner(shard, owner);
        let mut draw = cmd("SRANDMEMBER");
        draw.arg(&index).arg(SWEPT);
        let Value::Array(members) =
            self.one(operation, Request::question(to(shard), draw), false).await?.value
        else {
            return Err(unexpected(operation, "a list"));
        };
        let mut sweep = evalsha(&SWEEP, 1 + members.len());
        sweep.arg(index);
        for member in members.iter().filter_map(key) {
            sweep.arg(self.namespace.session(&member));
        }
        sweep.arg(&self.namespace.sessions);
        self.one(operation, Request::call(to(shard), &SWEEP, Idempotency::Repeatable, sweep), false)
            .await
            .map(drop)
    }
}

/// How many members may be left, the members that were ended, and those to name next.
fn parts_of(operation: Operation, reply: &Value) -> Result<(i64, Vec<SessionKey>, Vec<SessionKey>)> {
    let parts = if let Value::Array(parts) = reply { &parts[..] } else { &[] };
    let [Value::Int(rest), Value::Array(ended), Value::Array(next)] = parts else {
        return Err(unexpected(operation, "a number and two lists"));
    };
    Ok((*rest, ended.iter().filter_map(key).collect(), next.iter().filter_map(key).collect()))
}

fn to(shard: Option<u8>) -> Route {
    Route::Shard(shard.unwrap_or_default())
}

fn key(member: &Value) -> Option<SessionKey> {
    match member {
        Value::BulkString(member) => parse_member(member),
        _ => None,
    }
}
