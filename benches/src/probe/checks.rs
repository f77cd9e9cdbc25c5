//! The checks behind the *correct?* columns. Each one is written once, for all libraries.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tokio::time::{sleep, timeout};

use super::Probe;
use crate::{
    candidate::{Error, Result},
    report::{Correctness, Finding},
};

/// Maximum time until a logout must be visible elsewhere.
const REACH: Duration = Duration::from_secs(1);

/// Timeout of a check: far longer than any check takes, for a library that waits for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs all checks between two processes of an application. `name` must be new to the store.
pub async fn run(candidate: &str, name: &str, one: &dyn Probe, other: &dyn Probe) -> Correctness {
    let user = |check: &str| format!("{name}-{check}");
    Correctness {
        candidate: candidate.to_owned(),
        keeps_both_updates: found(lost_update(one, other, &user("update"))).await,
        stays_logged_out: found(revival(one, other, &user("revival"))).await,
        logout_reaches_others: found(stale_login(one, other, &user("stale"))).await,
        logs_out_everywhere: found(everywhere(one, other, &user("everywhere"))).await,
    }
}

async fn found(check: impl Future<Output = Result<Finding>>) -> Finding {
    match timeout(PATIENCE, check).await {
        Ok(Ok(finding)) => finding,
        Ok(Err(error)) => Finding { holds: None, seen: format!("could not be tried: {error}") },
        Err(_) => Finding { holds: None, seen: format!("no answer within {PATIENCE:?}") },
    }
}

fn yes(seen: impl Into<String>) -> Finding {
    Finding { holds: Some(true), seen: seen.into() }
}

fn no(seen: impl Into<String>) -> Finding {
    Finding { holds: Some(false), seen: seen.into() }
}

/// Two requests of one session load it, and each changes a different value.
async fn lost_update(one: &dyn Probe, other: &dyn Probe, user: &str) -> Result<Finding> {
    let id = one.login(user).await?;
    let (mut first, mut second) = (one.begin(&id).await?, other.begin(&id).await?);
    first.set("cart", "book").await?;
    second.set("theme", "dark").await?;
    first.save().await?;
    if let Err(error) = second.save().await {
        return Ok(no(format!("the second save was refused: {error}")));
    }
    // Read in the process that saved last. Whether other processes see it is another check.
    Ok(match (other.get(&id, "cart").await?, other.get(&id, "theme").await?) {
        (Some(cart), Some(theme)) if cart == "book" && theme == "dark" => yes("both changes are there"),
        (None, _) => no("the first change is gone"),
        (_, None) => no("the second change is gone"),
        other => no(format!("something else is there: {other:?}")),
    })
}

/// A request begins, another one logs out, and then the first one is saved: in another process, and
/// in the same one.
async fn revival(one: &dyn Probe, other: &dyn Probe, user: &str) -> Result<Finding> {
    for (slow, place) in [(other, "another process"), (one, "the same process")] {
        let id = one.login(user).await?;
        let mut request = slow.begin(&id).await?;
        request.set("draft", "half a sentence").await?;
        one.logout(&id).await?;
        // The library may refuse the save. Only the state afterwards counts.
        let saved = request.save().await;
        if one.is_logged_in(&id).await? {
            return Ok(no(format!("a save from {place} logged in again")));
        }
        let not_saved = saved.is_err() || one.get(&id, "draft").await.is_ok_and(|draft| draft.is_none());
        if !not_saved {
            return Ok(no(format!("a save from {place} brought the session back, logged out")));
        }
    }
    Ok(yes("nothing came back"))
}

/// Another process has just read the session when it is logged out.
async fn stale_login(one: &dyn Probe, other: &dyn Probe, user: &str) -> Result<Finding> {
    let id = one.login(user).await?;
    for _ in 0..3 {
        if !other.is_logged_in(&id).await? {
            return Err(Error::from("the other process does not see the login"));
        }
    }
    one.logout(&id).await?;
    Ok(match until_out(other, &id).await? {
        Some(after) if after < Duration::from_millis(1) => yes("at once"),
        Some(after) => yes(format!("after {} ms", after.as_millis())),
        None => no(format!("still logged in after {} s", REACH.as_secs())),
    })
}

/// A user has a session in each of two processes.
async fn everywhere(one: &dyn Probe, other: &dyn Probe, user: &str) -> Result<Finding> {
    let ids = [one.login(user).await?, other.login(user).await?];
    for (node, id) in [(one, &ids[0]), (other, &ids[1]), (one, &ids[1]), (other, &ids[0])] {
        if !node.is_logged_in(id).await? {
            return Err(Error::from("a login is not seen"));
        }
    }
    match one.logout_everywhere(user).await {
        None => return Ok(Finding { holds: None, seen: "there is no such call".to_owned() }),
        Some(done) => done?,
    }
    for node in [one, other] {
        for id in &ids {
            if until_out(node, id).await?.is_none() {
                return Ok(no(format!("still logged in after {} s", REACH.as_secs())));
            }
        }
    }
    Ok(yes("both sessions ended in both processes"))
}

/// The time until the session is no longer logged in; `None` if it exceeds [`REACH`].
async fn until_out(node: &dyn Probe, id: &str) -> Result<Option<Duration>> {
    let begin = Instant::now();
    loop {
        let asked = begin.elapsed();
        if !node.is_logged_in(id).await? {
            return Ok(Some(asked));
        }
        if asked > REACH {
            return Ok(None);
        }
        sleep(Duration::from_millis(1)).await;
    }
}
