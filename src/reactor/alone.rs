//! Tests that change what belongs to the whole process, each run in a process of its own.

use std::env;
use std::process::Command;

/// Set in the process that has only one test to run.
const ALONE: &str = "CORECAST_TEST_ALONE";

/// Runs `body`, which belongs to the test with the full name `test`, where it harms no other.
pub(super) fn run_alone(test: &str, body: impl FnOnce()) {
    if env::var_os(ALONE).is_some() {
        return body();
    }
    let mut child = Command::new(env::current_exe().unwrap());
    let output = child.args(["--exact", test]).env(ALONE, "1").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}
