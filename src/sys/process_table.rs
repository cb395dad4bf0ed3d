//! The processes that /proc shows: everyone in our PID namespace, or our own descendants.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, readlink};
use nix::sys::stat::{Mode, SFlag, stat};
use nix::unistd::{Gid, Uid, getpid, read, setfsgid, setfsuid};

use super::kill::{self, ignore_gone};
use super::{clock, directory};
use crate::process::{Identity, Inspection, Name, Pid, Process};
use crate::signal::{Signal, SignalSet};

/// How much to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// /proc/PID/stat alone: who there is.
    Existence,
    /// What each would do with a signal too.
    Signals,
    /// And what pipe each reads of those that this signal would only kill.
    Readers(Signal),
}

/// All processes but us: as PID 1 everyone in the namespace, else our descendants.
///
/// # Errors
/// `ENOENT` or the like where there is no usable /proc, and whatever keeps us from reading it to
/// its end: then somebody may be missing. `ETIMEDOUT` where that takes longer than until then.
pub(super) fn look(
    detail: Detail,
    is_pid_1: bool,
    until: Option<Duration>,
) -> nix::Result<Vec<Process>> {
    let own_pid = getpid().as_raw();
    // It may be that of another PID namespace.
    if Stat::read("self")?.ok_or(Errno::ESRCH)?.process.pid.as_raw() != own_pid {
        return Err(Errno::ESRCH);
    }
    let stats = if is_pid_1 { everyone(own_pid, until)? } else { descendants(own_pid, until)? };
    let mut processes = Vec::new();
    processes.try_reserve_exact(stats.len()).map_err(|_| Errno::ENOMEM)?;
    for Stat { mut process, .. } in stats {
        if detail != Detail::Existence {
            add_signals(&mut process, until)?;
        }
        if let Detail::Readers(signal) = detail {
            if process.would_die_of(signal) == Some(true) {
                process.stdin_pipe = stdin_pipe(process.pid);
            }
        }
        processes.push(process);
    }
    Ok(processes)
}

/// What this process is called, if it is there. Needs no memory.
///
/// # Errors
/// Where /proc cannot be read.
pub(super) fn name(pid: Pid) -> nix::Result<Option<Name>> {
    Ok(Stat::read(pid)?.map(|stat| stat.process.name))
}

/// What there is to know of this process, with its children.
///
/// # Errors
/// As [`look`]; `ESRCH` if it is gone.
pub(super) fn inspect(pid: Pid) -> nix::Result<Inspection> {
    let Stat { mut process, state, .. } = Stat::read(pid)?.ok_or(Errno::ESRCH)?;
    let named = |pid: i32| {
        let stat = Stat::read(pid).ok().flatten().filter(|stat| stat.process.lives)?;
        Some((stat.process.pid, stat.process.name))
    };
    let (mut path, mut text) = (Path::new(), [0_u8; 4096]);
    let length = read_some(path.of(format_args!("/proc/{pid}/status"))?, &mut text)?;
    let status = text.get(..length).unwrap_or_default();
    parse_status(status, &mut process);
    let status = String::from_utf8_lossy(status);
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let tracer = field("TracerPid").and_then(|pid| pid.trim().parse().ok()).and_then(named);
    let pids: Vec<_> =
        field("NSpid").map(|pids| pids.split_whitespace().collect()).unwrap_or_default();
    let is_namespace_init = pids.len() > 1 && pids.last() == Some(&"1");
    let children =
        children(pid.as_raw()).unwrap_or_default().into_iter().filter_map(named).collect();
    let executable = executable(pid);
    Ok(Inspection { process, state, tracer, children, is_namespace_init, executable })
}

/// Whether a process is there, but not in /proc.
pub(super) fn is_hidden(pid: Pid) -> bool {
    Stat::read(pid).is_ok_and(|stat| stat.is_none()) && kill::probe(pid) != Err(Errno::ESRCH)
}

/// Our own children, zombies too, if the kernel tells (`CONFIG_PROC_CHILDREN`).
pub(super) fn own_children() -> Option<Vec<i32>> {
    children(getpid().as_raw()).ok()
}

/// `ETIMEDOUT` after this monotonic time.
fn check_time(until: Option<Duration>) -> nix::Result<()> {
    match until {
        Some(until) if clock::monotonic().is_none_or(|now| now > until) => Err(Errno::ETIMEDOUT),
        _ => Ok(()),
    }
}

fn everyone(own_pid: i32, until: Option<Duration>) -> nix::Result<Vec<Stat>> {
    let pids = directory::numbers(c"/proc")?;
    let mut all = Vec::new();
    all.try_reserve_exact(pids.len()).map_err(|_| Errno::ENOMEM)?;
    for pid in pids.into_iter().filter(|pid| *pid != own_pid) {
        check_time(until)?;
        all.extend(Stat::read(pid)?.filter(|stat| !stat.is_kernel_thread));
    }
    Ok(all)
}

/// By the children files, from our own task down; else by a scan.
fn descendants(own_pid: i32, until: Option<Duration>) -> nix::Result<Vec<Stat>> {
    let Ok(first) = children(own_pid) else { return scanned_descendants(own_pid, until) };
    let mut found = Vec::new();
    let mut open = first;
    while let Some(pid) = open.pop() {
        check_time(until)?;
        let Some(stat) = Stat::read(pid)? else { continue };
        found.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        found.push(stat);
        let mut more = match (stat.process.lives, stat.has_threads) {
            // They are somebody else's by now.
            (false, _) => Vec::new(),
            (true, false) => children_of_thread(pid, pid)?,
            (true, true) => children(pid)?,
        };
        open.try_reserve(more.len()).map_err(|_| Errno::ENOMEM)?;
        open.append(&mut more);
    }
    Ok(found)
}

fn scanned_descendants(own_pid: i32, until: Option<Duration>) -> nix::Result<Vec<Stat>> {
    let mut rest = everyone(own_pid, until)?;
    let mut ours = BTreeSet::from([own_pid]);
    let mut found = Vec::new();
    loop {
        let (more, others): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|stat| ours.contains(&stat.process.parent));
        if more.is_empty() {
            return Ok(found);
        }
        ours.extend(more.iter().map(|stat| stat.process.pid.as_raw()));
        found.extend(more);
        rest = others;
    }
}

/// The children of all threads of a process; none if it is gone.
fn children(pid: i32) -> nix::Result<Vec<i32>> {
    let mut found = Vec::new();
    let mut path = Path::new();
    let Some(tasks) = or_gone(directory::numbers(path.of(format_args!("/proc/{pid}/task"))?))?
    else {
        return Ok(found);
    };
    for task in tasks {
        let mut more = children_of_thread(pid, task)?;
        found.try_reserve(more.len()).map_err(|_| Errno::ENOMEM)?;
        found.append(&mut more);
    }
    Ok(found)
}

/// As proc_pid_task_tid_children(5) tells; none if the thread is gone.
fn children_of_thread(pid: i32, thread: i32) -> nix::Result<Vec<i32>> {
    let mut found = Vec::new();
    let mut path = Path::new();
    let path = path.of(format_args!("/proc/{pid}/task/{thread}/children"))?;
    let Some(text) = or_gone(read_all(path))? else {
        // Or the kernel has no such files.
        let has_files = or_gone(read_all(c"/proc/thread-self/children"))?.is_some();
        return if has_files { Ok(found) } else { Err(Errno::ENOENT) };
    };
    for number in text.split(|byte| *byte == b' ').filter(|number| !number.is_empty()) {
        let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
        found.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        found.extend::<Option<i32>>(number);
    }
    Ok(found)
}

/// SIGKILL to every one of our descendants, and to the group of each child of ours, if it is ours:
/// its leader is, or was one of `leaders`. They, and the error of the first that could not be
/// killed, if none could.
///
/// # Errors
/// As [`look`]: then nobody was killed.
pub(super) fn kill_descendants(leaders: &[Pid]) -> nix::Result<(nix::Result<()>, Vec<Process>)> {
    let own_pid = getpid().as_raw();
    let all = look(Detail::Existence, false, None)?;
    let living = || all.iter().filter(|process| process.lives);
    // What forks while it is looked for may be in the group of its parent.
    let ours: BTreeSet<_> =
        all.iter().map(|process| process.pid).chain(leaders.iter().copied()).collect();
    let is_ours = |group: &i32| Pid::from_raw(*group).is_some_and(|group| ours.contains(&group));
    let groups: BTreeSet<_> = living()
        .filter(|process| process.parent == own_pid)
        .map(|child| child.group)
        .filter(|group| *group > 1 && is_ours(group))
        .collect();
    for group in groups {
        let _ = kill::kill(-group, Signal::KILL);
    }
    let (mut killed, mut refused) = (living().next().is_none(), Ok(()));
    for process in living() {
        match signal(process.identity(), Signal::KILL) {
            Ok(()) => killed = true,
            Err(error) => refused = refused.and(Err(error)),
        }
    }
    Ok((if killed { Ok(()) } else { refused }, all))
}

/// Signals this very process: should it be gone and its pid used again, nobody.
///
/// # Errors
/// As kill(2), but that it is gone.
pub(super) fn signal(who: Identity, signal: Signal) -> nix::Result<()> {
    let is_the_same = || {
        let now = Stat::read(who.pid).ok().flatten();
        now.is_some_and(|now| now.process.started == who.started)
    };
    let pidfd = kill::pidfd(who.pid);
    if let Some(pidfd) = pidfd.ok().filter(|_| is_the_same()) {
        match kill::by_pidfd(&pidfd, signal, None, 0) {
            // EPERM and EACCES may come from a filter; kill knows better.
            Err(Errno::ENOSYS | Errno::EINVAL | Errno::EPERM | Errno::EACCES) => {}
            sent => return ignore_gone(sent),
        }
    }
    // Without pidfds, or a descriptor for one, the last look is as close to the kill as can be.
    if is_the_same() { ignore_gone(kill::kill(who.pid.as_raw(), signal)) } else { Ok(()) }
}

/// `PF_KTHREAD` of the kernel's include/linux/sched.h.
const KERNEL_THREAD: u32 = 0x0020_0000;

/// A line of /proc/PID/stat (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    process: Process,
    state: u8,
    is_kernel_thread: bool,
    has_threads: bool,
}

impl Stat {
    /// `of`: a pid, or `self`. `None` if it is gone.
    fn read(of: impl Display) -> nix::Result<Option<Self>> {
        let mut path = Path::new();
        let mut text = [0_u8; 1024];
        let path = path.of(format_args!("/proc/{of}/stat"))?;
        let Some(length) = or_gone(read_some(path, &mut text))? else { return Ok(None) };
        Ok(text.get(..length).and_then(Self::parse))
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
        let session = fields.next()?.parse().ok()?;
        let terminal: i64 = fields.next()?.parse().ok()?;
        // The 9th field of all, the 20th and the 22nd.
        let flags: u32 = fields.nth(1)?.parse().ok()?;
        let threads: u32 = fields.nth(10)?.parse().ok()?;
        let started = fields.nth(1)?.parse().ok()?;
        let mut name = Name::default();
        let text = stat.get(..end_of_name)?.splitn(2, |byte| *byte == b'(').nth(1)?;
        name.0.iter_mut().zip(text).for_each(|(place, byte)| *place = *byte);
        let is_dead = state == "X" || (state == "Z" && threads <= 1);
        let process = Process {
            pid: Pid::from_raw(pid)?,
            started,
            parent,
            group,
            session,
            has_terminal: terminal != 0,
            lives: !is_dead,
            sleeps: state == "S",
            name,
            caught: None,
            blocked: None,
            ignored: None,
            pending: None,
            switches: None,
            stdin_pipe: None,
        };
        let state = state.bytes().next()?;
        let is_kernel_thread = flags & KERNEL_THREAD != 0;
        Some(Self { process, state, is_kernel_thread, has_threads: threads > 1 })
    }
}

/// What /proc/PID/status says of its signals (proc_pid_status(5)), if it lives.
///
/// # Errors
/// Where it cannot be read; `ETIMEDOUT` after this monotonic time.
pub(super) fn add_signals(process: &mut Process, until: Option<Duration>) -> nix::Result<()> {
    check_time(until)?;
    if !process.lives {
        return Ok(());
    }
    let mut path = Path::new();
    let mut text = [0_u8; 4096];
    let path = path.of(format_args!("/proc/{}/status", process.pid))?;
    if let Some(length) = or_gone(read_some(path, &mut text))? {
        parse_status(text.get(..length).unwrap_or_default(), process);
        if process.sleeps && waits_for_signals(process.pid) {
            process.blocked = Some(SignalSet::FULL);
        }
    }
    Ok(())
}

/// Whether it is in sigwait(3), which unblocks what it waits for: it would not die of that.
fn waits_for_signals(pid: Pid) -> bool {
    let (mut path, mut text) = (Path::new(), [0_u8; 64]);
    let length =
        path.of(format_args!("/proc/{pid}/wchan")).and_then(|path| read_some(path, &mut text));
    let symbol = length.ok().and_then(|length| text.get(..length)).unwrap_or_default();
    symbol.starts_with(b"do_sigtimedwait")
}

fn parse_status(text: &[u8], process: &mut Process) {
    let text = String::from_utf8_lossy(text);
    let (mut of_thread, mut of_process) = (None, None);
    let (mut voluntary, mut other) = (None, None);
    for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let set = || u64::from_str_radix(value.trim(), 16).ok().map(SignalSet::from_bits);
        let number = || value.trim().parse::<u64>().ok();
        match name {
            "SigPnd" => of_thread = set(),
            "ShdPnd" => of_process = set(),
            "SigBlk" => process.blocked = set(),
            "SigIgn" => process.ignored = set(),
            "SigCgt" => process.caught = set(),
            "voluntary_ctxt_switches" => voluntary = number(),
            "nonvoluntary_ctxt_switches" => other = number(),
            _ => {}
        }
    }
    let both = of_thread.zip(of_process);
    process.pending =
        both.map(|(thread, process)| SignalSet::from_bits(thread.bits() | process.bits()));
    process.switches = voluntary.zip(other).map(|(voluntary, other)| voluntary + other);
}

/// The inode of its stdin, if that is a pipe, with a name or without. Without `CAP_SYS_PTRACE` only
/// its own user may ask (proc_pid_fd(5)).
fn stdin_pipe(pid: Pid) -> Option<u64> {
    let mut path = Path::new();
    let path = path.of(format_args!("/proc/{pid}/fd/0")).ok()?;
    let found = match stat(path) {
        Err(Errno::EACCES | Errno::EPERM) => as_owner_of(pid, || stat(path).ok()),
        found => found.ok(),
    }?;
    let kind = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT;
    (kind == SFlag::S_IFIFO).then_some(found.st_ino)
}

/// The last part of where /proc/PID/exe leads. Reading cmdline would wait for a process that holds
/// its own memory map; this does not. Whom it is refused to: as [`stdin_pipe`].
fn executable(pid: Pid) -> Option<String> {
    let mut path = Path::new();
    let path = path.of(format_args!("/proc/{pid}/exe")).ok()?;
    let found = match readlink(path) {
        Err(Errno::EACCES | Errno::EPERM) => as_owner_of(pid, || readlink(path).ok()),
        found => found.ok(),
    }?;
    let name = std::path::Path::new(&found).file_name()?.to_string_lossy();
    // As it is after an upgrade in a running container (proc_pid_exe(5)).
    Some(name.strip_suffix(" (deleted)").unwrap_or(&name).to_owned())
}

/// Does `work` with the ids for files of this process (setfsuid(2)): they are those of its folder.
fn as_owner_of<T>(pid: Pid, work: impl FnOnce() -> Option<T>) -> Option<T> {
    let mut path = Path::new();
    let owner = stat(path.of(format_args!("/proc/{pid}")).ok()?).ok()?;
    let group = setfsgid(Gid::from_raw(owner.st_gid));
    let user = setfsuid(Uid::from_raw(owner.st_uid));
    let done = work();
    setfsuid(user);
    setfsgid(group);
    done
}

/// Room for a path below /proc.
struct Path([u8; 64]);

impl Path {
    fn new() -> Self {
        Self([0; 64])
    }

    fn of(&mut self, path: std::fmt::Arguments) -> nix::Result<&CStr> {
        self.0 = [0; 64];
        self.0.as_mut_slice().write_fmt(path).map_err(|_| Errno::ENAMETOOLONG)?;
        CStr::from_bytes_until_nul(&self.0).map_err(|_| Errno::ENAMETOOLONG)
    }
}

/// Only these mean that a process is gone.
fn or_gone<T>(result: nix::Result<T>) -> nix::Result<Option<T>> {
    match result {
        Err(Errno::ENOENT | Errno::ESRCH) => Ok(None),
        result => result.map(Some),
    }
}

/// One descriptor at a time: there may be no second one.
fn read_some(path: &CStr, buffer: &mut [u8]) -> nix::Result<usize> {
    let file = open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    loop {
        match read(&file, buffer) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

fn read_all(path: &CStr) -> nix::Result<Vec<u8>> {
    let file = open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let (mut text, mut buffer) = (Vec::new(), [0_u8; 4096]);
    loop {
        match read(&file, &mut buffer) {
            Ok(0) => return Ok(text),
            Ok(length) => {
                text.try_reserve(length).map_err(|_| Errno::ENOMEM)?;
                text.extend_from_slice(buffer.get(..length).unwrap_or_default());
            }
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a) R 1 (b) c) S 7 40 39 34816 40 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 \
                        1 2 3\n";

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let Stat { process, is_kernel_thread, .. } = Stat::parse(STAT.as_bytes()).unwrap();
        let Process { pid, parent, group, session, started, .. } = process;
        assert_eq!((pid.as_raw(), parent, group, session, started), (42, 7, 40, 39, 987_654));
        assert!(process.lives && process.sleeps && process.has_terminal && !is_kernel_thread);
        assert_eq!(process.name.to_string(), "a) R 1 (b) c");
        assert_eq!(Stat::parse(b"42 (a"), None);
    }

    #[test]
    fn a_zombie_with_other_threads_lives_and_a_thread_of_the_kernel_is_told() {
        let state = |state: &str, threads: &str| {
            let line = STAT.replace(") S", &format!(") {state}")).replace(" 1 0 987", threads);
            Stat::parse(line.as_bytes()).unwrap().process
        };
        assert!(!state("Z", " 1 0 987").lives);
        assert!(state("Z", " 3 0 987").lives && !state("Z", " 3 0 987").sleeps);
        assert!(!state("X", " 1 0 987").lives);
        let kernel = STAT.replace("4194304", "2129984");
        assert!(Stat::parse(kernel.as_bytes()).unwrap().is_kernel_thread);
    }

    #[test]
    fn the_signals_of_a_status_are_read_each_by_itself() {
        let mut process = Stat::parse(STAT.as_bytes()).unwrap().process;
        let text = "Name:\ta\nSigPnd:\t0000000000000001\nShdPnd:\t0000000000004000\n\
                    SigBlk:\t0000000000000002\nSigIgn:\t0000000000001000\n\
                    voluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t3\n";
        parse_status(text.as_bytes(), &mut process);
        assert_eq!(process.pending, Some(SignalSet::from_bits(0x4001)));
        assert_eq!(process.blocked, Some(SignalSet::from_bits(2)));
        assert_eq!(process.ignored, Some(SignalSet::from_bits(0x1000)));
        assert_eq!((process.caught, process.switches), (None, Some(10)));
    }

    #[test]
    fn a_look_ends_when_its_time_is_over() {
        let now = clock::monotonic().unwrap();
        for is_pid_1 in [false, true] {
            let over = look(Detail::Existence, is_pid_1, Some(Duration::ZERO));
            assert_eq!(over.err(), is_pid_1.then_some(Errno::ETIMEDOUT));
            assert!(look(Detail::Existence, is_pid_1, Some(now + Duration::from_secs(60))).is_ok());
        }
        let mut own = Stat::read("self").unwrap().unwrap().process;
        assert_eq!(add_signals(&mut own, Some(Duration::ZERO)), Err(Errno::ETIMEDOUT));
        add_signals(&mut own, None).unwrap();
        assert!(own.caught.is_some());
    }

    #[test]
    fn a_child_is_found_by_the_children_files_and_by_a_scan() {
        let mut child = std::process::Command::new("sleep");
        let mut child = child.arg("60").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let own = getpid().as_raw();
        let has = |stats: Vec<Stat>| stats.iter().any(|stat| stat.process.pid.as_raw() == pid);
        let found = [descendants(own, None).unwrap(), scanned_descendants(own, None).unwrap()];
        assert!(found.into_iter().all(has));
        assert!(own_children().unwrap().contains(&pid));
        let all = look(Detail::Readers(Signal::TERM), true, None).unwrap();
        let found = all.iter().find(|process| process.pid.as_raw() == pid).unwrap();
        assert_eq!((found.parent, found.lives), (own, true));
        assert!(found.caught.is_some() && found.switches.is_some());
        let pipe = nix::sys::stat::fstat(child.stdin.as_ref().unwrap()).unwrap();
        assert_eq!(found.stdin_pipe, Some(pipe.st_ino));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_whose_pid_is_used_again_gets_no_signal() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let now = Stat::read(child.id()).unwrap().unwrap().process.identity();
        let before = Identity { started: now.started - 1, ..now };
        // A stopped process keeps a SIGTERM pending, where it can be seen.
        assert_eq!(signal(now, Signal::STOP), Ok(()));
        let stopped = Some(nix::sys::wait::WaitPidFlag::WUNTRACED);
        nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(now.pid.as_raw()), stopped).unwrap();
        let pending = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", now.pid)).unwrap();
            status.lines().any(|line| line == "ShdPnd:\t0000000000004000")
        };
        assert_eq!((signal(before, Signal::TERM), pending()), (Ok(()), false));
        assert_eq!((signal(now, Signal::TERM), pending()), (Ok(()), true));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
