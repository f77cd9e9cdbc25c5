use std::sync::{
    Arc, Weak,
    atomic::{AtomicUsize, Ordering},
};

use session_core::{Operation, Result};
use sqlx::{Row, SqlSafeStr, sqlite::SqliteRow};
use tokio::sync::{Notify, watch};

use super::{
    core::Core,
    errors::failed,
    fields::Fields,
    statements::{CHECKPOINT, RESTART_LOG},
};

/// How many pages of the log a changed record fills, until the first checkpoint tells.
const FIRST_GUESS: usize = 2;

/// With fewer pages than this to move, the writers can wait for it.
const FEW: usize = 400;

/// How often the pages are moved that came while others were moved, before the writers have to wait.
const MOST_PASSES: usize = 4;

/// At how many times its length the log is ended although somebody is writing.
const LONGEST: usize = 4;

/// At how many times its length a writer does that itself, because whoever should does not come to it on a busy machine.
const OVERLONG: usize = 6;

/// When the write-ahead log is moved to the database file.
///
/// SQLite would do that within a write: all others wait meanwhile, for 8,000 pages about 50 ms. Here a connection of its own moves the pages while
/// others read and write. Only if somebody writes without a pause does the log not end by itself; the writers then wait once in a while until the
/// last pages have been moved and are on the disk, so that the log can start anew and does not grow without end
/// (<https://sqlite.org/wal.html#avoiding_excessively_large_wal_files>).
#[derive(Debug)]
pub(crate) struct Checkpoints {
    /// How many pages the log should have. With zero, it is never moved from here.
    pages: usize,
    /// How many records were changed since the last time.
    changed: AtomicUsize,
    /// How many changed records make that many pages.
    enough: AtomicUsize,
    /// How many pages the log had when it was last looked at.
    known: AtomicUsize,
    due: Notify,
}

impl Checkpoints {
    pub(crate) fn every(pages: usize) -> Self {
        Self {
            pages,
            changed: AtomicUsize::new(0),
            enough: AtomicUsize::new(pages / FIRST_GUESS),
            known: AtomicUsize::new(0),
            due: Notify::new(),
        }
    }

    /// So many records were changed, or may have been.
    pub(crate) fn changed(&self, items: usize) {
        let before = self.changed.fetch_add(items, Ordering::Relaxed);
        let enough = self.enough.load(Ordering::Relaxed);
        if self.pages > 0 && before < enough && before + items >= enough {
            self.due.notify_one();
        }
    }

    /// So many changes have made so many pages.
    fn learn(&self, pages: usize, items: usize) {
        let enough = self.pages.saturating_mul(items.max(1)) / pages.max(1);
        self.enough.store(enough.clamp(self.pages / 100 + 1, self.pages), Ordering::Relaxed);
    }

    fn is_overlong(&self) -> bool {
        self.pages > 0 && self.known.load(Ordering::Relaxed) + self.backlog() >= OVERLONG * self.pages
    }

    /// About how many pages have come since the last pass.
    fn backlog(&self) -> usize {
        let changed = self.changed.load(Ordering::Relaxed);
        changed.saturating_mul(self.pages) / self.enough.load(Ordering::Relaxed).max(1)
    }
}

/// Moves the log whenever it has grown enough, until the store is closed or its last handle is gone.
pub(crate) fn start(core: &Arc<Core>) {
    if core.checkpoints.pages > 0 {
        tokio::spawn(run(Arc::downgrade(core), core.closed.subscribe()));
    }
}

async fn run(core: Weak<Core>, mut closed: watch::Receiver<bool>) {
    let Some(checkpoints) = core.upgrade().map(|core| Arc::clone(&core.checkpoints)) else { return };
    let mut before = 0;
    loop {
        tokio::select! {
            () = checkpoints.due.notified() => {}
            // An error says that the last handle was dropped.
            _ = closed.wait_for(|closed| *closed) => return,
        }
        let Some(core) = core.upgrade() else { return };
        match core.checkpoint(before).await {
            Ok(pages) => before = pages,
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log could not be moved; it grows until that works again");
            }
        }
    }
}

impl Core {
    /// Moves the log, which had so many pages the last time. Returns how many it has now.
    async fn checkpoint(&self, before: usize) -> Result<usize> {
        let items = self.checkpoints.changed.swap(0, Ordering::Relaxed);
        let pages = self.move_log(CHECKPOINT).await?;
        self.checkpoints.known.store(pages, Ordering::Relaxed);
        self.checkpoints.learn(if pages < before { pages } else { pages - before }, items);
        if pages < LONGEST * self.checkpoints.pages {
            return Ok(pages);
        }
        for _ in 1..MOST_PASSES {
            if self.checkpoints.backlog() < FEW {
                break;
            }
            self.checkpoints.changed.store(0, Ordering::Relaxed);
            self.move_log(CHECKPOINT).await?;
        }
        let _turn = self.shared.turn.lock().await;
        self.end_log().await?;
        Ok(0)
    }

    /// Ends a log that has grown far too long. For a writer whose turn it is.
    pub(crate) async fn end_overlong_log(&self) {
        if self.checkpoints.is_overlong()
            && let Err(error) = self.end_log().await
        {
            tracing::warn!(%error, "the write-ahead log could not be ended; it grows until that works again");
        }
    }

    /// Moves all of the log, so that it starts anew. Whoever calls this has the turn.
    async fn end_log(&self) -> Result<()> {
        // Also if it fails: what keeps it from succeeding, such as a long query, must not hold up each single change.
        self.checkpoints.changed.store(0, Ordering::Relaxed);
        self.checkpoints.known.store(0, Ordering::Relaxed);
        self.move_log(RESTART_LOG).await.map(drop)
    }

    /// Runs one of the two, and returns how many pages the log had.
    async fn move_log(&self, sql: &'static str) -> Result<usize> {
        let operation = Operation::Write;
        let mut lease = self.connections.mover(operation).await?;
        let rows = lease.rows(operation, sql.into_sql_str(), Fields::default()).await?;
        let pages = rows.first().map_or(Ok(0), |row: &SqliteRow| row.try_get::<i64, _>(1));
        let pages = pages.map_err(|error| failed(operation, error))?;
        Ok(usize::try_from(pages).unwrap_or_default())
    }
}
