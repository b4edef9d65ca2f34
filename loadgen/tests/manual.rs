//! Completions and manual pages: what shells and `man` make of them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that panics has failed

use std::fs;
use std::process::Command;

fn loadgen(arguments: &[&str]) -> String {
    let program = Command::new(env!("CARGO_BIN_EXE_loadgen")).args(arguments).output().unwrap();
    assert!(program.status.success(), "{arguments:?}: {program:?}");
    String::from_utf8(program.stdout).unwrap()
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = loadgen(&["completions", shell]);
        for word in ["conns", "quiet", "completions"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn bash_understands_its_completions() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("loadgen.bash");
    fs::write(&script, loadgen(&["completions", "bash"])).unwrap();
    let Ok(bash) = Command::new("bash").arg("-n").arg(&script).output() else {
        assert!(std::env::var_os("CI").is_none(), "there is no bash to test with");
        eprintln!("SKIPPED: there is no bash on the path to test completions with");
        return;
    };
    assert!(bash.status.success() && bash.stderr.is_empty(), "{bash:?}");
}

#[test]
fn every_command_has_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    loadgen(&["man", "--out", directory.path().to_str().unwrap()]);
    for name in ["loadgen.1", "loadgen-run.1"] {
        let page = fs::read_to_string(directory.path().join(name)).unwrap();
        for part in [".TH loadgen", ".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS", "\\-\\-conns"] {
            assert!(page.contains(part), "{name}: {part}");
        }
    }
    let page = fs::read_to_string(directory.path().join("loadgen.1")).unwrap();
    assert_eq!(page, loadgen(&["man"]));
    assert!(!directory.path().join("loadgen-serve.1").exists(), "a hidden command has a page");
}
