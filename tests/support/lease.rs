//! A program whose exec takes as long as the test likes.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use super::wait_until;

/// A write lease on a file (fcntl(2)): whoever executes it waits until this is dropped.
pub struct Lease(File);

impl Lease {
    pub fn take(program: &Path) -> Self {
        // SAFETY: no handler; the default action of the lease's SIGIO would be to end us.
        unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
        let lease = Self(File::open(program).expect("a file"));
        assert_eq!(
            lease.control(libc::F_SETLEASE, libc::F_WRLCK),
            0,
            "{}",
            std::io::Error::last_os_error()
        );
        lease
    }

    pub fn wait_for_the_exec(&self) {
        wait_until("the exec", || self.control(libc::F_GETLEASE, 0) != libc::F_WRLCK);
    }

    fn control(&self, command: i32, kind: i32) -> i32 {
        // SAFETY: plain numbers, and the descriptor is open.
        unsafe { libc::fcntl(self.0.as_raw_fd(), command, kind) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.control(libc::F_SETLEASE, libc::F_UNLCK);
    }
}
