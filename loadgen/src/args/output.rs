//! Where the result is told.

use std::path::PathBuf;

use clap::Args;

use crate::screen::Audience;

/// Where the result is told.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Write the result as JSON (schema loadgen/1) to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write the report as one page of HTML to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// What to call this run in its result, as NAME=VALUE (may be repeated)
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_label)]
    pub label: Vec<(String, String)>,

    /// Write the series as comma-separated values to this file
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,

    /// Write the distributions of every tick to this file, as a histogram log (.hlog) that the
    /// tools of HdrHistogram read; each interval has the name as its tag that it has in the result
    #[allow(clippy::doc_markdown)] // the help of a command line has no backticks
    #[arg(long, value_name = "FILE")]
    pub hdr: Option<PathBuf>,

    /// No screen while it runs and no report after it: the exit code and --json tell
    #[arg(long)]
    pub quiet: bool,

    /// No live screen on a terminal, but a line a second as elsewhere
    #[arg(long)]
    pub no_tui: bool,
}

impl OutputArgs {
    /// Who looks on while it runs.
    pub fn audience(&self) -> Audience {
        match (self.quiet, self.no_tui) {
            (true, _) => Audience::Nobody,
            (false, true) => Audience::Log,
            (false, false) => Audience::Terminal,
        }
    }
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if name.is_empty() {
        Err("a label has a name".to_owned())
    } else {
        Ok((name.to_owned(), value.to_owned()))
    }
}
