//! Tells the program what it is built from, where that is known.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Some(version) = env::var("RUSTC").ok().and_then(|rustc| said(&rustc, &["--version"])) {
        println!("cargo:rustc-env=LOADGEN_RUSTC={version}");
    }
    // A build for debugging would be made anew after each commit to know which it was.
    if env::var("PROFILE").as_deref() == Ok("release") {
        commit();
    }
}

/// Names the commit. A tarball has none, even where it was unpacked within another repository.
fn commit() {
    let is_ours = said("git", &["ls-files", "--error-unmatch", "build.rs"]).is_some();
    let commit = said("git", &["describe", "--always", "--dirty", "--abbrev=12"]);
    let Some(commit) = commit.filter(|_| is_ours) else { return };
    println!("cargo:rustc-env=LOADGEN_GIT={commit}");
    for path in ["src", "Cargo.toml", "../src", "../Cargo.toml"] {
        println!("cargo:rerun-if-changed={path}");
    }
    if let Some(log) = said("git", &["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo:rerun-if-changed={log}");
    }
}

/// What a program says, if it ends well.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
