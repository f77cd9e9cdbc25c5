use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use session_servers::Program;

/// `chromedriver` on a free port.
pub(crate) struct Driver {
    process: Child,
    pub(crate) url: String,
}

impl Driver {
    /// The error for the first program that is missing, if any.
    pub(crate) fn missing() -> Option<String> {
        let programs =
            [Program::new("chromium", "chromium"), Program::new("chromedriver", "chromium-driver")];
        programs.iter().find_map(|program| program.find().err()).map(|error| error.to_string())
    }

    pub(crate) fn start() -> Self {
        let program = Program::new("chromedriver", "chromium-driver").find().expect("it was found before");
        let mut process =
            Command::new(program).arg("--port=0").stdout(Stdio::piped()).spawn().expect("ChromeDriver");
        let out = BufReader::new(process.stdout.take().expect("its output"));
        let port = out
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("successfully on port ").map(|(_, port)| port.to_owned()))
            .expect("it says where it is");
        Self { process, url: format!("http://127.0.0.1:{}", port.trim_end_matches('.')) }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
