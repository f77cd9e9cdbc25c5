//! Runs the rows of the table on a store: brings a record into a state, changes it, and checks it
//! in every way.

use std::{collections::HashSet, sync::Arc};

use futures_util::{StreamExt, TryStreamExt, stream};
use rand::seq::{IndexedRandom, SliceRandom};
use session_core::{Maintenance, SessionStore};

use crate::{
    Context,
    failure::{Checked, Failure, ensure_eq},
    listing::{Listed, listing},
    model::{
        World,
        run::{Depth, Run},
        sight::Sight,
        step::{Act, Step},
        table::Row,
    },
};

/// How many rows run concurrently. They share the waits of a slow store.
pub(crate) const AT_ONCE: usize = 48;

/// Performs the rows, and checks each way of seeing through each handle, the listing, and the
/// counts.
pub(crate) async fn each_is_seen_everywhere(cx: &Context, rows: Vec<Row>) -> Checked {
    let handles = cx.handles().await?;
    let rows = drawn(cx.depth, rows);
    let mut runs = Vec::with_capacity(rows.len());
    for some in cx.parts(rows, AT_ONCE) {
        let done = stream::iter(some.into_iter().map(|row| follow(cx, handles.clone(), row)));
        runs.extend(done.buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?);
    }
    cx.settle().await;
    let worlds: Vec<&World> = runs.iter().map(|(_, run)| run.world()).collect();
    look_at_listings(&handles, &worlds).await?;
    if cx.store.owners().is_some() {
        for some in cx.parts(runs, AT_ONCE) {
            let ended = stream::iter(some.into_iter().map(|(row, run)| end_by_owner(row, run)));
            ended.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        }
    }
    Ok(())
}

/// Returns the rows in random order: all of them, or each change through one of the handles, whose
/// rows are adjacent.
fn drawn(depth: Depth, mut rows: Vec<Row>) -> Vec<Row> {
    let mut rng = rand::rng();
    if depth == Depth::Sample {
        rows = rows.chunks(2).filter_map(|both| both.choose(&mut rng).cloned()).collect();
    }
    rows.shuffle(&mut rng);
    rows
}

async fn follow(cx: &Context, handles: Vec<Arc<dyn SessionStore>>, row: Row) -> Checked<(Row, Run)> {
    let both = handles.len();
    let mut run = cx.run_on(handles);
    run.steps(&row.before).await.map_err(|failure| within(&row, failure))?;
    let looked = async {
        // Fills caches with the earlier state, which must not be returned later.
        for handle in 0..both {
            run.look(handle, Sight::Read).await?;
            if cx.depth == Depth::Whole {
                run.look_at_owners(handle).await?;
            }
        }
        run.steps(&row.change).await?;
        run.look_everywhere().await?;
        if cx.depth == Depth::Sample {
            return Ok(());
        }
        tokio::time::sleep(crate::context::TICK * 10).await;
        for handle in 0..both {
            run.look(handle, Sight::Read).await?;
            run.look(handle, Sight::ReadMany).await?;
        }
        Ok(())
    };
    looked.await.map_err(|failure: Failure| within(&row, failure))?;
    Ok((row, run))
}

/// Deletes the sessions of each owner that the row has had, in random order. Checks that no session
/// is missed, and that none of another owner is ended.
async fn end_by_owner(row: Row, mut run: Run) -> Checked {
    let handles = run.handles.len();
    let mut owners: Vec<usize> = run.owners.keys().copied().collect();
    owners.shuffle(&mut rand::rng());
    let ended = async {
        for owner in owners {
            let handle = rand::random_range(0..handles);
            run.step(&Step { handle, act: Act::DeleteOwner { owner, except: None } }).await?;
            run.look(rand::random_range(0..handles), Sight::Read).await?;
        }
        Ok(())
    };
    ended.await.map_err(|failure: Failure| within(&row, failure))
}

fn within(row: &Row, failure: Failure) -> Failure {
    failure.within(&format!("beginning with: {}", row.start))
}

/// Compares the whole listing, in pages of two sizes, and the count with the required records.
async fn look_at_listings(handles: &[Arc<dyn SessionStore>], worlds: &[&World]) -> Checked {
    let live: usize = worlds.iter().map(|world| world.live.len()).sum();
    for (handle, store) in handles.iter().enumerate() {
        let Some(maintenance) = store.maintenance() else { continue };
        for limit in [1_000, 100] {
            let seen = check_listing(maintenance, limit, worlds).await;
            ensure_eq!(
                seen.map_err(
                    |failure| failure.within(&format!("seen by pages of {limit} through handle {handle}"))
                )?,
                live,
                "how many live records the pages of {limit} show through handle {handle}"
            );
        }
        ensure_eq!(
            maintenance.count().await?,
            live as u64,
            "how many live records are counted through handle {handle}"
        );
    }
    Ok(())
}

/// Checks each record of the listing, and returns their number.
async fn check_listing(maintenance: &dyn Maintenance, limit: usize, worlds: &[&World]) -> Checked<usize> {
    let mut seen = HashSet::new();
    for Listed { key, record, asked } in listing(maintenance, limit).await? {
        let Some(world) = worlds.iter().find(|world| world.live.contains_key(&key)) else {
            return Err(Failure::new(format!("a page shows a record under {key:?}, where nothing is live")));
        };
        world
            .compare(&key, Some(&record), asked)
            .map_err(|differs| Failure::new(format!("a page shows under {key:?}: {differs}")))?;
        seen.insert(key);
    }
    Ok(seen.len())
}
