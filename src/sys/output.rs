//! Writing to stderr without ever waiting for it.

use std::ffi::CStr;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::sys::termios::tcgetsid;
use nix::unistd::isatty;

use super::check;

/// A pipe takes this much at once or not at all (pipe(7), `PIPE_BUF`). Longer lines are cut.
const LONGEST_LINE: usize = 4096;

/// stderr, line by line. A line that does not fit now is dropped, and the next one that fits is led
/// by the number of those.
///
/// The file description is shared with the command, so `O_NONBLOCK` cannot be set on it.
pub struct Stderr {
    dropped: u64,
    dropped_line: fn(&mut dyn Write, u64) -> io::Result<()>,
}

impl Stderr {
    /// `dropped_line` writes the line that says how many were dropped.
    #[must_use]
    pub fn new(dropped_line: fn(&mut dyn Write, u64) -> io::Result<()>) -> Self {
        Self { dropped: 0, dropped_line }
    }
}

impl Write for Stderr {
    /// Takes one whole line. Never fails, never waits.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.dropped > 0 {
            let mut notice = [0_u8; 192];
            let mut rest = notice.as_mut_slice();
            let _ = (self.dropped_line)(&mut rest, self.dropped);
            let unused = rest.len();
            if try_write(notice.get(..notice.len() - unused).unwrap_or_default()).is_ok() {
                self.dropped = 0;
            }
        }
        if try_write(cut(line, &mut [0; LONGEST_LINE])).is_err() {
            self.dropped = self.dropped.saturating_add(1);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The line itself if it is short enough, else its beginning, with a line end, in `buffer`.
fn cut<'a>(line: &'a [u8], buffer: &'a mut [u8; LONGEST_LINE]) -> &'a [u8] {
    let Some(beginning) = line.get(..LONGEST_LINE - 1).filter(|_| line.len() > LONGEST_LINE) else {
        return line;
    };
    buffer.fill(b'\n');
    if let Some(place) = buffer.get_mut(..LONGEST_LINE - 1) {
        place.copy_from_slice(beginning);
    }
    buffer
}

/// Writes all of it, or fails at once.
fn try_write(line: &[u8]) -> nix::Result<()> {
    // SAFETY: stderr is open (with a placeholder, if need be) and never closed.
    let stderr = unsafe { BorrowedFd::borrow_raw(2) };
    let written = match fstat(stderr)
        .map(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT)
    {
        // A file never waits for a reader.
        Ok(SFlag::S_IFREG) => nix::unistd::write(stderr, line),
        _ => match write_nowait(stderr, line) {
            Err(
                Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL | Errno::ESPIPE | Errno::EPERM,
            ) => write_reopened(stderr, line),
            written => written,
        },
    }?;
    if written == line.len() { Ok(()) } else { Err(Errno::EAGAIN) }
}

/// pwritev2(2) with `RWF_NOWAIT`: this one write does not wait. Newer kernels can do it with pipes
/// and sockets, but not with terminals.
fn write_nowait(stderr: BorrowedFd, line: &[u8]) -> nix::Result<usize> {
    let part = libc::iovec { iov_base: line.as_ptr().cast_mut().cast(), iov_len: line.len() };
    // The offset -1, in two halves, is the current one.
    let (low, high): (libc::c_long, libc::c_long) = (-1, -1);
    let descriptor = libc::c_long::from(stderr.as_raw_fd());
    // SAFETY: the kernel reads one iovec, and the bytes of `line` that it names.
    let written = unsafe {
        libc::syscall(
            libc::SYS_pwritev2,
            descriptor,
            &raw const part,
            1_usize,
            low,
            high,
            libc::RWF_NOWAIT,
        )
    };
    check(written).map(|written| usize::try_from(written).unwrap_or(0))
}

/// Writes through a file description of our own, which may be non-blocking. Where none can be had
/// (no /proc, a pipe of another user, an old socket), only if poll(2) sees room: for a whole line
/// in a pipe, and then it waits only if somebody else fills it in between.
fn write_reopened(stderr: BorrowedFd, line: &[u8]) -> nix::Result<usize> {
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let reopen = |name: &CStr| open(name, flags, Mode::empty());
    // tcgetsid(3) knows only our controlling terminal.
    let own = reopen(c"/proc/self/fd/2")
        .or_else(|error| tcgetsid(stderr).map_err(|_| error).and_then(|_| reopen(c"/dev/tty")));
    if let Ok(own) = own {
        return nix::unistd::write(own.as_fd(), line);
    }
    // In a terminal, poll(2) sees room as soon as a byte fits.
    if isatty(stderr) == Ok(true) {
        return Err(Errno::EAGAIN);
    }
    let mut room = [PollFd::new(stderr, PollFlags::POLLOUT)];
    poll(&mut room, PollTimeout::ZERO)?;
    let [room] = room;
    if room.revents().is_some_and(|events| events.contains(PollFlags::POLLOUT)) {
        nix::unistd::write(stderr, line)
    } else {
        Err(Errno::EAGAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_and_still_ends() {
        let line = vec![b'x'; LONGEST_LINE + 1];
        let mut buffer = [0; LONGEST_LINE];
        let cut = cut(&line, &mut buffer);
        assert_eq!(cut.len(), LONGEST_LINE);
        assert_eq!(cut.last(), Some(&b'\n'));
        let fits = vec![b'x'; LONGEST_LINE];
        assert_eq!(super::cut(&fits, &mut [0; LONGEST_LINE]), fits);
    }
}
