//! What this process was started with.

use std::ffi::{CStr, c_char};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use std::os::unix::fs::MetadataExt;

use super::say;

unsafe extern "C" {
    /// The C library's, as it was inherited: `std::env` hides entries without a `=`.
    pub static mut environ: *const *const c_char;
}

pub fn report(descriptor: i32) {
    let mut out = ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor) });
    let mut say =
        |text: std::fmt::Arguments| writeln!(out, "{text}").expect("a place for the report");
    let (pid, parent) = (unsafe { libc::getpid() }, unsafe { libc::getppid() });
    say(format_args!(
        "pid {pid} parent {parent} group {} session {}",
        unsafe { libc::getpgrp() },
        unsafe { libc::getsid(0) }
    ));
    say(format_args!("mask {:016x}", current_mask()));
    say(format_args!("ignored {:?}", ignored()));
    let open: Vec<_> =
        (0..256).filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0).collect();
    say(format_args!("descriptors {open:?}"));
    for fd in open {
        let (flags, status) =
            unsafe { (libc::fcntl(fd, libc::F_GETFD), libc::fcntl(fd, libc::F_GETFL)) };
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        unsafe { libc::fstat(fd, &raw mut stat) };
        say(format_args!(
            "descriptor {fd} mode {:o} device {} flags {flags:o} {status:o}",
            stat.st_mode, stat.st_rdev
        ));
    }
    let place = std::fs::metadata(".").map(|place| (place.dev(), place.ino())).ok();
    say(format_args!("cwd {:?} {place:?}", std::env::current_dir().ok()));
    let umask = unsafe { libc::umask(0) };
    unsafe { libc::umask(umask) };
    say(format_args!("umask {umask:o}"));
    for resource in 0..16 {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        if unsafe { libc::getrlimit(resource, &raw mut limit) } == 0 {
            say(format_args!("limit {resource} {} {}", limit.rlim_cur, limit.rlim_max));
        }
    }
    let mut entry = unsafe { environ };
    while let text @ 1.. = unsafe { *entry } as usize {
        say(format_args!(
            "env {}",
            unsafe { CStr::from_ptr(text as *const c_char) }.to_bytes().escape_ascii()
        ));
        entry = unsafe { entry.add(1) };
    }
}

/// All arguments, the program's name first: how long each is, its beginning, and a hash of it.
pub fn arguments() {
    let line = std::fs::read("/proc/self/cmdline").expect("/proc");
    for argument in line.strip_suffix(b"\0").expect("an argument").split(|byte| *byte == 0) {
        let mut hasher = DefaultHasher::new();
        argument.hash(&mut hasher);
        let beginning = argument[..argument.len().min(60)].escape_ascii();
        say(format_args!("argument {} {beginning} {:016x}", argument.len(), hasher.finish()));
    }
}

fn current_mask() -> u64 {
    let mut mask = 0_u64;
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, 0_usize, &raw mut mask, 8) };
    mask
}

fn ignored() -> Vec<i32> {
    let is_ignored = |signal: &i32| {
        let mut action = [0_usize; 4];
        let none = std::ptr::null::<usize>();
        unsafe { libc::syscall(libc::SYS_rt_sigaction, *signal, none, action.as_mut_ptr(), 8) };
        action[0] == libc::SIG_IGN
    };
    (1..=64).filter(is_ignored).collect()
}
