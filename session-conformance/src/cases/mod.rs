//! The cases, in one or two files for each promise.

use crate::Case;

/// Declares the files together with the list of their cases.
macro_rules! files {
    ($($file:ident)+) => {
        $(mod $file;)+

        /// Every case of the suite, in the order of the promises.
        pub fn all() -> impl Iterator<Item = &'static Case> {
            [$($file::CASES),+].into_iter().flatten()
        }
    };
}

files! {
    p01_conditional_write
    p02_deleted_stays_deleted
    p03_read_your_writes
    p04_expiry
    p05_touch
    p06_rename
    p07_bytes
    p08_owner_index
    p08_owner_races
    p09_batches
    p10_isolation
    p11_cancellation
    p12_outage
    p13_unknown_outcome
    p14_watch
    p15_foreign_bytes
    p16_maintenance
    p16_paging
    p17_close
}
