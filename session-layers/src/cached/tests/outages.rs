//! The log and the statistics while the cache is bypassed.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use parking_lot::Mutex;
use session_core::Event;
use tracing::subscriber::{DefaultGuard, set_default};

use super::{
    super::Cached,
    lab::{Lab, lab, settings},
};

/// The log of this thread while the guard lives.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin() -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        (log, set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }

    /// The numbers of warnings and of other log lines about the cache.
    fn counts(&self) -> (usize, usize) {
        let text = self.text();
        (text.matches("the cache is bypassed").count(), text.matches("the cache is used again").count())
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn until_bypassed(cached: &Cached<Lab>, because: &str) {
    while !cached.stats().outage.is_some_and(|reason| reason.contains(because)) {
        tokio::task::yield_now().await;
    }
    assert!(!cached.stats().is_ready);
}

#[tokio::test]
async fn a_refused_watch_is_logged_once_and_its_end_once() {
    let (log, _guard) = Log::begin();
    let (cached, lab) = lab(settings(None)).await;
    assert_eq!((log.counts(), cached.stats().outage), ((0, 0), None), "all is well");
    lab.state.refuses.store(true, Ordering::SeqCst);
    lab.say(None).await;
    until_bypassed(&cached, "ended").await;
    until_bypassed(&cached, "the watch is not permitted").await;
    assert_eq!(log.counts(), (1, 0), "{}", log.text());
    lab.state.refuses.store(false, Ordering::SeqCst);
    cached.wait_until_ready().await;
    while log.counts() != (1, 1) {
        tokio::task::yield_now().await;
    }
    assert_eq!(cached.stats().outage, None);
}

#[tokio::test]
async fn a_watch_that_is_refused_from_the_beginning_is_logged_with_its_reason() {
    let (log, _guard) = Log::begin();
    let (_, lab) = lab(settings(None)).await;
    lab.state.refuses.store(true, Ordering::SeqCst);
    let refused = Cached::new(lab, settings(None)).expect("a cache");
    until_bypassed(&refused, "the watch is not permitted").await;
    assert_eq!(log.counts(), (1, 0), "{}", log.text());
    assert!(
        log.text().contains("WARN") && log.text().contains("the watch is not permitted"),
        "{}",
        log.text()
    );
}

#[tokio::test]
async fn an_interruption_is_logged_and_its_end_too() {
    let (log, _guard) = Log::begin();
    let (cached, lab) = lab(settings(None)).await;
    for _ in 0..3 {
        lab.say(Some(Event::Interrupted)).await;
        assert_eq!(cached.stats().outage.as_deref(), Some("the store's watch is interrupted"));
        lab.say(Some(Event::Missed)).await;
        assert_eq!((cached.stats().is_ready, cached.stats().outage), (true, None));
    }
    // The other interruptions came within a minute of the first.
    assert_eq!(log.counts(), (1, 1), "{}", log.text());
}
