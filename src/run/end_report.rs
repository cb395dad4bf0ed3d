//! Why the container ended, for whoever reads the termination message.

use std::fmt::Display;
use std::io;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;

use crate::config::TerminationMessage;
use crate::report::{Reason, Reasons};
use crate::status::ExitStatus;
use crate::sys::message_file::MessageFile;

/// The reasons so far, and where to write them; nothing of both unless it is wanted.
#[derive(Default)]
pub(super) struct EndReport(Option<(Reasons, MessageFile)>);

impl EndReport {
    pub(super) fn open(wanted: Option<&TerminationMessage>) -> Self {
        let Some(TerminationMessage { path, create }) = wanted else { return Self(None) };
        match MessageFile::open(path, *create) {
            Ok(file) => Self(Some((Reasons::default(), file))),
            Err(error) => {
                let why = match error {
                    Errno::ELOOP => "it is a symbolic link".to_owned(),
                    Errno::EMLINK => "it has another name as well (a hard link)".to_owned(),
                    error => io::Error::from(error).to_string(),
                };
                log::warn!("cannot open {path:?} for the termination message: {why}");
                Self(None)
            }
        }
    }

    /// Somebody will read it.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// The descriptor to keep open.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(|(_, file)| file.descriptor())
    }

    /// One more.
    pub(super) fn add(&mut self, sentence: &impl Display, reason: Reason) {
        if let Some((reasons, _)) = &mut self.0 {
            reasons.add(sentence, reason);
        }
    }

    /// What is known by now: should SIGKILL end us, it is there to be read.
    pub(super) fn renew(&mut self, step: impl Display) {
        let Some((reasons, file)) = &mut self.0 else { return };
        if file.can_be_renewed() {
            // The last one will tell of an error.
            let _ = file.write(reasons.so_far(step).as_bytes());
        }
    }

    /// It was no stop after all.
    pub(super) fn forget(&mut self) {
        if let Some((reasons, file)) = &mut self.0 {
            *reasons = Reasons::default();
            let _ = file.write(b"");
        }
    }

    /// Why it ended, if there is something to say.
    pub(super) fn write(self, status: ExitStatus) {
        let Some((reasons, mut file)) = self.0 else { return };
        if let Err(error) = file.write(reasons.text(status).as_bytes()) {
            log::warn!("cannot write the termination message: {}", io::Error::from(error));
        }
    }
}
