use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use mongodb::{
    Client, Collection, IndexModel,
    bson::{Binary, DateTime, Document, RawDocumentBuf, doc, spec::BinarySubtype},
    options::IndexOptions,
};
use parking_lot::Mutex;

use super::Spec;
use crate::{
    candidate::{Candidate, Description, Kind, NewSession, Place, Result, TTL, Turns, versions},
    engine::{Engine, size},
    payload::Payload,
};

/// A random id and a random version.
type Slot = ([u8; 16], [u8; 16]);

/// The driver, one call at a time. Updates are conditional on the version, like those of our store.
struct Plain {
    documents: Collection<RawDocumentBuf>,
    slots: Vec<Mutex<Slot>>,
    turns: Turns,
    place: Place,
}

/// The plain driver for MongoDB.
pub(super) fn spec() -> Spec {
    Spec {
        description: Description {
            id: "mongo/plain".to_owned(),
            name: "mongodb".to_owned(),
            version: versions::of("mongodb"),
            engine: Engine::Mongo,
            kind: Kind::Plain,
            connections: "up to 64".to_owned(),
            conditional: true,
        },
        open: |place, sessions| {
            Box::pin(async move {
                let client = Client::with_uri_str(place.with_option("maxPoolSize", "64")).await?;
                let documents = client.database(&place.name).collection("sessions");
                let ttl = IndexOptions::builder().expire_after(Duration::ZERO).build();
                let index = IndexModel::builder().keys(doc! { "e": 1 }).options(ttl).build();
                documents.create_index(index).await?;
                let slots = (0..sessions).map(|_| Mutex::default()).collect();
                Ok(Arc::new(Plain { documents, slots, turns: Turns::default(), place }) as _)
            })
        },
        probe: None,
    }
}

fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

fn after(ttl: Duration) -> DateTime {
    let ttl = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
    DateTime::from_millis(DateTime::now().timestamp_millis().saturating_add(ttl))
}

fn content(version: &[u8], data: &[u8], ttl: Duration) -> Document {
    doc! { "d": binary(data), "v": binary(version), "e": after(ttl) }
}

fn document(slot: &Slot, data: &[u8], ttl: Duration) -> Result<RawDocumentBuf> {
    let mut document = doc! { "_id": binary(&slot.0) };
    document.extend(content(&slot.1, data, ttl));
    Ok(RawDocumentBuf::try_from(&document)?)
}

#[async_trait]
impl Candidate for Plain {
    async fn create(&self, session: usize, new: NewSession) -> Result<()> {
        let slot: Slot = rand::random();
        self.documents.insert_one(document(&slot, &new.data, new.ttl)?).await?;
        *self.slots[session].lock() = slot;
        Ok(())
    }

    async fn read(&self, session: usize) -> Result<Option<usize>> {
        let id = self.slots[session].lock().0;
        let filter = doc! { "_id": binary(&id), "e": { "$gt": DateTime::now() } };
        let Some(found) = self.documents.find_one(filter).await? else { return Ok(None) };
        self.slots[session].lock().1 = found.get_binary("v")?.bytes.try_into()?;
        Ok(Some(found.get_binary("d")?.bytes.len()))
    }

    async fn update(&self, session: usize, data: Bytes) -> Result<u32> {
        let mut conflicts = 0;
        let mut turn = self.turns.if_contended(session).await;
        loop {
            let (id, seen) = *self.slots[session].lock();
            let version: [u8; 16] = rand::random();
            let filter = doc! { "_id": binary(&id), "v": binary(&seen) };
            let update = doc! { "$set": content(&version, &data, TTL) };
            if self.documents.update_one(filter, update).await?.matched_count == 1 {
                self.slots[session].lock().1 = version;
                return Ok(conflicts);
            }
            conflicts += 1;
            self.turns.after_conflict(session, &mut turn).await;
            if self.read(session).await?.is_none() {
                return Err("the session is gone".into());
            }
        }
    }

    async fn touch(&self, session: usize) -> Result<()> {
        let id = self.slots[session].lock().0;
        let update = doc! { "$set": { "e": after(TTL) } };
        match self.documents.update_one(doc! { "_id": binary(&id) }, update).await?.matched_count {
            1 => Ok(()),
            _ => Err("the session is gone".into()),
        }
    }

    async fn delete(&self, session: usize) -> Result<()> {
        let id = self.slots[session].lock().0;
        match self.documents.delete_one(doc! { "_id": binary(&id) }).await?.deleted_count {
            1 => Ok(()),
            _ => Err("nothing was deleted".into()),
        }
    }

    async fn rotate(&self, session: usize, new: NewSession) -> Result<()> {
        self.delete(session).await?;
        self.create(session, new).await
    }

    async fn fill(&self, sessions: Range<usize>, payload: &Payload, ttl: Duration) -> Result<()> {
        let step = (1_000 * 1_024 / payload.len().max(1_024)).max(1);
        for begin in sessions.clone().step_by(step) {
            let mut documents = Vec::with_capacity(step);
            for session in begin..(begin + step).min(sessions.end) {
                let slot: Slot = rand::random();
                documents.push(document(&slot, &payload.next(), ttl)?);
                *self.slots[session].lock() = slot;
            }
            self.documents.insert_many(documents).ordered(false).await?;
        }
        Ok(())
    }

    async fn size(&self) -> Result<Option<u64>> {
        size::of(&self.place).await
    }
}
