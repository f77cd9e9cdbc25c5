use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

/// The program, running.
pub(crate) struct Demo {
    process: Child,
    pub(crate) address: String,
}

impl Demo {
    /// Starts it, and waits until it says where it is.
    pub(crate) fn start(store: &str, listen: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_demo"))
            .args(["--store", store, "--listen", listen])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the demo");
        let out = BufReader::new(process.stdout.take().expect("its output"));
        let address = out
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("Open http://").map(str::to_owned))
            .expect("it says where it is");
        Self { process, address }
    }

    /// Ends it as a service manager does.
    pub(crate) fn stop(mut self) {
        let id = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(id, Signal::TERM).expect("it is told");
        assert!(self.process.wait().expect("it ends").success());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
