//! Programs of others that tests are done with.

// `pub` is for the tests that include this.
#![allow(unreachable_pub)]

use std::process::Command;

/// Whether the program `name` is there. If not, says so loudly, and fails where CI is set.
pub fn is_there(name: &str) -> bool {
    let is_there = Command::new(name).arg("--version").output().is_ok();
    assert!(is_there || std::env::var_os("CI").is_none(), "{name} is not there, and CI is set");
    if !is_there {
        eprintln!("\n!!! SKIPPED: {name} is not there\n");
    }
    is_there
}
