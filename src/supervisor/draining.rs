//! The drain, the commands after all others, and the end.

use std::time::Duration;

use super::commands::End;
use super::stopping::DEFAULT_DRAIN;
use super::{
    Action, DrainSignals, KILL_WAIT, Life, MAIN, Moment, Notice, Out, State, Stop, Supervisor,
    Target, Time,
};
use crate::config::{AskWith, ExitWhen, Policy, Role};
use crate::signal::{Received, Sender, Signal};
use crate::status::{ExitStatus, Termination};

/// After an end that nobody asked for: what reads the command's last lines ends by itself at their
/// end.
const LAST_LINES: Duration = Duration::from_millis(100);

/// Nobody waits longer for the second moment.
const LATEST_HALF: Duration = Duration::from_secs(5);

/// How often to look for newcomers: at first, and at last.
const LOOKS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Where in the drain we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Drain {
    since: Time,
    /// SIGKILL goes out then; `None`: never.
    until: Option<Time>,
    /// What comes next; [`Moment::Newcomers`] if no other does.
    next: Moment,
    /// When that is; `None`: only SIGKILL is left.
    at: Option<Time>,
    /// The next look for newcomers, from the first moment on.
    look: Option<Time>,
    /// When to stop waiting for the effect of SIGKILL, once it is out.
    give_up: Option<Time>,
}

impl Drain {
    pub(super) fn deadline(&self) -> Option<Time> {
        match self.give_up {
            Some(give_up) => Some(give_up),
            None => [self.until, self.at, self.look].into_iter().flatten().min(),
        }
    }

    /// SIGKILL is out.
    #[cfg(test)]
    pub(super) fn is_killing(&self) -> bool {
        self.give_up.is_some()
    }

    /// The deadline without the looks for newcomers, which are many and alike.
    #[cfg(test)]
    pub(super) fn next_moment(&self) -> Option<Time> {
        Self { look: None, ..*self }.deadline()
    }

    /// Half of its time.
    fn half(&self) -> Time {
        let half = self.until.map_or(LATEST_HALF, |until| until.saturating_sub(self.since) / 2);
        self.since.saturating_add(half.min(LATEST_HALF))
    }

    /// When this moment comes; `None`: it does not.
    fn time_of(&self, moment: Moment) -> Option<Time> {
        match moment {
            Moment::First => Some(self.since),
            Moment::Newcomers => None,
            Moment::Half => Some(self.half()),
            Moment::ThreeQuarters => {
                let time = self.until?.saturating_sub(self.since);
                Some(self.since.saturating_add(time / 4 * 3))
            }
        }
    }

    /// The last moment that has come: those before it that were missed are in it.
    fn latest(&self, now: Time) -> Moment {
        let has_come = |moment: &Moment| self.time_of(*moment).is_some_and(|time| time <= now);
        let later = [Moment::ThreeQuarters, Moment::Half].into_iter().find(has_come);
        later.map_or(self.next, |later| later.max(self.next))
    }

    /// This moment has been: what comes next.
    fn passed(&mut self, moment: Moment, now: Time) {
        let next = match moment {
            Moment::First => Some(Moment::Half),
            Moment::Half => Some(Moment::ThreeQuarters),
            Moment::Newcomers => Some(self.next),
            Moment::ThreeQuarters => None,
        };
        self.next = next.unwrap_or(Moment::Newcomers);
        self.at = self.time_of(self.next);
        let (first, last) = LOOKS;
        let interval = (now.saturating_sub(self.since) / 10).clamp(first, last);
        self.look = Some(now.saturating_add(interval));
    }
}

impl Supervisor {
    pub(super) fn children_left(&mut self, died: bool, now: Time, out: &mut Vec<Action>) {
        match &mut self.life {
            Life::Preparing | Life::Running => {
                if self.children().next().is_some() {
                    if self.killed.out_of_memory && self.decided.is_none() {
                        self.stop_for_memory(now, out);
                    }
                } else if let Some(status) = self.decided {
                    self.drain(status, now, out);
                } else if self.policy.exit_when == ExitWhen::Empty && self.stop_is_out() {
                    let status = self.status();
                    self.decided = Some(status);
                    self.drain(status, now, out);
                }
            }
            // Once more in each wake-up: children that a fork bomb made meanwhile, or that were
            // orphaned by the last SIGKILL.
            Life::Draining(Drain { give_up: Some(give_up), .. }) => {
                if died {
                    *give_up = now.saturating_add(KILL_WAIT);
                }
                out.push(Action::Kill(Target::Everyone));
            }
            Life::Draining(_) | Life::Finishing { .. } | Life::Done => {}
        }
    }

    fn stop_is_out(&self) -> bool {
        self.stop.is_some_and(|stop| stop.held.is_none())
    }

    /// Asks the remaining processes to exit.
    fn drain(&mut self, status: ExitStatus, now: Time, out: &mut Vec<Action>) {
        if self.asks_nobody() {
            return self.conclude(status, now, out);
        }
        let asked = self.stop.and_then(|stop| stop.asked);
        let begins = if asked.is_none() { LAST_LINES } else { Duration::ZERO };
        self.begin_drain(begins, now, out);
    }

    fn begin_drain(&mut self, pause: Duration, now: Time, out: &mut Vec<Action>) {
        let until = self.drain_deadline(now);
        let asks = self.policy.ask_with != AskWith::Nothing;
        let drain = Drain {
            since: now,
            until,
            next: Moment::First,
            at: asks.then(|| now.saturating_add(pause)),
            look: None,
            give_up: None,
        };
        self.life = Life::Draining(drain);
        out.tell(Notice::Draining(until.map(|until| until.saturating_sub(now))));
        if asks && pause.is_zero() {
            self.ask_remaining(drain, Moment::First, now, out);
        }
    }

    /// `--drain 0`; one that was derived to be so short asks, and kills.
    pub(super) fn asks_nobody(&self) -> bool {
        let Policy { drain, drain_is_given, stop_limit, .. } = self.policy;
        drain == Some(Duration::ZERO) && (drain_is_given || stop_limit.is_none())
    }

    /// The drain of a stop that was asked for may last as long as the engine waits, however early
    /// the commands ended.
    fn drain_deadline(&self, now: Time) -> Option<Time> {
        let asked = self.stop.and_then(|stop| stop.asked);
        match (asked, self.policy.stop_limit) {
            (Some(asked), Some(limit)) => Some(asked.saturating_add(limit).max(now)),
            _ => self.policy.drain.map(|drain| now.saturating_add(drain)),
        }
    }

    fn ask_remaining(
        &mut self,
        mut drain: Drain,
        moment: Moment,
        now: Time,
        out: &mut Vec<Action>,
    ) {
        let until_half = drain.half().saturating_sub(now);
        drain.passed(moment, now);
        self.life = Life::Draining(drain);
        let signals = self.drain_signals();
        out.push(Action::AskRemaining { moment, signals, until_half });
    }

    /// SIGTERM, unless the main command was a wrapper that died of the stop signal: what it left is
    /// what the signal was meant for.
    fn drain_signals(&self) -> DrainSignals {
        let was_wrapper = match self.commands.get(MAIN).map(|main| main.state) {
            Some(State::Ended(End { was_killed_when_asked, .. })) => was_killed_when_asked,
            _ => false,
        };
        match self.policy.ask_with {
            AskWith::Signal(signal) => DrainSignals { signal, to_catchers: None },
            AskWith::Default | AskWith::Nothing => DrainSignals {
                signal: Signal::TERM,
                to_catchers: self
                    .stop
                    .filter(|_| was_wrapper)
                    .map(|stop| stop.signal())
                    .filter(|signal| *signal != Signal::TERM),
            },
        }
    }

    /// A stop signal during the drain: everybody is asked already, or will be. But the clock of the
    /// engine that has sent it runs now, and ^C of a terminal means that the user waits no longer.
    pub(super) fn stop_signal_in_drain(
        &mut self,
        received: Received,
        rewritten: Received,
        now: Time,
        out: &mut Vec<Action>,
    ) {
        let Life::Draining(drain) = self.life else { return };
        if drain.give_up.is_some() {
            return;
        }
        let is_first = self.stop.is_none_or(|stop| stop.asked.is_none());
        out.tell(if is_first {
            Notice::StopAsked(received, Duration::ZERO)
        } else {
            Notice::StopAskedAgain(received)
        });
        if received.signal == Signal::INT && received.from == Sender::Kernel {
            return self.kill_remaining(drain, now, out);
        }
        if is_first {
            self.stop = Some(self.stop.map_or_else(
                || Stop::sent(Some(now), rewritten, now),
                |stop| Stop { asked: Some(now), ..stop },
            ));
            let limit = self.policy.stop_limit.and_then(|_| self.drain_deadline(now));
            if let (Life::Draining(drain), Some(limit)) = (&mut self.life, limit) {
                drain.until = Some(drain.until.map_or(limit, |until| until.min(limit)));
            }
        }
    }

    pub(super) fn drain_time_is_up(
        &mut self,
        mut drain: Drain,
        due: Time,
        now: Time,
        out: &mut Vec<Action>,
    ) {
        let is_due = |time: Option<Time>| time.is_some_and(|time| time <= due);
        let has_come = |time: Option<Time>| time.is_some_and(|time| time <= now);
        if let Some(give_up) = drain.give_up {
            if give_up > due {
                return;
            }
            out.tell(Notice::Abandoned);
            return self.conclude_drain(now, out);
        }
        if is_due(drain.until) {
            // A moment whose time there was not: nobody is killed unasked.
            if drain.next == Moment::First && drain.at.is_some() {
                self.ask_remaining(drain, Moment::First, now, out);
                if let Life::Draining(asked) = self.life {
                    drain = asked;
                }
            }
            return self.kill_remaining(drain, now, out);
        }
        if has_come(drain.at) {
            self.ask_remaining(drain, drain.latest(now), now, out);
        } else if has_come(drain.look) {
            self.ask_remaining(drain, Moment::Newcomers, now, out);
        }
    }

    fn kill_remaining(&mut self, drain: Drain, now: Time, out: &mut Vec<Action>) {
        let give_up = Some(now.saturating_add(KILL_WAIT));
        self.life = Life::Draining(Drain { give_up, ..drain });
        out.push(Action::Kill(Target::Everyone));
        out.tell(Notice::DrainEscalated(now.saturating_sub(drain.since)));
        // The kernel kills the rest: they are nobody's children, and nobody would tell.
        if self.holds() {
            self.exit(ExitStatus::SUCCESS, out);
        }
    }

    pub(super) fn drain_was_refused(&mut self, now: Time) {
        if let Life::Draining(Drain { give_up: Some(give_up), .. }) = &mut self.life {
            *give_up = now;
        }
    }

    /// An init without a command is asked to stop: what came in from outside is asked too, if the
    /// user said so.
    pub(super) fn drain_held(&mut self, now: Time, out: &mut Vec<Action>) {
        match self.policy.drain {
            Some(Duration::ZERO) => self.exit(ExitStatus::SUCCESS, out),
            _ => self.begin_drain(Duration::ZERO, now, out),
        }
    }

    /// A look has found none but us.
    pub(super) fn nobody_left(&mut self, out: &mut Vec<Action>) {
        if self.holds() && matches!(self.life, Life::Draining(_)) {
            self.exit(ExitStatus::SUCCESS, out);
        }
    }

    /// We have no child. If a command is not reaped then, somebody else has its status; hanging
    /// would be worse than the loss.
    pub(super) fn no_children(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.holds() {
            return;
        }
        let all_reaped = self.forget_children();
        match (self.life, self.decided) {
            (Life::Finishing { .. }, _) => self.finish(out),
            (Life::Draining(_), _) => self.conclude_drain(now, out),
            (_, Some(status)) => self.conclude(status, now, out),
            (Life::Running, None) if self.policy.exit_when == ExitWhen::Empty && all_reaped => {
                let status = self.status();
                self.decided = Some(status);
                self.conclude(status, now, out);
            }
            (_, None) => {
                out.tell(Notice::Lost);
                self.exit(ExitStatus::OWN_FAILURE, out);
            }
        }
    }

    fn conclude_drain(&mut self, now: Time, out: &mut Vec<Action>) {
        if let Some(status) = self.decided {
            self.conclude(status, now, out);
        }
    }

    /// Their pids are not ours any more. Whether there was none.
    fn forget_children(&mut self) -> bool {
        let end = End { status: ExitStatus::OWN_FAILURE, was_killed_when_asked: false };
        let mut none = true;
        for command in self.commands.iter_mut().filter(|command| command.child().is_some()) {
            command.state = State::Ended(end);
            none = false;
        }
        none
    }

    /// All have ended, or nobody waits for them any longer.
    fn conclude(&mut self, status: ExitStatus, now: Time, out: &mut Vec<Action>) {
        let main_ran = matches!(
            self.commands.get(MAIN).map(|main| main.state),
            Some(State::Runs(_) | State::Ended(_))
        );
        match self.waiting(|role| role == Role::After).filter(|_| main_ran) {
            Some(first) => {
                let drain = self.policy.drain.filter(|drain| !drain.is_zero());
                let time = drain.unwrap_or(DEFAULT_DRAIN);
                self.life = Life::Finishing { until: now.saturating_add(time) };
                out.push(Action::Start(first));
            }
            None => self.exit(status, out),
        }
    }

    /// The next of the commands after all others, if there is one.
    pub(super) fn finish(&mut self, out: &mut Vec<Action>) {
        if !matches!(self.life, Life::Finishing { .. }) {
            return;
        }
        match (self.waiting(|role| role == Role::After), self.decided) {
            (Some(next), _) => out.push(Action::Start(next)),
            (None, Some(status)) => self.exit_after_all(status, out),
            (None, None) => {}
        }
    }

    /// Whatever the commands after all others have left does not outlive us: as PID 1 the kernel
    /// sees to that.
    fn exit_after_all(&mut self, status: ExitStatus, out: &mut Vec<Action>) {
        out.push(Action::Kill(Target::Everyone));
        self.exit(status, out);
    }

    /// The time of the commands after all others is over.
    pub(super) fn cut_short(&mut self, out: &mut Vec<Action>) {
        let placement = self.policy.placement;
        for (id, command) in self.commands.iter().enumerate() {
            if let (Role::After, Some(child)) = (command.role, command.child()) {
                out.tell(Notice::AfterKilled(id));
                out.push(Action::Kill(placement.job(child.pid)));
            }
        }
        if let Some(status) = self.decided {
            self.exit_after_all(status, out);
        }
    }

    pub(super) fn exit(&mut self, status: ExitStatus, out: &mut Vec<Action>) {
        self.life = Life::Done;
        let sigkill = Termination::Killed { signal: Signal::KILL, core_dumped: false };
        let killed =
            self.killed.out_of_memory || (self.killed.main && status == ExitStatus::SUCCESS);
        out.push(Action::Finish(if killed { sigkill.into() } else { status }));
    }
}
