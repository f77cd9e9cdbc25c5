use std::{collections::HashMap, time::Duration};

use session_core::SessionKey;
use tokio::time::Instant;

/// The maximum number of changed keys that are tracked one by one: some megabytes.
const MOST: usize = 65_536;

/// What a store knows of its replica. The size is bounded, whatever the replica does: keys are
/// tracked one by one only while the replica keeps up, and no more than [`MOST`] of them.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The replica shows everything that was there at this moment. `None` while it is bypassed.
    shows: Option<Instant>,
    /// When sessions were changed through this store, as long as the replica may not show it.
    changed: HashMap<SessionKey, Instant>,
    /// Any session may have been changed until this moment. This covers the changes that are not
    /// tracked one by one.
    all_changed: Option<Instant>,
}

impl State {
    /// Records that these keys are changed at some moment until `when`.
    pub(super) fn changed(
        &mut self,
        keys: impl IntoIterator<Item = SessionKey>,
        when: Instant,
        now: Instant,
        max_lag: Duration,
    ) {
        if self.shows.is_none_or(|shows| now > shows + max_lag) {
            self.bypass();
            self.all_changed = self.all_changed.max(Some(when));
            return;
        }
        self.changed.extend(keys.into_iter().map(|key| (key, when)));
        if self.changed.len() > MOST {
            self.forget_keys();
        }
    }

    /// Records that the replica shows everything that was there at `moment`. Later changes are
    /// tracked one by one, so that earlier ones do not exclude the replica for longer than they
    /// take.
    #[cfg(any(feature = "postgres", test))]
    pub(super) fn now_shows(&mut self, moment: Instant) {
        self.shows = Some(moment);
        self.changed.retain(|_, changed| *changed >= moment);
    }

    /// Stops reads from the replica until it has shown again that it works.
    pub(super) fn bypass(&mut self) {
        self.shows = None;
        self.forget_keys();
    }

    pub(super) fn may_be_asked(&self, key: &SessionKey, now: Instant, max_lag: Duration) -> bool {
        let Some(shows) = self.shows.filter(|shows| now <= *shows + max_lag) else { return false };
        self.all_changed.is_none_or(|changed| changed < shows)
            && self.changed.get(key).is_none_or(|changed| *changed < shows)
    }

    fn forget_keys(&mut self) {
        let last = self.changed.drain().map(|(_, changed)| changed).max();
        self.all_changed = self.all_changed.max(last);
        self.changed.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use session_core::SessionId;

    use super::*;

    const MAX_LAG: Duration = Duration::from_millis(500);

    fn keys(count: usize) -> Vec<SessionKey> {
        (0..count).map(|_| SessionId::generate().key()).collect()
    }

    /// Changes `count` keys, and records the begin and the end of each change.
    fn change(state: &mut State, count: usize, now: Instant) {
        for key in keys(count) {
            state.changed([key], now + Duration::from_secs(5), now, MAX_LAG);
            state.changed([key], now, now, MAX_LAG);
        }
    }

    #[test]
    fn no_key_is_kept_while_the_replica_shows_nothing() {
        let (mut state, begun) = (State::default(), Instant::now());
        change(&mut state, 1_000, begun);
        assert_eq!(state.changed.len(), 0, "it was never there");
        state.now_shows(begun);
        change(&mut state, 1_000, begun);
        assert_eq!(state.changed.len(), 1_000, "it keeps up");
        state.bypass();
        assert_eq!(state.changed.capacity(), 0, "a read failed");
        change(&mut state, 1_000, begun);
        assert_eq!(state.changed.len(), 0, "a read failed");
        state.now_shows(begun);
        change(&mut state, 1_000, begun);
        change(&mut state, 1_000, begun + 2 * MAX_LAG);
        assert_eq!(state.changed.len(), 0, "it has shown nothing for too long");
    }

    #[test]
    fn the_keys_are_bounded_while_it_keeps_up() {
        let (mut state, begun) = (State::default(), Instant::now());
        state.now_shows(begun);
        change(&mut state, MOST + 1_000, begun);
        assert!(state.changed.len() <= MOST);
        state.now_shows(begun + Duration::from_millis(1));
        assert!(!state.may_be_asked(&keys(1)[0], begun, MAX_LAG), "the change may be one of those forgotten");
    }

    #[test]
    fn no_change_that_was_forgotten_is_missed_and_the_replica_comes_back_under_load() {
        let (mut state, begun) = (State::default(), Instant::now());
        let at = |millis| begun + Duration::from_millis(millis);
        let [before, during, later] = [0, 1, 2].map(|_| SessionId::generate().key());
        state.now_shows(begun);
        state.changed([before], at(5), at(5), MAX_LAG);
        state.bypass();
        state.changed([during], at(1_010), at(10), MAX_LAG);
        state.now_shows(at(20));
        for key in [before, during, later] {
            assert!(!state.may_be_asked(&key, at(20), MAX_LAG), "any may have been changed");
        }
        // Changes continue, and only the latest are not shown yet.
        for millis in (20..1_100).step_by(10) {
            state.changed(keys(1), at(millis + 1_000), at(millis), MAX_LAG);
            state.now_shows(at(millis));
        }
        state.changed([later], at(1_100), at(1_100), MAX_LAG);
        assert!(state.may_be_asked(&before, at(1_100), MAX_LAG));
        assert!(state.may_be_asked(&during, at(1_100), MAX_LAG));
        assert!(!state.may_be_asked(&later, at(1_100), MAX_LAG));
    }
}
