//! How the system backs the memory of a process that holds very many small things.

use std::io;

// Brings the function that is declared below.
use libmimalloc_sys as _;

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

/// Has mimalloc, the allocator of the two programs, give all that it keeps although it is free
/// back to the system.
///
/// By itself it does so when some thread comes to it for more pages, and looks only then which have
/// been free for long enough: in a server that a crowd has left, whose other connections allocate
/// nothing, that may be never. Takes some microseconds where there is nothing to give back; in a
/// program with another allocator there never is.
#[allow(unsafe_code)]
pub fn give_back() {
    // SAFETY: any thread may call it at any time: it touches memory of this thread's own heap and,
    // by mimalloc's own atomics, pages that no block is left in.
    unsafe {
        mi_collect(true);
    }
}

#[allow(unsafe_code)] // its one user says why it is sound
unsafe extern "C" {
    /// As `mimalloc.h` declares it.
    fn mi_collect(force: bool);
}

#[cfg(test)]
mod tests {
    #[test]
    fn giving_back_does_no_harm_where_there_is_nothing() {
        super::give_back();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn small_pages_are_for_the_whole_process() {
        super::use_small_pages().unwrap();
        let there = rustix::thread::transparent_huge_pages_are_disabled;
        std::thread::scope(|scope| assert!(scope.spawn(there).join().unwrap().unwrap()));
    }
}
