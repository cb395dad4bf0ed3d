//! The controlling terminal and its foreground process group.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{Pid as NixPid, getpgrp, getpid, getsid, read, tcgetpgrp, tcsetpgrp};

use crate::process::Pid;

/// Our controlling terminal, if there is one.
///
/// All signals are blocked, SIGTTOU too, so the terminal lets us change its foreground from the
/// background (tcsetpgrp(3)).
pub struct Terminal {
    descriptor: Descriptor,
    own_group: NixPid,
    /// Its foreground was ours and is the main child's.
    taken: bool,
}

enum Descriptor {
    /// stdout or stderr, which stay open for good.
    Standard(BorrowedFd<'static>),
    Own(OwnedFd),
}

impl Terminal {
    /// Finds the controlling terminal.
    #[must_use]
    pub fn find() -> Option<Self> {
        // SAFETY: all three are open (with a placeholder, if need be); stdout and stderr are never
        // closed, stdin not before this ends.
        let (stdin, out, err) = unsafe {
            (BorrowedFd::borrow_raw(0), BorrowedFd::borrow_raw(1), BorrowedFd::borrow_raw(2))
        };
        let is_ours = |fd: &BorrowedFd| tcgetpgrp(fd).is_ok();
        let standard = [err, out].into_iter().find(is_ours).map(Descriptor::Standard);
        let by_name = || {
            open(c"/dev/tty", OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC, Mode::empty())
                .ok()
        };
        let by_stdin = || is_ours(&stdin).then(|| stdin.try_clone_to_owned().ok()).flatten();
        let descriptor = standard.or_else(|| by_name().or_else(by_stdin).map(Descriptor::Own))?;
        Some(Self { descriptor, own_group: getpgrp(), taken: false })
    }

    /// The descriptor of ours to keep open, if there is one.
    #[must_use]
    pub fn own_descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.descriptor {
            Descriptor::Standard(_) => None,
            Descriptor::Own(descriptor) => Some(descriptor.as_fd()),
        }
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        match &self.descriptor {
            Descriptor::Standard(descriptor) => *descriptor,
            Descriptor::Own(descriptor) => descriptor.as_fd(),
        }
    }

    /// Claims the foreground for the main child, if it is ours to give: the descriptor by which the
    /// child takes it.
    pub fn claim(&mut self) -> Option<BorrowedFd<'_>> {
        // In the session leader's own group (`ssh -t host 'firstmate ... | less'`) the others could
        // not wait for the terminal: their group is orphaned, and reading fails. There the
        // command gets it when it asks for it.
        let shared_with_the_leader =
            getsid(None) == Ok(self.own_group) && self.own_group != getpid();
        self.taken = !shared_with_the_leader && self.is_ours();
        self.taken.then(|| self.descriptor())
    }

    /// Gives the terminal up, for a session that the main child makes: the descriptor by which that
    /// takes it. The SIGHUP and SIGCONT that the kernel sends to our group then are our own
    /// doing.
    #[must_use]
    pub fn hand_over(&self) -> BorrowedFd<'_> {
        let descriptor = self.descriptor();
        // Only the leader's terminal becomes free (tty_ioctl(4)).
        if getsid(None) == Ok(getpid()) {
            // SAFETY: it takes no argument.
            unsafe { libc::ioctl(descriptor.as_raw_fd(), libc::TIOCNOTTY) };
        }
        descriptor
    }

    /// After a child that took the foreground and came to nothing.
    pub fn release(&mut self) {
        if std::mem::take(&mut self.taken) {
            self.set_foreground(self.own_group);
        }
    }

    fn foreground(&self) -> Option<NixPid> {
        tcgetpgrp(self.descriptor()).ok()
    }

    /// Whether our own group has the foreground. Both are 0 if they are groups of another PID
    /// namespace; then only who has it may read, even nothing (EIO, for SIGTTIN is blocked).
    fn is_ours(&self) -> bool {
        self.foreground() == Some(self.own_group)
            && (self.own_group.as_raw() != 0 || read(self.descriptor(), &mut []).is_ok())
    }

    /// Whether somebody above us in the session has made a job of us, and can `fg` it. In the
    /// session leader's own group nobody has.
    #[must_use]
    pub fn is_under_a_shell(&self) -> bool {
        getsid(None).is_ok_and(|leader| leader != self.own_group)
    }

    /// Gives the foreground back to our own group, if we took it and nobody else has it by now: the
    /// main child's group has it, or one that is gone. Whether it did.
    pub fn give_back(&mut self, main: Pid) -> bool {
        if !self.taken {
            return false;
        }
        let Some(foreground) = self.foreground() else { return false };
        let deserted =
            || nix::sys::signal::killpg(foreground, None) == Err(nix::errno::Errno::ESRCH);
        if foreground.as_raw() == main.as_raw() || deserted() {
            self.set_foreground(self.own_group);
            self.taken = false;
        }
        !self.taken
    }

    /// Gives the foreground to the main child's group again, if ours has it. Whether it did.
    pub fn take_again(&mut self, main: Pid) -> bool {
        let ours = self.is_ours();
        if ours {
            self.set_foreground(NixPid::from_raw(main.as_raw()));
            self.taken = true;
        }
        ours
    }

    fn set_foreground(&self, group: NixPid) {
        if let Err(error) = tcsetpgrp(self.descriptor(), group) {
            log::debug!(
                "cannot change the terminal's foreground process group: {}",
                std::io::Error::from(error)
            );
        }
    }
}
