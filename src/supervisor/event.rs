//! What the supervisor is told.

use super::{CommandId, Time};
use crate::process::Pid;
use crate::signal::{Received, Signal};
use crate::status::{ExitStatus, Termination};

/// What happens to an init.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The first of all.
    Begun,
    /// A command is a child of ours now; its program is still to be executed.
    Started(CommandId, Pid),
    /// A command's child has executed its program, if it has not died meanwhile.
    Executed(CommandId, Pid),
    /// A command could not be started, or its child has exited because it could not execute its
    /// program; the status stands for that.
    NotStarted(CommandId, ExitStatus),
    /// A signal arrived.
    Signaled(Received),
    /// The kernel has killed so many processes of the container, one at least, because memory ran
    /// out.
    OutOfMemory(u64),
    /// A command's child has ended and was reaped.
    Reaped(Pid, Termination),
    /// A child was suspended by a signal.
    Suspended(Pid, Signal),
    /// The main child has the terminal's foreground now, for which it was suspended.
    TerminalLent,
    /// We had no terminal to lend to the main child, which this signal has suspended.
    TerminalNotLent(Signal),
    /// The main child is suspended by this signal, but we could not suspend with it: nobody above
    /// us could continue us.
    NotSuspended(Signal),
    /// A suspended child was continued.
    Continued(Pid),
    /// Nothing is left to reap now, but children live.
    ChildrenLeft {
        /// Some have died since this was told last.
        died: bool,
    },
    /// We have no child at all.
    NoChildren,
    /// A look at the processes has found none but us.
    NobodyLeft,
    /// SIGKILL was refused: none of those that it was for is ours to signal.
    NotKilled,
    /// Time has passed, maybe as much as [`Supervisor::deadline`](super::Supervisor::deadline)
    /// says. Whoever is to be killed had until this time, which is now, or earlier after a late sleep
    /// ([`Clock::due`](super::Clock::due)).
    CheckDeadline(Time),
}
