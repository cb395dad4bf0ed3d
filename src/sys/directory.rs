//! Directories whose entries are numbers: /proc and what is below it.

use std::ffi::CStr;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::check;

/// The entries that are numbers. Needs one descriptor, and asks for memory in a way that may fail:
/// opendir(3) would not.
///
/// # Errors
/// If the directory cannot be read to its end, or memory is short.
pub(super) fn numbers(path: &CStr) -> nix::Result<Vec<i32>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = open(path, flags, Mode::empty())?;
    let mut numbers = Vec::new();
    let mut buffer = [0_u8; 8192];
    loop {
        // SAFETY: getdents64(2) writes at most the buffer's size.
        let filled = check(unsafe {
            let buffer = &mut buffer;
            libc::syscall(
                libc::SYS_getdents64,
                directory.as_raw_fd(),
                buffer.as_mut_ptr(),
                buffer.len(),
            )
        })?;
        let filled = usize::try_from(filled).map_err(|_| Errno::EIO)?;
        if filled == 0 {
            return Ok(numbers);
        }
        let mut records = buffer.get(..filled).ok_or(Errno::EIO)?;
        // struct linux_dirent64: inode and offset (16 bytes), the record's length (2), the type
        // (1), the name.
        while let (Some(&[low, high]), Some(name)) = (records.get(16..18), records.get(19..)) {
            let name = CStr::from_bytes_until_nul(name).map_err(|_| Errno::EIO)?;
            if let Some(number) = name.to_str().ok().and_then(|name| name.parse().ok()) {
                numbers.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                numbers.push(number);
            }
            let length = usize::from(u16::from_ne_bytes([low, high]));
            records = records.get(length..).filter(|_| length > 0).ok_or(Errno::EIO)?;
        }
    }
}
