//! What the supervisor is told.

use super::CommandId;
use crate::signal::{Received, Signal};
use crate::status::{ExitStatus, Pid, Termination};

/// What happens to an init.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The first of all.
    Begun,
    /// A command was started, and is a child of ours now.
    Started(CommandId, Pid),
    /// A command could not be started; the status stands for that.
    NotStarted(CommandId, ExitStatus),
    /// A signal arrived.
    Signaled(Received),
    /// The kernel has killed so many processes of the container, one at least, for want of memory.
    OutOfMemory(u64),
    /// A child has ended and was reaped.
    Reaped(Pid, Termination),
    /// A child was stopped by a signal.
    Stopped(Pid, Signal),
    /// The main child has the terminal's foreground now, for which it was stopped.
    TerminalLent,
    /// We had no terminal to lend to the main child, which this signal has stopped.
    TerminalNotLent(Signal),
    /// The main child is stopped by this signal, but we could not stop with it: nobody above us
    /// could continue us.
    NotSuspended(Signal),
    /// A stopped child was continued.
    Continued(Pid),
    /// Nothing is left to reap now, but children live.
    ChildrenLeft,
    /// We have no child at all.
    NoChildren,
    /// Time has passed, maybe the deadline.
    Elapsed,
}
