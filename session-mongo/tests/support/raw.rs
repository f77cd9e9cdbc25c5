//! The collection, accessed without the store.

use mongodb::{
    Client, Collection,
    bson::{Binary, Document, doc, spec::BinarySubtype},
};
use session_core::SessionKey;

pub(crate) const DATABASE: &str = "tests";

/// The collection `sessions`.
pub(crate) async fn collection(url: &str) -> Collection<Document> {
    Client::with_uri_str(url).await.expect("a client").database(DATABASE).collection("sessions")
}

pub(crate) fn id(key: &SessionKey) -> Document {
    doc! { "_id": Binary { subtype: BinarySubtype::Generic, bytes: key.as_bytes().to_vec() } }
}
