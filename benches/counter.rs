//! Counting system calls.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::fd::FromRawFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::ptr;

use crate::candidates::Candidate;

/// For nobody but us, in case that nobody else has. Without the rights for it, nothing is counted.
pub fn mount_tracefs() {
    let place = c"/sys/kernel/tracing".as_ptr();
    // SAFETY: plain numbers, and C strings that live for good.
    unsafe {
        if libc::unshare(libc::CLONE_NEWNS) == 0 {
            libc::mount(
                c"none".as_ptr(),
                c"/".as_ptr(),
                ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                ptr::null(),
            );
            libc::mount(c"none".as_ptr(), place, c"tracefs".as_ptr(), 0, ptr::null());
        }
    }
}

/// Counts the system calls of one process, without slowing it down as ptrace(2) would.
pub struct Counter(fs::File);

impl Counter {
    /// The kernel's tracepoint `raw_syscalls:sys_enter`, by perf_event_open(2). `None` where that
    /// is not allowed or tracefs is not mounted.
    pub fn open(pid: i32) -> Option<Self> {
        const PERF_TYPE_TRACEPOINT: u64 = 2;
        let id: u64 = fs::read_to_string("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id")
            .ok()?
            .trim()
            .parse()
            .ok()?;
        // struct perf_event_attr, its first published size: type and size, config, and no option.
        let mut attributes = [0_u64; 8];
        attributes[0] = PERF_TYPE_TRACEPOINT | (size_of_val(&attributes) as u64) << 32;
        attributes[1] = id;
        // SAFETY: the kernel reads the attributes, as many bytes as they say.
        let descriptor = unsafe {
            libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), pid, -1, -1, 0)
        };
        let descriptor = i32::try_from(descriptor).ok().filter(|descriptor| *descriptor >= 0)?;
        // SAFETY: the kernel has just made it.
        Some(Self(unsafe { fs::File::from_raw_fd(descriptor) }))
    }

    pub fn count(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact(&mut bytes).expect("a counter");
        u64::from_ne_bytes(bytes)
    }
}

/// From the exec of the init to that of its command, both processes together, as PID 1; by strace.
/// `None` without it.
pub fn until_exec(candidate: &Candidate, command: &OsStr, directory: &Path) -> Option<u64> {
    let log = directory.join("strace");
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-e", "signal=none", "-o"])
        .arg(&log)
        .args(["unshare", "--pid", "--fork"]);
    // SAFETY: it only reads.
    if unsafe { libc::geteuid() } != 0 {
        strace.args(["--user", "--map-root-user"]);
    }
    strace.arg(&candidate.path).args(candidate.options).args([
        "--".as_ref(),
        command,
        OsStr::new("exit"),
    ]);
    strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    strace.status().ok().filter(std::process::ExitStatus::success)?;
    let text = fs::read_to_string(log).ok()?;
    let execs = |program: &OsStr| format!("execve(\"{}\"", program.to_string_lossy());
    let (init, command) = (execs(candidate.path.as_os_str()), execs(command));
    let lines = text
        .lines()
        .skip_while(|line| !line.contains(&init))
        .skip(1)
        .take_while(|line| !line.contains(&command));
    u64::try_from(
        lines.filter(|line| !line.contains(" resumed>") && !line.contains("+++")).count() + 1,
    )
    .ok()
}
