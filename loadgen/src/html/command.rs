//! `loadgen report`: from a result file to a page.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::page;
use crate::result::Document;
use crate::run::{self, Refusal};
use crate::verdict::Exit;

/// What may be said to `report`.
#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// The result, as --json wrote it
    #[arg(value_name = "R.json")]
    result: PathBuf,

    /// Another result to compare it with, drawn in grey
    #[arg(value_name = "BASE.json")]
    base: Option<PathBuf>,

    /// Where to write the page; beside the result, ending in .html, if it is not said
    #[arg(long, short, value_name = "R.html")]
    out: Option<PathBuf>,
}

/// Writes the page that `args` ask for, and says where.
///
/// # Errors
///
/// That a file is no result, or that the page could not be written.
pub fn report(args: &ReportArgs) -> Result<Exit, Refusal> {
    let read = |path: &Path| Document::read(path).map_err(|error| Refusal::new(Exit::Usage, error));
    let document = read(&args.result)?;
    let base = args.base.as_deref().map(read).transpose()?;
    let beside = args.result.with_extension("html");
    let path = args.out.as_ref().unwrap_or(&beside);
    let written = write(path, &document, base.as_ref());
    written.map_err(|error| Refusal::new(Exit::Preflight, error))?;
    Ok(Exit::Held)
}

/// Writes the page of `document` to `path`.
///
/// # Errors
///
/// The file, and why it could not be written.
pub fn write(path: &Path, document: &Document, base: Option<&Document>) -> io::Result<()> {
    run::write(path, &page(document, base))
}
