//! The memory of this process.

/// The resident set of this process in bytes, from `/proc/self/statm`.
///
/// Unlike a counting allocator, this does not slow down allocations, and it includes the
/// allocator's overhead. It counts whole pages. It is only meaningful as a difference of many
/// megabytes in a process that did nothing else before, because freed memory is reused.
///
/// # Panics
///
/// Where there is no `/proc/self/statm`.
pub fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has /proc/self/statm");
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("the second field is a number of pages") * rustix::param::page_size() as u64
}
