//! A pipe that is full, and is read later.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Its end for reading.
pub struct FullPipe(File);

impl FullPipe {
    /// With the end for writing, which waits for a reader like any other.
    pub fn new() -> (Self, OwnedFd) {
        let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        let mut filler = File::from(writer.try_clone().expect("a descriptor"));
        fcntl(&filler, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("it is open");
        for piece in [4096, 1] {
            while filler.write(&vec![b'.'; piece]).is_ok() {}
        }
        fcntl(&filler, FcntlArg::F_SETFL(OFlag::empty())).expect("it is open");
        (Self(File::from(reader)), writer)
    }

    /// Takes out what filled it, which must be all that is in it: what is read from now on was
    /// written later.
    pub fn emptied(mut self) -> File {
        fcntl(&self.0, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("it is open");
        let mut filling = Vec::new();
        assert_eq!(
            self.0.read_to_end(&mut filling).map_err(|error| error.kind()),
            Err(ErrorKind::WouldBlock)
        );
        assert!(!filling.is_empty() && filling.iter().all(|byte| *byte == b'.'), "a line did fit");
        fcntl(&self.0, FcntlArg::F_SETFL(OFlag::empty())).expect("it is open");
        self.0
    }
}
