use session_core::{ErrorKind, Expected, SessionKey, SessionStore, Version, When};

use crate::{
    Context, Foreign,
    case::cases,
    failure::{Checked, ensure, ensure_eq},
    steps::{create, ensure_live, write},
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

async fn plant(cx: &Context, foreign: Foreign) -> Checked<SessionKey> {
    let key = cx.key();
    create(&cx.store, &key, "a record that will be replaced behind the store's back").await?;
    cx.plant(key, foreign).await?;
    Ok(key)
}

const ALL: [Foreign; 3] = [Foreign::WrongType, Foreign::Truncated, Foreign::NewerFormat];

cases! {
    promise ForeignBytes;

    /// Foreign bytes are an error for a read, not a panic and not an empty session.
    #[needs(ForeignBytes)]
    async fn a_read_says_what_it_found(cx) {
        for foreign in ALL {
            let key = plant(&cx, foreign).await?;
            ensure_refused(&*cx.store, &key, foreign).await?;
        }
        let newer = plant(&cx, Foreign::NewerFormat).await?;
        let kind = cx.store.read(&newer).await.map_err(|error| error.kind());
        ensure_eq!(kind, Err(ErrorKind::Unsupported), "a newer format is no damage");
    }

    /// Conditional writes and renames do not overwrite foreign bytes.
    #[needs(ForeignBytes)]
    async fn conditional_writes_leave_it_alone(cx) {
        for foreign in ALL {
            let key = plant(&cx, foreign).await?;
            for when in [When::Absent, When::Version(Version::random())] {
                if let Ok(outcome) = cx.store.write(&key, write("x"), when).await {
                    ensure!(!outcome.is_written(), "{when:?} overwrote {foreign:?}");
                }
                ensure_refused(&*cx.store, &key, foreign).await?;
            }
            let old = cx.key();
            let version = create(&cx.store, &old, "mine").await?;
            if let Ok(outcome) = cx.store.rename(&old, &key, write("x"), version).await {
                ensure!(outcome != session_core::RenameOutcome::Renamed, "a rename overwrote {foreign:?}");
            }
            ensure_refused(&*cx.store, &key, foreign).await?;
        }
    }

    /// In a batch, foreign bytes are the trouble of their own item only.
    #[needs(ForeignBytes)]
    async fn the_rest_of_a_batch_is_unharmed(cx) {
        let good = cx.key();
        let version = create(&cx.store, &good, "good").await?;
        for foreign in ALL {
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

    /// Foreign bytes can be deleted, and the key is usable again.
    #[needs(ForeignBytes)]
    async fn it_can_be_deleted(cx) {
        for foreign in ALL {
            let key = plant(&cx, foreign).await?;
            let _ = cx.store.delete(&key, Expected::Any).await?;
            let version = create(&cx.store, &key, "anew").await?;
            ensure_live(&cx.store, &key, "anew", version).await?;
        }
    }
}
