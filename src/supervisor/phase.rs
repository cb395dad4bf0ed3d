//! Where in its life a container is.

use std::time::Duration;

/// Active time since the start: it stands still while we are frozen or suspended.
pub type Time = Duration;

/// Where in its life the container is, with the stop that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The commands before the main one run, if there are any.
    Preparing,
    /// The main command runs.
    Running,
    /// A stop was asked for; its signal is held.
    Delaying,
    /// The stop signal is out, or SIGKILL after it.
    Stopping,
    /// No command is left; the remaining processes are asked to exit.
    Draining,
    /// The commands after all others run.
    Finishing,
    /// Over.
    Done,
}
