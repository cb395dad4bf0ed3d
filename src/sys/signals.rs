//! Receiving signals: everything is blocked, and read from a queue.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::getpid;

use super::{check, kill, process};
use crate::signal::{Payload, Received, Signal, SignalSet};

/// The size of the kernel's `sigset_t`, which the raw system calls ask for.
const SET_SIZE: usize = size_of::<u64>();

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
#[must_use]
pub fn take_over() -> Inherited {
    let mask = set_mask(SignalSet::FULL);
    let sigchld_ignored = set_disposition(libc::SIGCHLD, libc::SIG_DFL) == libc::SIG_IGN;
    Inherited { mask, sigchld_ignored }
}

impl Inherited {
    /// Gives the calling process the mask and dispositions that we inherited. For a new child,
    /// before its exec; async-signal-safe.
    pub(super) fn restore(&self) {
        if self.sigchld_ignored {
            set_disposition(libc::SIGCHLD, libc::SIG_IGN);
        }
        set_mask(self.mask);
    }
}

/// Sets the signal mask and returns the old one. The raw call: the C libraries would leave their
/// own signals out.
fn set_mask(new: SignalSet) -> SignalSet {
    let new = new.bits();
    let mut old: u64 = 0;
    // SAFETY: rt_sigprocmask(2) reads and writes `SET_SIZE` bytes of variables of that size. It
    // cannot fail with valid pointers.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const new,
            &raw mut old,
            SET_SIZE,
        )
    };
    SignalSet::from_bits(old)
}

/// Stops us as `signal` has stopped the main child, until somebody sends SIGCONT, which is pending
/// then. Whether we were stopped.
///
/// Without us in between, the terminal would have stopped our whole process group. Where nobody
/// could continue it (it is orphaned, setpgid(2)), the kernel does not stop it. A SIGSTOP was meant
/// for the child alone: we show it to a shell that is our parent, and stop for nobody else.
#[must_use]
pub fn stop_ourselves(signal: Signal) -> bool {
    if signal == Signal::STOP {
        let seen = process::parent_is_shell();
        if seen {
            process::stop();
        }
        return seen;
    }
    let inherited = set_disposition(signal.as_raw(), libc::SIG_DFL);
    // It cannot fail for one's own group.
    let _ = kill::kill(0, signal);
    let mut all_others = SignalSet::FULL;
    all_others.remove(signal);
    set_mask(all_others);
    set_mask(SignalSet::FULL);
    set_disposition(signal.as_raw(), inherited);
    pending().contains(Signal::CONT)
}

fn pending() -> SignalSet {
    let mut pending: u64 = 0;
    // SAFETY: rt_sigpending(2) writes `SET_SIZE` bytes to a variable of that size. It cannot fail
    // with a valid pointer.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, SET_SIZE) };
    SignalSet::from_bits(pending)
}

/// Sets a signal's disposition, `SIG_DFL` or `SIG_IGN`, and returns the old one.
fn set_disposition(signal: libc::c_int, handler: libc::sighandler_t) -> libc::sighandler_t {
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

/// How often to look at the children where signals cannot be received at all.
const LAST_RESORT: Duration = Duration::from_millis(100);

/// Where blocked signals are read from.
pub struct Queue {
    /// The signalfd(2); without one (no descriptor was free, or a read failed) signals are taken
    /// one by one by sigtimedwait(2).
    signalfd: Option<OwnedFd>,
    own_pid: i32,
    /// What the buffer holds was there before we did anything.
    inherited: bool,
    /// The terminal has stopped our process group, in which somebody used it from the background.
    terminal_wanted: bool,
    buffer: [MaybeUninit<libc::signalfd_siginfo>; BATCH],
    /// How many of the buffer were read, and how many of those are taken.
    filled: usize,
    taken: usize,
}

impl Queue {
    /// Opens the queue, and reads what was pending when we started: to be called before anything
    /// that may send a signal to ourselves, such as a write. Every signal must be blocked
    /// already.
    #[must_use]
    pub fn open() -> Self {
        let all = SignalSet::FULL.bits();
        // SAFETY: signalfd4(2) reads `SET_SIZE` bytes of a variable of that size.
        let result = check(unsafe {
            libc::syscall(libc::SYS_signalfd4, -1, &raw const all, SET_SIZE, libc::SFD_CLOEXEC)
        });
        let descriptor = result.ok().and_then(|fd| RawFd::try_from(fd).ok());
        let mut queue = Self {
            // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
            signalfd: descriptor.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
            own_pid: getpid().as_raw(),
            inherited: true,
            terminal_wanted: false,
            buffer: [const { MaybeUninit::uninit() }; BATCH],
            filled: 0,
            taken: 0,
        };
        // EAGAIN where none is pending; any other error will come again.
        let _ = queue.fill(Some(Duration::ZERO), None);
        queue
    }

    /// The descriptor to keep open, if there is one.
    #[must_use]
    pub fn descriptor(&self) -> Option<RawFd> {
        self.signalfd.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Sleeps until a signal is pending, `beside` has an event (poll(2), `POLLPRI`), or `timeout`
    /// is over (`None`: without limit), and reads at most one buffer of signals. Whether
    /// `beside` has an event; without a signalfd nobody looks at it.
    pub fn wait(&mut self, timeout: Option<Duration>, beside: Option<BorrowedFd<'_>>) -> bool {
        (self.filled, self.taken, self.inherited) = (0, 0, false);
        match self.fill(timeout, beside) {
            Ok(event) => return event,
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            // Without this step a read that fails for good would have us spin.
            Err(error) if self.signalfd.take().is_some() => {
                log::error!(
                    "cannot read signals: {}; trying another way",
                    std::io::Error::from(error)
                );
            }
            // Both are forbidden, by a seccomp filter: then at least do not spin.
            Err(_) => std::thread::sleep(timeout.unwrap_or(LAST_RESORT).min(LAST_RESORT)),
        }
        false
    }

    /// The next signal of those that the last [`Queue::wait`] read, without those that are not for
    /// the command.
    pub fn next_received(&mut self) -> Option<Received> {
        while self.taken < self.filled {
            let info = self.buffer.get(self.taken)?;
            self.taken += 1;
            // SAFETY: the first `filled` ones are written by the kernel.
            if let Some(received) = self.understand(unsafe { info.assume_init() }) {
                return Some(received);
            }
        }
        None
    }

    /// Whether the terminal has stopped our process group since the last call: all its other
    /// members stand still now.
    pub fn terminal_was_wanted(&mut self) -> bool {
        std::mem::take(&mut self.terminal_wanted)
    }

    /// `None` if we caused it ourselves, or it is not for the command.
    fn understand(&mut self, info: libc::signalfd_siginfo) -> Option<Received> {
        let signal = Signal::from_raw(i32::try_from(info.ssi_signo).ok()?)?;
        let sender = i32::try_from(info.ssi_pid).unwrap_or(0);
        // Our write to a broken stderr queues a SIGPIPE (one over a file size limit a SIGXFSZ),
        // giving up a terminal a SIGHUP and a SIGCONT: for the command they mean something
        // else. We never send ourselves a queued one. Not even a log line: it would be the
        // next such write.
        let own = sender == self.own_pid && info.ssi_code == libc::SI_USER && !signal.is_queued();
        if own && !self.inherited {
            return None;
        }
        // Not for the command, which has a group of its own.
        if info.ssi_code == libc::SI_KERNEL && [Signal::TTIN, Signal::TTOU].contains(&signal) {
            self.terminal_wanted = true;
            return None;
        }
        let payload = || Payload { value: info.ssi_ptr, pid: sender, uid: info.ssi_uid };
        let from_kernel = info.ssi_code == libc::SI_KERNEL;
        Some(Received {
            signal,
            payload: (info.ssi_code == libc::SI_QUEUE).then(payload),
            from_kernel,
        })
    }

    fn fill(
        &mut self,
        timeout: Option<Duration>,
        beside: Option<BorrowedFd<'_>>,
    ) -> nix::Result<bool> {
        let Some(descriptor) = self.descriptor() else {
            self.take_one(timeout)?;
            while self.filled < BATCH && self.take_one(Some(Duration::ZERO)).is_ok() {}
            return Ok(false);
        };
        let mut event = false;
        if timeout.is_some() || beside.is_some() {
            let ready = poll(descriptor, beside, timeout)?;
            event = ready.event;
            if !ready.readable {
                return Ok(event);
            }
        }
        // SAFETY: the buffer is ours, and read(2) writes at most its size.
        let read = check(unsafe {
            libc::read(descriptor, self.buffer.as_mut_ptr().cast(), size_of_val(&self.buffer))
        } as _)?;
        self.filled = usize::try_from(read).unwrap_or(0) / size_of::<libc::signalfd_siginfo>();
        Ok(event)
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
            taken.ssi_signo = info.si_signo.cast_unsigned();
            taken.ssi_code = info.si_code;
            taken.ssi_pid = info.si_pid().cast_unsigned();
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

struct Ready {
    readable: bool,
    event: bool,
}

/// ppoll(2): whether the first descriptor can be read, and the second has an event.
fn poll(
    first: RawFd,
    second: Option<BorrowedFd<'_>>,
    timeout: Option<Duration>,
) -> nix::Result<Ready> {
    let second = second.map_or(-1, |second| second.as_raw_fd());
    let mut polled = [(first, libc::POLLIN), (second, libc::POLLPRI)]
        .map(|(fd, events)| libc::pollfd { fd, events, revents: 0 });
    let timeout = timeout.map(timespec);
    let timeout_pointer = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    let (first, count) = (polled.as_mut_ptr(), polled.len() as _);
    // SAFETY: as many pollfds as told, of which a negative descriptor is skipped, and a timespec or
    // nothing; no mask.
    check(unsafe { libc::ppoll(first, count, timeout_pointer, ptr::null()) }.into())?;
    let [readable, event] = polled.map(|polled| polled.revents != 0);
    Ok(Ready { readable, event })
}

fn timespec(duration: Duration) -> libc::timespec {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    libc::timespec { tv_sec: seconds, tv_nsec: duration.subsec_nanos().into() }
}
