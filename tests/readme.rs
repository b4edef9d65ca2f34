//! What the README shows of the program is what the program says.

use std::process::Command;

use corecast::config::RawConfig;

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

#[test]
fn the_file_in_the_readme_can_be_used() {
    let (_, rest) = include_str!("../README.md").split_once("```toml\n").expect("there is a file");
    let (file, _) = rest.split_once("```").expect("it ends");
    let config = RawConfig::from_file("README.md", file).and_then(RawConfig::check);
    assert_eq!(config.expect("it is right").listeners.len(), 2);
}
