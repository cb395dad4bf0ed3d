//! What this very process asks of the kernel for itself.

use nix::errno::Errno;
use nix::unistd::{getpgid, getpgrp, getpid, getppid, getsid};

use super::kill;
use crate::signal::Signal;
use crate::status::ExitStatus;

/// Ends us at once, with nothing flushed or given back.
pub fn exit(status: ExitStatus) -> ! {
    // SAFETY: a plain number, and no return.
    unsafe { libc::_exit(status.code().into()) }
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

/// Stops us until somebody continues us. PID 1 does not stop.
pub fn stop() {
    // It cannot fail for one's own pid.
    let _ = kill::kill(getpid().as_raw(), Signal::STOP);
}

/// Whether our parent does job control for us: it is in our session, but we are in another group.
pub(super) fn parent_is_shell() -> bool {
    let parent = Some(getppid());
    getsid(parent) == getsid(None) && getpgid(parent).is_ok_and(|group| group != getpgrp())
}

/// Continues what the terminal has stopped in our own process group.
pub fn continue_our_group() {
    // It cannot fail for one's own group. We get one too, from ourselves: it is not forwarded.
    let _ = kill::kill(0, Signal::CONT);
}
