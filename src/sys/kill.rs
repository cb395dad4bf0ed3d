//! Sending signals to one process or one group.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

use super::check;
use crate::process::Pid;
use crate::signal::{Payload, Received, Signal};

/// `PIDFD_SIGNAL_PROCESS_GROUP` of pidfd_send_signal(2), Linux 6.9.
const TO_GROUP: libc::c_uint = 1 << 2;

/// Sends a signal to one process, with its payload if the kernel takes it.
///
/// # Errors
/// As kill(2): `ESRCH` if there is no such process, `EPERM` if it is not ours to signal.
pub fn process(pid: Pid, what: Received) -> nix::Result<()> {
    if let Some(payload) = what.payload {
        let mut info = siginfo(what.signal, payload);
        // SAFETY: rt_sigqueueinfo(2) reads one siginfo.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_rt_sigqueueinfo,
                pid.as_raw(),
                what.signal.as_raw(),
                &raw mut info,
            )
        };
        // EAGAIN is the queue limit of the receiver's user; a seccomp filter may say EPERM. kill
        // decides whether it really is an error.
        if sent == 0 {
            return Ok(());
        }
    }
    kill(pid.as_raw(), what.signal)
}

/// Whether we may signal this process (kill(2) with signal 0).
///
/// # Errors
/// `EPERM` if it is not ours to signal.
pub fn probe(pid: Pid) -> nix::Result<()> {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.as_raw()), None)
}

/// Sends a signal to the process group of this leader, which must be unreaped or known to have
/// members.
///
/// # Errors
/// As kill(2): `ESRCH` if there is no such group, `EPERM` if none of its processes is ours to
/// signal.
pub fn group(leader: Pid, what: Received) -> nix::Result<()> {
    let queue = |payload| {
        pidfd(leader).and_then(|pidfd| by_pidfd(&pidfd, what.signal, Some(payload), TO_GROUP))
    };
    if what.payload.is_some_and(|payload| queue(payload).is_ok()) {
        return Ok(());
    }
    kill(-leader.as_raw(), what.signal)
}

/// kill(2), where 0 and negative numbers have their meanings.
///
/// # Errors
/// As kill(2).
pub(super) fn kill(target: libc::pid_t, signal: Signal) -> nix::Result<()> {
    // SAFETY: two plain numbers.
    Errno::result(unsafe { libc::kill(target, signal.as_raw()) }).map(drop)
}

/// That nobody is there is no error.
pub(super) fn ignore_gone(result: nix::Result<()>) -> nix::Result<()> {
    match result {
        Err(Errno::ESRCH) => Ok(()),
        other => other,
    }
}

/// pidfd_open(2): a handle that never names another process, even if the pid is used again. Linux
/// 5.3; older ones say ENOSYS.
pub(super) fn pidfd(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: two plain numbers.
    let descriptor = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    let descriptor = RawFd::try_from(descriptor).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Sends a signal to the group of this process, reaped or not (`EINVAL` before Linux 6.9).
pub(super) fn group_by_pidfd(pidfd: &OwnedFd, signal: Signal) -> nix::Result<()> {
    by_pidfd(pidfd, signal, None, TO_GROUP)
}

/// pidfd_send_signal(2), Linux 5.1.
pub(super) fn by_pidfd(
    pidfd: &OwnedFd,
    signal: Signal,
    payload: Option<Payload>,
    flags: libc::c_uint,
) -> nix::Result<()> {
    let mut info = payload.map(|payload| siginfo(signal, payload));
    let info = info.as_mut().map_or(std::ptr::null_mut(), std::ptr::from_mut);
    // SAFETY: reads one siginfo, or none where the pointer is null.
    check(unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal.as_raw(), info, flags)
    })
    .map(drop)
}

/// The start of a `siginfo_t` for a queued signal as the kernel lays it out: the union after the
/// first three fields is aligned as a pointer is (include/uapi/asm-generic/siginfo.h).
#[repr(C)]
struct QueuedInfo {
    signo: libc::c_int,
    errno: libc::c_int,
    code: libc::c_int,
    #[cfg(target_pointer_width = "64")]
    padding: libc::c_int,
    pid: libc::pid_t,
    uid: libc::uid_t,
    /// `union sigval`, as long as a pointer.
    value: usize,
}

const _: () = assert!(size_of::<QueuedInfo>() <= size_of::<libc::siginfo_t>());

fn siginfo(signal: Signal, payload: Payload) -> libc::siginfo_t {
    #[expect(clippy::cast_possible_truncation, reason = "it came from a value of that length")]
    let queued = QueuedInfo {
        signo: signal.as_raw(),
        errno: 0,
        code: libc::SI_QUEUE,
        #[cfg(target_pointer_width = "64")]
        padding: 0,
        pid: payload.pid,
        uid: payload.uid,
        value: payload.value as usize,
    };
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: `QueuedInfo` is a prefix of `siginfo_t` and no larger; all-zero is valid for the
    // rest.
    unsafe {
        info.as_mut_ptr().cast::<QueuedInfo>().write(queued);
        info.assume_init()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_where_the_c_library_finds_them() {
        let signal = Signal::from_raw(40).unwrap();
        let info = siginfo(signal, Payload { value: 0x1234_5678, pid: 7, uid: 9 });
        assert_eq!((info.si_signo, info.si_code), (40, libc::SI_QUEUE));
        // SAFETY: a queued signal has these fields.
        let (pid, uid, value) = unsafe { (info.si_pid(), info.si_uid(), info.si_value()) };
        assert_eq!((pid, uid, value.sival_ptr.addr()), (7, 9, 0x1234_5678));
    }
}
