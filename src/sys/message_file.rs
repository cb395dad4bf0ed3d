//! The file for the termination message.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::sys::uio::pwrite;
use nix::unistd::{ftruncate, write};

/// The open file. It is opened at the start, so that what the command does to its rights, root
/// directory or file systems is no hindrance.
pub struct MessageFile {
    file: OwnedFd,
    /// It is a file, and no pipe or device, from which nothing can be taken back.
    is_regular: bool,
    /// What is there of ours, or of an earlier run: no other text is written over.
    ours: Option<Content>,
}

/// What tells whether somebody has written.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Content {
    size: i64,
    modified: [i64; 2],
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
        let is_regular = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG;
        if is_regular && stat.st_nlink > 1 {
            return Err(Errno::EMLINK);
        }
        Ok(Self { file, is_regular, ours: create.then(|| Content::of(&stat)) })
    }

    /// The descriptor to keep open.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Whether another message can take the place of one.
    #[must_use]
    pub fn can_be_renewed(&self) -> bool {
        self.is_regular
    }

    /// Writes the message, in one piece and without waiting, in the place of our last one, unless
    /// the command has written its own. Whoever reads at any moment finds a message. An empty one
    /// takes ours away.
    ///
    /// # Errors
    /// As fstat(2), ftruncate(2) and pwrite(2): `ENOSPC`, `EAGAIN`.
    pub fn write(&mut self, message: &[u8]) -> nix::Result<()> {
        if !self.is_regular {
            return if message.is_empty() { Ok(()) } else { write(&self.file, message).map(drop) };
        }
        let stat = fstat(self.file.as_fd())?;
        if stat.st_size > 0 && self.ours != Some(Content::of(&stat)) {
            return Ok(());
        }
        let written = if message.is_empty() { Ok(0) } else { pwrite(&self.file, message, 0) };
        let length = libc::off_t::try_from(*written.as_ref().unwrap_or(&0)).unwrap_or(0);
        if stat.st_size != length {
            ftruncate(&self.file, length)?;
        }
        self.ours = Some(Content::of(&fstat(self.file.as_fd())?));
        written.map(drop)
    }
}

impl Content {
    #[allow(clippy::useless_conversion, reason = "with 32 bits the fields are shorter")]
    fn of(stat: &libc::stat) -> Self {
        let modified = [i64::from(stat.st_mtime), i64::from(stat.st_mtime_nsec)];
        Self { size: i64::from(stat.st_size), modified }
    }
}
