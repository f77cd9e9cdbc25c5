//! A launched replica set.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bson::{Bson, Document, doc};

use super::{Mongo, MongoServer, command};
use crate::LaunchError;
use crate::until::until;

/// The name of the replica set, which clients must know.
const NAME: &str = "session";

/// A launched replica set, whose members elect a primary among themselves.
#[derive(Debug)]
pub struct MongoReplicaSet {
    members: Vec<MongoServer>,
    /// The address at which members and clients reach each member: its own, or that of a proxy.
    addrs: Vec<SocketAddr>,
}

impl MongoReplicaSet {
    /// Launches one to seven members with these arguments. Returns when one of them is the primary
    /// and all others follow it.
    ///
    /// The members replace a primary that is silent for `election_timeout`.
    ///
    /// # Errors
    ///
    /// As for [`Server::launch`](crate::Server::launch), and [`Io`](LaunchError::Io) if they do not
    /// agree within a minute.
    pub async fn start(
        members: usize,
        args: &[&str],
        election_timeout: Duration,
    ) -> Result<Self, LaunchError> {
        let mut servers = Vec::new();
        for _ in 0..members {
            servers.push(Mongo::new().replica_set(NAME).args(args).start().await?);
        }
        let addrs = servers.iter().map(MongoServer::addr).collect();
        Self::initiate(servers, addrs, election_timeout).await
    }

    /// A server that can become a member: see [`initiate`](Self::initiate).
    #[must_use]
    pub fn member() -> Mongo {
        Mongo::new().replica_set(NAME)
    }

    /// Forms a replica set of servers that were started from [`member`](Self::member). Members and
    /// clients reach them at these addresses, such as those of a [`Proxy`](crate::Proxy).
    ///
    /// # Errors
    ///
    /// As for [`start`](Self::start).
    pub async fn initiate(
        members: Vec<MongoServer>,
        addrs: Vec<SocketAddr>,
        election_timeout: Duration,
    ) -> Result<Self, LaunchError> {
        let hosts = addrs.iter().zip(0_i32..).map(|(addr, id)| doc! { "_id": id, "host": addr.to_string() });
        let election_timeout = i64::try_from(election_timeout.as_millis()).unwrap_or(i64::MAX);
        let config = doc! {
            "_id": NAME,
            "members": hosts.collect::<Vec<_>>(),
            "settings": { "electionTimeoutMillis": election_timeout, "heartbeatIntervalMillis": 500 },
        };
        if let Some(first) = members.first() {
            let told = command(first.addr(), &doc! { "replSetInitiate": config }).await;
            told.map_err(LaunchError::io("initiate a replica set"))?;
        }
        let set = Self { members, addrs };
        set.wait_until_ready().await?;
        Ok(set)
    }

    /// Waits until there is a primary and all other members follow it.
    ///
    /// # Errors
    ///
    /// [`Io`](LaunchError::Io) if that takes longer than a minute.
    pub async fn wait_until_ready(&self) -> Result<(), LaunchError> {
        until("wait for the replica set", || async move {
            let Ok(primary) = self.primary().await else { return Ok(false) };
            // The member refuses this command too early after its start.
            let Ok(status) = command(primary.addr(), &doc! { "replSetGetStatus": 1 }).await else {
                return Ok(false);
            };
            let members = status.get_array("members").map_err(io::Error::other)?;
            // One primary (1), and secondaries (2).
            let ready = |member: &&Bson| {
                let state = member.as_document().and_then(|member| member.get_i32("state").ok());
                matches!(state, Some(1 | 2))
            };
            Ok(members.iter().filter(ready).count() == self.members.len())
        })
        .await
    }

    /// The members, in the order of their launch.
    #[must_use]
    pub fn members(&self) -> &[MongoServer] {
        &self.members
    }

    /// The member that reports to be the primary.
    ///
    /// # Errors
    ///
    /// [`NotFound`](io::ErrorKind::NotFound) while there is none.
    pub async fn primary(&self) -> io::Result<&MongoServer> {
        for member in &self.members {
            let Ok(Ok(hello)) = tokio::time::timeout(QUESTION, hello(member)).await else { continue };
            if hello.get_bool("isWritablePrimary").unwrap_or_default() {
                return Ok(member);
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "no member is the primary"))
    }

    /// Makes the primary step down, so that another member takes its place. Returns the old
    /// primary.
    ///
    /// # Errors
    ///
    /// `NotFound` while there is no primary, and any refusal of the primary.
    pub async fn step_down(&self) -> io::Result<&MongoServer> {
        let primary = self.primary().await?;
        command(primary.addr(), &doc! { "replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 5 }).await?;
        Ok(primary)
    }

    /// The URL for clients, which names all members.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.addrs.iter().map(ToString::to_string).collect();
        format!("mongodb://{}/?replicaSet={NAME}", hosts.join(","))
    }
}

/// The timeout of a member's answer, after which the next member is asked.
const QUESTION: Duration = Duration::from_secs(1);

async fn hello(member: &MongoServer) -> io::Result<Document> {
    command(member.addr(), &doc! { "hello": 1 }).await
}
