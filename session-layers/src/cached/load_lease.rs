use std::sync::Arc;

use session_core::{Record, Result, SessionKey};
use tokio::sync::watch;

use super::clock::Moment;
use super::{
    counters::Count,
    entry::Entry,
    flaw::Flaw,
    in_flight::{Answer, Reading},
    table::{Look, Table},
};

/// What a reader does after a miss.
pub(crate) enum Load {
    /// The cache has the answer now.
    Hit(Option<Record>),
    /// Another reader is already asking the store: wait for its answer.
    Waiter(Answer),
    /// Ask the store, and share the answer with the readers that wait.
    Leader(LoadLease, Answer),
    /// Ask the store, and cache nothing.
    Bypass,
}

/// A read of the store in flight.
///
/// All readers that share it get its answer. The answer is cached if the record cannot have changed
/// meanwhile.
pub(crate) struct LoadLease {
    table: Arc<Table>,
    key: SessionKey,
    epoch: u64,
    disturbed: u64,
    asked: Moment,
    answer: watch::Sender<Option<Result<Option<Record>>>>,
    ended: bool,
}

impl LoadLease {
    pub(crate) fn begin(table: &Arc<Table>, key: &SessionKey) -> Load {
        table.in_flight.at(key, |shard| {
            let Some(epoch) = table.epoch.current() else { return Load::Bypass };
            match table.look_again(key) {
                Look::Found(record) => return Load::Hit(Some(record)),
                Look::Unknown => return Load::Hit(None),
                Look::Bypass => return Load::Bypass,
                Look::Miss => {}
            }
            let busy = shard.entry(*key).or_default();
            if let Some(reading) = &busy.reading
                && reading.epoch == epoch
            {
                return Load::Waiter(reading.answer.clone());
            }
            let (sender, answer) = watch::channel(None);
            busy.operations += 1;
            busy.reading = Some(Reading { epoch, answer: answer.clone() });
            let fill = Self {
                table: Arc::clone(table),
                key: *key,
                epoch,
                disturbed: busy.disturbed,
                asked: table.clock.now(),
                answer: sender,
                ended: false,
            };
            Load::Leader(fill, answer)
        })
    }

    pub(crate) fn key(&self) -> SessionKey {
        self.key
    }

    /// Ends the read with the store's answer.
    pub(crate) fn end(mut self, result: Result<Option<Record>>) {
        self.ended = true;
        self.conclude(Some(&result));
        // An error means that all readers were dropped.
        let _ = self.answer.send(Some(result));
    }

    fn conclude(&self, result: Option<&Result<Option<Record>>>) {
        let (table, key) = (&*self.table, &self.key);
        table.in_flight.at(key, |shard| {
            let Some(busy) = shard.get_mut(key) else { return };
            let undisturbed = busy.disturbed == self.disturbed && table.epoch.current() == Some(self.epoch);
            let is_mine = |reading: &mut Reading| reading.answer.same_channel(&self.answer.subscribe());
            busy.reading.take_if(is_mine);
            match result {
                Some(Ok(found)) if !undisturbed && !table.has(Flaw::FillWithoutGuard) => {
                    table.counters.add(Count::DiscardedFill);
                    // The readers may see a newer record than the one that was cached, or is being
                    // read, since this read began. Later readers must not see an older one.
                    let kept = table.current(key).map(|entry| entry.version);
                    let seen = found.as_ref().map(|record| record.version);
                    if (kept.is_none() || kept != seen) && !table.has(Flaw::KeepsLessThanWasSeen) {
                        table.disturb(busy);
                        table.drop_entry(key, Count::Own);
                    }
                }
                Some(Ok(Some(record))) => {
                    busy.moved += 1;
                    table.keep(key, Entry::new(record, self.asked, table.max_staleness, self.epoch));
                }
                Some(Ok(None)) => {
                    busy.moved += 1;
                    table.keep_unknown(key, self.asked, self.epoch);
                }
                Some(Err(_)) | None => {}
            }
            busy.operations -= 1;
            if busy.operations == 0 {
                shard.remove(key);
            }
        });
    }
}

impl Drop for LoadLease {
    /// Ends without an answer if the store panics or the runtime ends. The readers that wait then
    /// ask the store themselves.
    fn drop(&mut self) {
        if !self.ended {
            self.conclude(None);
        }
    }
}
