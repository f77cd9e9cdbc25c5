//! Third-party stores, each used as documented, at the newest release that builds.
//!
//! A candidate calls the store of a library, as ours are called. A probe uses the API that the
//! library gives to a request. Saves are unconditional, because none of the libraries has
//! conditional ones.

mod actix;
mod axum_session;
mod browser;
mod ids;
mod ruts;
mod tower;

use bytes::Bytes;

use crate::{
    candidate::{Description, Kind, Result, Spec, TTL, versions},
    engine::Engine,
};
use browser::Browser;
use ids::Ids;

/// All third-party candidates.
pub fn specs() -> Vec<Spec> {
    [tower::specs(), axum_session::specs(), ruts::specs(), actix::specs()].concat()
}

/// The key of the text that is measured.
const DATA: &str = "data";

/// The key of the logged-in user.
const USER: &str = "user";

/// Describes a peer. `part` is its part of the id, and `package` the crate whose locked release is
/// measured.
fn describe(engine: Engine, part: &str, name: &str, package: &str, connections: &str) -> Description {
    Description {
        id: format!("{engine}/{part}"),
        name: name.to_owned(),
        version: versions::of(package),
        engine,
        kind: Kind::Peer,
        connections: connections.to_owned(),
        conditional: false,
    }
}

/// The payload as text: most peers keep JSON, which has no bytes.
fn text(data: &Bytes) -> Result<String> {
    Ok(std::str::from_utf8(data)?.to_owned())
}

/// A duration in whole seconds, as most peers count. At least one, so that nothing expires too
/// early.
fn seconds(ttl: std::time::Duration) -> i64 {
    i64::try_from(ttl.as_secs()).map_or(i64::MAX, |seconds| seconds.max(1))
}

/// How much longer than its TTL a session may live if a store counts in whole seconds: up to one
/// second for the rounding of the TTL, and one for that of the clock.
const WHOLE_SECONDS: std::time::Duration = std::time::Duration::from_secs(2);

/// [`TTL`] in whole seconds.
fn ttl_seconds() -> i64 {
    seconds(TTL)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::{candidate::Place, payload::Payload, probe::checks};

    fn place() -> Place {
        Place {
            engine: Engine::Memory,
            url: String::new(),
            name: "peers".to_owned(),
            durable: false,
            purges_itself: true,
        }
    }

    fn in_memory() -> Vec<Spec> {
        specs().into_iter().filter(|spec| spec.description.engine == Engine::Memory).collect()
    }

    #[test]
    fn each_has_an_id_of_its_own_and_a_release() {
        let mut ids = HashSet::new();
        for spec in specs() {
            assert_ne!(spec.description.version, "?", "{}", spec.description.id);
            assert!(ids.insert(spec.description.id.clone()), "{} is there twice", spec.description.id);
        }
    }

    #[tokio::test]
    async fn what_is_stored_is_read_until_it_is_deleted() -> Result<()> {
        let payload = Payload::of_len(300);
        for spec in in_memory() {
            let (id, candidate) = (&spec.description.id, (spec.open)(place(), 2).await?);
            candidate.fill(0..2, &payload, TTL).await?;
            candidate.update(0, Payload::of_len(200).next()).await?;
            candidate.touch(0).await?;
            assert_eq!(candidate.read(0).await?, Some(200), "{id}");
            let new = crate::candidate::NewSession::new(Payload::of_len(100).next());
            candidate.rotate(0, new).await?;
            assert_eq!(candidate.read(0).await?, Some(100), "{id}");
            candidate.delete(0).await?;
            assert_eq!(candidate.read(0).await?, None, "{id}");
            assert_eq!(candidate.read(1).await?, Some(300), "{id}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn the_checks_can_be_tried_on_each() -> Result<()> {
        for spec in in_memory() {
            let open = spec.probe.ok_or("it has a probe")?;
            let (id, probe) = (&spec.description.id, open(place()).await?);
            let seen = checks::run(id, "user", &*probe, &*probe).await;
            for finding in [&seen.keeps_both_updates, &seen.stays_logged_out, &seen.logout_reaches_others] {
                assert!(finding.holds.is_some(), "{id}: {}", finding.seen);
            }
        }
        Ok(())
    }
}
