//! Where in its life a container is.

use std::time::Duration;

use crate::signal::Received;

/// Active time since the start: it stands still while we are frozen or suspended.
pub type Time = Duration;

/// Where in its life the container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The commands before the main one run, if there are any.
    Preparing,
    /// The main command runs.
    Running,
    /// A stop was asked for; its signal is held until `until`.
    Delaying {
        /// What goes out at the end of the delay.
        held: Received,
        /// The end of the delay.
        until: Time,
    },
    /// The stop signal is out.
    Stopping(Ladder),
    /// The container's end is decided; what is left is asked to end.
    Draining(Ladder),
    /// The commands after all others run.
    Finishing {
        /// When they are killed; `None`: never.
        until: Option<Time>,
    },
    /// Over.
    Done,
}

impl Phase {
    /// No stop signal has gone out yet, and nothing was drained.
    pub(super) fn is_before_the_stop(self) -> bool {
        match self {
            Self::Preparing | Self::Running | Self::Delaying { .. } => true,
            Self::Stopping(_) | Self::Draining(_) | Self::Finishing { .. } | Self::Done => false,
        }
    }
}

/// The two rungs of every stop: asked, then killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ladder {
    /// Asked to end; SIGKILL follows at `until`, if ever.
    Grace {
        /// When that was.
        since: Time,
        /// The end of the grace period; `None`: no end.
        until: Option<Time>,
    },
    /// SIGKILL is out.
    Killed {
        /// How long after it was asked to end.
        after: Duration,
        /// When to stop waiting for its effect.
        until: Time,
    },
}
