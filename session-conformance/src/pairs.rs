//! Any two concurrent changes of one session: one of them comes first.

use std::{sync::Arc, time::Instant};

use futures_util::future::try_join_all;
use rand::seq::SliceRandom;
use session_core::{OwnerChange, SessionStore};

use crate::{
    Context,
    failure::Checked,
    model::{
        By, Item, carry_out,
        run::Run,
        step::{Act, Step},
        table::{KEY, NEW, Row},
    },
    race::race,
};

/// Races each pair of changes of a live session, through both handles. Checks that one of the two
/// orders explains both answers and the state afterwards.
pub(crate) async fn each_pair_takes_turns(cx: &Context) -> Checked {
    let handles = cx.handles().await?;
    let rows: Vec<Row> = cx.effective().into_iter().filter(|row| !row.before.is_empty()).collect();
    let mut pairs: Vec<_> = rows.iter().flat_map(|a| rows.iter().map(move |b| (a, b))).collect();
    pairs.extend(pairs.clone());
    // A random order, so that a slow store does not get the same few pairs in each run.
    pairs.shuffle(&mut rand::rng());
    // If each race is followed by a wait for fresh reads, many races share that wait.
    let at_once = if cx.staleness().is_zero() { 1 } else { 32 };
    let rounds = cx.rounds(u32::try_from(pairs.len() / at_once).unwrap_or(u32::MAX));
    for (round, some) in rounds.zip(pairs.chunks(at_once).cycle()) {
        let races = some
            .iter()
            .enumerate()
            .map(|(at, (a, b))| one_race(cx, &handles, round + u32::try_from(at).unwrap_or_default(), a, b));
        try_join_all(races).await?;
    }
    Ok(())
}

async fn one_race(cx: &Context, handles: &[Arc<dyn SessionStore>], round: u32, a: &Row, b: &Row) -> Checked {
    let mut run = cx.run_on(handles.to_vec());
    run.key(KEY);
    run.steps(&a.before).await?;
    // The two renames get different new keys, because a new key is drawn at random.
    let [a, b] = [(a, 0), (b, 2 * NEW)].map(|(row, apart)| plan(&mut run, &row.change, apart));
    if (ends_all(&a.0) && changes_hands(&b.0)) || (ends_all(&b.0) && changes_hands(&a.0)) {
        // A session that moves or changes its owner concurrently may end anyway. Promise 8 has a
        // case.
        return Ok(());
    }
    let (first, second) = (handles[0].clone(), handles[handles.len() - 1].clone());
    let (for_a, for_b) = (a.clone(), b.clone());
    let sent = Instant::now();
    let (from_a, from_b) =
        race(round, async move { carry_out(&*first, &for_a.0, for_a.1).await }, async move {
            carry_out(&*second, &for_b.0, for_b.1).await
        })
        .await?;
    run.settle_race(&[(&a.0, from_a), (&b.0, from_b)], sent)?;
    run.look_everywhere().await
}

fn plan(run: &mut Run, change: &[Step], apart: usize) -> (Vec<Item>, By) {
    let mut planned = (Vec::new(), By::Single);
    for step in change {
        let mut act = step.act.clone();
        if let Act::Rename { new, .. } = &mut act {
            *new += apart;
        }
        planned = run.plan(&act);
    }
    planned
}

fn ends_all(items: &[Item]) -> bool {
    items.iter().any(|item| matches!(item, Item::DeleteOwner { .. }))
}

fn changes_hands(items: &[Item]) -> bool {
    items.iter().any(|item| match item {
        Item::Rename { .. } => true,
        Item::Write(item) => item.write.owner != OwnerChange::Keep,
        _ => false,
    })
}
