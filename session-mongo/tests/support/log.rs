//! What the store logs.

use std::{future::Future, io, sync::mpsc};

/// The outcome, and the messages that the driving thread logs meanwhile.
pub(crate) async fn logged<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> (T, String) {
    let run = move || {
        let (writer, log) = mpsc::channel();
        let writer = move || Line(writer.clone());
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let outcome = tracing::subscriber::with_default(subscriber, || runtime.block_on(work));
        (outcome, log.try_iter().collect())
    };
    tokio::task::spawn_blocking(run).await.expect("no panic")
}

/// Collects the log messages.
struct Line(mpsc::Sender<String>);

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Messages after the end of the test are ignored.
        let _ = self.0.send(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
