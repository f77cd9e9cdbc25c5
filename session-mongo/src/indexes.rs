use futures_util::TryStreamExt;
use mongodb::{
    Collection, IndexModel,
    bson::{Document, RawDocumentBuf, doc},
    error::Error as DriverError,
    options::IndexOptions,
};

use std::time::Duration;

/// The state of a required index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Right,
    Missing,
    Different,
}

/// The state of both indexes: the one by which the server removes expired documents, and the one of
/// owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Indexes {
    pub(crate) ttl: State,
    pub(crate) owners: State,
}

fn owned() -> Document {
    doc! { "o": { "$exists": true } }
}

/// Checks the indexes of the collection.
pub(crate) async fn look(collection: &Collection<RawDocumentBuf>) -> Result<Indexes, DriverError> {
    let indexes: Vec<IndexModel> = match collection.list_indexes().await {
        Ok(cursor) => cursor.try_collect().await?,
        // NamespaceNotFound: the collection does not exist yet.
        Err(error) if matches!(&*error.kind, mongodb::error::ErrorKind::Command(refusal) if refusal.code == 26) => {
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    let state = |field: &str, right: fn(&IndexOptions) -> bool| {
        let of_field = |index: &&IndexModel| index.keys.keys().eq([field]);
        let mut found = indexes.iter().filter(of_field).peekable();
        if found.peek().is_none() {
            return State::Missing;
        }
        let is_right = found.any(|index| index.options.as_ref().is_some_and(right));
        if is_right { State::Right } else { State::Different }
    };
    Ok(Indexes {
        ttl: state("e", |options| {
            options.expire_after == Some(Duration::ZERO) && options.partial_filter_expression.is_none()
        }),
        owners: state("o", |options| {
            options.partial_filter_expression.as_ref().is_none_or(|filter| *filter == owned())
                && options.sparse != Some(true)
        }),
    })
}

/// Creates the missing indexes.
pub(crate) async fn create(
    collection: &Collection<RawDocumentBuf>,
    missing: Indexes,
) -> Result<(), DriverError> {
    let mut models = Vec::new();
    if missing.ttl == State::Missing {
        let options = IndexOptions::builder().expire_after(Duration::ZERO).build();
        models.push(IndexModel::builder().keys(doc! { "e": 1 }).options(options).build());
    }
    if missing.owners == State::Missing {
        let options = IndexOptions::builder().partial_filter_expression(owned()).build();
        models.push(IndexModel::builder().keys(doc! { "o": 1 }).options(options).build());
    }
    if !models.is_empty() {
        collection.create_indexes(models).await?;
    }
    Ok(())
}
