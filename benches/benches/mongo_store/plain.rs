use benches::callers;
use mongodb::{
    Client, Collection,
    bson::{Binary, DateTime, Document, RawDocumentBuf, doc, spec::BinarySubtype},
    options::{Acknowledgment, CollectionOptions, WriteConcern},
};
use session_core::Version;

use crate::{
    candidate::{Candidate, Running},
    sessions::{Sessions, data, ttl},
};

/// The driver, one call at a time.
pub(crate) struct Plain {
    collection: Collection<RawDocumentBuf>,
    sessions: Sessions,
}

fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

fn content(version: Version) -> Document {
    let expires = DateTime::now().timestamp_millis() + i64::try_from(ttl().as_millis()).expect("a short ttl");
    doc! { "d": binary(&data()), "v": binary(version.as_bytes()), "e": DateTime::from_millis(expires) }
}

impl Plain {
    pub(crate) async fn open(url: &str, concern: Acknowledgment, sessions: &Sessions) -> Self {
        let client = Client::with_uri_str(url).await.expect("a client");
        let mut options = CollectionOptions::default();
        let mut write_concern = WriteConcern::default();
        write_concern.w = Some(concern);
        options.write_concern = Some(write_concern);
        let collection =
            client.database("plain").collection_with_options::<RawDocumentBuf>("sessions", options);
        let sessions = sessions.again();
        let mut documents = Vec::new();
        for (session, key) in (0..).zip(sessions.keys()) {
            let version = Version::random();
            sessions.set_version(session, version);
            let mut document = doc! { "_id": binary(key.as_bytes()) };
            document.extend(content(version));
            documents.push(document);
        }
        let with_documents = collection.clone_with_type::<Document>();
        for some in documents.chunks(1_000) {
            with_documents.insert_many(some).await.expect("they are written");
        }
        let ttl = mongodb::options::IndexOptions::builder().expire_after(std::time::Duration::ZERO).build();
        let index = mongodb::IndexModel::builder().keys(doc! { "e": 1 }).options(ttl).build();
        collection.create_index(index).await.expect("it is created");
        Self { collection, sessions }
    }
}

impl Candidate for Plain {
    fn name(&self) -> &'static str {
        "mongodb"
    }

    fn read(&self, callers: usize, operations: usize) -> Running {
        let (collection, sessions) = (self.collection.clone(), self.sessions.clone());
        Box::pin(callers::run(callers, operations, move |number| {
            let (collection, sessions) = (collection.clone(), sessions.clone());
            async move {
                let key = &sessions.keys()[sessions.at_random(number)];
                let found =
                    collection.find_one(doc! { "_id": binary(key.as_bytes()) }).await.expect("it answers");
                assert!(found.is_some());
            }
        }))
    }

    fn write(&self, callers: usize, operations: usize) -> Running {
        let (collection, sessions) = (self.collection.clone(), self.sessions.clone());
        Box::pin(callers::run(callers, operations, move |number| {
            let (collection, sessions) = (collection.clone(), sessions.clone());
            async move {
                let session = sessions.in_turn(number);
                let version = Version::random();
                let key = binary(sessions.keys()[session].as_bytes());
                let seen = binary(sessions.version(session).as_bytes());
                let filter = doc! { "_id": key, "v": seen };
                let update = doc! { "$set": content(version) };
                // It tells whether there was one, without its data.
                let done = collection.find_one_and_update(filter, update).projection(doc! { "_id": 1 });
                assert!(done.await.expect("it answers").is_some());
                sessions.set_version(session, version);
            }
        }))
    }
}
