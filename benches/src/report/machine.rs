use std::{fs, thread};

use super::Machine;

impl Machine {
    /// This machine.
    pub fn this() -> Self {
        let uname = rustix::system::uname();
        let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        Self {
            cpu: line("/proc/cpuinfo", "model name").unwrap_or_else(|| text(uname.machine())),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory: line("/proc/meminfo", "MemTotal")
                .and_then(|line| line.trim_end_matches("kB").trim().parse::<u64>().ok())
                .map_or(0, |kilobytes| kilobytes << 10),
            kernel: format!("{} {}", text(uname.sysname()), text(uname.release())),
            rustc: env!("RUSTC_VERSION").to_owned(),
            optimised: !cfg!(debug_assertions),
        }
    }
}

/// The text after the colon in the first line of a file that starts with `name`.
fn line(file: &str, name: &str) -> Option<String> {
    let file = fs::read_to_string(file).ok()?;
    let line = file.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
