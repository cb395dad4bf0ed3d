//! The file for the termination message.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};

/// The open file. It is opened at the start, so that what the command does to its rights, root
/// directory or file systems is no hindrance.
pub struct MessageFile(OwnedFd);

impl MessageFile {
    /// Opens the file for writing; a new one is made, or an old one emptied, only if `create`.
    ///
    /// # Errors
    /// As open(2): `ENOENT` without such a file, `ENXIO` for a pipe that nobody reads.
    pub fn open(path: &Path, create: bool) -> nix::Result<Self> {
        let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let flags = if create { flags | OFlag::O_CREAT | OFlag::O_TRUNC } else { flags };
        open(path, flags, Mode::from_bits_truncate(0o644)).map(Self)
    }

    /// The descriptor to keep open.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Writes the message, in one piece and without waiting, unless the file holds something
    /// already: the command has its own message.
    ///
    /// # Errors
    /// As fstat(2) and write(2): `ENOSPC`, `EAGAIN`.
    pub fn write_if_empty(&self, message: &[u8]) -> nix::Result<()> {
        let stat = fstat(self.0.as_fd())?;
        let is_file = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG;
        if is_file && stat.st_size > 0 {
            return Ok(());
        }
        nix::unistd::write(&self.0, message).map(drop)
    }
}
