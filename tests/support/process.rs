//! A process as /proc shows it from outside.

use std::fs;
use std::time::Duration;

use super::wait_until;

/// By its pid in the namespace of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(pub i32);

impl Process {
    pub fn signal(self, signal: i32) {
        assert!(self.0 > 1);
        // SAFETY: two plain numbers.
        let sent = unsafe { libc::kill(self.0, signal) };
        let error = std::io::Error::last_os_error();
        assert_eq!(sent, 0, "kill {self:?} {signal}: {error}");
    }

    /// Sends a signal with a payload.
    ///
    /// # Errors
    /// `EAGAIN` when no more fit.
    pub fn queue(self, signal: i32, value: usize) -> nix::Result<()> {
        let value = libc::sigval { sival_ptr: value as *mut libc::c_void };
        // SAFETY: plain numbers; nobody uses the value as a pointer.
        nix::errno::Errno::result(unsafe { libc::sigqueue(self.0, signal, value) }).map(drop)
    }

    /// The value of a line of /proc/PID/status.
    pub fn status(self, name: &str) -> String {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.0)).expect("the process exists");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .expect("a line of that name");
        line.trim().to_owned()
    }

    /// Its one-letter state: `S`, `R`, `T`, `Z` ...
    pub fn state(self) -> Option<char> {
        self.stat(0)?.chars().next()
    }

    /// Fields of /proc/PID/stat, the first after the name being 0: state, parent, group, session
    /// ...
    pub fn stat(self, field: usize) -> Option<String> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_whitespace().nth(field).map(str::to_owned)
    }

    /// The system call that it is in.
    pub fn system_call(self) -> Option<libc::c_long> {
        fs::read_to_string(format!("/proc/{}/syscall", self.0))
            .ok()?
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    }

    pub fn group(self) -> i32 {
        self.stat(2).expect("the process exists").parse().expect("a number")
    }

    pub fn session(self) -> i32 {
        self.stat(3).expect("the process exists").parse().expect("a number")
    }

    /// Its pid in its own PID namespace.
    pub fn inner_pid(self) -> i32 {
        self.status("NSpid").split_whitespace().last().expect("a pid").parse().expect("a number")
    }

    pub fn children(self) -> Vec<Self> {
        let entries = fs::read_dir("/proc").expect("/proc");
        let processes =
            entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().map(Self));
        processes.filter(|process| process.stat(1) == Some(self.0.to_string())).collect()
    }

    /// SIGKILL for all below it, the deepest first.
    pub fn kill_descendants(self) {
        for child in self.children() {
            child.kill_descendants();
            // SAFETY: two plain numbers. It may be gone already.
            unsafe { libc::kill(child.0, libc::SIGKILL) };
        }
    }

    /// Its only child, as soon as there is one.
    pub fn child(self) -> Self {
        let mut children = Vec::new();
        wait_until("a child", || {
            children = self.children();
            !children.is_empty()
        });
        assert_eq!(children.len(), 1);
        children[0]
    }

    /// This signal waits to be taken by it.
    pub fn has_pending(self, signal: i32) -> bool {
        let pending = u64::from_str_radix(&self.status("ShdPnd"), 16).expect("a set");
        pending >> (signal - 1) & 1 == 1
    }

    /// It sleeps, and no signal is pending for it.
    pub fn is_idle(self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap_or_default();
        status.contains("\nState:\tS") && status.contains("\nShdPnd:\t0000000000000000")
    }

    /// Its children that have ended and are not reaped.
    pub fn zombies(self) -> usize {
        self.children().into_iter().filter(|child| child.state() == Some('Z')).count()
    }

    /// How often it has been switched off the processor, by itself or not.
    pub fn context_switches(self) -> u64 {
        ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"]
            .map(|name| self.status(name).parse::<u64>().expect("a number"))
            .iter()
            .sum()
    }

    /// Waits until it sleeps without a timer: for longer than the half second at which firstmate
    /// looks while it has a deadline.
    pub fn wait_until_idle(self) {
        super::wait_until("a sleep without a timer", || {
            let before = self.context_switches();
            std::thread::sleep(Duration::from_millis(1200));
            self.context_switches() == before
        });
    }

    /// Its open descriptors and where they lead.
    pub fn descriptors(self) -> Vec<(i32, String)> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.0)).expect("its descriptors");
        let descriptor = |entry: fs::DirEntry| {
            let target = fs::read_link(entry.path()).ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, target.display().to_string()))
        };
        let mut all: Vec<_> = entries.filter_map(|entry| descriptor(entry.ok()?)).collect();
        all.sort();
        all
    }
}
