//! A container as small as can be: a PID namespace and a /proc of its own.

use std::ffi::{CStr, CString};
use std::fs;
use std::os::fd::AsRawFd;

/// The descriptor on which the harness waits for the container's pid, if it passed one.
const PID_CHANNEL: i32 = 100;

/// Returns as PID 1 of a new namespace; the process that called stays outside and exits as PID 1
/// does (128+n for a signal).
pub fn enter() {
    let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
    let root = unsafe { libc::geteuid() } == 0;
    let user = if root { 0 } else { libc::CLONE_NEWUSER };
    check(unsafe { libc::unshare(user | libc::CLONE_NEWNS | libc::CLONE_NEWPID) }, "unshare");
    if !root {
        fs::write("/proc/self/setgroups", "deny").expect("setgroups");
        fs::write("/proc/self/uid_map", format!("0 {uid} 1")).expect("uid_map");
        fs::write("/proc/self/gid_map", format!("0 {gid} 1")).expect("gid_map");
    }
    let init = unsafe { libc::fork() };
    check(init, "fork");
    if init > 0 {
        stay_outside(init);
    }
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    unsafe { libc::close(PID_CHANNEL) };
    mount(c"none", c"/", None, libc::MS_REC | libc::MS_PRIVATE, None);
    mount(c"proc", c"/proc", Some(c"proc"), 0, None);
}

fn stay_outside(init: i32) -> ! {
    let text = format!("{init}\n");
    unsafe { libc::write(PID_CHANNEL, text.as_ptr().cast(), text.len()) };
    // Only the container shall hold the pipes.
    for descriptor in [0, 1, 2, PID_CHANNEL] {
        unsafe { libc::close(descriptor) };
    }
    let mut status = 0;
    while unsafe { libc::waitpid(init, &raw mut status, 0) } != init {}
    unsafe { libc::_exit(exit_code(status)) }
}

pub fn exit_code(status: i32) -> i32 {
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) }
}

/// Returns as PID 1 of a new namespace inside of this one, with the /proc of this one.
pub fn for_children() {
    check(unsafe { libc::unshare(libc::CLONE_NEWPID) }, "unshare");
}

pub fn nest() {
    for_children();
    leave_to_child();
}

/// Returns as a process that entered from outside, as `docker exec` makes them.
pub fn join(pid: i32) {
    let namespace = fs::File::open(format!("/proc/{pid}/ns/pid")).expect("a process");
    check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWPID) }, "setns");
    leave_to_child();
}

fn leave_to_child() {
    let child = unsafe { libc::fork() };
    check(child, "fork");
    if child > 0 {
        let mut status = 0;
        while unsafe { libc::waitpid(child, &raw mut status, 0) } != child {}
        unsafe { libc::_exit(exit_code(status)) }
    }
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Another one, with these options, over the /proc that is there.
pub fn mount_proc(options: &str) {
    mount(c"proc", c"/proc", Some(c"proc"), 0, Some(&c_string(options)));
}

/// By what is there to restore a checkpoint.
pub fn wrap_pids(after: i32) {
    let highest = fs::read_to_string("/proc/sys/kernel/pid_max").expect("/proc");
    let highest: i32 = highest.trim().parse().expect("a number");
    fs::write("/proc/sys/kernel/ns_last_pid", (highest - after).to_string()).expect("ours");
}

/// An empty file system over `place`: nothing is there any more.
pub fn hide(place: &str) {
    mount(c"none", &c_string(place), Some(c"tmpfs"), 0, None);
}

/// An empty file system of this size, in bytes, over `place`.
pub fn mount_small(place: &str, size: i32) {
    mount(c"none", &c_string(place), Some(c"tmpfs"), 0, Some(&c_string(&format!("size={size}"))));
}

/// Shows a file or a directory in another place too, over what is there.
pub fn bind(from: &str, to: &str) {
    mount(&c_string(from), &c_string(to), None, libc::MS_BIND, None);
}

/// A new namespace, whose root is the cgroup that we are in.
pub fn enter_of_cgroups() {
    check(unsafe { libc::unshare(libc::CLONE_NEWCGROUP) }, "unshare");
}

pub fn enter_of_host_names() {
    check(unsafe { libc::unshare(libc::CLONE_NEWUTS) }, "unshare");
}

pub fn set_host_name(name: &str) {
    check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }, "sethostname");
}

/// Mounts the hierarchy of a controller, from the root of our namespace.
pub fn mount_cgroup(controller: &str, place: &str) {
    let place = c_string(place);
    if controller == "unified" {
        return mount(c"cgroup", &place, Some(c"cgroup2"), 0, None);
    }
    mount(c"cgroup", &place, Some(c"cgroup"), 0, Some(&c_string(controller)));
}

fn c_string(text: &str) -> CString {
    CString::new(text).unwrap()
}

fn mount(
    what: &CStr,
    place: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    options: Option<&CStr>,
) {
    let [kind, options] = [kind, options].map(|text| text.map_or(std::ptr::null(), CStr::as_ptr));
    check(
        unsafe { libc::mount(what.as_ptr(), place.as_ptr(), kind, flags, options.cast()) },
        "mount",
    );
}

fn check(result: i32, what: &str) {
    assert!(result >= 0, "{what}: {}", std::io::Error::last_os_error());
}
