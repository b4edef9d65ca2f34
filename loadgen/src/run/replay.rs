//! A run that was before, again.

use std::path::Path;

use super::Refusal;
use crate::args::{Cli, GeneratorArgs, OutputArgs, RunArgs};
use crate::result::Document;
use crate::verdict::Exit;

/// The arguments of the run that the file at `path` tells of, with its seed.
///
/// What is written and shown is not repeated but taken from `args`, so that the result of the first
/// run stays.
pub(super) fn replayed(path: &Path, args: &RunArgs) -> Result<RunArgs, Refusal> {
    let usage = |reason: String| Refusal::new(Exit::Usage, reason);
    let document = Document::read(path).map_err(|error| usage(error.to_string()))?;
    let again = Cli::run_of(&document.argv).map_err(usage)?;
    let seed = u64::from_str_radix(&document.seed, 16).map_err(|error| usage(error.to_string()))?;
    if again.replay.is_some() {
        return Err(usage(format!("{} tells of a replay: name its original", path.display())));
    }
    if !again.remote.workers.is_empty() {
        let path = path.display();
        return Err(usage(format!("{path} tells of a run of several workers: name them again")));
    }
    let generator = GeneratorArgs { seed: Some(seed), ..again.generator };
    let OutputArgs { json, html, quiet, no_tui, .. } = args.output.clone();
    let output = OutputArgs { json, html, quiet, no_tui, ..again.output };
    Ok(RunArgs { generator, output, ..again })
}
