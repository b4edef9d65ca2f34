//! An allocator that counts what each thread holds, to measure the memory of what the thread owns.

#![allow(unsafe_code)] // there is no other way to be an allocator

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with a count.
pub(crate) struct Counting;

thread_local! {
    // Without a destructor and without lazy initialisation, so that counting never allocates.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

/// How many bytes this thread has allocated and nobody has freed on it.
pub(crate) fn held() -> isize {
    HELD.get()
}

fn count(bytes: isize) {
    // A thread that ends may free after its locals are gone; nobody asks for its count any more.
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

fn size(layout: Layout) -> isize {
    isize::try_from(layout.size()).expect("no layout is larger")
}

// SAFETY: each call goes to the system's allocator as it came, so its promises are kept by that;
// counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-size(layout));
        // SAFETY: the caller keeps the contract of `dealloc`, and `pointer` came from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}
