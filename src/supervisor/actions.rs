//! What the supervisor wants done.

use std::fmt;
use std::time::Duration;

use super::CommandId;
use crate::process::Pid;
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
    /// Send the signal by which these are to exit: whoever gets it is not asked again, and has its
    /// descendants in its charge.
    Ask(Target, Received),
    /// The stop command asks this child in our place.
    AskedByCommand(Pid),
    /// Whoever was asked so far was not: it was an interrupt, and all go on.
    ForgetAsked,
    /// Ask the remaining processes to exit, as far as it is their turn at this moment of the drain.
    AskRemaining {
        /// Which moment it is.
        moment: Moment,
        /// With what.
        signals: DrainSignals,
        /// How long it is from now to [`Moment::Half`].
        until_half: Duration,
    },
    /// Send SIGKILL; if that is refused, [`Event::NotKilled`](super::Event::NotKilled) answers.
    Kill(Target),
    /// Suspend ourselves as this signal suspended the main child, until a SIGCONT: the terminal
    /// goes back first, and is taken again if the job comes back to the foreground.
    Suspend(Signal),
    /// Give the main child, which this signal has suspended, the terminal's foreground if our own
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

/// A moment of the drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// Its beginning: whoever is in nobody's charge, or was certainly not told by whose charge it
    /// is.
    First,
    /// Now and then after that: the same, where there are newcomers.
    Newcomers,
    /// Half of its time, or 5 s: whoever is no longer in the charge of somebody alive.
    Half,
    /// Three quarters of its time: whoever was not asked yet.
    ThreeQuarters,
}

/// With what the remaining processes are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DrainSignals {
    /// For all but those below.
    pub signal: Signal,
    /// For those that catch it: the main command was a wrapper, and what it left is what the stop
    /// signal was meant for.
    pub to_catchers: Option<Signal>,
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
    Received(Received),
    /// A signal has arrived for the main command, which is not there yet.
    Dropped(Signal),
    /// A command could not be started.
    NotStarted {
        /// Which one.
        command: CommandId,
        /// The container ends for it, or with the status of that.
        decides: bool,
    },
    /// This signal begins a stop; for so long it is held.
    StopAsked(Received, Duration),
    /// This one asks for what has begun already.
    StopAskedAgain(Received),
    /// A command has not ended for so long after it was asked to exit.
    NotEnded {
        /// Which one.
        command: CommandId,
        /// Its child.
        pid: Pid,
        /// By which signal it was asked.
        asked_by: Signal,
        /// In which way.
        way: AskedWay,
        /// How long that is ago.
        after: Duration,
    },
    /// Every command has survived this signal: it was an interrupt, and no stop.
    Interrupted(Signal),
    /// The kernel has killed processes because memory ran out.
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
    /// What remains is asked to exit, and has this long; `None`: as long as it takes.
    Draining(Option<Duration>),
    /// The drain has lasted this long: SIGKILL goes to all that remain.
    DrainEscalated(Duration),
    /// Even SIGKILL did not end all that remained; we go on nevertheless.
    Abandoned,
    /// A command that runs after all others has taken too long, and is killed.
    AfterKilled(CommandId),
    /// The kernel says that we have no child, but a command was never reaped.
    Lost,
}

/// In which way a command was asked to exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AskedWay {
    /// The signal went to its process alone.
    Alone,
    /// To its group, or to everyone.
    WithOthers,
    /// The stop command was to do it, and no signal was sent.
    ByCommand,
}

/// How a command ended, and what we had to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ending {
    /// Whose end it is: a pid that may be anybody's by now.
    pub pid: Pid,
    /// What wait(2) told.
    pub termination: Termination,
    /// The signal by which we had asked it to exit before.
    pub asked_by: Option<Signal>,
    /// How long after that our SIGKILL went out, if it did.
    pub killed_after: Option<Duration>,
    /// Nobody had asked for it, and by itself it is the end of the container, whatever the others
    /// do.
    pub decides: bool,
}
