//! Processor time of a server's processes, and of this process.

use std::{collections::HashMap, fs, time::Duration};

/// User and kernel time of this process since it began.
pub fn of_this_process() -> Duration {
    // Includes threads that have ended.
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Processor time of a process and its descendants, including those that have ended.
///
/// Accurate to a timer tick, usually a hundredth of a second.
pub fn of_tree(root: u32) -> Duration {
    let alive: u64 = tree(root).into_iter().filter_map(Stat::of).map(|process| process.ticks).sum();
    let ended = Stat::of(root).map_or(0, |process| process.ticks_of_ended_children);
    Duration::from_millis((alive + ended) * 1_000 / rustix::param::clock_ticks_per_second().max(1))
}

/// A process and its descendants that are running.
pub(super) fn tree(root: u32) -> Vec<u32> {
    let parents: HashMap<u32, u32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, Stat::of(pid)?.parent)))
        .collect();
    let descends = |mut pid: u32| {
        while pid != root {
            match parents.get(&pid) {
                Some(&parent) if parent != pid => pid = parent,
                _ => return false,
            }
        }
        true
    };
    parents.keys().copied().filter(|pid| descends(*pid)).collect()
}

struct Stat {
    parent: u32,
    ticks: u64,
    ticks_of_ended_children: u64,
}

impl Stat {
    /// Reads `/proc/<pid>/stat`; see proc(5).
    fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field, the name in parentheses, may contain spaces.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(4)?).ok()?,
            ticks: number(14)? + number(15)?,
            ticks_of_ended_children: number(16)? + number(17)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_works_has_used_time() {
        let before = of_this_process();
        let mut sum = 0_u64;
        while of_this_process().saturating_sub(before) < Duration::from_millis(30) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(of_tree(std::process::id()) >= Duration::from_millis(20));
        assert_eq!(of_tree(u32::MAX), Duration::ZERO);
    }
}
