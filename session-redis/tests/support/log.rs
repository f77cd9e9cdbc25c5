//! What the store logs.

use std::{io, sync::mpsc};

use session_core::{Result, SessionStore as _};
use session_redis::{RedisStore, RedisStoreBuilder};

/// The outcome of connecting, and the messages that the store logs meanwhile.
pub(crate) async fn on_connect(url: String, builder: RedisStoreBuilder) -> (Result<()>, String) {
    let connect = move || {
        let (writer, log) = mpsc::channel();
        let writer = move || Line(writer.clone());
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connected = tracing::subscriber::with_default(subscriber, || {
            runtime.block_on(async {
                let store: RedisStore = builder.connect(&url).await?;
                store.close().await
            })
        });
        (connected, log.try_iter().collect())
    };
    tokio::task::spawn_blocking(connect).await.expect("no panic")
}

/// Collects the log messages.
struct Line(mpsc::Sender<String>);

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(String::from_utf8_lossy(bytes).into_owned()).expect("the log is read");
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
