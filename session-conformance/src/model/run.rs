use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use session_core::{
    DeleteOutcome, Error, Operation, Owner, Record, SessionId, SessionKey, SessionStore, Version, When,
};
use tokio::time::sleep;

use super::{
    Answer, By, Item, World,
    item::carry_out,
    step::{Act, BRIEF, Step},
    world::{Asked, Live, Span, agrees, agrees_after_a_retry},
};
use crate::{
    context::TICK,
    failure::{Checked, Failure},
    race::poll_then_drop,
};

/// How thoroughly the state of a store is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// In every way and through every handle, if calls are very cheap.
    Whole,
    /// In a few random ways, if calls go over a network. Over the many rows of a table, the
    /// coverage is the same in the end.
    Sample,
}

/// The bits of `made` for the order of two concurrent changes. Fewer changes than this have unknown
/// outcomes.
const ORDERS: u64 = 1 << 62;

/// A character of four bytes.
const WIDE: &str = "\u{1f980}";

/// The store's answers to some changes.
type Answers = Vec<Result<Answer<Record>, Error>>;

/// Steps on a store, with their own keys and owners, and the state that the contract requires.
pub(crate) struct Run {
    pub(crate) handles: Vec<Arc<dyn SessionStore>>,
    pub(super) staleness: Duration,
    id: SessionId,
    pub(super) keys: BTreeMap<usize, SessionKey>,
    pub(crate) owners: BTreeMap<usize, Owner>,
    /// The possible states. More than one only after changes of unknown outcome.
    pub(super) worlds: Vec<World>,
    /// Whether a change may fail as `Unavailable`.
    is_breaking: bool,
    /// Whether a fault was ever expected. The store may then need some time to recover.
    pub(super) has_met_faults: bool,
    pub(super) looking_since: Instant,
    /// The number of changes of unknown outcome.
    unclear: u32,
    pub(super) depth: Depth,
    /// The last version under each key that is no longer live.
    pub(super) past: BTreeMap<SessionKey, Version>,
    /// The handle of the last change of each key since the last wait for the declared staleness.
    pub(super) changed: BTreeMap<SessionKey, usize>,
    pub(super) slowest: Duration,
    /// The changes, in the order in which they were sent.
    sent: Vec<(Vec<Item>, By)>,
    pub(super) done: Vec<String>,
}

impl Run {
    pub(crate) fn new(handles: Vec<Arc<dyn SessionStore>>, staleness: Duration, depth: Depth) -> Self {
        Self {
            handles,
            staleness,
            id: SessionId::generate(),
            keys: BTreeMap::new(),
            owners: BTreeMap::new(),
            worlds: vec![World { is_cached: !staleness.is_zero(), ..World::default() }],
            is_breaking: false,
            has_met_faults: false,
            looking_since: Instant::now(),
            unclear: 0,
            depth,
            past: BTreeMap::new(),
            changed: BTreeMap::new(),
            slowest: Duration::ZERO,
            sent: Vec::new(),
            done: Vec::new(),
        }
    }

    /// The required state, if it is certain.
    pub(crate) fn world(&self) -> &World {
        &self.worlds[0]
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = SessionKey> {
        self.keys.values().copied()
    }

    /// The key with this number. Keys with even numbers are in one shard, as rotation draws them.
    pub(crate) fn key(&mut self, number: usize) -> SessionKey {
        let id = &self.id;
        *self.keys.entry(number).or_insert_with(|| {
            if number.is_multiple_of(2) { id.rotate().key() } else { SessionId::generate().key() }
        })
    }

    /// The owner with this number. Owners with odd numbers have texts of about the maximum length.
    pub(crate) fn owner(&mut self, number: usize) -> Owner {
        let id = &self.id;
        let owner = self.owners.entry(number);
        owner
            .or_insert_with(|| {
                let mut text = format!("{number} of {}", id.key());
                while number % 2 == 1 && text.len() + WIDE.len() <= Owner::MAX_LEN {
                    text.push_str(WIDE);
                }
                crate::assertions::owner(&text)
            })
            .clone()
    }

    /// Sets whether a change may fail as `Unavailable`. What the store reports of it must still be
    /// true.
    pub(crate) fn expect_faults(&mut self, expected: bool) {
        self.is_breaking = expected;
        self.has_met_faults |= expected;
    }

    pub(crate) async fn steps(&mut self, steps: &[Step]) -> Checked {
        for step in steps {
            self.step(step).await?;
        }
        Ok(())
    }

    pub(crate) async fn step(&mut self, Step { handle, act }: &Step) -> Checked {
        let (items, by) = match act {
            Act::Wait => return self.wait().await,
            Act::Purge => {
                if let Some(maintenance) = self.handle(*handle).maintenance() {
                    self.done.push(format!("purge, through handle {handle}"));
                    maintenance.purge_expired(1_000).await.map_err(|error| self.failed("a purge", &error))?;
                }
                return Ok(());
            }
            Act::Again => self.sent(1),
            Act::Earlier => self.sent(2),
            Act::AnotherWay { ago, names_itself } => self.another_way(*ago, *names_itself),
            act => self.plan(act),
        };
        self.change(*handle, items, by).await?;
        // A record with the shortest ttl can expire at any time from now on.
        let is_brief = |live: &Live| live.ttl <= Duration::from_millis(BRIEF);
        if self.world().live.values().any(is_brief) { self.wait().await } else { Ok(()) }
    }

    /// Returns true if the last change was a rename.
    pub(crate) fn has_renamed(&self) -> bool {
        self.sent
            .last()
            .is_some_and(|(items, _)| items.iter().any(|item| matches!(item, Item::Rename { .. })))
    }

    /// The change that was sent `ago` changes ago.
    fn sent(&self, ago: usize) -> (Vec<Item>, By) {
        self.sent.iter().nth_back(ago - 1).cloned().unwrap_or((Vec::new(), By::Single))
    }

    fn another_way(&self, ago: usize, names_itself: bool) -> (Vec<Item>, By) {
        let (mut items, by) = self.sent(ago);
        for item in &mut items {
            if let Item::Write(item) = item
                && names_itself
            {
                item.when = When::Version(item.write.version);
            }
        }
        let by = match by {
            By::Single => By::Batch,
            By::Batch => By::Single,
        };
        (items, by)
    }

    pub(super) fn handle(&self, number: usize) -> Arc<dyn SessionStore> {
        Arc::clone(&self.handles[number % self.handles.len()])
    }

    /// A span that ends now, of a change through one handle.
    fn span(&self, began: Instant, handle: usize) -> Span {
        Span { began, ended: Instant::now(), through: Some(handle % self.handles.len()) }
    }

    async fn wait(&mut self) -> Checked {
        self.done.push("wait for the end of the shortest ttl".to_owned());
        sleep(Duration::from_millis(BRIEF) + TICK).await;
        for world in &mut self.worlds {
            world.live.retain(|key, live| {
                let stays = live.ttl > Duration::from_millis(BRIEF);
                if !stays {
                    self.past.insert(*key, live.version);
                }
                stays
            });
        }
        Ok(())
    }

    /// Sends changes through a handle, and checks the store's answer to each.
    pub(crate) async fn change(&mut self, handle: usize, items: Vec<Item>, by: By) -> Checked {
        if items.iter().any(|item| matches!(item, Item::DeleteOwner { .. }))
            && self.handle(handle).owners().is_none()
        {
            return Ok(());
        }
        let batched = if by == By::Batch { ", in a batch" } else { "" };
        for item in &items {
            self.done.push(format!("{item}{batched}, through handle {handle}"));
        }
        let began = Instant::now();
        let answers = carry_out(&*self.handle(handle), &items, by).await;
        let since = self.span(began, handle);
        if answers.len() != items.len() {
            return Err(self.broken(format!("{} results for {} items", answers.len(), items.len())));
        }
        self.slowest = self.slowest.max(since.ended - began);
        for (item, answer) in items.iter().zip(answers) {
            self.settle(item, &answer, since)?;
            self.note_changed(item, handle);
        }
        self.sent.push((items, by));
        Ok(())
    }

    /// Begins a change, and drops it after this many polls.
    pub(crate) async fn drop_change(&mut self, handle: usize, act: &Act, polls: u32) -> Checked {
        let (items, by) = self.plan(act);
        self.is_breaking = true;
        for item in &items {
            self.done.push(format!("{item}, through handle {handle}, dropped after {polls} polls"));
        }
        let began = Instant::now();
        let store = self.handle(handle);
        let answers = poll_then_drop(polls, carry_out(&*store, &items, by)).await;
        // It is only known that the change has begun.
        let unknown = || Err(Error::unavailable(Operation::Write, true));
        let answers = answers.unwrap_or_else(|| items.iter().map(|_| unknown()).collect());
        let since = self.span(began, handle);
        for (item, answer) in items.iter().zip(answers) {
            self.settle(item, &answer, since)?;
            self.note_changed(item, handle);
        }
        // A request that was sent before the drop takes effect during this wait or never.
        sleep(self.slowest * 4 + TICK * 5).await;
        Ok(())
    }

    fn note_changed(&mut self, item: &Item, handle: usize) {
        for key in keys_of(item, &self.keys) {
            self.changed.insert(key, handle);
        }
    }

    /// Records two concurrent changes, through the first handle and through the last one. Either of
    /// them may have come first.
    pub(crate) fn settle_race(&mut self, changes: &[(&[Item], Answers); 2], began: Instant) -> Checked {
        let since = Span { began, ended: Instant::now(), through: None };
        self.slowest = self.slowest.max(since.ended - began);
        for (at, (items, answers)) in changes.iter().enumerate() {
            for (item, answer) in items.iter().zip(answers) {
                let said = answer.as_ref().map_err(|error| self.failed(&item.to_string(), error))?;
                self.done.push(format!(
                    "{item}, at once with the other, through handle {}: {said:?}",
                    at * (self.handles.len() - 1)
                ));
                self.note_changed(item, usize::MAX);
            }
        }
        let mut next = Vec::new();
        for (at, order) in [[0, 1], [1, 0]].into_iter().enumerate() {
            let mut after = self.worlds[0].clone();
            // An observation that shows one order refutes the other permanently.
            after.made |= ORDERS << at;
            let explained = order.iter().all(|at| {
                let (items, answers) = &changes[*at];
                items.len() == answers.len()
                    && items.iter().zip(answers).all(|(item, answer)| {
                        let must = after.apply(item, since);
                        let asked = Asked { at: began, slack: self.slowest };
                        answer.as_ref().is_ok_and(|answer| agrees(&must, answer, asked).is_ok())
                    })
            });
            if explained {
                next.push(after);
            }
        }
        if next.is_empty() {
            return Err(self.broken("neither of the two came first".to_owned()));
        }
        self.worlds = next;
        Ok(())
    }

    /// Records the answer to a change.
    fn settle(&mut self, item: &Item, answer: &Result<Answer<Record>, Error>, since: Span) -> Checked {
        let asked = Asked { at: since.began, slack: self.slowest };
        let mut next = Vec::new();
        let mut differs = None;
        for world in &self.worlds {
            match answer {
                // A record under the new key of a rename of unknown outcome may be deleted. If none
                // is there, it may still appear.
                Ok(answer) if world.knows_nothing_of(item) => {
                    let mut after = world.clone();
                    after.apply(item, since);
                    if matches!(answer, Answer::Deleted(DeleteOutcome::Deleted)) {
                        after.unknown.retain(|key| !keys_of(item, &self.keys).contains(key));
                    }
                    next.push(after);
                }
                Ok(answer) => {
                    let mut after = world.clone();
                    let must = after.apply(item, since);
                    match agrees(&must, answer, asked) {
                        Ok(()) => next.push(after),
                        Err(_) if self.is_breaking && agrees_after_a_retry(&must, answer) => next.push(after),
                        Err(_) if self.is_breaking && matches!(answer, Answer::RenameConflict(None)) => {
                            next.extend(world.without_the_renamed(item));
                        }
                        Err(why) => differs = differs.or(Some(why)),
                    }
                }
                Err(error) if self.is_breaking && error.is_transient() => {
                    next.extend(world.outcomes(item, since, error.may_have_applied(), self.unclear));
                }
                Err(error) => return Err(self.failed(&item.to_string(), error)),
            }
        }
        self.unclear += u32::from(answer.is_err());
        if let Err(error) = answer {
            let how = if error.may_have_applied() {
                "which may have been applied"
            } else {
                "and nothing was changed"
            };
            self.done.push(format!("  which failed: {error}, {how}"));
        }
        if next.is_empty() {
            return Err(self.broken(differs.unwrap_or_default()));
        }
        for (key, live) in &self.worlds[0].live {
            if next[0].live.get(key).is_none_or(|after| after.version != live.version) {
                self.past.insert(*key, live.version);
            }
        }
        self.worlds = next;
        Ok(())
    }

    fn failed(&self, what: &str, error: &Error) -> Failure {
        self.broken(format!("{what}: it should have succeeded and failed: {error}"))
    }

    /// Creates a failure that lists all earlier steps.
    pub(crate) fn broken(&self, what: String) -> Failure {
        let mut text = what;
        if !self.done.is_empty() {
            text.push_str("\n    after:");
        }
        for done in &self.done {
            let _ = write!(text, "\n      {done}");
        }
        Failure::new(text)
    }
}

/// The keys that a change may have changed.
fn keys_of(item: &Item, known: &BTreeMap<usize, SessionKey>) -> Vec<SessionKey> {
    match item {
        Item::Write(item) => vec![item.key],
        Item::Touch(item) => vec![item.key],
        Item::Delete(item) => vec![item.key],
        Item::Rename { old, new, .. } => vec![*old, *new],
        Item::DeleteOwner { .. } => known.values().copied().collect(),
    }
}
