//! The active clock: time that stands still while we are frozen or suspended.

use std::time::{Duration, Instant};

/// The longest sleep while a deadline exists, and so the most that a freeze of any length counts
/// for.
const SLICE: Duration = Duration::from_millis(500);

/// Counts the time in which we could have acted.
///
/// `CLOCK_MONOTONIC` runs on while a cgroup is frozen (`docker pause`) or a virtual machine is
/// stopped. A grace period measured by it would be over at the thaw, before the processes that it
/// was for had run at all. So what passes between two looks at the clock counts for no more than
/// the longest sleep. (Without a deadline we sleep for longer, and nobody needs the time.)
pub struct ActiveClock {
    active: Duration,
    last: Instant,
}

impl ActiveClock {
    /// A clock that starts at zero.
    #[must_use]
    pub fn start() -> Self {
        Self { active: Duration::ZERO, last: Instant::now() }
    }

    /// The active time. To be asked for each event anew: a period that begins with an older time
    /// ends too early.
    pub fn now(&mut self) -> Duration {
        let now = Instant::now();
        self.active = self.active.saturating_add(now.duration_since(self.last).min(SLICE));
        self.last = now;
        self.active
    }

    /// How long to sleep at most before looking again, with this deadline.
    #[must_use]
    pub fn slice(&self, deadline: Duration) -> Duration {
        deadline.saturating_sub(self.active).min(SLICE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_counts_for_no_more_than_the_slice() {
        let mut clock = ActiveClock::start();
        clock.last -= Duration::from_secs(3600);
        assert_eq!(clock.now(), SLICE);
    }

    #[test]
    fn each_look_takes_in_what_has_passed() {
        let mut clock = ActiveClock::start();
        clock.last -= Duration::from_millis(20);
        assert!(clock.now() >= Duration::from_millis(20));
    }

    #[test]
    fn slices_are_short_and_the_last_one_ends_at_the_deadline() {
        let clock = ActiveClock::start();
        assert_eq!(clock.slice(Duration::from_secs(10)), SLICE);
        assert_eq!(clock.slice(Duration::from_millis(3)), Duration::from_millis(3));
        assert_eq!(clock.slice(Duration::ZERO), Duration::ZERO);
    }
}
