//! `corecast completions` and `corecast man`: what packages install beside the program, made from
//! the command line itself.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{CommandLine, Failure, say};

/// What may be said to `completions`.
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell that completes, as in: source <(corecast completions bash)
    shell: Shell,
}

/// What may be said to `man`.
#[derive(Args, Debug)]
pub(super) struct Man {
    /// Write corecast.1 and a page for each command to this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Writes what a shell needs to complete our command line.
pub(super) fn completions(arguments: &Completions) -> Result<(), Failure> {
    let mut text = Vec::new();
    let mut command = CommandLine::command();
    clap_complete::generate(arguments.shell, &mut command, "corecast", &mut text);
    say(&String::from_utf8_lossy(&text))
}

/// Writes the manual.
pub(super) fn man(arguments: &Man) -> Result<(), Failure> {
    match &arguments.out {
        None => say(&page()?),
        Some(directory) => pages(directory),
    }
}

/// The page of the program itself.
fn page() -> Result<String, Failure> {
    let mut page = Vec::new();
    // As `generate_to` does, which has no page for `help` either.
    clap_mangen::Man::new(CommandLine::command().disable_help_subcommand(true))
        .render(&mut page)
        .map_err(|error| Failure::cannot("write the manual", error))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// The pages of the program and of all its commands.
fn pages(directory: &Path) -> Result<(), Failure> {
    let cannot = |error| Failure::cannot(&format!("write to {}", directory.display()), error);
    fs::create_dir_all(directory).map_err(cannot)?;
    clap_mangen::generate_to(CommandLine::command(), directory).map_err(cannot)
}
