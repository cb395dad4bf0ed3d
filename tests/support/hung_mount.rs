//! A file system that never answers, as NFS does when its server is gone.

use std::ffi::{CStr, CString};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::{DEADLINE, Directory};

/// `FUSE_INIT` of linux/fuse.h, the only request that is answered.
const INIT: u32 = 26;

/// Mounted for the thread that made it, and for what that starts. Whoever asks anything of it
/// waits, in a way that SIGKILL does not end, until it is dropped.
pub struct HungMount {
    place: Directory,
    asked: Receiver<u32>,
}

impl HungMount {
    /// `None` where there is no FUSE, or it is not ours to mount.
    pub fn new() -> Option<Self> {
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").ok()?;
        let place = Directory::new();
        // Nobody else on this machine shall get stuck in it.
        // SAFETY: a plain number.
        if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
            return None;
        }
        mount(c"none", c"/", c"", libc::MS_REC | libc::MS_PRIVATE, c"")?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let options = CString::new(options).expect("no zero byte");
        mount(c"hung", &c_path(&place), c"fuse", 0, &options)?;
        let (sender, asked) = channel();
        std::thread::spawn(move || serve(device, &sender));
        Some(Self { place, asked })
    }

    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Waits until somebody waits for it.
    pub fn wait_until_asked(&self) {
        self.asked.recv_timeout(DEADLINE).expect("somebody asks");
    }
}

fn c_path(place: &Directory) -> CString {
    CString::new(place.path().as_os_str().as_bytes()).expect("no zero byte")
}

fn mount(what: &CStr, place: &CStr, kind: &CStr, flags: u64, options: &CStr) -> Option<()> {
    let [what, place, kind] = [what, place, kind].map(CStr::as_ptr);
    // SAFETY: mount(2) reads these strings.
    let mounted = unsafe { libc::mount(what, place, kind, flags, options.as_ptr().cast()) };
    (mounted == 0).then_some(())
}

/// Takes the requests: one that was taken is one that the kernel waits for.
fn serve(mut device: File, asked: &Sender<u32>) {
    let mut request = vec![0; 1 << 20];
    while let Ok(length) = device.read(&mut request) {
        let number = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
        // `fuse_in_header`: length, operation, and what names the request.
        assert!(length >= 40);
        if number(4) == INIT {
            // `fuse_out_header` and `fuse_init_out`: the version, and no features.
            let mut answer = vec![0; 16 + 64];
            answer[0..4].copy_from_slice(&80_u32.to_ne_bytes());
            answer[8..16].copy_from_slice(&request[8..16]);
            answer[16..24].copy_from_slice(&request[40..48]);
            answer[36..40].copy_from_slice(&4096_u32.to_ne_bytes());
            device.write_all(&answer).expect("the kernel takes it");
        } else if asked.send(number(4)).is_err() {
            return;
        }
    }
}

impl Drop for HungMount {
    fn drop(&mut self) {
        // Forced: whoever waits for an answer has an error instead.
        let flags = libc::MNT_FORCE | libc::MNT_DETACH;
        // SAFETY: umount2(2) reads this string.
        unsafe { libc::umount2(c_path(&self.place).as_ptr(), flags) };
    }
}
