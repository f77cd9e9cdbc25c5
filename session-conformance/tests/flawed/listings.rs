//! Mistakes in the owner index and in maintenance.

use std::{collections::BTreeSet, time::Duration};

use session_core::{
    Cursor, Expected, Maintenance, Owner, OwnerIndex, Page, Result, SessionKey, SessionStore, async_trait,
};

use super::{
    Kind, Op,
    layer::{Flawed, gap, lock},
};

const CAP: usize = 1_000;

impl Flawed {
    fn index(&self) -> &dyn OwnerIndex {
        self.inner.owners().expect("the reference store has one")
    }

    fn upkeep(&self) -> &dyn Maintenance {
        self.inner.maintenance().expect("the reference store has it")
    }

    fn others(&self) -> Vec<std::sync::Arc<dyn SessionStore>> {
        lock(&self.shared.all).values().cloned().collect()
    }

    async fn listed(&self, op: Op, owner: &Owner) -> Result<Vec<SessionKey>> {
        let mut keys: BTreeSet<_> =
            self.guarded(op, Vec::new, self.index().list(owner)).await?.into_iter().collect();
        {
            let memory = self.shared.memory();
            keys.retain(|key| !memory.unlisted.contains(key));
            keys.extend(memory.ghosts.iter().filter(|(name, _)| name == owner.as_str()).map(|(_, key)| *key));
        }
        if self.has(Kind::CrossesNamespaces, op) {
            for store in self.others() {
                keys.extend(store.owners().expect("it has one").list(owner).await?);
            }
        }
        if self.has(Kind::ShowsExpired, op) {
            let memory = self.shared.memory();
            let theirs = memory.last.iter().filter(|(_, (record, _))| record.owner.as_ref() == Some(owner));
            keys.extend(theirs.map(|(key, _)| *key));
        }
        let mut keys: Vec<_> = keys.into_iter().collect();
        if self.has(Kind::GoesByPosition, op) {
            keys = self.by_position(owner).await?;
        }
        if self.has(Kind::IsCapped, op) {
            keys.truncate(CAP);
        }
        if self.has(Kind::Repeats, op) {
            keys.extend(keys.first().copied());
        }
        if self.has(Kind::DropsLast, op) {
            keys.pop();
        }
        Ok(keys)
    }
}

/// A record with less time left is treated as expired.
const EARLY: Duration = Duration::from_millis(250);

impl Flawed {
    /// Lists the sessions of an owner in parts. Each part begins at the position where the last one
    /// ended.
    async fn by_position(&self, owner: &Owner) -> Result<Vec<SessionKey>> {
        let mut keys = Vec::new();
        loop {
            let all = self.index().list(owner).await?;
            let some: Vec<_> = all.into_iter().skip(keys.len()).take(100).collect();
            if some.is_empty() {
                return Ok(keys);
            }
            keys.extend(some);
            gap().await;
        }
    }
}

#[async_trait]
impl OwnerIndex for Flawed {
    async fn list(&self, owner: &Owner) -> Result<Vec<SessionKey>> {
        self.listed(Op::List, owner).await
    }

    async fn count(&self, owner: &Owner) -> Result<u64> {
        let count = self.listed(Op::CountOwner, owner).await?.len() as u64;
        Ok(count + u64::from(self.has(Kind::Miscounts, Op::CountOwner) && count > 0))
    }

    async fn delete_all(&self, owner: &Owner, except: Option<&SessionKey>) -> Result<Vec<SessionKey>> {
        let op = Op::DeleteOwner;
        let needs_no_look = [Kind::SaysNotApplied, Kind::IsEmptyInOutage, Kind::IsCutOff];
        let listed = if needs_no_look.iter().any(|kind| self.in_op(*kind).is_some()) {
            Vec::new()
        } else {
            self.index().list(owner).await.unwrap_or_default()
        };
        self.begin_change(op, &listed);
        self.tell_early(op, &listed).await;
        for key in &listed {
            lock(&self.cache).remove(key);
            let record = self.remember(key).await;
            self.stay_listed(op, key, record.as_ref());
        }
        let except = if self.has(Kind::IgnoresExcept, op) { None } else { except };
        if self.has(Kind::Loses, op) {
            return Ok(listed.into_iter().filter(|key| Some(key) != except).collect());
        }
        let is_capped = self.has(Kind::IsCapped, op);
        if self.has(Kind::ChecksThenActs, op)
            || self.has(Kind::Tears, op)
            || is_capped
            || self.has(Kind::DropsLast, op)
        {
            let mut ended = Vec::new();
            gap().await;
            let most = if is_capped {
                CAP
            } else {
                listed.len() - usize::from(self.has(Kind::DropsLast, op) && !listed.is_empty())
            };
            for key in listed.iter().filter(|key| Some(*key) != except).take(most) {
                let _ = self.inner.delete(key, Expected::Any).await?;
                ended.push(*key);
            }
            return Ok(ended);
        }
        if self.has(Kind::EndsOthers, op)
            && let Some((key, _)) = self.upkeep().page(None, 1_000).await?.records.first()
        {
            let _ = self.inner.delete(key, Expected::Any).await?;
        }
        if self.has(Kind::CrossesNamespaces, op) {
            for store in self.others() {
                let _ = store.owners().expect("it has one").delete_all(owner, except).await?;
            }
        }
        let ended = self.guarded(op, Vec::new, self.index().delete_all(owner, except)).await?;
        Ok(if self.has(Kind::ReportsNothing, op) { Vec::new() } else { ended })
    }
}

#[async_trait]
impl Maintenance for Flawed {
    async fn page(&self, cursor: Option<Cursor>, limit: usize) -> Result<Page> {
        let op = Op::Page;
        let is_first = cursor.is_none();
        let cursor = match cursor {
            Some(_) if self.has(Kind::IgnoresCursor, op) => lock(&self.place).clone(),
            cursor => cursor,
        };
        let empty = || Page { records: Vec::new(), next: None };
        let mut page = self.guarded(op, empty, self.upkeep().page(cursor, limit)).await?;
        lock(&self.place).clone_from(&page.next);
        if self.has(Kind::IsEarly, op) {
            page.records.retain(|(_, record)| record.expires_in > EARLY);
        }
        for (key, record) in &mut page.records {
            if let Some(shown) = self.shown(op, key, Some(record.clone())) {
                *record = shown;
            }
        }
        if self.has(Kind::DropsLast, op) && page.next.is_some() {
            page.records.pop();
        }
        if self.has(Kind::ShowsExpired, op) && is_first {
            let memory = self.shared.memory();
            page.records.extend(memory.last.iter().map(|(key, (record, _))| (*key, record.clone())));
        }
        if self.has(Kind::IsCapped, op) {
            page.next = page.next.filter(|_| is_first);
        }
        if self.has(Kind::CrossesNamespaces, op) && is_first {
            for store in self.others() {
                page.records.extend(store.maintenance().expect("it has it").page(None, 1_000).await?.records);
            }
        }
        Ok(page)
    }

    async fn count(&self) -> Result<u64> {
        let op = Op::Count;
        if self.has(Kind::StaysStale, op)
            && let Some((count, shown @ 0..3)) = &mut *lock(&self.counted)
        {
            *shown += 1;
            return Ok(*count);
        }
        let mut count = self.guarded(op, || 0, self.upkeep().count()).await?;
        *lock(&self.counted) = Some((count, 0));
        if self.has(Kind::CrossesNamespaces, op) {
            count = 0;
            for store in self.others() {
                count += store.maintenance().expect("it has it").count().await?;
            }
        }
        if self.has(Kind::IsCapped, op) {
            count = count.min(100);
        }
        Ok(count + u64::from(self.has(Kind::Miscounts, op) && count > 0))
    }

    async fn purge_expired(&self, limit: usize) -> Result<u64> {
        let op = Op::Purge;
        let early = match () {
            () if self.has(Kind::EndsOthers, op) => Some(Duration::from_secs(100)),
            () if self.has(Kind::IsEarly, op) => Some(EARLY),
            () => None,
        };
        if let Some(early) = early {
            // A record that expires soon is treated as expired.
            for (key, record) in self.upkeep().page(None, 1_000).await?.records {
                if record.expires_in < early {
                    let _ = self.inner.delete(&key, Expected::Any).await?;
                }
            }
        }
        let limit = if self.has(Kind::IgnoresLimit, op) { usize::MAX } else { limit };
        let freed = self.guarded(op, || 0, self.upkeep().purge_expired(limit)).await?;
        Ok(match () {
            () if self.has(Kind::Miscounts, op) => freed + 1,
            () if self.has(Kind::ReportsNothing, op) => 0,
            () => freed,
        })
    }
}
