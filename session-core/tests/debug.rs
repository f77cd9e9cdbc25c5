//! The `{:?}` output of values shows neither data nor owners.

use std::{fmt::Debug, time::Duration};

use session_core::{
    Cursor, Owner, OwnerChange, Page, Record, RenameOutcome, SessionId, StoredRecord, Ttl, Version, When,
    Write, WriteItem, WriteOutcome,
};

const DATA: &str = "hunter2, secret";
const OWNER: &str = "alice@example.org";

fn owner() -> Owner {
    Owner::new(OWNER).expect("an owner")
}

fn record() -> Record {
    Record {
        data: DATA.into(),
        version: Version::random(),
        expires_in: Duration::from_secs(1),
        owner: Some(owner()),
    }
}

fn write() -> Write {
    Write::new(DATA, Ttl::MAX).owner(OwnerChange::Set(owner()))
}

/// Formats the value with `{:?}` and `{:#?}`. Checks that neither output holds a part of the data
/// or the owner, not even as numbers.
#[track_caller]
fn shown(value: &impl Debug) -> String {
    let text = format!("{value:?} {value:#?}");
    for secret in ["hunter2", "secret", "alice", "example", "104, 117", "104,\n", "0x68"] {
        assert!(!text.contains(secret), "{text}");
    }
    text
}

#[test]
fn what_holds_data_says_how_long_it_is() {
    let item = WriteItem { key: SessionId::generate().key(), write: write(), when: When::Any };
    let page = Page { records: vec![(SessionId::generate().key(), record())], next: Some(Cursor::new(DATA)) };
    let shown = [
        shown(&record()),
        shown(&write()),
        shown(&item),
        shown(&WriteOutcome::Conflict(Some(record()))),
        shown(&RenameOutcome::Conflict(Some(record()))),
        shown(&page),
        shown(&StoredRecord::new(write(), Some(owner()), 0)),
    ];
    for text in shown {
        assert!(text.contains("data: 15 bytes"), "{text}");
    }
}

#[test]
fn what_fails_in_a_test_or_a_log_shows_no_more() {
    let outcome = Err::<(), _>(WriteOutcome::Conflict(Some(record())));
    let panic = std::panic::catch_unwind(move || panic!("it was not written: {outcome:?}"));
    let panic = panic.expect_err("it panics");
    let text = panic.downcast_ref::<String>().expect("a text");
    shown(&text);
    assert!(text.contains("15 bytes"), "{text}");
}

#[test]
fn it_says_whether_there_is_an_owner() {
    assert!(shown(&record()).contains("owner: Some(Owner(..))"));
    assert!(shown(&Record { owner: None, ..record() }).contains("owner: None"));
    assert!(shown(&write()).contains("owner: Set(Owner(..))"));
    assert!(shown(&OwnerChange::Set(owner())).contains("Owner(..)"));
    assert!(shown(&Write::new(DATA, Ttl::MAX)).contains("owner: Keep"));
    assert_eq!(owner().as_str(), OWNER);
}
