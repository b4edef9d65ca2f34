//! Completions and manual pages: what shells and `man` make of them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that panics has failed

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

fn corecast(arguments: &[&str]) -> String {
    let program = Command::new(env!("CARGO_BIN_EXE_corecast")).args(arguments).output().unwrap();
    assert!(program.status.success(), "{arguments:?}: {program:?}");
    String::from_utf8(program.stdout).unwrap()
}

/// What a program of others says to `input`, on standard error; nothing if there is none.
fn complaints(program: &str, arguments: &[&str], input: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        assert!(std::env::var_os("CI").is_none(), "there is no {program} to test with");
        eprintln!("SKIPPED: there is no {program} on the path to test with");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Some(String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap())
}

#[test]
fn every_shell_gets_completions_of_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = corecast(&["completions", shell]);
        for word in ["cert", "sign", "listen-tls", "completions"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let unknown = Command::new(env!("CARGO_BIN_EXE_corecast"))
        .args(["completions", "tcsh"])
        .output()
        .unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let script = corecast(&["completions", "bash"]);
    let Some(complaints) = complaints("bash", &["-n"], &script) else { return };
    assert_eq!(complaints, "");
    for (words, expected) in [
        ("corecast cert s", "sign server show"),
        ("corecast cert ca --fo", "--force"),
        ("corecast cert ca --key p", "p256 p384"),
    ] {
        let count = words.split(' ').count() - 1;
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD={count}\n\
             _corecast corecast \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"\n\
             echo \"${{COMPREPLY[@]}}\"\n"
        );
        let output = Command::new("bash").args(["-c", &ask]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let mut offered: Vec<_> = said.split_whitespace().collect();
        let mut expected: Vec<_> = expected.split(' ').collect();
        offered.sort_unstable();
        expected.sort_unstable();
        assert_eq!(offered, expected, "{words}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    corecast(&["man", "--out", directory.path().to_str().unwrap()]);
    let page = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
    for name in ["corecast.1", "corecast-serve.1", "corecast-cert.1", "corecast-cert-sign.1"] {
        let page = page(name);
        for part in [".TH corecast", ".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS"] {
            assert!(page.contains(part), "{name}: {part}");
        }
    }
    assert!(page("corecast-cert-sign.1").contains("\\-\\-client"));
    assert_eq!(page("corecast.1"), corecast(&["man"]));
}

#[test]
fn man_has_nothing_to_complain_about() {
    let page = corecast(&["man"]);
    let Some(complaints) = complaints("man", &["--warnings", "-l", "-"], &page) else { return };
    let about_us: Vec<_> =
        complaints.lines().filter(|line| line.contains("standard input")).collect();
    assert_eq!(about_us, [""; 0], "{complaints}");
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("below");
    let program = Command::new(env!("CARGO_BIN_EXE_corecast"))
        .args(["man", "--out", below.to_str().unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8(program.stderr).unwrap();
    assert_eq!(program.status.code(), Some(1));
    assert!(
        said.starts_with(&format!("corecast: cannot write to {}: ", below.display())),
        "{said}"
    );
}
