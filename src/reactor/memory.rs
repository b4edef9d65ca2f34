//! How the system backs the memory of a process that holds very many small things.

use std::io;

/// Has the system back the memory of this process, and of those it starts, by small pages only.
///
/// A huge page is two MiB for a thread that touches a few KiB of it, and allocators ask for them: a
/// server that has just started keeps 8 MiB instead of one, and what a thousand connections need
/// is lost in the rounding. Only a program may decide this for its process, so the library never
/// does. Elsewhere than on Linux nothing is done.
///
/// # Errors
///
/// If the system refuses: then all is as it was.
pub fn use_small_pages() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::thread::disable_transparent_huge_pages(true)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn small_pages_are_for_the_whole_process() {
        super::use_small_pages().unwrap();
        let there = rustix::thread::transparent_huge_pages_are_disabled;
        std::thread::scope(|scope| assert!(scope.spawn(there).join().unwrap().unwrap()));
    }
}
