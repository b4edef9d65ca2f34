//! Arguments, command, exit code.

mod cli;

use std::process::ExitCode;

/// Many threads that allocate little and often: the system's allocator keeps more for itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before anything allocates in earnest. Where it is refused, all that is lost is memory.
    let _ = corecast::reactor::memory::use_small_pages();
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("corecast: {failure}");
            failure.exit_code()
        }
    }
}
