use std::sync::{
    Arc, Weak,
    atomic::{AtomicUsize, Ordering},
};

use session_core::{Operation, Result};
use sqlx::{Row, SqlSafeStr, sqlite::SqliteRow};
use tokio::sync::{Notify, watch};

use super::{
    binds::Fields,
    core::Core,
    errors::failed,
    statements::{CHECKPOINT, RESTART_LOG},
};

/// The assumed number of log pages per changed record, until the first checkpoint.
const FIRST_GUESS: usize = 2;

/// With fewer pages than this to move, the writers can wait.
const FEW: usize = 400;

/// The maximum number of passes before the writers have to wait. Each pass moves the pages that
/// were added during the previous one.
const MOST_PASSES: usize = 4;

/// The multiple of its target length at which the log is restarted although writes continue.
const LONGEST: usize = 4;

/// The multiple of its target length at which a writer restarts the log itself, because on a busy
/// machine the checkpoint task does not get to it.
const OVERLONG: usize = 6;

/// Decides when the write-ahead log is moved to the database file.
///
/// SQLite would do that within a write, while all others wait: about 50 ms for 8,000 pages. Here, a
/// separate connection moves the pages while others read and write. Only if writes never pause does
/// the log not restart by itself. The writers then wait occasionally until the last pages have been
/// moved and are on the disk, so that the log can start anew and does not grow without end
/// (<https://sqlite.org/wal.html#avoiding_excessively_large_wal_files>).
#[derive(Debug)]
pub(crate) struct Checkpoints {
    /// The target length of the log, in pages. With zero, this type never moves it.
    pages: usize,
    /// The number of records changed since the last checkpoint.
    changed: AtomicUsize,
    /// The number of changed records that make that many pages.
    enough: AtomicUsize,
    /// The number of pages in the log when it was last looked at.
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

    /// Records that `items` records were changed, or may have been.
    pub(crate) fn changed(&self, items: usize) {
        let before = self.changed.fetch_add(items, Ordering::Relaxed);
        let enough = self.enough.load(Ordering::Relaxed);
        if self.pages > 0 && before < enough && before + items >= enough {
            self.due.notify_one();
        }
    }

    /// Records that `items` changes made `pages` pages.
    fn learn(&self, pages: usize, items: usize) {
        let enough = self.pages.saturating_mul(items.max(1)) / pages.max(1);
        self.enough.store(enough.clamp(self.pages / 100 + 1, self.pages), Ordering::Relaxed);
    }

    fn is_overlong(&self) -> bool {
        self.pages > 0 && self.known.load(Ordering::Relaxed) + self.backlog() >= OVERLONG * self.pages
    }

    /// Approximately how many pages were added since the last pass.
    fn backlog(&self) -> usize {
        let changed = self.changed.load(Ordering::Relaxed);
        changed.saturating_mul(self.pages) / self.enough.load(Ordering::Relaxed).max(1)
    }
}

/// Starts the task that moves the log whenever it has grown enough, until the store is closed or
/// its last handle is dropped.
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
            // An error means that the last handle was dropped.
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
    /// Moves the log, which had `before` pages the last time. Returns how many it has now.
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

    /// Restarts a log that has grown far too long. The caller must be a writer that holds the turn.
    pub(crate) async fn end_overlong_log(&self) {
        if self.checkpoints.is_overlong()
            && let Err(error) = self.end_log().await
        {
            tracing::warn!(%error, "the write-ahead log could not be ended; it grows until that works again");
        }
    }

    /// Moves all of the log, so that it starts anew. The caller must hold the turn.
    async fn end_log(&self) -> Result<()> {
        // Reset even if the move fails: what makes it fail, such as a long query, must not delay
        // every single change.
        self.checkpoints.changed.store(0, Ordering::Relaxed);
        self.checkpoints.known.store(0, Ordering::Relaxed);
        self.move_log(RESTART_LOG).await.map(drop)
    }

    /// Runs one of the two checkpoint statements, and returns how many pages the log had.
    async fn move_log(&self, sql: &'static str) -> Result<usize> {
        let operation = Operation::Write;
        let mut lease = self.connections.mover(operation).await?;
        let rows = lease.rows(operation, sql.into_sql_str(), Fields::default()).await?;
        let pages = rows.first().map_or(Ok(0), |row: &SqliteRow| row.try_get::<i64, _>(1));
        let pages = pages.map_err(|error| failed(operation, error))?;
        Ok(usize::try_from(pages).unwrap_or_default())
    }
}
