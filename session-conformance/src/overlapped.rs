//! Calls that begin after a change has returned, while an earlier call of the same kind is still in
//! flight: they must see the change.

use std::{future::poll_fn, sync::Arc, task::Poll};

use futures_util::{FutureExt, future::BoxFuture};
use session_core::{
    DeleteItem, DeleteOutcome, Expected, SessionKey, SessionStore, TouchItem, Version, When, WriteOutcome,
};

use crate::{
    Context,
    assertions::{create, hour, only, write},
    failure::{Checked, ensure},
};

/// A call that shows whether a session is live.
#[derive(Clone, Copy, Debug)]
enum Asking {
    Read,
    ReadMany,
    Touch,
    TouchMany,
    Delete,
    DeleteMany,
    WriteConflict,
}

const ASKING: [Asking; 7] = [
    Asking::Read,
    Asking::ReadMany,
    Asking::Touch,
    Asking::TouchMany,
    Asking::Delete,
    Asking::DeleteMany,
    Asking::WriteConflict,
];

impl Asking {
    /// Returns true if the call finds the session live.
    async fn ask(self, store: Arc<dyn SessionStore>, key: SessionKey) -> Checked<bool> {
        let never = Expected::Version(Version::random());
        Ok(match self {
            Self::Read => store.read(&key).await?.is_some(),
            Self::ReadMany => only(store.read_many(&[key]).await)?.is_some(),
            Self::Touch => store.touch(&key, hour()).await?,
            Self::TouchMany => only(store.touch_many(&[TouchItem { key, ttl: hour() }]).await)?,
            Self::Delete => store.delete(&key, never).await? != DeleteOutcome::Absent,
            Self::DeleteMany => {
                only(store.delete_many(&[DeleteItem { key, expected: never }]).await)?
                    != DeleteOutcome::Absent
            }
            Self::WriteConflict => {
                let outcome = store.write(&key, write("never"), When::Version(Version::random())).await?;
                outcome != WriteOutcome::Conflict(None)
            }
        })
    }
}

/// Begins a call, ends the session through the other handle, and makes the same call again while
/// the first one may still be in flight.
pub(crate) async fn no_call_shares_an_older_answer(cx: &Context) -> Checked {
    let (store, rival) = (cx.store.clone(), cx.rival().await?);
    for round in cx.rounds(60) {
        for asking in ASKING {
            let key = cx.key();
            create(&store, &key, "x").await?;
            let mut first: BoxFuture<'_, _> = asking.ask(store.clone(), key).boxed();
            let mut early = None;
            for _ in 0..round % 6 {
                poll_fn(|task| {
                    if early.is_none()
                        && let Poll::Ready(done) = first.poll_unpin(task)
                    {
                        early = Some(done);
                    }
                    Poll::Ready(())
                })
                .await;
                tokio::task::yield_now().await;
            }
            let ender = if round % 2 == 0 { &store } else { &rival };
            let second = async {
                let _ = ender.delete(&key, Expected::Any).await?;
                asking.ask(store.clone(), key).await
            };
            let found = if let Some(first) = early {
                let _ = first?;
                second.await?
            } else {
                let (first, second) = tokio::join!(first, second);
                let _ = first?;
                second?
            };
            ensure!(
                !found,
                "{asking:?} found a session live that was ended before it was asked, while another one was under way"
            );
        }
    }
    Ok(())
}
