//! What this very process asks of the kernel for itself.

use nix::errno::Errno;
use nix::unistd::getpid;

use crate::process::Pid;
use crate::signal::Signal;
use crate::status::ExitStatus;

/// Ends us at once, with nothing flushed or given back.
pub fn exit(status: ExitStatus) -> ! {
    // SAFETY: a plain number, and no return.
    unsafe { libc::_exit(status.code().into()) }
}

/// Has the kernel map the stack as far down as we shall need it, now that it may: later a limit of
/// address space may forbid it, which is a SIGSEGV. (A large environment takes the room that there
/// is from the beginning.) Only a page of zeros is shown there.
pub fn reserve_stack() {
    const DEPTH: usize = 56 * 1024;
    let here = 0_u8;
    let below = std::hint::black_box(&raw const here).wrapping_sub(DEPTH);
    // SAFETY: the stack grows down to where it is read (mmap(2), `MAP_GROWSDOWN`), and whatever is
    // there means nothing.
    let _ = unsafe { below.read_volatile() };
}

/// Our pid.
#[must_use]
pub fn own_pid() -> Pid {
    // A process always has one.
    Pid::from_raw(getpid().as_raw()).unwrap_or(Pid::INIT)
}

/// Whether we are the init of our PID namespace.
#[must_use]
pub fn is_pid_1() -> bool {
    getpid().as_raw() == 1
}

/// Orphaned descendants become our children (prctl(2), `PR_SET_CHILD_SUBREAPER`).
///
/// # Errors
/// `EINVAL` where the kernel does not know it.
pub fn become_subreaper() -> nix::Result<()> {
    nix::sys::prctl::set_child_subreaper(true)
}

/// We get `signal` when the thread that made us dies (prctl(2), `PR_SET_PDEATHSIG`). nix has no
/// real-time signals for it.
///
/// # Errors
/// None is known for a valid signal.
pub fn set_parent_death_signal(signal: Signal) -> nix::Result<()> {
    // SAFETY: plain numbers.
    Errno::result(unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::c_long::from(signal.as_raw()))
    })
    .map(drop)
}
