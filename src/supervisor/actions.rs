//! What the supervisor wants done.

use std::fmt;
use std::time::Duration;

use super::CommandId;
use crate::pid::Pid;
use crate::signal::{Received, Signal};
use crate::status::{ExitStatus, Termination};

/// Something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Start a command. To be answered by [`Event::Started`](super::Event::Started) or
    /// [`Event::NotStarted`](super::Event::NotStarted).
    Start(CommandId),
    /// Send a signal.
    Send(Target, Received),
    /// Stop ourselves as this signal stopped the main child, until a SIGCONT: the terminal goes
    /// back first, and is taken again if the job comes back to the foreground.
    Suspend(Signal),
    /// Give the main child, which this signal has stopped, the terminal's foreground if our own
    /// group has it. To be answered by [`Event::TerminalLent`](super::Event::TerminalLent) or
    /// [`Event::TerminalNotLent`](super::Event::TerminalNotLent).
    LendTerminal(Signal),
    /// Suspend ourselves, whatever becomes of us, until a SIGCONT.
    SuspendAlone,
    /// Give the terminal's foreground back.
    ReclaimTerminal,
    /// Give it back to the rest of our own process group, which it has stopped, and continue that.
    ShareTerminal,
    /// Say it to the user.
    Tell(Notice),
    /// Exit with this status. Always the last action of all.
    Finish(ExitStatus),
}

/// Who gets a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// One process.
    Process(Pid),
    /// The process group of this leader.
    Group(Pid),
    /// Every process in the container but us.
    Everyone,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(pid) => write!(f, "process {pid}"),
            Self::Group(leader) => write!(f, "process group {leader}"),
            Self::Everyone => f.write_str("every process"),
        }
    }
}

/// Something worth a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// A signal has arrived.
    Received(Signal),
    /// A command could not be started.
    NotStarted {
        /// Which one.
        command: CommandId,
        /// The container ends for it, or with the status of that.
        decides: bool,
    },
    /// This signal begins a stop; for so long it is held.
    StopAsked(Signal, Duration),
    /// The kernel has killed processes for want of memory.
    OutOfMemory {
        /// So many.
        kills: u64,
        /// The container stops for it.
        stops: bool,
    },
    /// A command is over.
    Ended(CommandId, Ending),
    /// The stop command is over without success, or was not started: this signal goes out instead.
    StopCommandFailed(Signal),
    /// This long after the stop signal went out, SIGKILL does.
    StopEscalated(Duration),
    /// Even SIGKILL did not end what was to stop; it counts as killed.
    Unkillable,
    /// What is left is asked to end, and has this long; `None`: as long as it takes.
    Draining(Option<Duration>),
    /// The drain has lasted this long: SIGKILL goes to all that is left.
    DrainEscalated(Duration),
    /// Even SIGKILL did not end all that was left; we go on nevertheless.
    Abandoned,
    /// A command that runs after all others has taken too long, and is killed.
    AfterKilled(CommandId),
    /// The kernel says that we have no child, but a command was never reaped.
    Lost,
}

/// How a command ended, and what we had to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ending {
    /// Whose end it is: a pid that may be anybody's by now.
    pub pid: Pid,
    /// What wait(2) told.
    pub termination: Termination,
    /// The signal by which we had asked it to end before.
    pub asked_by: Option<Signal>,
    /// How long after that our SIGKILL went out, if it did.
    pub killed_after: Option<Duration>,
    /// Nobody had asked for it, and by itself it is the end of the container, whatever the others
    /// do.
    pub decides: bool,
}
