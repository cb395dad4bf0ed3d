//! Sending signals to every process in the container.
//!
//! As PID 1 that is `kill(-1)`. Anywhere else `kill(-1)` would hit other containers, or the user's
//! whole session: there it means our own descendants, found through /proc.

use super::kill::{self, ignore_gone};
use super::process_table::ProcessTable;
use super::{descriptors, process};
use crate::pid::Pid;
use crate::signal::Signal;
use crate::status::Leftovers;

/// How to reach everyone, decided at the start.
pub enum Broadcast {
    /// We are PID 1: `kill(-1)`.
    Namespace,
    /// Our descendants. Without a usable /proc: the process groups of these leaders, and that is
    /// all that we know.
    Descendants(Vec<Pid>),
}

impl Broadcast {
    /// For an init of so many commands.
    #[must_use]
    pub fn new(commands: usize) -> Self {
        if process::is_pid_1() {
            Self::Namespace
        } else {
            Self::Descendants(Vec::with_capacity(commands))
        }
    }

    /// A command was started, and may lead a process group.
    pub fn add(&mut self, leader: Pid) {
        if let Self::Descendants(leaders) = self {
            leaders.push(leader);
        }
    }

    /// Sends a signal to everyone but us; that nobody is there is no error.
    ///
    /// SIGKILL goes to each direct child and to its group: what they leave behind comes to us, so
    /// that sending it again until no child is left ends even a fork bomb, which the scan of
    /// /proc alone does not.
    ///
    /// # Errors
    /// The first error of kill(2) other than `ESRCH`.
    pub fn signal(&self, signal: Signal) -> nix::Result<()> {
        match self {
            Self::Namespace => ignore_gone(kill::kill(-1, signal)),
            Self::Descendants(leaders) => descriptors::with_spare(|| match ProcessTable::read() {
                Some(table) => table.signal(signal),
                None => leaders
                    .iter()
                    .map(|leader| ignore_gone(kill::group(*leader, signal.into())))
                    .fold(Ok(()), Result::and),
            }),
        }
    }

    /// Who would get a signal now; `None` where /proc does not tell.
    #[must_use]
    pub fn leftovers(&self) -> Option<Leftovers> {
        let table = descriptors::with_spare(ProcessTable::read)?;
        let is_left = |ours| matches!(self, Self::Namespace) || ours == Some(true);
        let left = || table.living().filter(|entry| is_left(entry.ours));
        Some(Leftovers {
            count: left().count(),
            names: left().take(Leftovers::MOST_NAMES).map(|entry| entry.name.to_string()).collect(),
        })
    }
}
