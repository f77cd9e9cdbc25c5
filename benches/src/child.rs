//! Another process of the same benchmark.

use std::process::Command;

/// Runs this program with `args` and returns what it prints, without the white space around it.
///
/// # Panics
///
/// When it fails.
pub fn ask(args: &[&str]) -> String {
    let program = std::env::current_exe().expect("the path of this program");
    let output = Command::new(program).args(args).output().expect("this program starts");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
