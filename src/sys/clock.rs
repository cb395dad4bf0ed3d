//! The time of the system.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC`; `None` where a filter forbids to ask for it, for which `Instant` panics.
#[must_use]
pub fn monotonic() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_MONOTONIC).ok().map(Duration::from)
}
