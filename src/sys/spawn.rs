//! Starting a command: fork(2), and a close-on-exec pipe that tells whether the exec has succeeded.
//!
//! Nobody waits for that: an exec takes as long as a file system or a virus scanner likes. The
//! child looks for the program and finds out why it cannot run, for both may hang as well. Nothing
//! rests on shared memory: under QEMU's user mode a vfork(2) is a fork. We have one thread, so the
//! child may do whatever we may.

use std::borrow::Cow;
use std::ffi::{CStr, CString, OsStr, OsString, c_char};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{fchdir, getpgrp, getpid, pipe2, setpgid, setsid, tcsetpgrp};

use super::program::{Kind, NotStarted, Program};
use super::signals::{self, Inherited};
use super::users::Credentials;
use super::{descriptors, kill, process};
use crate::config::FailureStatuses;
use crate::process::Pid;
use crate::signal::Signal;

/// What to start, and how.
#[derive(Clone, Copy)]
pub struct Launch<'a> {
    /// The program and its arguments.
    pub words: &'a [OsString],
    /// Where it runs.
    pub place: Place<'a>,
    /// What it gets of ours.
    pub inheritance: Inheritance<'a>,
    /// The mask and the dispositions that it gets.
    pub signals: Inherited,
    /// Who it runs as; `None`: as we do.
    pub credentials: Option<&'a Credentials>,
    /// The exit statuses of a child that does not get as far as its program.
    pub failures: FailureStatuses,
}

/// Where a command runs.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    /// In a group of its own, which becomes the foreground of this terminal.
    OwnGroup(Option<BorrowedFd<'a>>),
    /// In a session of its own, with this as its controlling terminal.
    OwnSession(Option<BorrowedFd<'a>>),
    /// In our group.
    SharedGroup,
}

/// What a command gets of ours.
#[derive(Clone, Copy)]
pub enum Inheritance<'a> {
    /// Everything but what exec closes; variables that name our pid name the child's.
    Everything,
    /// stdout and stderr, with /dev/null as stdin, in this directory.
    Output {
        /// `None`: the one that we are in.
        directory: Option<BorrowedFd<'a>>,
        /// For `MAINPID` in its environment.
        main: Option<Pid>,
    },
}

/// A child, whose exec may be still to come.
pub struct Started {
    /// The child.
    pub pid: Pid,
    /// What tells of its exec; `None` if there was no descriptor for it: then the child itself says
    /// why it cannot run.
    pub exec: Option<ExecReport>,
}

/// Where a child tells of its exec.
pub struct ExecReport(File);

/// What has become of an exec.
#[derive(Debug, PartialEq, Eq)]
pub enum Exec {
    /// It is still to come.
    Pending,
    /// The program runs, or the child has died without a word.
    Over,
    /// It has failed: the child exits.
    Failed(NotStarted),
}

impl Launch<'_> {
    /// Starts the command. When this returns, the child is in its process group.
    ///
    /// # Errors
    /// When there is no process for it.
    pub fn start(self) -> Result<Started, NotStarted> {
        let own_pid = getpid();
        let (report, exec) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).ok().unzip();
        // SAFETY: we have one thread, so no lock is held that the child would wait for.
        match Errno::result(unsafe { libc::fork() }) {
            Ok(0) => self.run(own_pid, exec),
            Ok(pid) => {
                let pid = Pid::from_raw(pid).ok_or_else(|| self.no_process(Errno::ESRCH))?;
                // The child does it too: whoever comes first. After its exec we may not (EACCES).
                // The terminal is for the child alone to take: it may have given it away by now.
                self.place.make_group(nix::unistd::Pid::from_raw(pid.as_raw()));
                Ok(Started { pid, exec: report.map(|report| ExecReport(report.into())) })
            }
            Err(error) => Err(self.no_process(error)),
        }
    }

    fn no_process(&self, error: Errno) -> NotStarted {
        NotStarted::fork(self.words.first().map_or(OsStr::new(""), OsString::as_os_str), error)
    }

    /// The child, with all signals blocked.
    fn run(self, parent: nix::unistd::Pid, report: Option<OwnedFd>) -> ! {
        let failed = self.execute(parent, report.as_ref().map(AsFd::as_fd));
        // What arrives from now on must not keep us from telling why.
        let _ = signals::block_all();
        match report {
            Some(report) => failed.send(report),
            None => log::error!("{failed}"),
        }
        process::exit(failed.kind.exit_status(self.failures))
    }

    fn execute(&self, parent: nix::unistd::Pid, report: Option<BorrowedFd>) -> NotStarted {
        let word = self.words.first().map_or(OsStr::new(""), OsString::as_os_str);
        if let Err(error) = self.place.enter() {
            return NotStarted::place(word, error);
        }
        let mut variables = self.credentials.map_or(&[][..], Credentials::variables).to_vec();
        if let Inheritance::Output { directory, main } = self.inheritance {
            // The directory may be gone: no reason not to run.
            let _ = directory.map(fchdir);
            descriptors::keep_output_only(report);
            variables.extend(main.and_then(|main| CString::new(format!("MAINPID={main}")).ok()));
        }
        if let Some(credentials) = self.credentials {
            if let Err(error) = credentials.apply() {
                return NotStarted::user(word, credentials, error);
            }
        }
        let pids = match self.inheritance {
            Inheritance::Everything => Some(PidVariables::new(parent)),
            Inheritance::Output { .. } => None,
        };
        let environment = environment(variables, pids.as_ref());
        let program = Program::find(self.words);
        match self.signals.restore() {
            Ok(()) => program.execute(&environment),
            Err(error) => NotStarted::mask(word, error),
        }
    }
}

impl Place<'_> {
    fn make_group(self, child: nix::unistd::Pid) {
        if let Self::OwnGroup(_) = self {
            // EACCES, or ESRCH after the end of the child.
            let _ = setpgid(child, child);
        }
    }

    /// For a new child.
    ///
    /// # Errors
    /// Where a seccomp filter forbids it: the group that is to be signalled would not exist.
    fn enter(self) -> nix::Result<()> {
        match self {
            Self::OwnGroup(terminal) => {
                self.make_group(getpid());
                if let Some(terminal) = terminal {
                    // It may be another session's by now.
                    let _ = tcsetpgrp(terminal, getpid());
                }
            }
            Self::OwnSession(terminal) => {
                setsid()?;
                if let Some(terminal) = terminal {
                    // SAFETY: the argument is a plain number: do not steal it.
                    let taken = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) };
                    // It was hung up after we gave it up, when nobody could hear of it.
                    if Errno::result(taken) == Err(Errno::EIO) {
                        kill::kill(getpid().as_raw(), Signal::HUP)?;
                    }
                }
            }
            Self::SharedGroup => return Ok(()),
        }
        if getpgrp() == getpid() { Ok(()) } else { Err(Errno::EPERM) }
    }
}

impl ExecReport {
    /// What has become of it, without waiting.
    #[must_use]
    pub fn read(&mut self) -> Exec {
        let mut report = Vec::new();
        match self.0.read_to_end(&mut report) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && report.is_empty() => {
                Exec::Pending
            }
            _ => NotStarted::receive(&report).map_or(Exec::Over, Exec::Failed),
        }
    }
}

impl AsFd for ExecReport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl NotStarted {
    /// A pipe takes this much in one piece (pipe(7), `PIPE_BUF`).
    const LONGEST: usize = 4096;

    fn send(&self, report: OwnedFd) {
        let kind = match self.kind {
            Kind::NotFound => b'f',
            Kind::NotExecutable => b'x',
            Kind::Other => b'o',
        };
        let message = [&[kind], self.line.as_bytes()].concat();
        // Nobody reads it if we have no parent any more.
        let _ = File::from(report).write_all(message.get(..Self::LONGEST).unwrap_or(&message));
    }

    fn receive(message: &[u8]) -> Option<Self> {
        let (kind, line) = message.split_first()?;
        let kind = match kind {
            b'f' => Kind::NotFound,
            b'x' => Kind::NotExecutable,
            _ => Kind::Other,
        };
        Some(Self { kind, line: String::from_utf8_lossy(line).into_owned() })
    }
}

/// The environment as it was inherited, entries without a `=` too, but for these variables.
fn environment(variables: Vec<CString>, pids: Option<&PidVariables>) -> Vec<Cow<'static, CStr>> {
    let replaced = |entry: &CStr| variables.iter().any(|variable| name(variable) == name(entry));
    let mut entries = Vec::new();
    for entry in inherited_environment().filter(|entry| !replaced(entry)) {
        match pids {
            Some(pids) => entries.extend(pids.for_child(entry)),
            None => entries.push(Cow::Borrowed(entry)),
        }
    }
    entries.extend(variables.into_iter().map(Cow::Owned));
    entries
}

/// Executes this in our own place, with the signals as we got them. Returns only if that fails.
#[must_use]
pub fn replace(words: &[OsString], signals: Inherited) -> NotStarted {
    let word = words.first().map_or(OsStr::new(""), OsString::as_os_str);
    let program = Program::find(words);
    let environment: Vec<_> = inherited_environment().map(Cow::Borrowed).collect();
    match signals.restore() {
        Ok(()) => program.execute(&environment),
        Err(error) => NotStarted::mask(word, error),
    }
}

/// The entries of the environment, as they were inherited.
pub fn inherited_environment() -> impl Iterator<Item = &'static CStr> {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    let mut at = 0;
    std::iter::from_fn(move || {
        // SAFETY: the C library's array of C strings, null-terminated (environ(7)); it is never
        // changed, so it lives as long as we do.
        let entry = unsafe {
            let first = environ;
            if first.is_null() { std::ptr::null() } else { *first.add(at) }
        };
        at += 1;
        // SAFETY: as above.
        (!entry.is_null()).then(|| unsafe { CStr::from_ptr(entry) })
    })
}

/// The variables that name the process that they are meant for (sd_listen_fds(3),
/// sd_watchdog_enabled(3)). If that was us, it is our child now.
struct PidVariables {
    ours: String,
    childs: nix::unistd::Pid,
    listens: bool,
}

impl PidVariables {
    const LISTEN: &str = "LISTEN_PID";

    /// For the calling process, the child of `parent`.
    fn new(parent: nix::unistd::Pid) -> Self {
        let mut new = Self { ours: parent.to_string(), childs: getpid(), listens: false };
        new.listens = inherited_environment().any(|entry| new.is_ours(entry, Self::LISTEN));
        new
    }

    fn is_ours(&self, entry: &CStr, variable: &str) -> bool {
        let value = entry.to_bytes().strip_prefix(variable.as_bytes());
        value.and_then(|value| value.strip_prefix(b"=")) == Some(self.ours.as_bytes())
    }

    fn for_child(&self, entry: &'static CStr) -> Option<Cow<'static, CStr>> {
        for variable in [Self::LISTEN, "WATCHDOG_PID"] {
            if self.is_ours(entry, variable) {
                return CString::new(format!("{variable}={}", self.childs)).ok().map(Cow::Owned);
            }
        }
        // The id of our pidfd: the child's is another one, and without it LISTEN_PID alone counts.
        let is_stale = self.listens && name(entry) == Some(b"LISTEN_PIDFDID");
        (!is_stale).then_some(Cow::Borrowed(entry))
    }
}

/// Of a variable.
fn name(entry: &CStr) -> Option<&[u8]> {
    entry.to_bytes().split(|byte| *byte == b'=').next()
}
