//! Reaping, with waitid(2).

use std::mem::MaybeUninit;

use nix::errno::Errno;

use crate::process::Pid;
use crate::signal::Signal;
use crate::status::Termination;

/// What the children have to tell at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reap {
    /// One has ended and is reaped: its pid may be anybody's from now on.
    Ended(Pid, Termination),
    /// One was suspended by a signal.
    Suspended(Pid, Signal),
    /// One waits for its tracer, and that is us, for it has asked to be traced (ptrace(2),
    /// `PTRACE_TRACEME`).
    Trapped(Pid, Signal),
    /// One was continued.
    Continued(Pid),
    /// None has anything to tell, but there are children.
    Nothing,
    /// There are no children.
    NoChildren,
}

/// Asks for one change of state of any child, without waiting.
///
/// waitid(2), because nix's `waitpid` fails on a child that was killed by a real-time signal, with
/// the status lost for good, and because the status word of wait(2) does not tell a stopped child
/// from one that is traced.
///
/// # Errors
/// Whatever else waitid(2) fails with, if wait4(2) fails too; a seccomp filter may do that.
pub fn next() -> nix::Result<Reap> {
    wait(libc::P_ALL, 0, libc::WEXITED | libc::WSTOPPED | libc::WCONTINUED)
}

/// Asks this child alone whether it has ended: [`Reap::Ended`] or [`Reap::Nothing`].
///
/// # Errors
/// As [`next`].
pub fn child(pid: Pid) -> nix::Result<Reap> {
    let id = libc::id_t::try_from(pid.as_raw()).map_err(|_| Errno::EINVAL)?;
    wait(libc::P_PID, id, libc::WEXITED)
}

fn wait(of: libc::idtype_t, id: libc::id_t, options: libc::c_int) -> nix::Result<Reap> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // Children that were made with another exit signal too: we may have inherited some.
    let options = options | libc::WNOHANG | libc::__WALL;
    let waited = uninterrupted(|| {
        // SAFETY: waitid(2) fills in one siginfo. With nothing to tell it leaves it zero.
        Errno::result(unsafe { libc::waitid(of, id, info.as_mut_ptr(), options) })
    });
    match waited {
        Ok(_) => {
            // SAFETY: zero is valid, and so is what waitid has written.
            let info = unsafe { info.assume_init() };
            // SAFETY: these are the fields of a siginfo from waitid, or zero.
            let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
            Ok(Pid::from_raw(pid).map_or(Reap::Nothing, |pid| changed(pid, info.si_code, status)))
        }
        Err(Errno::ECHILD) => Ok(Reap::NoChildren),
        Err(error) if of == libc::P_ALL => wait4().map_err(|_| error),
        Err(error) => Err(error),
    }
}

/// The same by wait4(2), where waitid(2) fails for no reason of its own. Its status word does not
/// tell a stopped child from one that is traced: ends are all that it is asked for.
fn wait4() -> nix::Result<Reap> {
    let mut status = 0;
    let options = libc::WNOHANG | libc::__WALL;
    let waited = uninterrupted(|| {
        // SAFETY: wait4(2) writes one int, and nothing through a null pointer.
        Errno::result(unsafe { libc::wait4(-1, &raw mut status, options, std::ptr::null_mut()) })
    });
    match waited {
        Ok(pid) => Ok(Pid::from_raw(pid).map_or(Reap::Nothing, |pid| ended(pid, status))),
        Err(Errno::ECHILD) => Ok(Reap::NoChildren),
        Err(error) => Err(error),
    }
}

/// What a status word of wait(2) means for a child that has ended.
fn ended(pid: Pid, status: libc::c_int) -> Reap {
    if libc::WIFSIGNALED(status) {
        let code = if libc::WCOREDUMP(status) { libc::CLD_DUMPED } else { libc::CLD_KILLED };
        changed(pid, code, libc::WTERMSIG(status))
    } else {
        changed(pid, libc::CLD_EXITED, libc::WEXITSTATUS(status))
    }
}

/// Nothing interrupts what does not wait: more than a few times, it is somebody's trick.
fn uninterrupted<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    const MOST: usize = 16;
    (0..MOST)
        .find_map(|_| Some(call()).filter(|result| !matches!(result, Err(Errno::EINTR))))
        .unwrap_or(Err(Errno::EINTR))
}

/// What `si_code` and `si_status` mean (sigaction(2)).
fn changed(pid: Pid, code: libc::c_int, status: libc::c_int) -> Reap {
    let signal = Signal::from_raw(status);
    // Linux has no other signals on our architectures.
    let killed =
        |core_dumped| Termination::Killed { signal: signal.unwrap_or(Signal::KILL), core_dumped };
    match code {
        libc::CLD_KILLED => Reap::Ended(pid, killed(false)),
        libc::CLD_DUMPED => Reap::Ended(pid, killed(true)),
        libc::CLD_STOPPED => Reap::Suspended(pid, signal.unwrap_or(Signal::STOP)),
        // Above the low bits stands which event of ptrace(2) it is.
        libc::CLD_TRAPPED => {
            Reap::Trapped(pid, Signal::from_raw(status & 0x7f).unwrap_or(Signal::STOP))
        }
        libc::CLD_CONTINUED => Reap::Continued(pid),
        // CLD_EXITED.
        _ => Reap::Ended(pid, Termination::Exited(status.to_le_bytes()[0])),
    }
}

/// Lets a trapped child go, and delivers the signal that it stopped for (ptrace(2)).
///
/// # Errors
/// `ESRCH` if it does not wait for us any more, `EPERM` where a seccomp filter forbids it.
pub fn detach(pid: Pid, signal: Signal) -> nix::Result<()> {
    // The SIGTRAP of its own exec is for the tracer alone; to the program it would be deadly.
    let deliver = if signal.as_raw() == libc::SIGTRAP { 0 } else { signal.as_raw() };
    // SAFETY: PTRACE_DETACH takes plain numbers and touches no memory.
    let result = unsafe {
        libc::ptrace(libc::PTRACE_DETACH, pid.as_raw(), 0_usize, libc::c_long::from(deliver))
    };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_word_tells_the_end() {
        let pid = Pid::from_raw(7).unwrap();
        for (word, expected) in [
            (0, Termination::Exited(0)),
            (0xff00, Termination::Exited(255)),
            (15, Termination::Killed { signal: Signal::TERM, core_dumped: false }),
            (15 | 0x80, Termination::Killed { signal: Signal::TERM, core_dumped: true }),
            (64, Termination::Killed { signal: Signal::from_raw(64).unwrap(), core_dumped: false }),
        ] {
            assert_eq!(ended(pid, word), Reap::Ended(pid, expected), "{word:x}");
        }
    }

    #[test]
    fn codes_and_statuses_are_told_apart() {
        let pid = Pid::from_raw(7).unwrap();
        let rtmax = Signal::from_raw(64).unwrap();
        let killed =
            |signal, core_dumped| Reap::Ended(pid, Termination::Killed { signal, core_dumped });
        for (code, status, expected) in [
            (libc::CLD_EXITED, 0, Reap::Ended(pid, Termination::Exited(0))),
            (libc::CLD_EXITED, 255, Reap::Ended(pid, Termination::Exited(255))),
            (libc::CLD_KILLED, 15, killed(Signal::TERM, false)),
            (libc::CLD_KILLED, 64, killed(rtmax, false)),
            (libc::CLD_DUMPED, 15, killed(Signal::TERM, true)),
            (libc::CLD_STOPPED, 20, Reap::Suspended(pid, Signal::TSTP)),
            (libc::CLD_TRAPPED, 15 | 4 << 8, Reap::Trapped(pid, Signal::TERM)),
            (libc::CLD_CONTINUED, 18, Reap::Continued(pid)),
        ] {
            assert_eq!(changed(pid, code, status), expected, "{code} {status}");
        }
    }
}
