//! Giving up capabilities(7).

use super::check;

/// To signal the processes of others.
const KILL: u32 = 5;
/// To see the processes of others where /proc is mounted with `hidepid`, and what they wait for.
const SYS_PTRACE: u32 = 19;

/// The version of capset(2) that has 64 of them; 0 is the calling process.
const HEADER: [u32; 2] = [0x2008_0522, 0];

/// The effective, permitted and inheritable set, of the first 32 and of the others.
type Sets = [[u32; 3]; 2];

/// Gives up all.
///
/// # Errors
/// As capset(2).
pub(super) fn drop_all() -> nix::Result<()> {
    set(&[[0; 3]; 2])
}

/// Gives up all but those by which an init sees processes and signals them.
///
/// # Errors
/// As capget(2) and capset(2).
pub fn keep_for_signals() -> nix::Result<()> {
    let mut sets: Sets = [[0; 3]; 2];
    let mut header = HEADER;
    // SAFETY: capget(2) writes two structures of this size, and to the header where it does not
    // know its version.
    check(unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()) })?;
    let [[effective, permitted, _], _] = sets;
    let kept = 1 << KILL | 1 << SYS_PTRACE;
    set(&[[effective & kept, permitted & kept, 0], [0; 3]])
}

fn set(sets: &Sets) -> nix::Result<()> {
    // SAFETY: capset(2) reads two structures of these sizes.
    check(unsafe { libc::syscall(libc::SYS_capset, HEADER.as_ptr(), sets.as_ptr()) }).map(drop)
}
