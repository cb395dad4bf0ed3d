//! Directories whose entries are numbers: /proc and /proc/self/fd.

use std::ffi::CStr;
use std::os::fd::AsRawFd;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::check;

/// The entries that are numbers. Needs one descriptor, and asks for memory in a way that may fail:
/// opendir(3) would not.
///
/// `None` if the directory cannot be read to its end, or memory is short.
pub(super) fn numbers(path: &CStr) -> Option<Vec<i32>> {
    let directory =
        open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    let mut numbers = Vec::new();
    let mut buffer = [0_u8; 8192];
    loop {
        // SAFETY: getdents64(2) writes at most the buffer's size.
        let filled = unsafe {
            libc::syscall(
                libc::SYS_getdents64,
                directory.as_raw_fd(),
                buffer.as_mut_ptr(),
                buffer.len(),
            )
        };
        let filled = usize::try_from(check(filled).ok()?).ok()?;
        if filled == 0 {
            return Some(numbers);
        }
        let mut records = buffer.get(..filled)?;
        // struct linux_dirent64: inode and offset (16 bytes), the record's length (2), the type
        // (1), the name.
        while let (Some(&[low, high]), Some(name)) = (records.get(16..18), records.get(19..)) {
            let name = CStr::from_bytes_until_nul(name).ok()?;
            if let Some(number) = name.to_str().ok().and_then(|name| name.parse().ok()) {
                numbers.try_reserve(1).ok()?;
                numbers.push(number);
            }
            records = records.get(usize::from(u16::from_ne_bytes([low, high]))..)?;
        }
    }
}
