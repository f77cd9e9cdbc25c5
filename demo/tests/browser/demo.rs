use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

/// A running demo program.
pub(crate) struct Demo {
    process: Child,
    pub(crate) address: String,
    /// The secret that opens the operators' page.
    pub(crate) secret: String,
    /// The output up to the line with the address.
    #[allow(dead_code, reason = "not all programs that share this file look at it")]
    pub(crate) printed: String,
}

impl Demo {
    /// Starts the program, and waits until it prints its address.
    pub(crate) fn start(store: &str, listen: &str) -> Self {
        Self::start_with(&["--store", store, "--listen", listen])
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_demo"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the demo");
        let out = BufReader::new(process.stdout.take().expect("its output"));
        let (mut address, mut secret, mut printed) = (None, None, String::new());
        for line in out.lines().map_while(Result::ok) {
            secret =
                secret.or_else(|| line.rsplit_once(" opens with the secret ").map(|(_, it)| it.to_owned()));
            address = line.strip_prefix("Open http://").map(str::to_owned);
            printed.push_str(&line);
            printed.push('\n');
            if address.is_some() {
                break;
            }
        }
        let (address, secret) = (address.expect("it says where it is"), secret.expect("it tells the secret"));
        Self { process, address, secret, printed }
    }

    /// Stops the program as a service manager does.
    #[allow(dead_code, reason = "not all programs that share this file end it so")]
    pub(crate) fn stop(mut self) {
        let id = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(id, Signal::TERM).expect("it is told");
        assert!(self.process.wait().expect("it ends").success());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // The program may have exited already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
