//! The active clock: time that stands still while we are frozen or suspended.

use std::time::Duration;

use super::Time;

/// The longest sleep while there is a deadline.
const SLICE: Duration = Duration::from_millis(500);

/// What lasts this much longer than the sleep was to last is no busy machine, but a freeze.
const FREEZE: Duration = Duration::from_secs(2);

/// A sleep that lasts this much longer than it was to last is a late one.
const LATE: Duration = Duration::from_millis(200);

/// How long whoever was held up with us has to end, after a late sleep in which its deadline has
/// come.
const GRACE: Duration = Duration::from_millis(200);

/// Counts the time in which we could have acted.
///
/// `CLOCK_MONOTONIC` runs on while a cgroup is frozen (`docker pause`) or a virtual machine is
/// stopped. A grace period measured by it would be over at the thaw, before the processes that it
/// was for had run at all. But a machine that is only busy must not stretch a grace period: the
/// engine's runs on. So what passes between two looks at the clock counts in full as long as it is
/// at most 2 s longer than the sleep was to be, and else for that sleep alone.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    active: Time,
    /// The monotonic time of the last look, from anywhere.
    read: Option<Duration>,
    sleep: Sleep,
    late: Option<Late>,
}

/// What was to pass between the last look at the clock and the next one.
#[derive(Clone, Copy, Debug, Default)]
enum Sleep {
    /// Nothing but work, which takes no longer than the longest sleep.
    #[default]
    None,
    /// For as long as nothing happens: nobody needs that time.
    Unlimited,
    Limited(Duration),
}

/// A late sleep: deadlines that came after `from` are not due before `until`.
#[derive(Clone, Copy, Debug)]
struct Late {
    from: Time,
    until: Time,
}

impl Clock {
    /// The active time, from zero on. `monotonic` is that of the system, if it can be read; else a
    /// sleep counts for what it was to be. To be asked for each event anew: a period that begins
    /// with an older time ends too early.
    pub fn now(&mut self, monotonic: Option<Duration>) -> Time {
        let (own, asleep) = match self.sleep {
            Sleep::None | Sleep::Unlimited => (SLICE, Duration::ZERO),
            Sleep::Limited(length) => (length, length),
        };
        let passed = match (monotonic, self.read) {
            (Some(now), Some(before)) => now.saturating_sub(before),
            (Some(_), None) => Duration::ZERO,
            (None, _) => asleep,
        };
        self.read = monotonic.or(self.read.map(|read| read.saturating_add(passed)));
        let is_freeze = passed > own.saturating_add(FREEZE);
        let counted = match self.sleep {
            Sleep::Unlimited => passed.min(SLICE),
            Sleep::None | Sleep::Limited(_) if is_freeze => own,
            Sleep::None | Sleep::Limited(_) => passed,
        };
        let before = self.active;
        self.active = before.saturating_add(counted);
        let is_unlimited = matches!(self.sleep, Sleep::Unlimited);
        if !is_unlimited && passed > own.saturating_add(LATE) {
            // Nobody could end while everybody was frozen again.
            let again = self.late.filter(|late| is_freeze && before < late.until);
            let from = again.map_or(before, |late| late.from);
            self.late = Some(Late { from, until: self.active.saturating_add(GRACE) });
        }
        self.sleep = Sleep::None;
        self.active
    }

    /// Up to when deadlines are due: now, or an earlier time if the last sleep was late.
    #[must_use]
    pub fn due(&self) -> Time {
        match self.late {
            Some(Late { from, until }) if self.active < until => from,
            _ => self.active,
        }
    }

    /// How long to sleep at most before looking again, with this deadline, and if so, no longer than
    /// `most`; the next look at the clock is to come right after that.
    pub fn sleep(&mut self, deadline: Option<Time>, most: Option<Duration>) -> Option<Duration> {
        let length = deadline.map(|deadline| {
            let late = self.late.filter(|late| deadline > late.from);
            let due = late.map_or(deadline, |late| deadline.max(late.until));
            due.saturating_sub(self.active).min(SLICE)
        });
        let length = [length, most].into_iter().flatten().min();
        self.sleep = length.map_or(Sleep::Unlimited, Sleep::Limited);
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock, and the monotonic time, in milliseconds.
    struct Story(Clock, u64);

    impl Story {
        fn new() -> Self {
            let mut clock = Clock::default();
            clock.now(Some(ms(7)));
            Self(clock, 7)
        }

        /// Sleeps with this deadline, for so long in fact. What counts, and up to when deadlines
        /// are due.
        fn sleeps(&mut self, deadline: u64, passed: u64) -> (Time, Time) {
            self.0.sleep(Some(ms(deadline)), None);
            self.works(passed)
        }

        fn works(&mut self, passed: u64) -> (Time, Time) {
            self.1 += passed;
            let now = self.0.now(Some(ms(self.1)));
            (now, self.0.due())
        }

        fn next(&mut self, deadline: u64) -> Option<Duration> {
            self.0.sleep(Some(ms(deadline)), None)
        }
    }

    const fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn a_busy_machine_counts_in_full_and_a_freeze_for_the_sleep_alone() {
        for (deadline, passed, counted) in [
            (10_000, 500, 500),
            (10_000, 2_500, 2_500),
            (10_000, 2_501, 500),
            (10_000, 3_600_000, 500),
            (300, 2_300, 2_300),
            (300, 2_301, 300),
        ] {
            let (now, _) = Story::new().sleeps(deadline, passed);
            assert_eq!(now, ms(counted), "{deadline} {passed}");
        }
    }

    #[test]
    fn work_counts_in_full_and_a_freeze_in_it_as_the_longest_sleep() {
        assert_eq!(Story::new().works(700), (ms(700), ms(700)));
        assert_eq!(Story::new().works(2_500), (ms(2_500), Duration::ZERO));
        assert_eq!(Story::new().works(2_501).0, SLICE);
    }

    #[test]
    fn a_sleep_without_a_deadline_counts_for_little_and_is_never_late() {
        let mut story = Story::new();
        assert_eq!(story.0.sleep(None, None), None);
        assert_eq!(story.works(3_600_000), (ms(500), ms(500)));
        assert_eq!(story.next(500), Some(Duration::ZERO));
    }

    #[test]
    fn a_deadline_that_came_in_a_late_sleep_is_due_after_one_more_short_one() {
        let mut story = Story::new();
        assert_eq!(story.sleeps(10_000, 700), (ms(700), ms(700)), "not late");
        assert_eq!(story.sleeps(10_000, 701), (ms(1_401), ms(700)));
        assert_eq!(story.next(700), Some(Duration::ZERO), "it was due before");
        assert_eq!(story.next(701), Some(ms(200)));
        assert_eq!(story.next(1_700), Some(ms(299)));
        assert_eq!(story.sleeps(1_000, 200), (ms(1_601), ms(1_601)));
    }

    #[test]
    fn a_machine_that_is_always_late_does_not_put_a_deadline_off_for_ever() {
        let mut story = Story::new();
        story.sleeps(400, 1_400);
        assert_eq!(story.sleeps(400, 1_400), (ms(2_800), ms(1_400)), "400 is due");
    }

    #[test]
    fn whoever_is_frozen_again_has_the_short_time_again() {
        let mut story = Story::new();
        assert_eq!(story.sleeps(300, 10_000), (ms(300), Duration::ZERO));
        assert_eq!(story.sleeps(300, 10_000), (ms(500), Duration::ZERO));
        assert_eq!(story.sleeps(300, 50), (ms(550), Duration::ZERO));
        assert_eq!(story.sleeps(300, 10_000), (ms(700), Duration::ZERO));
        assert_eq!(story.sleeps(300, 200), (ms(900), ms(900)));
    }

    #[test]
    fn slices_are_short_and_the_last_one_ends_at_the_deadline() {
        let mut story = Story::new();
        assert_eq!(story.next(10_000), Some(SLICE));
        assert_eq!(story.next(3), Some(ms(3)));
        assert_eq!(story.next(0), Some(Duration::ZERO));
        assert_eq!(story.0.sleep(Some(ms(300)), Some(ms(100))), Some(ms(100)));
        assert_eq!(story.0.sleep(None, Some(ms(100))), Some(ms(100)));
    }

    #[test]
    fn where_the_time_cannot_be_read_a_sleep_counts_for_what_it_was_to_be() {
        let mut clock = Clock::default();
        clock.now(None);
        clock.sleep(Some(ms(10_000)), None);
        assert_eq!(clock.now(None), SLICE);
        assert_eq!((clock.now(None), clock.due()), (SLICE, SLICE));
    }
}
