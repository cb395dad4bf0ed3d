//! Every process in the container: looking at them, and sending them signals.
//!
//! As PID 1 that is everyone in the namespace. Anywhere else `kill(-1)` would hit other containers,
//! or the user's whole session: there it means our own descendants, found through /proc.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::errno::Errno;

use super::kill::{self, ignore_gone};
use super::process_table;
pub use super::process_table::Detail;
use super::{descriptors, process};
use crate::process::{Identity, Inspection, Name, Pid, Process};
use crate::signal::Signal;
use crate::status::{LeftName, Leftovers};

/// A command's child, and its group.
pub struct Leader {
    pid: Pid,
    /// What names its group for good, for where /proc cannot be read.
    pidfd: Option<OwnedFd>,
    reaped: bool,
}

/// How to reach everyone, decided at the start.
pub enum Broadcast {
    /// We are PID 1.
    Namespace,
    /// Our descendants. Without a usable /proc: the process groups of these leaders, as long as
    /// they are not reaped, and that is all that we know.
    Descendants(Vec<Leader>),
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

    /// A command was started, and leads a process group.
    pub fn add(&mut self, leader: Pid) {
        if let Self::Descendants(leaders) = self {
            leaders.push(Leader { pid: leader, pidfd: kill::pidfd(leader).ok(), reaped: false });
        }
    }

    /// Before all descriptors are closed that are not named.
    pub fn forget_pidfds(&mut self) {
        if let Self::Descendants(leaders) = self {
            leaders.retain(|leader| !leader.reaped);
            for leader in leaders {
                leader.pidfd = None;
            }
        }
    }

    /// A command was reaped: the number of its group may be anybody's by now.
    pub fn remove(&mut self, leader: Pid) {
        if let Self::Descendants(leaders) = self {
            leaders.retain(|kept| kept.pid != leader || kept.pidfd.is_some());
            for kept in leaders.iter_mut().filter(|kept| kept.pid == leader) {
                kept.reaped = true;
            }
        }
    }

    /// All processes but us.
    ///
    /// # Errors
    /// Where /proc is missing or of another PID namespace, or cannot be read to its end.
    pub fn look(&self, detail: Detail) -> nix::Result<Vec<Process>> {
        self.look_until(None, detail)
    }

    /// The same, with what those would do with signals that `concerned` takes out of the others,
    /// by their pids; only until this monotonic time.
    ///
    /// # Errors
    /// As [`Broadcast::look`], and those of `concerned`; `ETIMEDOUT` where it takes longer.
    pub fn look_closely(
        &self,
        until: Duration,
        concerned: impl FnOnce(&[Process]) -> nix::Result<BTreeSet<i32>>,
    ) -> nix::Result<Vec<Process>> {
        let mut look = self.look_until(Some(until), Detail::Existence)?;
        let concerned = concerned(&look)?;
        let mut concerned =
            look.iter_mut().filter(|process| concerned.contains(&process.pid.as_raw()));
        descriptors::with_spare(|| {
            concerned.try_for_each(|process| process_table::add_signals(process, Some(until)))
        })?;
        Ok(look)
    }

    fn look_until(&self, until: Option<Duration>, detail: Detail) -> nix::Result<Vec<Process>> {
        let is_pid_1 = matches!(self, Self::Namespace);
        descriptors::with_spare(|| process_table::look(detail, is_pid_1, until))
    }

    /// The pids of our own children, zombies too; `None` where the kernel does not tell.
    #[must_use]
    pub fn own_children(&self) -> Option<Vec<i32>> {
        descriptors::with_spare(process_table::own_children)
    }

    /// Our own children that a look has not seen and /proc hides (`hidepid` of proc(5)).
    #[must_use]
    pub fn hidden_children(&self, seen: &[Process]) -> Vec<Pid> {
        let unseen = |pid: &Pid| !seen.iter().any(|process| process.pid == *pid);
        let children = self.own_children().unwrap_or_default();
        let unseen = children.into_iter().filter_map(Pid::from_raw).filter(unseen);
        unseen.filter(|pid| process_table::is_hidden(*pid)).collect()
    }

    /// What there is to know of this process; `None` where /proc does not tell.
    #[must_use]
    pub fn inspect(&self, pid: Pid) -> Option<Inspection> {
        descriptors::with_spare(|| process_table::inspect(pid)).ok()
    }

    /// What this process is called; `None` where /proc does not tell.
    #[must_use]
    pub fn name(&self, pid: Pid) -> Option<Name> {
        descriptors::with_spare(|| process_table::name(pid)).ok().flatten()
    }

    /// Sends a signal to everyone but us; that nobody is there is no error.
    ///
    /// # Errors
    /// The first error of kill(2) other than `ESRCH`.
    pub fn signal(&self, signal: Signal) -> nix::Result<()> {
        match self {
            Self::Namespace => ignore_gone(kill::kill(-1, signal)),
            Self::Descendants(leaders) => match self.look(Detail::Existence) {
                Ok(all) => all
                    .iter()
                    .map(|process| self.signal_one(process.identity(), signal))
                    .fold(Ok(()), Result::and),
                Err(_) => signal_groups(leaders, signal),
            },
        }
    }

    /// SIGKILL to everyone but us, and who they were, as far as /proc tells. To be sent again until
    /// nobody is left: what is forked meanwhile is not met, and what the dead leave behind is ours
    /// only then.
    ///
    /// # Errors
    /// `EPERM` and the like if nobody could be killed of those that are there.
    pub fn kill(&self) -> (nix::Result<()>, Option<Leftovers>) {
        match self {
            // In a fork bomb, all that were listed may have ended before they are looked at.
            Self::Namespace => {
                let left = (0..3).find_map(|_| self.leftovers());
                (ignore_gone(kill::kill(-1, Signal::KILL)), left)
            }
            // Another look would take its time, and they fork meanwhile.
            Self::Descendants(leaders) => {
                let pids: Vec<_> = leaders.iter().map(|leader| leader.pid).collect();
                match descriptors::with_spare(|| process_table::kill_descendants(&pids)) {
                    Ok((killed, all)) => (killed, leftovers_of(&all)),
                    Err(_) => (signal_groups(leaders, Signal::KILL), None),
                }
            }
        }
    }

    /// The same once more, when those that were there are known.
    ///
    /// # Errors
    /// As [`Broadcast::kill`].
    pub fn kill_again(&self) -> nix::Result<()> {
        match self {
            Self::Namespace => ignore_gone(kill::kill(-1, Signal::KILL)),
            Self::Descendants(_) => self.kill().0,
        }
    }

    /// Sends a signal to this very process, and nobody else who has its pid by now.
    ///
    /// # Errors
    /// As kill(2), but that it is gone.
    pub fn signal_one(&self, who: Identity, signal: Signal) -> nix::Result<()> {
        descriptors::with_spare(|| process_table::signal(who, signal))
    }

    /// Who would get a signal now; `None` where /proc does not tell.
    #[must_use]
    pub fn leftovers(&self) -> Option<Leftovers> {
        leftovers_of(&self.look(Detail::Existence).ok()?)
    }
}

fn leftovers_of(all: &[Process]) -> Option<Leftovers> {
    let living = || all.iter().filter(|process| process.lives);
    let names = living().take(Leftovers::MOST_NAMES).map(|process| LeftName {
        name: process.name.to_string(),
        has_entered: process.parent == 0,
    });
    let refused = living().filter(|process| kill::probe(process.pid) == Err(Errno::EPERM));
    let (count, refused) = (living().count(), refused.count());
    // Those that are there are hidden.
    (count > 0).then_some(())?;
    Some(Leftovers { count, refused, names: names.collect() })
}

fn signal_groups(leaders: &[Leader], signal: Signal) -> nix::Result<()> {
    let send = |leader: &Leader| match &leader.pidfd {
        Some(pidfd) => match kill::group_by_pidfd(pidfd, signal) {
            // EINVAL before Linux 6.9, ENOSYS before 5.1, and whatever a filter says.
            Err(error) if error != Errno::ESRCH && !leader.reaped => {
                kill::group(leader.pid, signal.into())
            }
            sent => sent,
        },
        None => kill::group(leader.pid, signal.into()),
    };
    leaders.iter().map(|leader| ignore_gone(send(leader))).fold(Ok(()), Result::and)
}
