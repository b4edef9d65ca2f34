//! Completions and manual pages, made from the command line itself.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;

/// What may be said to `completions`.
#[derive(Args, Clone, Debug)]
pub struct Completions {
    /// The shell that completes, as in: source <(loadgen completions bash)
    shell: Shell,
}

/// What may be said to `man`.
#[derive(Args, Clone, Debug)]
pub struct Man {
    /// Write loadgen.1 and a page for each command to this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Writes what a shell needs to complete our command line.
pub fn completions(arguments: &Completions) -> Result<(), String> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "loadgen", &mut text);
    say(&text)
}

/// Writes the manual: the page of the program itself, or those of all its commands.
pub fn man(arguments: &Man) -> Result<(), String> {
    let Some(directory) = &arguments.out else {
        let mut page = Vec::new();
        // As `generate_to` does, which has no page for `help` either.
        let command = Cli::command().disable_help_subcommand(true);
        let rendered = clap_mangen::Man::new(command).render(&mut page);
        return rendered.map_err(|error| error.to_string()).and_then(|()| say(&page));
    };
    fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), directory))
        .map_err(|error| format!("cannot write to {}: {error}", directory.display()))
}

/// Writes to standard output. Who stops reading it, as `head` does, has read enough.
fn say(text: &[u8]) -> Result<(), String> {
    match io::stdout().write_all(text).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}
