//! Processes: their ids, and what is known of them.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt;

use crate::signal::{Signal, SignalSet};

/// A process id as we see it: positive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(i32);

impl Pid {
    /// The init of a PID namespace.
    pub const INIT: Self = Self(1);

    /// `None` unless positive: 0 and below mean groups to kill(2).
    #[must_use]
    pub const fn from_raw(pid: i32) -> Option<Self> {
        if pid > 0 { Some(Self(pid)) } else { None }
    }

    /// The number, positive.
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One process, as /proc tells of it (proc_pid_stat(5), proc_pid_status(5)).
///
/// What a kernel does not tell is `None`: gVisor has no `SigCgt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its pid.
    pub pid: Pid,
    /// In clock ticks since boot: with the pid it names a process for good.
    pub started: u64,
    /// 0 if that is outside of our PID namespace.
    pub parent: i32,
    /// 0 if that is of another PID namespace.
    pub group: i32,
    /// As above.
    pub session: i32,
    /// It has a controlling terminal.
    pub has_terminal: bool,
    /// Not a zombie, unless other threads of it go on; nor a thread of the kernel.
    pub lives: bool,
    /// Its main thread sleeps, and a signal would wake it.
    pub sleeps: bool,
    /// What it is called.
    pub name: Name,
    /// The signals that it handles.
    pub caught: Option<SignalSet>,
    /// Those that its main thread blocks.
    pub blocked: Option<SignalSet>,
    /// Those that it ignores.
    pub ignored: Option<SignalSet>,
    /// Those that wait for it.
    pub pending: Option<SignalSet>,
    /// How often its main thread has given up the CPU, or lost it.
    pub switches: Option<u64>,
    /// The inode of the pipe that its stdin is (pipe(7)). Only looked up where it matters, for it
    /// costs.
    pub stdin_pipe: Option<u64>,
}

/// One process that does not end, seen closely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// With what is known of its signals.
    pub process: Process,
    /// The state of its main thread (proc_pid_stat(5)): `T` and `t` are stopped, `D` is held.
    pub state: u8,
    /// Who traces it, by which name.
    pub tracer: Option<(Pid, Name)>,
    /// Its children that live.
    pub children: Vec<(Pid, Name)>,
    /// It is PID 1 of a PID namespace below ours.
    pub is_namespace_init: bool,
    /// The file name of its executable, where we may know it: a script is called by its own name,
    /// and executed by its shell.
    pub executable: Option<String>,
}

/// What names a process for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Its pid.
    pub pid: Pid,
    /// When it started, in clock ticks since boot.
    pub started: u64,
}

impl Process {
    /// What names it for good.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity { pid: self.pid, started: self.started }
    }

    /// Whether this signal does more than to kill it: a handler, or a thread that waits for it.
    #[must_use]
    pub fn catches(&self, signal: Signal) -> Option<bool> {
        let (caught, blocked) = (self.caught?, self.blocked?);
        Some(caught.contains(signal) || blocked.contains(signal))
    }

    /// Whether all that this signal does is to kill it.
    #[must_use]
    pub fn dies_of(&self, signal: Signal) -> Option<bool> {
        Some(!self.catches(signal)? && self.would_die_of(signal)?)
    }

    /// The same, but maybe later: a shell blocks all signals while it forks, and so does its child
    /// until its exec.
    #[must_use]
    pub fn would_die_of(&self, signal: Signal) -> Option<bool> {
        Some(!self.caught?.contains(signal) && !self.ignored?.contains(signal))
    }
}

/// A process's name, at most 15 bytes of anything (proc_pid_comm(5)).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Name(pub [u8; 15]);

impl Name {
    /// Without memory, unless it is no UTF-8.
    fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.0.split(|byte| *byte == 0).next().unwrap_or_default())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_positive() {
        assert_eq!([-1, 0].map(Pid::from_raw), [None; 2]);
        assert_eq!(Pid::from_raw(1), Some(Pid::INIT));
        assert_eq!(format!("{0} {0:?}", Pid::INIT), "1 1");
    }

    #[test]
    fn a_name_ends_at_its_first_null_byte() {
        let mut name = Name::default();
        name.0[..4].copy_from_slice(b"a\0bc");
        assert_eq!(format!("{name} {name:?}"), r#"a "a""#);
    }
}
