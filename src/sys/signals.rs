//! Receiving signals: everything is blocked, and read from a queue.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::unistd::getpid;

use super::check;
use crate::process::Pid;
use crate::signal::{Payload, Received, Sender, Signal, SignalSet};

/// The size of the kernel's `sigset_t`, which the raw system calls ask for.
pub(super) const SET_SIZE: usize = size_of::<u64>();

/// What was inherited of signals, before we changed any of it.
#[derive(Clone, Copy, Debug)]
pub struct Inherited {
    /// The signal mask.
    pub mask: SignalSet,
    /// SIGCHLD was ignored.
    pub sigchld_ignored: bool,
}

/// Blocks every signal and sets SIGCHLD to its default; tells how it was. Meant to be the first
/// thing that a process does.
///
/// With an inherited `SIG_IGN` for SIGCHLD the kernel would throw away the exit statuses of our
/// children (wait(2)). All other dispositions stay as they are: a blocked signal is queued even
/// when it is ignored. A real fault still kills us (signal(7)).
///
/// # Errors
/// Where a seccomp filter forbids it.
pub fn block_all() -> nix::Result<Inherited> {
    let mask = set_mask(SignalSet::FULL)?;
    let sigchld_ignored = set_disposition(libc::SIGCHLD, libc::SIG_DFL) == libc::SIG_IGN;
    Ok(Inherited { mask, sigchld_ignored })
}

impl Inherited {
    /// Gives the calling process the mask and dispositions that we inherited: before an exec.
    ///
    /// # Errors
    /// As [`block_all`].
    pub(super) fn restore(&self) -> nix::Result<()> {
        if self.sigchld_ignored {
            set_disposition(libc::SIGCHLD, libc::SIG_IGN);
        }
        set_mask(self.mask).map(drop)
    }
}

/// Lets signals do to us what they were to do, but for those that a write brings: its error tells
/// more.
pub fn let_through(inherited: Inherited) {
    let set = |signal: libc::c_int| 1 << (signal - 1);
    let of_a_write = set(libc::SIGPIPE) | set(libc::SIGXFSZ);
    let mask = SignalSet::from_bits(inherited.mask.bits() | of_a_write);
    // As it was: all blocked.
    let _ = set_mask(mask);
}

/// Sets the signal mask and returns the old one. The raw call: the C libraries would leave their
/// own signals out.
///
/// # Errors
/// Where a seccomp filter forbids it.
pub(super) fn set_mask(new: SignalSet) -> nix::Result<SignalSet> {
    let new = new.bits();
    let mut old: u64 = 0;
    // SAFETY: rt_sigprocmask(2) reads and writes `SET_SIZE` bytes of variables of that size.
    check(unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const new,
            &raw mut old,
            SET_SIZE,
        )
    })?;
    Ok(SignalSet::from_bits(old))
}

/// Sets a signal's disposition, `SIG_DFL` or `SIG_IGN`, and returns the old one.
pub(super) fn set_disposition(
    signal: libc::c_int,
    handler: libc::sighandler_t,
) -> libc::sighandler_t {
    // SAFETY: all-zero is a valid `sigaction`; with valid pointers sigaction(2) fails only for
    // SIGKILL and SIGSTOP, and no handler is installed.
    unsafe {
        let mut new: libc::sigaction = MaybeUninit::zeroed().assume_init();
        let mut old: libc::sigaction = MaybeUninit::zeroed().assume_init();
        new.sa_sigaction = handler;
        libc::sigaction(signal, &raw const new, &raw mut old);
        old.sa_sigaction
    }
}

/// How many signals one wake-up takes. A flood must not keep us from reaping.
const BATCH: usize = 32;

/// So many waits in a row that are interrupted, or find nothing to read, are not the doing of
/// signals.
const MOST_FRUITLESS: u32 = 16;

/// How often to look at what cannot be waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Where blocked signals are read from.
pub struct SignalReceiver {
    /// The signalfd(2); without one (no descriptor was free, or a read failed) signals are taken
    /// one by one by sigtimedwait(2).
    signalfd: Option<OwnedFd>,
    own_pid: i32,
    /// What the buffer holds was there before we did anything.
    inherited: bool,
    buffer: [MaybeUninit<libc::signalfd_siginfo>; BATCH],
    /// How many waits were so since the last one that was not.
    fruitless: u32,
    /// How many of the buffer were read, and how many of those are taken.
    filled: usize,
    taken: usize,
}

/// What else a wait is for.
#[derive(Clone, Copy, Default)]
pub struct Beside<'a> {
    /// Has an event when the memory counter may have changed (poll(2), `POLLPRI`).
    pub memory: Option<BorrowedFd<'a>>,
    /// Can be read when a child has executed its program, or cannot.
    pub exec: Option<BorrowedFd<'a>>,
}

/// Which of [`Beside`] to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// The memory counter.
    pub memory: bool,
    /// The exec.
    pub exec: bool,
}

impl SignalReceiver {
    /// Opens it, and reads what was pending when we started: to be called before anything that may
    /// send a signal to ourselves, such as a write. Every signal must be blocked already.
    #[must_use]
    pub fn open() -> Self {
        let all = SignalSet::FULL.bits();
        // SAFETY: signalfd4(2) reads `SET_SIZE` bytes of a variable of that size.
        let result = check(unsafe {
            libc::syscall(libc::SYS_signalfd4, -1, &raw const all, SET_SIZE, libc::SFD_CLOEXEC)
        });
        let descriptor = result.ok().and_then(|fd| RawFd::try_from(fd).ok());
        let mut receiver = Self {
            // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
            signalfd: descriptor.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
            own_pid: getpid().as_raw(),
            inherited: true,
            fruitless: 0,
            buffer: [const { MaybeUninit::uninit() }; BATCH],
            filled: 0,
            taken: 0,
        };
        // EAGAIN where none is pending; any other error will come again.
        let _ = receiver.fill(Some(Duration::ZERO), Beside::default());
        receiver
    }

    /// The descriptor to keep open, if there is one.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.signalfd.as_ref().map(AsFd::as_fd)
    }

    /// Sleeps until a signal is pending, something beside is ready, or `timeout` is over (`None`:
    /// without limit), and reads at most one buffer of signals.
    pub fn wait(&mut self, timeout: Option<Duration>, beside: Beside) -> Ready {
        (self.filled, self.taken, self.inherited) = (0, 0, false);
        match self.fill(timeout, beside) {
            Ok(ready) => {
                self.fruitless = 0;
                return ready;
            }
            Err(Errno::EINTR | Errno::EAGAIN) if self.fruitless < MOST_FRUITLESS => {
                self.fruitless += 1;
            }
            // Without this step a read that fails for good would have us spin.
            Err(error) if self.signalfd.take().is_some() => {
                log::error!(
                    "cannot read signals: {}; trying another way",
                    std::io::Error::from(error)
                );
            }
            // Both are forbidden, by a seccomp filter: then at least do not spin.
            Err(_) => std::thread::sleep(timeout.unwrap_or(POLL_INTERVAL).min(POLL_INTERVAL)),
        }
        Ready::default()
    }

    /// The next signal of those that the last [`SignalReceiver::wait`] read.
    pub fn next_received(&mut self) -> Option<Received> {
        while self.taken < self.filled {
            let info = self.buffer.get(self.taken)?;
            self.taken += 1;
            // SAFETY: the first `filled` ones are written by the kernel.
            if let Some(received) = self.received(unsafe { info.assume_init() }) {
                return Some(received);
            }
        }
        None
    }

    fn received(&self, info: libc::signalfd_siginfo) -> Option<Received> {
        let signal = Signal::from_raw(i32::try_from(info.ssi_signo).ok()?)?;
        let pid = i32::try_from(info.ssi_pid).unwrap_or(0);
        let is_own = pid == self.own_pid && !self.inherited;
        let from = match info.ssi_code {
            // What the kernel says for reasons of its own is positive (sigaction(2)).
            1.. => Sender::Kernel,
            // We never send ourselves a queued one.
            libc::SI_USER if is_own && !signal.is_queued() => Sender::Ourselves,
            _ => Pid::from_raw(pid).map_or(Sender::Outside, Sender::Process),
        };
        let payload = || Payload { value: info.ssi_ptr, pid, uid: info.ssi_uid };
        let payload = (info.ssi_code == libc::SI_QUEUE).then(payload);
        Some(Received { signal, payload, from })
    }

    fn fill(&mut self, timeout: Option<Duration>, beside: Beside) -> nix::Result<Ready> {
        let Some(signalfd) = &self.signalfd else {
            let interval = || timeout.unwrap_or(POLL_INTERVAL).min(POLL_INTERVAL);
            match self.take_one(if beside.exec.is_some() { Some(interval()) } else { timeout }) {
                // Its time is over.
                Err(Errno::EAGAIN) => {}
                taken => taken?,
            }
            while self.filled < BATCH && self.take_one(Some(Duration::ZERO)).is_ok() {}
            return Ok(Ready::default());
        };
        let mut ready = Ready::default();
        if timeout.is_some() || beside.memory.is_some() || beside.exec.is_some() {
            let signals;
            (signals, ready) = poll(signalfd.as_fd(), beside, timeout)?;
            if !signals {
                return Ok(ready);
            }
        }
        // SAFETY: the buffer is ours, and read(2) writes at most its size.
        let read = check(unsafe {
            let buffer = self.buffer.as_mut_ptr().cast();
            libc::read(signalfd.as_raw_fd(), buffer, size_of_val(&self.buffer))
        } as _)?;
        self.filled = usize::try_from(read).unwrap_or(0) / size_of::<libc::signalfd_siginfo>();
        Ok(ready)
    }

    fn take_one(&mut self, timeout: Option<Duration>) -> nix::Result<()> {
        let all = SignalSet::FULL.bits();
        let timeout = timeout.map(timespec);
        let timeout_pointer = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: rt_sigtimedwait(2) reads `SET_SIZE` bytes and a timespec or nothing, and writes a
        // siginfo. The fields of sender and value are read as plain bytes: where the signal
        // has none, they are zero or ignored.
        let taken = unsafe {
            check(libc::syscall(
                libc::SYS_rt_sigtimedwait,
                &raw const all,
                info.as_mut_ptr(),
                timeout_pointer,
                SET_SIZE,
            ))?;
            let info = info.assume_init();
            let mut taken: libc::signalfd_siginfo = MaybeUninit::zeroed().assume_init();
            taken.ssi_signo = u32::try_from(info.si_signo).unwrap_or_default();
            taken.ssi_code = info.si_code;
            taken.ssi_pid = u32::try_from(info.si_pid()).unwrap_or_default();
            taken.ssi_uid = info.si_uid();
            taken.ssi_ptr = info.si_value().sival_ptr as u64;
            taken
        };
        if let Some(free) = self.buffer.get_mut(self.filled) {
            free.write(taken);
            self.filled += 1;
        }
        Ok(())
    }
}

/// ppoll(2): whether there are signals, and what else is ready.
fn poll(
    signals: BorrowedFd,
    beside: Beside,
    timeout: Option<Duration>,
) -> nix::Result<(bool, Ready)> {
    let entry = |descriptor: Option<BorrowedFd>, events| {
        let fd = descriptor.map_or(-1, |descriptor| descriptor.as_raw_fd());
        libc::pollfd { fd, events, revents: 0 }
    };
    let mut polled = [
        entry(Some(signals), libc::POLLIN),
        entry(beside.memory, libc::POLLPRI),
        entry(beside.exec, libc::POLLIN),
    ];
    let timeout = timeout.map(timespec);
    let timeout_pointer = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    let (first, count) = (polled.as_mut_ptr(), polled.len() as _);
    // SAFETY: as many pollfds as told, of which a negative descriptor is skipped, and a timespec or
    // nothing; no mask.
    check(unsafe { libc::ppoll(first, count, timeout_pointer, ptr::null()) }.into())?;
    let [signals, memory, exec] = polled.map(|polled| polled.revents != 0);
    Ok((signals, Ready { memory, exec }))
}

fn timespec(duration: Duration) -> libc::timespec {
    *TimeSpec::from_duration(duration).as_ref()
}
