//! Suspending and continuing ourselves and our process group.

use nix::unistd::{getpgid, getpgrp, getpid, getppid, getsid};

use super::kill;
use super::signals::{SET_SIZE, set_disposition, set_mask};
use crate::signal::{Signal, SignalSet};

/// Suspends us as `signal` has suspended the main child, until somebody sends SIGCONT, which is
/// pending then. Whether we were suspended.
///
/// Without us in between, the terminal would have stopped our whole process group. Where nobody
/// could continue it (it is orphaned, setpgid(2)), the kernel does not stop it. A SIGSTOP was meant
/// for the child alone: we show it to a shell that is our parent, and to nobody else.
#[must_use]
pub fn suspend_as(signal: Signal) -> bool {
    if signal == Signal::STOP {
        let seen = parent_is_shell();
        if seen {
            suspend();
        }
        return seen;
    }
    let inherited = set_disposition(signal.as_raw(), libc::SIG_DFL);
    // It cannot fail for one's own group.
    let _ = kill::kill(0, signal);
    let mut all_others = SignalSet::FULL;
    all_others.remove(signal);
    // Where they cannot be changed, we would not have come so far.
    let _ = set_mask(all_others).and_then(|_| set_mask(SignalSet::FULL));
    set_disposition(signal.as_raw(), inherited);
    pending().contains(Signal::CONT)
}

/// Suspends us until somebody continues us. PID 1 goes on.
pub fn suspend() {
    // It cannot fail for one's own pid.
    let _ = kill::kill(getpid().as_raw(), Signal::STOP);
}

/// Continues what the terminal has stopped in our own process group.
pub fn continue_own_group() {
    // It cannot fail for one's own group. We get one too, from ourselves: it is not forwarded.
    let _ = kill::kill(0, Signal::CONT);
}

/// Whether our parent does job control for us: it is in our session, but we are in another group.
fn parent_is_shell() -> bool {
    let parent = Some(getppid());
    getsid(parent) == getsid(None) && getpgid(parent).is_ok_and(|group| group != getpgrp())
}

fn pending() -> SignalSet {
    let mut pending: u64 = 0;
    // SAFETY: rt_sigpending(2) writes `SET_SIZE` bytes to a variable of that size. It cannot fail
    // with a valid pointer.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, SET_SIZE) };
    SignalSet::from_bits(pending)
}
