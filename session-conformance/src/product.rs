//! The rows of the table, on a store: a record is brought into a state, changed, and looked at in every way.

use std::{collections::HashSet, sync::Arc};

use futures_util::{StreamExt, TryStreamExt, stream};
use rand::seq::{IndexedRandom, SliceRandom};
use session_core::{Maintenance, SessionStore};

use crate::{
    Context,
    failure::{Checked, Failure, ensure_eq},
    listing::{Listed, listing},
    model::{World, run::Depth, sight::Sight, table::Row},
};

/// How many rows are under way at once, so that a slow store waits for all of them together.
pub(crate) const AT_ONCE: usize = 48;

/// Does what the rows say, and checks what each way of seeing shows through each handle, and what the listing and the counts show.
pub(crate) async fn each_is_seen_everywhere(cx: &Context, rows: Vec<Row>) -> Checked {
    let handles = cx.handles().await?;
    let rows = drawn(cx.depth, rows);
    let mut worlds = Vec::with_capacity(rows.len());
    for some in cx.parts(rows, AT_ONCE) {
        let done = stream::iter(some.into_iter().map(|row| follow(cx, handles.clone(), row)));
        worlds.extend(done.buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?);
    }
    cx.settle().await;
    look_at_listings(&handles, &worlds).await?;
    Ok(())
}

/// The rows in an order of their own in each run: all of them, or each change through one of the handles, whose rows stand side by side.
fn drawn(depth: Depth, mut rows: Vec<Row>) -> Vec<Row> {
    let mut rng = rand::rng();
    if depth == Depth::Sample {
        rows = rows.chunks(2).filter_map(|both| both.choose(&mut rng).cloned()).collect();
    }
    rows.shuffle(&mut rng);
    rows
}

async fn follow(cx: &Context, handles: Vec<Arc<dyn SessionStore>>, row: Row) -> Checked<World> {
    let both = handles.len();
    let mut run = cx.run_on(handles);
    run.steps(&row.before).await.map_err(|failure| within(&row, failure))?;
    let looked = async {
        // What is cached here must not be what is shown later.
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
    Ok(run.world().clone())
}

fn within(row: &Row, failure: Failure) -> Failure {
    failure.within(&format!("beginning with: {}", row.start))
}

/// Compares the whole listing, in pages of two sizes, and the count with what must be live.
async fn look_at_listings(handles: &[Arc<dyn SessionStore>], worlds: &[World]) -> Checked {
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

/// Checks each record of the listing, and returns how many there are.
async fn check_listing(maintenance: &dyn Maintenance, limit: usize, worlds: &[World]) -> Checked<usize> {
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
