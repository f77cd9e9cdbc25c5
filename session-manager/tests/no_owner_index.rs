//! What an application can check and do over a store without an index of owners.

use session_manager::{
    Session, SessionError, SessionManager,
    session_core::{
        DeleteOutcome, ErrorKind, Expected, Owner, Record, Result, SessionKey, SessionStore, Ttl, When,
        Write, WriteOutcome, async_trait,
    },
};
use session_memory::MemoryStore;

/// A store with only the four required methods.
#[derive(Debug)]
struct WithoutIndex(MemoryStore);

#[async_trait]
impl SessionStore for WithoutIndex {
    async fn read(&self, key: &SessionKey) -> Result<Option<Record>> {
        self.0.read(key).await
    }

    async fn write(&self, key: &SessionKey, write: Write, when: When) -> Result<WriteOutcome> {
        self.0.write(key, write, when).await
    }

    async fn touch(&self, key: &SessionKey, ttl: Ttl) -> Result<bool> {
        self.0.touch(key, ttl).await
    }

    async fn delete(&self, key: &SessionKey, expected: Expected) -> Result<DeleteOutcome> {
        self.0.delete(key, expected).await
    }
}

fn without_index() -> WithoutIndex {
    WithoutIndex(MemoryStore::new())
}

fn alice() -> Owner {
    Owner::new("alice").expect("an owner")
}

async fn logged_in(manager: &SessionManager) -> Session {
    let session = manager.create();
    session.login(alice()).await.expect("a login needs no index");
    session
}

#[test]
fn a_manager_tells_whether_its_store_has_an_index() {
    assert!(SessionManager::new(MemoryStore::new()).can_list_owners());
    assert!(!SessionManager::new(without_index()).can_list_owners());
}

#[test]
fn a_manager_that_requires_an_index_is_not_built_without() {
    let error = SessionManager::builder(without_index()).require_owner_index().build().expect_err("no index");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("index of owners"), "{error}");
    let built = SessionManager::builder(MemoryStore::new()).require_owner_index().build();
    assert!(built.expect("it has one").can_list_owners());
}

#[tokio::test]
async fn what_goes_by_the_owner_says_that_there_is_no_index() {
    let manager = SessionManager::new(without_index());
    let session = logged_in(&manager).await;
    let errors = [
        manager.sessions_of(&alice()).await.expect_err("no index"),
        manager.logout_everywhere(&alice()).await.expect_err("no index"),
        session.logout_others().await.expect_err("no index"),
    ];
    for error in errors {
        let SessionError::Store(error) = error else { panic!("{error:?}") };
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("can_list_owners"), "it says how to know: {error}");
    }
    assert_eq!(session.owner().await.expect("it goes on"), Some(alice()));
}

#[tokio::test]
async fn a_logout_works_and_a_second_one_is_gone() {
    let manager = SessionManager::new(without_index());
    let session = logged_in(&manager).await;
    let id = session.id().expect("it is live");
    let other = manager.load(&id).await.expect("an answer").expect("it is live");
    session.logout().await.expect("a logout");
    assert!(manager.load(&id).await.expect("an answer").is_none());
    // Without an index it is unknown whether another request has rotated the session, so this is
    // not `Ok`.
    assert!(other.logout().await.expect_err("nothing was ended").is_gone());
}
