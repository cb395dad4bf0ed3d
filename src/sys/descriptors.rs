//! Descriptors: what was inherited is passed on untouched, and then let go.

use std::io::{self, IsTerminal};
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{chdir, close};

use super::{check, directory};

/// Where /proc is missing and `close_range` too, descriptors are tried one by one up to here.
const LAST_GUESS: RawFd = 65_536;

/// stdin is our own /dev/null, and no longer what the main command is to have.
static STDIN_IS_OURS: AtomicBool = AtomicBool::new(false);

/// Puts a placeholder on each of 0, 1 and 2 that is closed, so that nothing we open lands there. It
/// is closed again by the command's exec.
pub fn fill_standard() {
    for descriptor in 0..=2 {
        if !is_open(descriptor) {
            open_placeholder();
        }
    }
}

fn is_open(descriptor: RawFd) -> bool {
    // SAFETY: only its flags are asked for; if it is closed, EBADF says so.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    fcntl(borrowed, FcntlArg::F_GETFD).is_ok()
}

/// Opens /dev/null at the lowest free descriptor, and leaves it open. Where it is missing, a handle
/// of `/` that can do nothing keeps the place taken.
fn open_placeholder() {
    let opened = open(c"/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())
        .or_else(|_| open(c"/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()));
    if let Ok(descriptor) = opened {
        let _ = descriptor.into_raw_fd();
    }
}

/// Lets go of all that we inherited: stdin becomes /dev/null, everything from 3 up is closed but
/// `kept`, and the working directory is `/`. Pipes get their end of file, and file systems can be
/// unmounted, when the command is done with them.
///
/// stdout and stderr stay: people write to /proc/1/fd/1 and /2.
pub fn release_inherited<const COUNT: usize>(kept: [Option<BorrowedFd>; COUNT]) {
    let _ = close(0);
    open_placeholder();
    STDIN_IS_OURS.store(true, Ordering::Relaxed);
    close_from_3(kept);
    if let Err(error) = chdir(c"/") {
        log::warn!("cannot change the working directory to /: {}", std::io::Error::from(error));
    }
}

/// Whether stdin is a terminal (isatty(3)).
#[must_use]
pub fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// The inode of the pipe that stdin is, if it is one.
#[must_use]
pub fn stdin_pipe() -> Option<u64> {
    let stat = fstat(io::stdin()).ok()?;
    let is_pipe = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFIFO;
    is_pipe.then_some(stat.st_ino)
}

/// The working directory, to be entered again by a command that starts later.
#[must_use]
pub fn working_directory() -> Option<OwnedFd> {
    open(c".", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).ok()
}

/// Leaves a command, before its exec, /dev/null as stdin, closed where there is none, and stdout
/// and stderr; and what tells of the exec.
pub(super) fn keep_output_only(exec: Option<BorrowedFd>) {
    let _ = close(0);
    // It takes the lowest free number.
    if let Ok(stdin) = open(c"/dev/null", OFlag::O_RDONLY, Mode::empty()) {
        let _ = stdin.into_raw_fd();
    }
    close_from_3([exec]);
}

fn close_from_3<const COUNT: usize>(kept: [Option<BorrowedFd>; COUNT]) {
    let mut kept = kept.map(|descriptor| descriptor.map(|descriptor| descriptor.as_raw_fd()));
    kept.sort_unstable();
    let mut first = 3;
    for kept in kept.into_iter().flatten() {
        close_range(first, kept - 1);
        first = kept + 1;
    }
    close_range(first, RawFd::MAX);
}

/// Closes all descriptors from `first` to `last`.
fn close_range(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    // SAFETY: nothing of ours is open in this range; whoever calls names what to keep.
    let closed = check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) });
    // ENOSYS before Linux 5.9; EPERM from seccomp filters that do not know it.
    if closed.is_ok() {
        return;
    }
    let close = |descriptor| {
        let _ = close(descriptor);
    };
    match directory::numbers(c"/proc/self/fd") {
        Ok(open) => open
            .into_iter()
            .filter(|descriptor| (first..=last).contains(descriptor))
            .for_each(close),
        Err(_) => (first..=last.min(LAST_GUESS)).for_each(close),
    }
}

/// Does `work` with stdin's place free, for where descriptors are so scarce that there is no other.
pub(super) fn with_spare<T>(work: impl FnOnce() -> T) -> T {
    if !STDIN_IS_OURS.load(Ordering::Relaxed) {
        return work();
    }
    let _ = close(0);
    let done = work();
    open_placeholder();
    done
}
