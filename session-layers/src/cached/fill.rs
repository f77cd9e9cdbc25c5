use std::sync::Arc;

use session_core::{Record, Result, SessionKey};
use tokio::sync::watch;

use super::{
    counters::Count,
    entry::Entry,
    flaw::Flaw,
    l1::{L1, Look},
    under_way::{Answer, Reading},
};
use super::clock::Moment;

/// What one who found nothing in the cache does.
pub(crate) enum Turn {
    /// It is there now.
    Done(Option<Record>),
    /// Somebody asks the store already: wait for the same answer.
    Follow(Answer),
    /// Ask the store, and let the others know.
    Lead(Fill, Answer),
    /// Ask the store, and keep nothing.
    Bypass,
}

/// A reading of the store that is under way, whose answer goes to all who share it and, if nothing has come in between, into the cache.
pub(crate) struct Fill {
    l1: Arc<L1>,
    key: SessionKey,
    epoch: u64,
    disturbed: u64,
    asked: Moment,
    answer: watch::Sender<Option<Result<Option<Record>>>>,
    ended: bool,
}

impl Fill {
    pub(crate) fn begin(l1: &Arc<L1>, key: &SessionKey) -> Turn {
        l1.under_way.at(key, |shard| {
            let Some(epoch) = l1.gate.epoch() else { return Turn::Bypass };
            match l1.look_again(key) {
                Look::Found(record) => return Turn::Done(Some(record)),
                Look::Unknown => return Turn::Done(None),
                Look::Bypass => return Turn::Bypass,
                Look::Miss => {}
            }
            let busy = shard.entry(*key).or_default();
            if let Some(reading) = &busy.reading
                && reading.epoch == epoch
            {
                return Turn::Follow(reading.answer.clone());
            }
            let (sender, answer) = watch::channel(None);
            busy.operations += 1;
            busy.reading = Some(Reading { epoch, answer: answer.clone() });
            let fill = Self {
                l1: Arc::clone(l1),
                key: *key,
                epoch,
                disturbed: busy.disturbed,
                asked: l1.clock.now(),
                answer: sender,
                ended: false,
            };
            Turn::Lead(fill, answer)
        })
    }

    pub(crate) fn key(&self) -> SessionKey {
        self.key
    }

    /// What the store has said.
    pub(crate) fn end(mut self, result: Result<Option<Record>>) {
        self.ended = true;
        self.conclude(Some(&result));
        // All of them may have gone away.
        let _ = self.answer.send(Some(result));
    }

    fn conclude(&self, result: Option<&Result<Option<Record>>>) {
        let (l1, key) = (&*self.l1, &self.key);
        l1.under_way.at(key, |shard| {
            let Some(busy) = shard.get_mut(key) else { return };
            let undisturbed = busy.disturbed == self.disturbed && l1.gate.epoch() == Some(self.epoch);
            let is_mine = |reading: &mut Reading| reading.answer.same_channel(&self.answer.subscribe());
            busy.reading.take_if(is_mine);
            match result {
                Some(Ok(found)) if !undisturbed && !l1.has(Flaw::FillWithoutGuard) => {
                    l1.counters.add(Count::DiscardedFill);
                    // What somebody is about to see may be newer than what was put in, or is being read, since this began; and nobody who comes after
                    // them may see less.
                    let kept = l1.current(key).map(|entry| entry.version);
                    let seen = found.as_ref().map(|record| record.version);
                    if (kept.is_none() || kept != seen) && !l1.has(Flaw::KeepsLessThanWasSeen) {
                        l1.disturb(busy);
                        l1.drop_entry(key, Count::Own);
                    }
                }
                Some(Ok(Some(record))) => {
                    busy.moved += 1;
                    l1.keep(key, Entry::new(record, self.asked, l1.max_staleness, self.epoch));
                }
                Some(Ok(None)) => {
                    busy.moved += 1;
                    l1.keep_unknown(key, self.asked, self.epoch);
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

impl Drop for Fill {
    /// Without an answer, if the store panics or the runtime ends: those who wait ask for themselves.
    fn drop(&mut self) {
        if !self.ended {
            self.conclude(None);
        }
    }
}
