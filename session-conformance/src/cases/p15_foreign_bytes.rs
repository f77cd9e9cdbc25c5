use session_core::{
    DeleteOutcome, Error, ErrorKind, Expected, RenameOutcome, SessionKey, SessionStore, Version, When,
};

use crate::{
    Context, Foreign,
    case::cases,
    failure::{Checked, ensure, ensure_eq},
    steps::{create, ensure_live, hour, write},
};

fn refused(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupt | ErrorKind::Unsupported)
}

async fn ensure_refused(store: &dyn SessionStore, key: &SessionKey, foreign: Foreign) -> Checked {
    match store.read(key).await {
        Ok(found) => ensure!(false, "{foreign:?} was read as {found:?}"),
        Err(error) => ensure!(refused(error.kind()), "{foreign:?} must be Corrupt or Unsupported, not: {error}"),
    }
    Ok(())
}

fn ensure_refusal<T: std::fmt::Debug>(result: Result<T, Error>, foreign: Foreign, what: &str) -> Checked {
    match result {
        Ok(outcome) => ensure!(false, "{what} over {foreign:?} must be Corrupt or Unsupported, not: {outcome:?}"),
        Err(error) => ensure!(refused(error.kind()), "{what} over {foreign:?} must not be: {error}"),
    }
    Ok(())
}

async fn plant(cx: &Context, foreign: Foreign) -> Checked<SessionKey> {
    Ok(plant_over(cx, foreign).await?.0)
}

/// The version is that of the record which the foreign bytes have replaced.
async fn plant_over(cx: &Context, foreign: Foreign) -> Checked<(SessionKey, Version)> {
    let key = cx.key();
    let version = create(&cx.store, &key, "a record that will be replaced behind the store's back").await?;
    cx.plant(key, foreign).await?;
    cx.settle().await;
    Ok((key, version))
}

cases! {
    promise ForeignBytes;

    /// Foreign bytes are an error for a read, not a panic and not an empty session.
    #[needs(ForeignBytes)]
    async fn a_read_says_what_it_found(cx) {
        for foreign in cx.foreign() {
            let key = plant(&cx, foreign).await?;
            ensure_refused(&*cx.store, &key, foreign).await?;
        }
        if cx.foreign().contains(&Foreign::NewerFormat) {
            let newer = plant(&cx, Foreign::NewerFormat).await?;
            let kind = cx.store.read(&newer).await.map_err(|error| error.kind());
            ensure_eq!(kind, Err(ErrorKind::Unsupported), "a newer format is no damage");
        }
    }

    /// Conditional writes and renames do not overwrite foreign bytes.
    #[needs(ForeignBytes)]
    async fn conditional_writes_leave_it_alone(cx) {
        for foreign in cx.foreign() {
            let (key, version) = plant_over(&cx, foreign).await?;
            // A part of what was there, or a later form of it, can still show the version that somebody has read.
            for when in [When::Absent, When::Version(Version::random()), When::Version(version)] {
                ensure_refusal(cx.store.write(&key, write("x"), when).await, foreign, "a conditional write")?;
                ensure_refused(&*cx.store, &key, foreign).await?;
            }
            let old = cx.key();
            let version = create(&cx.store, &old, "mine").await?;
            match cx.store.rename(&old, &key, write("x"), version).await {
                Ok(RenameOutcome::Occupied) => {}
                other => ensure_refusal(other, foreign, "a rename to its key")?,
            }
            ensure_live(&cx.store, &old, "mine", version).await?;
            ensure_refused(&*cx.store, &key, foreign).await?;
        }
    }

    /// In a batch, foreign bytes are the trouble of their own item only.
    #[needs(ForeignBytes)]
    async fn the_rest_of_a_batch_is_unharmed(cx) {
        let good = cx.key();
        let version = create(&cx.store, &good, "good").await?;
        for foreign in cx.foreign() {
            let bad = plant(&cx, foreign).await?;
            let found = cx.store.read_many(&[good, bad, cx.key(), good]).await;
            ensure_eq!(found.len(), 4, "one result for each item");
            for (at, found) in found.into_iter().enumerate() {
                match (at, found) {
                    (1, Err(error)) => ensure!(refused(error.kind()), "{foreign:?} must be Corrupt, not: {error}"),
                    (0 | 3, Ok(Some(record))) => ensure_eq!(record.version, version, "item {at} is another record"),
                    (2, Ok(None)) => {}
                    (at, other) => ensure!(false, "item {at} beside {foreign:?}: {other:?}"),
                }
            }
        }
    }

    /// Touch, conditional delete and rename do not take foreign bytes for a session, and leave them alone.
    #[needs(ForeignBytes)]
    async fn other_changes_leave_it_alone(cx) {
        for foreign in cx.foreign() {
            let key = plant(&cx, foreign).await?;
            match cx.store.touch(&key, hour()).await {
                Ok(touched) => ensure!(!touched, "{foreign:?} was touched like a session"),
                Err(error) => ensure!(refused(error.kind()), "{foreign:?} must be Corrupt or Unsupported, not: {error}"),
            }
            match cx.store.delete(&key, Expected::Version(Version::random())).await {
                Ok(outcome) => ensure!(outcome != DeleteOutcome::Deleted, "a conditional delete removed {foreign:?}"),
                Err(error) => ensure!(refused(error.kind()), "{foreign:?} must be Corrupt or Unsupported, not: {error}"),
            }
            let renamed = cx.store.rename(&key, &cx.key(), write("x"), Version::random()).await;
            ensure_refusal(renamed, foreign, "a rename")?;
            ensure_refused(&*cx.store, &key, foreign).await?;
        }
    }

    /// Foreign bytes can be deleted, and the key is usable again.
    #[needs(ForeignBytes)]
    async fn it_can_be_deleted(cx) {
        for foreign in cx.foreign() {
            let key = plant(&cx, foreign).await?;
            let _ = cx.store.delete(&key, Expected::Any).await?;
            let version = create(&cx.store, &key, "anew").await?;
            ensure_live(&cx.store, &key, "anew", version).await?;
        }
    }
}
