use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use crate::{Result, SessionKey};

/// The maximum number of calls that a provided batch has in flight.
///
/// It hides the round trips of a batch of 128 behind eight, and does not exhaust the connections of
/// a pool.
const AT_ONCE: usize = 16;

/// One call of a store, as `async_trait` returns it.
type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// The provided batches of [`SessionStore`](crate::SessionStore): one call per item, and one result
/// per item, in the order of the items.
///
/// Calls for different keys run concurrently, at most [`AT_ONCE`] of them. Calls for one key run
/// one after another in the order of their items. All run inside this future: nothing is spawned,
/// and dropping the future drops the calls in flight and starts no other.
pub(crate) async fn side_by_side<'a, I, T>(
    items: &'a [I],
    key: impl Fn(&'a I) -> &'a SessionKey,
    call: impl Fn(&'a I) -> Call<'a, T> + Send,
) -> Vec<Result<T>> {
    if let [only] = items {
        return vec![call(only).await];
    }
    let Chains { mut heads, successors } = chains(items, key);
    let start = |at: usize| (at, call(&items[at]));
    let mut under_way: Vec<(usize, Call<'a, T>)> = heads.by_ref().take(AT_ONCE).map(start).collect();
    let mut done = Vec::with_capacity(items.len());
    // Each wake-up polls all calls in flight. They are few, so they need no waker of their own.
    poll_fn(|context| {
        let mut slot = 0;
        while let Some((at, current)) = under_way.get_mut(slot) {
            let Poll::Ready(result) = current.as_mut().poll(context) else {
                slot += 1;
                continue;
            };
            done.push((*at, result));
            match successors[*at].or_else(|| heads.next()) {
                Some(next) => under_way[slot] = start(next),
                None => drop(under_way.swap_remove(slot)),
            }
        }
        if under_way.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The items of a batch grouped by key, as indices into the batch.
struct Chains {
    /// The first item of each key.
    heads: std::vec::IntoIter<usize>,
    /// For each item, the next one with the same key.
    successors: Vec<Option<usize>>,
}

fn chains<'a, I>(items: &'a [I], key: impl Fn(&'a I) -> &'a SessionKey) -> Chains {
    let (mut heads, mut successors) = (Vec::with_capacity(items.len()), vec![None; items.len()]);
    let mut last_of: HashMap<&SessionKey, usize> = HashMap::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        match last_of.insert(key(item), at) {
            Some(before) => successors[before] = Some(at),
            None => heads.push(at),
        }
    }
    Chains { heads: heads.into_iter(), successors }
}
