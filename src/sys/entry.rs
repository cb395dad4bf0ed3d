//! The process's entry: `main` as C knows it.
//!
//! Rust's own start-up would ignore SIGPIPE and open /dev/null on a closed 0, 1 or 2 before any
//! line of ours could see how they were inherited. So the binary has no Rust `main`.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

/// Defines the binary's `main`, which passes its [`Arguments`] to a function and exits at once with
/// the status that it returns: nothing is flushed or given back.
#[macro_export]
macro_rules! entry {
    ($run:path) => {
        // SAFETY: no other `main` exists in a binary that is `#![no_main]`.
        #[unsafe(no_mangle)]
        extern "C" fn main(
            argc: core::ffi::c_int,
            argv: *const *const core::ffi::c_char,
        ) -> core::ffi::c_int {
            type Run = fn(&$crate::sys::entry::Arguments) -> $crate::status::ExitStatus;
            let run: Run = $run;
            // SAFETY: these are the arguments of C's `main`.
            let arguments = unsafe { $crate::sys::entry::Arguments::new(argc, argv) };
            $crate::sys::process::exit(run(&arguments))
        }
    };
}

/// The arguments of C's `main`, `argv[0]` included, not yet copied: there are more urgent things to
/// do first.
///
/// (`std::env::args` is empty on musl without Rust's start-up.)
pub struct Arguments {
    count: usize,
    first: *const *const c_char,
}

impl Arguments {
    /// Takes what C's `main` got.
    ///
    /// # Safety
    /// `argv` must hold `argc` pointers to C strings that live as long as the process.
    #[must_use]
    pub unsafe fn new(argc: c_int, argv: *const *const c_char) -> Self {
        Self { count: usize::try_from(argc).unwrap_or(0), first: argv }
    }

    /// Copies them.
    #[must_use]
    pub fn to_vec(&self) -> Vec<OsString> {
        let argument = |i| {
            // SAFETY: `i` is below the count that `new` was promised.
            let text = unsafe { CStr::from_ptr(*self.first.add(i)) };
            OsStr::from_bytes(text.to_bytes()).to_owned()
        };
        (0..self.count).map(argument).collect()
    }
}
