//! Which store a URL opens, with which settings, and the messages of its errors.

use std::time::Duration;

use session_connect::{ConnectOptions, Engine, connect, connect_with};
use session_core::{ErrorKind, SessionId, SessionStore, Ttl, When, Write};

async fn accepts(store: &dyn SessionStore, len: usize) -> bool {
    let write = Write::new(vec![0; len], Ttl::new(Duration::from_mins(1)).expect("a minute"));
    let written = store.write(&SessionId::generate().key(), write, When::Absent).await;
    match written {
        Ok(outcome) => outcome.is_written(),
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::TooLarge { .. }), "{error}");
            false
        }
    }
}

#[tokio::test]
async fn settings_reach_the_engine_and_the_url_has_precedence() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = format!("sqlite:{}/app.db", directory.path().display());
    let options = ConnectOptions::new().max_data_len(100);
    for url in ["memory:", &file] {
        let store = connect_with(url, options.clone()).await.expect("it opens");
        assert!(accepts(&*store, 100).await, "{url}");
        assert!(!accepts(&*store, 101).await, "{url}");
    }
    let store = connect_with(&format!("{file}?max_data_len=200"), options).await.expect("it opens");
    assert!(accepts(&*store, 200).await && !accepts(&*store, 201).await);
}

#[tokio::test]
async fn namespaces_are_apart() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = format!("sqlite:{}/app.db", directory.path().display());
    let key = SessionId::generate().key();
    let write = Write::new("data", Ttl::new(Duration::from_mins(1)).expect("a minute"));
    let shop = connect_with(&file, ConnectOptions::new().namespace("shop")).await.expect("it opens");
    let blog = connect_with(&file, ConnectOptions::new().namespace("blog")).await.expect("it opens");
    assert!(shop.write(&key, write, When::Absent).await.expect("it answers").is_written());
    assert!(blog.read(&key).await.expect("it answers").is_none());
    assert!(shop.read(&key).await.expect("it answers").is_some());
}

#[test]
fn each_example_has_its_engine() {
    for engine in Engine::ALL {
        assert_eq!(Engine::of(engine.example()), Some(engine));
        for scheme in engine.schemes() {
            assert_eq!(Engine::of(&format!("{}://host", scheme.to_uppercase())), Some(engine));
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_an_error_that_lists_the_engines() {
    for url in ["", "s3cret", "s3cret:x", "s3cret://u:s3cret@host", "memory:s3cret"] {
        let error = connect(url).await.map(drop).expect_err("it is refused");
        let text = format!("{error} {error:?}");
        assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        assert!(text.contains("memory") && !text.contains("s3cret"), "{text}");
    }
    for engine in Engine::ALL.into_iter().filter(|engine| !engine.is_compiled_in()) {
        let error = connect(engine.example()).await.map(drop).expect_err("it is not there");
        let text = error.to_string();
        assert!(text.contains(&format!("feature `{}`", engine.feature())), "{text}");
        assert!(text.contains("SQLite (sqlite:app.db)"), "{text}");
    }
}
