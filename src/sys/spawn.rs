//! Starting a command.
//!
//! clone(2) with `CLONE_VM | CLONE_VFORK`, as `posix_spawn` does it: we are suspended until the
//! child has executed its program or given up. So when the call returns, the child is in its
//! process group, has the terminal, and whether the exec failed stands in our own memory.
//! No window, no pipe, no copy of page tables. The price: a SIGSTOP that hits the child in the
//! instant between its mask and its exec stops us too, until somebody continues it.

use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int, c_void};
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use nix::errno::Errno;
use nix::unistd::{getpid, setpgid, setsid, tcsetpgrp};

use super::descriptors;
use super::program::{NotStarted, SHELL, candidates, is_plain_script};
use super::reap;
use super::signals::Inherited;
use super::users::{Credentials, staying_dumpable};
use crate::status::Pid;

/// Enough for the few system calls of the child, also in a debug build.
const STACK: usize = 64 * 1024;

/// Where a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a group of its own, which becomes the foreground of this terminal.
    OwnGroup(Option<RawFd>),
    /// In a session of its own, with this as its controlling terminal.
    OwnSession(Option<RawFd>),
    /// In our group.
    SharedGroup,
}

/// What a command gets, besides the mask and the dispositions that we inherited.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Where it runs.
    pub place: Place,
    /// Who it runs as; `None`: as we do.
    pub credentials: Option<&'a Credentials>,
    /// What it gets of ours; `None`: everything but what exec closes, and variables that name our
    /// pid name the child's.
    pub auxiliary: Option<Auxiliary>,
}

/// A command that is not the main one: it has our stdout and stderr alone, with /dev/null as stdin.
#[derive(Clone, Copy)]
pub struct Auxiliary {
    /// The pid for `MAINPID` in its environment.
    pub main: Option<Pid>,
}

/// Starts a command.
///
/// # Errors
/// When there is no process for it, or it cannot become its user, or it cannot be executed. Then
/// nothing runs.
pub fn spawn(
    command: &[OsString],
    inherited: &Inherited,
    surroundings: Surroundings,
) -> Result<Pid, NotStarted> {
    let word = command.first().map_or(OsStr::new(""), OsString::as_os_str);
    let files = candidates(word);
    if files.is_empty() {
        return Err(NotStarted::exec(word, Errno::ENOENT, &[]));
    }
    let arguments =
        command.iter().filter_map(|argument| CString::new(argument.as_bytes()).ok()).collect();
    let mut child = Child { word, files, arguments, inherited, surroundings, at: 0, failure: None };
    match child.start()? {
        Err(Errno::ENOEXEC) if child.files.get(child.at).is_some_and(is_plain_script) => {
            let script = child.files.swap_remove(child.at);
            child.arguments.splice(..1, [SHELL.into(), script]);
            child.files = vec![SHELL.into()];
            child.start()?.map_err(|error| NotStarted::shell(word, error))
        }
        started => started.map_err(|error| NotStarted::exec(word, error, &child.files)),
    }
}

/// What went wrong in the child.
enum Failure {
    User(Errno),
    Exec(Errno),
}

/// What to start, and where the child tells how that went.
struct Child<'a> {
    word: &'a OsStr,
    /// To be tried in this order.
    files: Vec<CString>,
    arguments: Vec<CString>,
    inherited: &'a Inherited,
    surroundings: Surroundings<'a>,
    /// Which of `files` was tried last.
    at: usize,
    /// Why none of them was executed.
    failure: Option<Failure>,
}

impl Child<'_> {
    /// The inner error is that of the exec.
    fn start(&mut self) -> Result<Result<Pid, Errno>, NotStarted> {
        let arguments: Vec<_> =
            self.arguments.iter().map(|argument| argument.as_ptr()).chain([ptr::null()]).collect();
        let Surroundings { credentials, auxiliary, .. } = self.surroundings;
        let main_pid = auxiliary
            .and_then(|auxiliary| CString::new(format!("MAINPID={}", auxiliary.main?)).ok());
        let variables: Vec<_> =
            credentials.map_or(&[][..], Credentials::variables).iter().chain(&main_pid).collect();
        let word = self.word;
        let no_memory = || NotStarted::fork(word, Errno::ENOMEM);
        let mut environment = environment(&variables).ok_or_else(no_memory)?;
        let pid_variables =
            if auxiliary.is_none() { PidVariable::find(&environment) } else { Vec::new() };
        (self.at, self.failure) = (0, None);
        let room = credentials.map(Credentials::room).unwrap_or_default();
        let mut task = Task {
            child: self,
            arguments: &arguments,
            environment: &mut environment,
            pid_variables,
            room,
        };
        let mut stack = Vec::<MaybeUninit<u8>>::new();
        stack.try_reserve_exact(STACK).map_err(|_| no_memory())?;
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        // SAFETY: the stack is ours alone, and the C library aligns its end. The child uses it and
        // `task` only while we are suspended; to the compiler this is a call that may
        // change whatever `task` points to.
        let mut clone = || unsafe {
            libc::clone(
                run_child,
                stack.as_mut_ptr().add(STACK).cast(),
                flags,
                (&raw mut task).cast(),
            )
        };
        let pid =
            Errno::result(if credentials.is_some() { staying_dumpable(clone) } else { clone() });
        let pid = pid
            .and_then(|pid| Pid::from_raw(pid).ok_or(Errno::ESRCH))
            .map_err(|error| NotStarted::fork(word, error))?;
        if self.failure.is_some() {
            reap::wait_for(pid);
        }
        match (&self.failure, credentials) {
            (None, _) => Ok(Ok(pid)),
            (Some(Failure::User(error)), Some(user)) => Err(NotStarted::user(word, user, *error)),
            (Some(Failure::User(error) | Failure::Exec(error)), _) => Ok(Err(*error)),
        }
    }

    fn give_up(&mut self, why: Failure) -> ! {
        self.failure = Some(why);
        // SAFETY: ends this process without a destructor or an exit handler that would touch the
        // memory that we share.
        unsafe { libc::_exit(127) }
    }
}

/// What the child gets: all prepared, for it shares our memory and must not allocate.
struct Task<'t, 'a> {
    child: &'t mut Child<'a>,
    /// As exec wants them, with a null at the end.
    arguments: &'t [*const c_char],
    environment: &'t mut [*const c_char],
    pid_variables: Vec<PidVariable>,
    /// For [`Credentials::take`].
    room: Vec<libc::gid_t>,
}

/// The child, up to its exec: in our memory, on a stack of its own, with all signals blocked.
/// Async-signal-safe calls only.
extern "C" fn run_child(task: *mut c_void) -> c_int {
    // SAFETY: `start` passes a `Task`, and does not touch it before we are gone.
    let task = unsafe { &mut *task.cast::<Task<'_, '_>>() };
    let pid = getpid();
    let Surroundings { place, credentials, auxiliary } = task.child.surroundings;
    place.take(pid);
    if auxiliary.is_some() {
        descriptors::keep_output_only();
    }
    if let Some(Err(error)) = credentials.map(|credentials| credentials.take(&mut task.room)) {
        task.child.give_up(Failure::User(error));
    }
    for variable in &mut task.pid_variables {
        variable.set(pid.as_raw(), task.environment);
    }
    task.child.inherited.restore();
    let searching = task.child.files.len() > 1;
    let mut error = Errno::ENOENT;
    for (at, file) in task.child.files.iter().enumerate() {
        task.child.at = at;
        // SAFETY: a C string and two null-terminated arrays of C strings, all alive.
        unsafe { libc::execve(file.as_ptr(), task.arguments.as_ptr(), task.environment.as_ptr()) };
        match Errno::last() {
            // Another directory of PATH may have it, and one that may be executed.
            Errno::ENOENT | Errno::ENOTDIR | Errno::ESTALE | Errno::ENODEV | Errno::ETIMEDOUT
                if searching => {}
            Errno::EACCES => error = Errno::EACCES,
            other => {
                error = other;
                break;
            }
        }
    }
    task.child.give_up(Failure::Exec(error))
}

impl Place {
    /// For a new child no error is possible (setpgid(2), setsid(2)), but for its terminal: that may
    /// be another session's.
    fn take(self, pid: nix::unistd::Pid) {
        match self {
            Self::OwnGroup(terminal) => {
                let _ = setpgid(pid, pid);
                if let Some(terminal) = terminal {
                    // SAFETY: our caller holds it open.
                    let _ = tcsetpgrp(unsafe { BorrowedFd::borrow_raw(terminal) }, pid);
                }
            }
            Self::OwnSession(terminal) => {
                let _ = setsid();
                if let Some(terminal) = terminal {
                    // SAFETY: the argument is a plain number: do not steal it.
                    unsafe { libc::ioctl(terminal, libc::TIOCSCTTY, 0) };
                }
            }
            Self::SharedGroup => {}
        }
    }
}

/// The environment as it was inherited, entries without a `=` too, but for these variables; with a
/// null at the end. `None` without memory: it may be long, and a stop command starts late.
fn environment(variables: &[&CString]) -> Option<Vec<*const c_char>> {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    let mut entries = Vec::new();
    let replaced = |entry: &CStr| variables.iter().any(|variable| name(variable) == name(entry));
    // SAFETY: the C library's array of C strings, null-terminated (environ(7)). We have one thread,
    // and it never sets a variable.
    unsafe {
        let mut next = environ;
        while !next.is_null() && !(*next).is_null() {
            if !replaced(CStr::from_ptr(*next)) {
                entries.try_reserve(1).ok()?;
                entries.push(*next);
            }
            next = next.add(1);
        }
    }
    entries.try_reserve(variables.len() + 1).ok()?;
    entries.extend(variables.iter().map(|variable| variable.as_ptr()));
    entries.push(ptr::null());
    Some(entries)
}

/// Of a variable.
fn name(entry: &CStr) -> Option<&[u8]> {
    entry.to_bytes().split(|byte| *byte == b'=').next()
}

/// A variable that names the process that it is meant for (sd_listen_fds(3),
/// sd_watchdog_enabled(3)). If that was us, it is our child now.
struct PidVariable {
    /// Its place in the environment.
    at: usize,
    prefix: &'static [u8],
    /// `NAME=pid` and a null.
    text: [u8; 32],
}

impl PidVariable {
    const PREFIXES: [&[u8]; 2] = [b"LISTEN_PID=", b"WATCHDOG_PID="];

    fn find(environment: &[*const c_char]) -> Vec<Self> {
        let own_pid = getpid().to_string();
        let entries = environment.iter().enumerate().filter(|(_, entry)| !entry.is_null());
        let ours = entries.filter_map(|(at, entry)| {
            // SAFETY: each entry but the null at the end is a C string.
            let text = unsafe { CStr::from_ptr(*entry) }.to_bytes();
            let prefix = Self::PREFIXES
                .into_iter()
                .find(|prefix| text.strip_prefix(*prefix) == Some(own_pid.as_bytes()))?;
            Some(Self { at, prefix, text: [0; 32] })
        });
        ours.collect()
    }

    fn set(&mut self, pid: libc::pid_t, environment: &mut [*const c_char]) {
        let mut rest = self.text.as_mut_slice();
        let written = rest.write_all(self.prefix).and_then(|()| write!(rest, "{pid}\0"));
        if let (Ok(()), Some(entry)) = (written, environment.get_mut(self.at)) {
            *entry = self.text.as_ptr().cast();
        }
    }
}
