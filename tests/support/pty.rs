//! A terminal, and what a user at it sees and types.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

use super::{DEADLINE, Process, Scenario, clean, firstmate, probe, wait_until};

pub const CTRL_C: &str = "\x03";
pub const CTRL_D: &str = "\x04";
pub const CTRL_Z: &str = "\x1a";

/// A terminal whose session leader is PID 1 of a new PID namespace. Everything in it is killed on
/// drop.
///
/// Nobody reads between two calls: a program that says more than the terminal holds (4 KiB) waits.
pub struct Pty {
    /// Ours alone: closing it hangs up.
    master: File,
    child: Child,
    /// The session leader, by its pid outside.
    pub leader: Process,
    /// All that came.
    screen: String,
    /// How much of it was expected so far.
    seen: usize,
}

impl Pty {
    /// firstmate is the session leader, as under `docker run -it`.
    pub fn init(scenario: Scenario) -> Self {
        Self::start(scenario.prepare("terminal").to_command(), None)
    }

    /// The same, with a stdout that outlives the terminal.
    pub fn init_with_stdout(scenario: Scenario, stdout: impl Into<Stdio>) -> Self {
        Self::start(scenario.prepare("terminal").to_command(), Some(stdout.into()))
    }

    /// Another program is the session leader. It finds firstmate in `$F` and the probe in `$P`.
    pub fn under(words: &[&str]) -> Self {
        let mut command = clean(&probe());
        command.args(["container", "terminal", "exec"]).args(words);
        Self::start(command, None)
    }

    fn start(mut command: Command, stdout: Option<Stdio>) -> Self {
        let master =
            posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("it is ours");
        let name = ptsname_r(&master).expect("a name");
        let slave = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NOCTTY)
                .open(&name)
                .expect("its other end")
        };
        command
            .env("SHELL", "/bin/sh")
            .env("PS1", "$ ")
            .env("F", firstmate())
            .env("P", probe())
            .env_remove("HISTFILE")
            .env_remove("ENV");
        command.stdin(slave()).stdout(stdout.unwrap_or_else(|| slave().into())).stderr(slave());
        // SAFETY: prctl is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let child = command.spawn().expect("the probe runs");
        let outer = Process(child.id().try_into().expect("a pid"));
        let master = File::from(OwnedFd::from(master));
        Self { master, child, leader: outer.child(), screen: String::new(), seen: 0 }
    }

    pub fn write(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("the terminal takes a little");
    }

    /// Types a line.
    pub fn line(&mut self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    /// Waits until this stands on the screen, after all that was expected before; gives what stands
    /// between. What is typed stands there too, if the terminal echoes it.
    pub fn expect(&mut self, wanted: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(at) = self.screen[self.seen..].find(wanted) {
                let skipped = self.screen[self.seen..self.seen + at].to_owned();
                self.seen += at + wanted.len();
                return skipped;
            }
            assert!(self.read(end), "no {wanted:?} after {:?}", &self.screen[self.seen..]);
        }
    }

    /// Reads what comes next; `false` if nothing does until `end`, or the last process has left the
    /// terminal.
    fn read(&mut self, end: Instant) -> bool {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).expect("a short time");
        let mut wanted = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut wanted, timeout).unwrap_or(0) == 0 {
            return false;
        }
        let mut bytes = [0; 4096];
        // EIO is the end of a terminal.
        let count = self.master.read(&mut bytes).unwrap_or(0);
        self.screen.push_str(&String::from_utf8_lossy(&bytes[..count]));
        count > 0
    }

    /// How many columns it has from now on.
    pub fn resize(&self, columns: u16) {
        let size = libc::winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: it reads one winsize.
        let set =
            unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(set, 0);
    }

    /// The foreground process group, by its leader's pid as the tests see it.
    pub fn foreground(&self) -> i32 {
        nix::unistd::tcgetpgrp(&self.master).expect("a terminal").as_raw()
    }

    /// Closes the terminal, and waits for the end.
    pub fn hang_up(&mut self) -> i32 {
        self.master = File::open("/dev/null").expect("/dev/null");
        wait_for(&mut self.child)
    }

    /// Waits for the end: the exit status, and all that came.
    pub fn finish(mut self) -> (i32, String) {
        let end = Instant::now() + DEADLINE;
        while self.read(end) {}
        assert!(Instant::now() < end, "somebody is still there: {:?}", self.screen);
        (wait_for(&mut self.child), self.screen.clone())
    }
}

fn wait_for(child: &mut Child) -> i32 {
    let mut status = None;
    wait_until("the end", || {
        status = child.try_wait().expect("wait");
        status.is_some()
    });
    status.and_then(|status| status.code()).expect("an exit")
}

impl Drop for Pty {
    fn drop(&mut self) {
        // PID 1 dies with the process outside, and all others with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
