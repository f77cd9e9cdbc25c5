//! Changes that are dropped halfway.

use std::{collections::HashMap, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};

use session_core::{SessionKey, Version};

use crate::{
    Capability, Context,
    events::hear_all,
    failure::Checked,
    model::{run::Run, table::Row},
    product::AT_ONCE,
};

/// Begins each change, drops it after some polls, and checks that each way of seeing shows the
/// record as before or as after the change.
pub(crate) async fn each_change_is_whole_or_absent(cx: &Context) -> Checked {
    let handles = cx.handles().await?;
    for polls in cx.rounds(48).for_longer() {
        let dropped = cx.effective().into_iter().enumerate().map(|(at, Row { start, before, change })| {
            let mut run = cx.run_on(handles.clone());
            let handle = (at + polls as usize) % 2;
            async move {
                let followed = async {
                    run.steps(&before).await?;
                    let mut listening = match cx.store.watch().filter(|_| cx.has(Capability::Watch)) {
                        Some(watch) => Some(watch.subscribe().await?),
                        None => None,
                    };
                    let was = expected_to_last(&run);
                    for step in &change {
                        run.drop_change(handle, &step.act, polls).await?;
                    }
                    run.look_everywhere().await?;
                    let Some(events) = &mut listening else { return Ok(()) };
                    let is = lasting(cx, &run).await?;
                    let changed = run.keys().filter(|key| was.get(key) != is.get(key));
                    hear_all(events, changed, "a change that was dropped and has taken effect").await
                };
                followed.await.map_err(|failure| failure.within(&format!("beginning with: {start}")))
            }
        });
        stream::iter(dropped).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        // The same changes of other records work as if nothing had been dropped.
        let again = cx.effective().into_iter().map(|Row { start, before, change }| {
            let mut run = cx.run_on(handles.clone());
            async move {
                let done = async {
                    run.steps(&before).await?;
                    run.steps(&change).await
                };
                done.await.map_err(|failure| {
                    failure.within(&format!("after dropped calls, beginning with: {start}"))
                })
            }
        });
        stream::iter(again).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    }
    Ok(())
}

/// A record with less time left may expire during the checks, which would look like an error.
const LASTING: Duration = Duration::from_secs(30);

/// The versions of the records that are live by the contract, and that do not expire soon.
fn expected_to_last(run: &Run) -> HashMap<SessionKey, Version> {
    let live = run.world().live.iter().filter(|(_, live)| live.ttl > LASTING);
    live.map(|(key, live)| (*key, live.version)).collect()
}

/// The versions of the live records under the keys of a run that do not expire soon.
async fn lasting(cx: &Context, run: &Run) -> Checked<HashMap<SessionKey, Version>> {
    let keys: Vec<_> = run.keys().collect();
    let mut lasting = HashMap::new();
    for (key, found) in keys.iter().zip(cx.store.read_many(&keys).await) {
        if let Some(record) = found?.filter(|record| record.expires_in > LASTING) {
            lasting.insert(*key, record.version);
        }
    }
    Ok(lasting)
}
