//! The memory of a server's processes.

use std::fs;

use super::cpu;

/// The proportional set sizes of a process and its descendants, in bytes. Shared memory counts
/// once. Uses the resident set where the kernel does not report proportional sizes.
pub fn of_tree(root: u32) -> u64 {
    cpu::tree(root).into_iter().map(of).sum()
}

fn of(pid: u32) -> u64 {
    let kilobytes = |file: &str, name: &str| -> Option<u64> {
        let file = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let line = file.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches("kB").trim().parse().ok()
    };
    kilobytes("smaps_rollup", "Pss:").or_else(|| kilobytes("status", "VmRSS:")).unwrap_or(0) << 10
}
