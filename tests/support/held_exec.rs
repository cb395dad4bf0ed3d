//! A program whose exec waits for permission, until a signal kills the process.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Asks for each exec of a file (fanotify(7), `FAN_OPEN_EXEC_PERM`), and answers only by being
/// dropped: then all may go on.
pub struct HeldExec(OwnedFd);

impl HeldExec {
    /// `None` without `CAP_SYS_ADMIN`.
    pub fn hold(program: &Path) -> Option<Self> {
        let path = CString::new(program.as_os_str().as_bytes()).expect("no null byte");
        let flags = libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC;
        // SAFETY: plain numbers; the descriptor is a new one.
        let group = unsafe {
            let group = libc::fanotify_init(flags, 0);
            Errno::result(group).ok().map(|group| OwnedFd::from_raw_fd(group))?
        };
        // SAFETY: the path is a C string.
        let marked = unsafe {
            libc::fanotify_mark(
                group.as_raw_fd(),
                libc::FAN_MARK_ADD,
                libc::FAN_OPEN_EXEC_PERM,
                libc::AT_FDCWD,
                path.as_ptr(),
            )
        };
        Errno::result(marked).ok().map(|_| Self(group))
    }

    pub fn wait_for_the_exec(&self) {
        let mut group = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(super::DEADLINE).expect("short enough");
        assert_eq!(poll(&mut group, limit), Ok(1), "nobody executes it");
    }
}
