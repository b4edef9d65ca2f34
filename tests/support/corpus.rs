//! The inputs that a fuzz target was found to tell from each other.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Gives `body` every input of the corpus of `target`, and names those that it fails on.
pub(crate) fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).expect("each target has a corpus");
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{target} has no inputs");
    let fails = |file: &&std::path::PathBuf| {
        let bytes = fs::read(file).expect("an input can be read");
        catch_unwind(AssertUnwindSafe(|| body(&bytes))).is_err()
    };
    let failed: Vec<_> = files.iter().filter(fails).collect();
    assert!(failed.is_empty(), "{target} fails on {failed:?}");
}
