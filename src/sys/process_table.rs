//! The processes that /proc shows.

use std::ffi::CStr;
use std::fmt::{self, Display};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{getpid, read};

use super::directory;
use super::kill::{self, ignore_gone};
use crate::pid::Pid;
use crate::signal::Signal;

/// One process, as /proc/PID/stat tells (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pid: i32,
    parent: i32,
    group: i32,
    /// In clock ticks since boot: with the pid it names a process for good.
    started: u64,
    /// Not a zombie, nor a thread of the kernel.
    lives: bool,
    pub(super) name: Name,
    /// Whether it descends from us; `None` if that cannot be known, for a process between us has
    /// ended while we looked.
    pub(super) ours: Option<bool>,
}

/// A process's name, at most 15 bytes of anything (proc_pid_comm(5)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Name([u8; 15]);

impl Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(
            self.0.split(|byte| *byte == 0).next().unwrap_or_default(),
        ))
    }
}

/// The processes that /proc shows, in the order of their pids.
pub(super) struct ProcessTable(Vec<Entry>);

impl ProcessTable {
    /// `None` where /proc is missing or belongs to another PID namespace, or memory or descriptors
    /// are short: then we are not in it.
    pub(super) fn read() -> Option<Self> {
        let own_pid = getpid().as_raw();
        if Entry::read("self")?.pid != own_pid {
            return None;
        }
        // One descriptor at a time: there may be no second one.
        let pids = directory::numbers(c"/proc")?;
        let mut entries = Vec::new();
        entries.try_reserve_exact(pids.len()).ok()?;
        entries.extend(pids.into_iter().filter_map(Entry::read));
        entries.sort_unstable_by_key(|entry| entry.pid);
        let mut table = Self(entries);
        table.get(own_pid)?;
        table.mark_ours(own_pid);
        Some(table)
    }

    /// All but us that can still run.
    pub(super) fn living(&self) -> impl Iterator<Item = &Entry> {
        let own_pid = getpid().as_raw();
        self.0.iter().filter(move |entry| entry.lives && entry.pid != own_pid)
    }

    fn get(&self, pid: i32) -> Option<Entry> {
        let at = self.0.binary_search_by_key(&pid, |entry| entry.pid).ok()?;
        self.0.get(at).copied()
    }

    /// Marks our descendants, and the others. Children usually have higher pids than their parents,
    /// so one pass finds nearly all of them.
    fn mark_ours(&mut self, own_pid: i32) {
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for i in 0..self.0.len() {
                let Some(&Entry { pid, parent, ours: None, .. }) = self.0.get(i) else { continue };
                let ours = match parent {
                    parent if parent == own_pid => Some(true),
                    // The first of a namespace, or entered from another.
                    0 => Some(false),
                    _ if pid == own_pid => Some(false),
                    parent => self.get(parent).and_then(|entry| entry.ours),
                };
                if let (Some(_), Some(entry)) = (ours, self.0.get_mut(i)) {
                    entry.ours = ours;
                    changed = true;
                }
            }
        }
    }

    pub(super) fn signal(&self, signal: Signal) -> nix::Result<()> {
        let own_pid = getpid().as_raw();
        let (mut result, mut last_group) = (Ok(()), 0);
        for entry in self.0.iter().filter(|entry| entry.ours == Some(true)) {
            if signal != Signal::KILL {
                result = result.and(entry.signal(signal));
            } else if entry.parent == own_pid {
                if entry.group != last_group && self.is_our_group(entry.group) {
                    result = result.and(ignore_gone(kill::kill(-entry.group, signal)));
                }
                last_group = entry.group;
                result = result.and(entry.signal(signal));
            }
        }
        result
    }

    /// A child of the program that became us may share its group with us or with strangers. 0 is a
    /// group of another namespace, and to kill(2) -1 is no group.
    fn is_our_group(&self, group: i32) -> bool {
        group > 1 && !self.0.iter().any(|entry| entry.group == group && entry.ours == Some(false))
    }
}

/// `PF_KTHREAD` of the kernel's include/linux/sched.h.
const KERNEL_THREAD: u32 = 0x0020_0000;

impl Entry {
    /// `of`: a pid, or `self`.
    fn read(of: impl Display) -> Option<Self> {
        let mut path = [0_u8; 32];
        std::io::Write::write_fmt(&mut path.as_mut_slice(), format_args!("/proc/{of}/stat\0"))
            .ok()?;
        let file = open(
            CStr::from_bytes_until_nul(&path).ok()?,
            OFlag::O_RDONLY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )
        .ok()?;
        let mut text = [0_u8; 512];
        let length = read(&file, &mut text).ok()?;
        Self::parse(text.get(..length)?)
    }

    /// The name in the second field may hold anything, so the rest is counted from the last `)`.
    fn parse(stat: &[u8]) -> Option<Self> {
        let pid =
            std::str::from_utf8(stat.split(|byte| *byte == b' ').next()?).ok()?.parse().ok()?;
        let end_of_name = stat.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(stat.get(end_of_name + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        // The 9th field of all, and the 22nd.
        let flags: u32 = fields.nth(3)?.parse().ok()?;
        let started = fields.nth(12)?.parse().ok()?;
        let lives = !matches!(state, "Z" | "X") && flags & KERNEL_THREAD == 0;
        let mut name = Name::default();
        let text =
            stat.get(..end_of_name)?.splitn(2, |byte| *byte == b'(').nth(1).unwrap_or_default();
        name.0.iter_mut().zip(text).for_each(|(place, byte)| *place = *byte);
        Some(Self { pid, parent, group, started, lives, name, ours: None })
    }

    /// Signals this very process: should it be gone and its pid used again, nobody.
    fn signal(&self, signal: Signal) -> nix::Result<()> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(()) };
        let is_the_same = || Self::read(self.pid).is_some_and(|now| now.started == self.started);
        if let Ok(pidfd) = kill::pidfd(pid) {
            if is_the_same() {
                match kill::by_pidfd(&pidfd, signal, None, 0) {
                    // EPERM may come from a seccomp filter; kill knows better.
                    Err(Errno::ENOSYS | Errno::EINVAL | Errno::EPERM) => {}
                    sent => return ignore_gone(sent),
                }
            }
        }
        // Without pidfds, or a descriptor for one, the last look is as close to the kill as can be.
        if is_the_same() { ignore_gone(kill::kill(self.pid, signal)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat =
            b"42 (a) R 1 (b) c) S 7 40 39 34816 40 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3\n";
        let entry = Entry::parse(stat).unwrap();
        assert_eq!((entry.pid, entry.parent, entry.group, entry.started), (42, 7, 40, 987_654));
        assert_eq!((entry.lives, entry.name.to_string()), (true, "a) R 1 (b) c".to_owned()));
        assert_eq!(Entry::parse(b"42 (a"), None);
    }

    #[test]
    fn neither_a_zombie_nor_a_thread_of_the_kernel_lives() {
        let lives = |state: &str, flags: u32| {
            let stat = format!("2 (x) {state} 0 0 0 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 1 0 3 0\n");
            Entry::parse(stat.as_bytes()).unwrap().lives
        };
        // kthreadd's, and those of a process that has forked and not yet executed.
        let (of_the_kernel, of_a_child) = (0x0020_8040, 0x40);
        assert!(lives("S", of_a_child));
        assert!(!lives("Z", of_a_child));
        assert!(!lives("S", of_the_kernel));
    }

    #[test]
    fn a_process_whose_pid_is_used_again_gets_no_signal() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let now = Entry::read(pid).unwrap();
        let before = Entry { started: now.started - 1, ..now };
        // A stopped process keeps a SIGTERM pending, where it can be seen.
        assert_eq!(now.signal(Signal::STOP), Ok(()));
        let stopped = Some(nix::sys::wait::WaitPidFlag::WUNTRACED);
        nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), stopped).unwrap();
        let pending = || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            status.lines().any(|line| line == "ShdPnd:\t0000000000004000")
        };
        assert_eq!((before.signal(Signal::TERM), pending()), (Ok(()), false));
        assert_eq!((now.signal(Signal::TERM), pending()), (Ok(()), true));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn descendants_are_found_whatever_the_order_of_their_pids() {
        let entry = |pid, parent| Entry {
            pid,
            parent,
            group: pid,
            started: 0,
            lives: true,
            name: Name::default(),
            ours: None,
        };
        let mut table = ProcessTable(vec![
            entry(1, 0),
            entry(2, 50),
            entry(3, 2),
            entry(7, 1),
            entry(10, 1),
            entry(50, 10),
            entry(60, 99),
        ]);
        table.mark_ours(10);
        let ours: Vec<_> = table.0.iter().map(|entry| (entry.pid, entry.ours)).collect();
        let expected = [
            (1, Some(false)),
            (2, Some(true)),
            (3, Some(true)),
            (7, Some(false)),
            (10, Some(false)),
            (50, Some(true)),
            (60, None),
        ];
        assert_eq!(ours, expected);
    }

    #[test]
    fn the_table_holds_this_process_and_its_parent() {
        let table = ProcessTable::read().unwrap();
        let own = table.0.iter().find(|entry| entry.pid == getpid().as_raw()).unwrap();
        assert_eq!(own.parent, nix::unistd::getppid().as_raw());
        assert_eq!(own.ours, Some(false));
    }
}
