use redis::{Cmd, Value};
use session_core::{Operation, Owner, OwnerIndex, Result, SessionKey, Version, async_trait};

use crate::{
    core::Core,
    direct::Direct,
    errors::unexpected,
    namespace::{Namespace, parse_member},
    request::{Again, Moving, Request, To, evalsha},
    scripts::{DELETE_OWNER, LIFT_FENCE, LIST_OWNER, Script},
    write::told,
};

/// How many sessions one call of a script ends, so that none keeps the server from others for long.
const MOST: usize = 1_000;

/// Without Cluster, an owner has one index. In Cluster it has one for each shard, so that a session and its index are changed in one step, and
/// all shards are asked.
#[async_trait]
impl OwnerIndex for Direct {
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
    /// The shards whose indexes an owner has: in Cluster all of them.
    fn index_shards(&self) -> Vec<Option<u8>> {
        if self.topology.is_cluster() { (0..=u8::MAX).map(Some).collect() } else { vec![None] }
    }

    async fn list_owner(&self, operation: Operation, owner: &Owner) -> Result<Vec<SessionKey>> {
        let shards = self.index_shards();
        let requests = shards.iter().map(|shard| {
            let (namespace, owner, shard) = (self.namespace.clone(), owner.clone(), *shard);
            Request::movable(to(shard), &LIST_OWNER, Again::Question, move |moving| {
                let mut command = calling(&LIST_OWNER, &namespace, &owner, shard, moving);
                command.arg(owner.as_str());
                command
            })
        });
        let mut keys = Vec::new();
        for answer in self.many(operation, requests.collect(), false, self.until()).await {
            let Value::Array(members) = answer?.value else { return Err(unexpected(operation, "a list")) };
            keys.extend(members.iter().filter_map(key));
        }
        Ok(keys)
    }

    /// Ends the sessions of an owner, some at a time in each shard, until none is left there.
    ///
    /// In Cluster, a session could be renamed meanwhile from a shard still to come into one that was done. A fence in each shard, put up
    /// together with the first deletion there, keeps it from that: see [`AcrossShards`](crate::across_shards::AcrossShards).
    async fn delete_owner(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>> {
        let operation = Operation::DeleteOwner;
        let until = self.until();
        let spared = except.map(Namespace::member).unwrap_or_default();
        let mut shards = self.index_shards();
        let token = Version::random();
        let fence = self.topology.is_cluster().then_some((token, 2 * self.deadline));
        let mut ended = Vec::new();
        while !shards.is_empty() {
            let requests = shards.iter().map(|shard| {
                let (namespace, owner, shard) = (self.namespace.clone(), owner.clone(), *shard);
                let spared = spared.clone();
                // Carried out late, it could end what was created since.
                Request::movable(to(shard), &DELETE_OWNER, Again::Never, move |moving| {
                    let mut command = calling(&DELETE_OWNER, &namespace, &owner, shard, moving);
                    command.arg(owner.as_str()).arg(&spared).arg(MOST);
                    if let Some((token, longest)) = fence {
                        command.arg(token.as_bytes()).arg(longest.as_millis().max(1));
                    }
                    command
                })
            });
            let answers = self.many(operation, requests.collect(), false, until).await;
            let mut left = Vec::new();
            for (shard, answer) in shards.into_iter().zip(answers) {
                let Value::Array(parts) = answer?.value else { return Err(unexpected(operation, "a list")) };
                let [Value::Int(rest), members @ ..] = &parts[..] else {
                    return Err(unexpected(operation, "a number and a list"));
                };
                ended.extend(members.iter().filter_map(key));
                if *rest > 0 {
                    left.push(shard);
                }
            }
            shards = left;
        }
        if fence.is_some() {
            self.lift_fences(owner, token).await;
        }
        Ok(ended)
    }

    /// A fence that cannot be lifted falls by itself.
    async fn lift_fences(&self, owner: &Owner, token: Version) {
        let requests = self.index_shards().into_iter().map(|shard| {
            let mut command = evalsha(&LIFT_FENCE, 1);
            command.arg(self.namespace.owner(shard, owner)).arg(token.as_bytes());
            Request::call(to(shard), &LIFT_FENCE, Again::Change, command)
        });
        self.many(Operation::DeleteOwner, requests.collect(), false, self.until()).await;
    }
}

fn to(shard: Option<u8>) -> To {
    To::Shard(shard.unwrap_or_default())
}

fn calling(script: &Script, namespace: &Namespace, owner: &Owner, shard: Option<u8>, moving: &Moving) -> Cmd {
    let mut command = evalsha(script, 1);
    command.arg(namespace.owner(shard, owner)).arg(&namespace.sessions).arg(told(moving));
    command
}

fn key(member: &Value) -> Option<SessionKey> {
    match member {
        Value::BulkString(member) => parse_member(member),
        _ => None,
    }
}
