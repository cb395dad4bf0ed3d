//! The terminal on stdin.

use std::io::{BufRead, Error, stdin};

pub fn make_controlling() {
    assert!(unsafe { libc::setsid() } > 0, "setsid: {}", Error::last_os_error());
    assert_eq!(
        unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) },
        0,
        "TIOCSCTTY: {}",
        Error::last_os_error()
    );
}

pub fn take_foreground() {
    let mut ttou: libc::sigset_t = unsafe { std::mem::zeroed() };
    unsafe { libc::sigaddset(&raw mut ttou, libc::SIGTTOU) };
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const ttou, std::ptr::null_mut()) };
    assert_eq!(
        unsafe { libc::tcsetpgrp(0, libc::getpgrp()) },
        0,
        "tcsetpgrp: {}",
        Error::last_os_error()
    );
    unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, &raw const ttou, std::ptr::null_mut()) };
}

/// Whose group has the foreground, of our controlling terminal on whatever descriptor; `nobody` if
/// we have none.
pub fn foreground() -> String {
    let terminal = unsafe { libc::open(c"/dev/tty".as_ptr(), libc::O_RDWR) };
    if terminal < 0 {
        return "foreground nobody".to_owned();
    }
    let group = unsafe { libc::tcgetpgrp(terminal) };
    unsafe { libc::close(terminal) };
    if group == unsafe { libc::getpgrp() } {
        "foreground ours".to_owned()
    } else {
        "foreground others".to_owned()
    }
}

/// A line from stdin; any failure is told as well.
pub fn line() -> String {
    let mut text = String::new();
    match stdin().lock().read_line(&mut text) {
        Ok(_) => format!("line {:?}", text.trim_end()),
        Err(error) => format!("no line: {error}"),
    }
}

/// A new terminal for the session that this process leads. The other end stays open.
pub fn make_own() {
    let other_end = unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY) };
    assert!(other_end >= 0, "posix_openpt: {}", Error::last_os_error());
    assert_eq!(unsafe { libc::grantpt(other_end) | libc::unlockpt(other_end) }, 0);
    let mut name = [0; 64];
    assert_eq!(unsafe { libc::ptsname_r(other_end, name.as_mut_ptr(), name.len()) }, 0);
    // It becomes that of a leader without one.
    assert!(unsafe { libc::open(name.as_ptr(), libc::O_RDWR) } >= 0);
}
