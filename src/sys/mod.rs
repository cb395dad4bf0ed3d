//! The system calls, and the only `unsafe` code of the project.
//!
//! Where nix has a safe wrapper that fits, it is used. Signals, `wait` and `kill` go to libc or to
//! the raw system call: nix's types have no real-time signals, and the C libraries keep signals 32
//! and 33 (musl 34 too) out of every mask that passes through them.

pub mod broadcast;
pub mod capabilities;
pub mod clock;
pub mod descriptors;
mod directory;
pub mod entry;
pub mod install;
pub mod job_control;
pub mod kill;
pub mod memory;
pub mod message_file;
pub mod output;
pub mod process;
mod process_table;
pub mod program;
pub mod reap;
pub mod signals;
pub mod spawn;
pub mod terminal;
pub mod users;

use nix::errno::Errno;

/// The result of a raw system call: -1 means that `errno` tells why.
fn check(result: libc::c_long) -> nix::Result<libc::c_long> {
    Errno::result(result)
}
