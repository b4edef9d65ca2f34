//! What the README shows of the program is what the program says.

use std::process::Command;

#[test]
fn the_configuration_in_the_readme_is_the_programs_own_help() {
    let program = Command::new(env!("CARGO_BIN_EXE_corecast"))
        .args(["serve", "--help"])
        .env_remove("COLUMNS")
        .output()
        .expect("the program runs");
    let help = String::from_utf8(program.stdout).expect("help is text");
    let (_, options) = help.split_once("Options:\n").expect("there are options");
    let readme = include_str!("../README.md");
    assert!(readme.contains(options.trim_end()), "the README should show:\n{options}");
}
