//! The file for the termination message.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::ftruncate;

/// The open file. It is opened at the start, so that what the command does to its rights, root
/// directory or file systems is no hindrance.
pub struct MessageFile {
    file: OwnedFd,
    /// What an earlier run has left there, which ours takes the place of; `None`: a file that is
    /// nobody's but the command's.
    old: Option<Content>,
}

/// What tells whether somebody has written.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Content {
    size: libc::off_t,
    modified: (libc::time_t, libc::c_long),
}

impl MessageFile {
    /// Opens the file for writing; a new one is made, or what an old one holds replaced, only if
    /// `create`. Nothing is changed in it before there is something to write.
    ///
    /// Whoever may write to the folder must not lead us to another file: a symbolic link is not
    /// followed, and a file with several names is refused.
    ///
    /// # Errors
    /// As open(2): `ENOENT` without such a file, `ENXIO` for a pipe that nobody reads, `ELOOP` for
    /// a symbolic link; `EMLINK` for a file with several names.
    pub fn open(path: &Path, create: bool) -> nix::Result<Self> {
        let flags = OFlag::O_WRONLY
            | OFlag::O_NONBLOCK
            | OFlag::O_NOCTTY
            | OFlag::O_NOFOLLOW
            | OFlag::O_CLOEXEC;
        let flags = if create { flags | OFlag::O_CREAT } else { flags };
        let file = open(path, flags, Mode::from_bits_truncate(0o644))?;
        let stat = fstat(file.as_fd())?;
        if is_regular(&stat) && stat.st_nlink > 1 {
            return Err(Errno::EMLINK);
        }
        Ok(Self { file, old: create.then(|| Content::of(&stat)) })
    }

    /// The descriptor to keep open.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Writes the message, which may be empty, in one piece and without waiting, unless the file holds something that
    /// was not there at the start: the command has its own message.
    ///
    /// # Errors
    /// As fstat(2), ftruncate(2) and write(2): `ENOSPC`, `EAGAIN`.
    pub fn write_if_unwritten(&self, message: &[u8]) -> nix::Result<()> {
        let stat = fstat(self.file.as_fd())?;
        if is_regular(&stat) && stat.st_size > 0 {
            if self.old != Some(Content::of(&stat)) {
                return Ok(());
            }
            ftruncate(&self.file, 0)?;
        }
        if message.is_empty() {
            return Ok(());
        }
        nix::unistd::write(&self.file, message).map(drop)
    }
}

impl Content {
    fn of(stat: &libc::stat) -> Self {
        Self { size: stat.st_size, modified: (stat.st_mtime, stat.st_mtime_nsec) }
    }
}

fn is_regular(stat: &libc::stat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
}
