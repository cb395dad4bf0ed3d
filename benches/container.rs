//! One init as PID 1 of a new PID namespace, and what the kernel tells of it.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io::{Error, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::candidates::Candidate;

/// Nothing that is measured takes this long.
const DEADLINE: Duration = Duration::from_secs(60);

/// Nanoseconds of CLOCK_MONOTONIC.
pub fn now() -> u64 {
    clock(libc::CLOCK_MONOTONIC)
}

fn clock(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes one timespec.
    assert_eq!(unsafe { libc::clock_gettime(id, &raw mut time) }, 0, "{}", Error::last_os_error());
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).expect("a time after boot")
}

/// A running init. Killed on drop, and its whole namespace with it.
pub struct Container {
    pid: i32,
    told: File,
    /// Just before the exec of the init.
    pub started: u64,
    ended: bool,
}

impl Container {
    /// Starts the init with the benchmark's command. It has no terminal, and its streams are
    /// /dev/null.
    pub fn start(candidate: &Candidate, command: &OsStr, words: &[&str]) -> Self {
        let argv = [candidate.path.as_os_str()]
            .into_iter()
            .chain(candidate.options.iter().map(OsStr::new));
        let argv = argv.chain(["--".as_ref(), command]).chain(words.iter().map(OsStr::new));
        let argv: Vec<_> =
            argv.map(|word| CString::new(word.as_bytes()).expect("no null")).collect();
        let pointers: Vec<_> = argv.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect();
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        let null = File::options().read(true).write(true).open("/dev/null").expect("/dev/null");
        // SAFETY: it only reads.
        let user = if unsafe { libc::geteuid() } == 0 { 0 } else { libc::CLONE_NEWUSER };
        let flags = libc::SIGCHLD | libc::CLONE_NEWPID | user;
        // SAFETY: as fork(2); we have one thread. The child makes system calls only, until its
        // exec.
        let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
        if pid == 0 {
            // SAFETY: plain numbers, and null-terminated arrays of C strings.
            unsafe {
                libc::setsid();
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                for stream in 0..=2 {
                    libc::dup2(null.as_raw_fd(), stream);
                }
                libc::dup2(writer.as_raw_fd(), 3);
                let started = now();
                libc::write(3, (&raw const started).cast(), 8);
                libc::execv(argv[0].as_ptr(), pointers.as_ptr());
                libc::_exit(127);
            }
        }
        assert!(pid > 0, "no PID namespace: {}", Error::last_os_error());
        let pid = i32::try_from(pid).expect("a pid");
        let mut container = Self { pid, told: File::from(reader), started: 0, ended: false };
        container.started = container.told();
        container
    }

    /// Whether the command has something to tell, or does so in this time.
    pub fn has_told(&self, within: Duration) -> bool {
        let timeout = PollTimeout::try_from(within).expect("a minute at most");
        poll(&mut [PollFd::new(self.told.as_fd(), PollFlags::POLLIN)], timeout).expect("poll") > 0
    }

    /// The next time that the command tells.
    pub fn told(&mut self) -> u64 {
        assert!(self.has_told(DEADLINE), "the command says nothing");
        let mut bytes = [0; 8];
        self.told.read_exact(&mut bytes).expect("the command, running");
        u64::from_ne_bytes(bytes)
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: plain numbers; the process is not reaped.
        assert_eq!(unsafe { libc::kill(self.pid, signal) }, 0, "{}", Error::last_os_error());
    }

    /// Waits for its end: when that was seen, and the exit status.
    pub fn wait(&mut self) -> (u64, i32) {
        let mut status = 0;
        // SAFETY: it writes one int.
        let reaped = unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
        assert_eq!(reaped, self.pid, "{}", Error::last_os_error());
        self.ended = true;
        (now(), libc::WEXITSTATUS(status))
    }

    /// Waits until the init sleeps.
    pub fn settle(&self) {
        let end = now() + u64::try_from(DEADLINE.as_nanos()).expect("a minute");
        let sleeps =
            || self.read("stat").rsplit(')').next().is_some_and(|rest| rest.starts_with(" S"));
        while !sleeps() {
            assert!(now() < end, "the init never sleeps");
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.pid)).expect("proc(5)")
    }

    /// The sum of these lines of a file in /proc/PID.
    pub fn sum(&self, file: &str, names: &[&str]) -> u64 {
        let text = self.read(file);
        let lines = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .filter(|(name, _)| names.contains(name));
        lines
            .map(|(_, rest)| {
                rest.split_whitespace()
                    .next()
                    .and_then(|number| number.parse::<u64>().ok())
                    .expect("a number")
            })
            .sum()
    }

    pub fn context_switches(&self) -> u64 {
        self.sum("status", &["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"])
    }

    /// Children of the init, dead ones too. The kernel lists them only where it is built to.
    pub fn children(&self) -> usize {
        self.read(&format!("task/{}/children", self.pid)).split_whitespace().count()
    }

    /// Nanoseconds on a CPU.
    pub fn cpu_time(&self) -> u64 {
        let mut id = 0;
        // SAFETY: it writes one clock id.
        assert_eq!(unsafe { libc::clock_getcpuclockid(self.pid, &raw mut id) }, 0);
        clock(id)
    }

    pub fn pid(&self) -> i32 {
        self.pid
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if !self.ended {
            self.signal(libc::SIGKILL);
            self.wait();
        }
    }
}
