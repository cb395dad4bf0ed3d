//! The stop, the drain, and the end.

use std::time::Duration;

use super::{Action, LAST_WAIT, Ladder, MAIN, Notice, Out, Phase, State, Supervisor, Target, Time};
use crate::config::{Policy, Role};
use crate::signal::{Received, Signal};
use crate::status::{ExitStatus, Termination};

impl Supervisor {
    /// Sends the stop signal and starts the clock of `--kill-after`.
    pub(super) fn stop(&mut self, stop: Received, now: Time, out: &mut Vec<Action>) {
        self.stop_signal = Some(stop);
        let until = self.policy.kill_after.map(|grace| now.saturating_add(grace));
        self.phase = Phase::Stopping(Ladder::Grace { since: now, until });
        match self.waiting(|role| role == Role::Stop).filter(|_| self.main().is_some()) {
            Some(command) => {
                self.send_stop(stop, now, |role| matches!(role, Role::With { .. }), out);
                out.push(Action::Start(command));
            }
            None if self.policy.stop_everyone => self.send_stop_to_everyone(stop, now, out),
            None => self.send_stop(stop, now, |role| role != Role::Stop, out),
        }
    }

    /// What it was to do is left to the signal.
    pub(super) fn stop_command_failed(&mut self, now: Time, out: &mut Vec<Action>) {
        let in_time = matches!(self.phase, Phase::Stopping(Ladder::Grace { .. }));
        let Some(stop) = self.stop_signal.filter(|_| in_time && self.main().is_some()) else {
            return;
        };
        out.tell(Notice::StopCommandFailed(stop.signal));
        if self.policy.stop_everyone {
            self.send_stop_to_everyone(stop, now, out);
        } else {
            self.send_stop(stop, now, |role| role == Role::Main, out);
        }
    }

    /// To the commands of these roles; one that is stopped must go on to see it.
    fn send_stop(
        &mut self,
        stop: Received,
        now: Time,
        to: impl Fn(Role) -> bool,
        out: &mut Vec<Action>,
    ) {
        let Policy { forward_to, placement, .. } = self.policy;
        for (_, child) in self.children_mut().filter(|(role, _)| to(*role)) {
            child.sends(stop, now);
            out.send(child.target(forward_to), stop);
            if child.stopped {
                out.send(placement.job(child.pid), Signal::CONT);
            }
        }
    }

    fn send_stop_to_everyone(&mut self, stop: Received, now: Time, out: &mut Vec<Action>) {
        self.children_mut().for_each(|(_, child)| child.sends(stop, now));
        out.send(Target::Everyone, stop);
        if self.children().any(|(_, child)| child.stopped) {
            out.send(Target::Everyone, Signal::CONT);
        }
    }

    /// The stop that may follow waits until all is reaped: the victim may be a command, whose pid
    /// is nobody's any more.
    pub(super) fn ran_out_of_memory(&mut self, kills: u64, out: &mut Vec<Action>) {
        let stops = self.policy.exit_on_oom && self.phase.is_before_the_stop();
        self.out_of_memory |= stops;
        out.tell(Notice::OutOfMemory { kills, stops });
    }

    /// The stop signal of a stop that nobody has sent one for: SIGTERM, unless only others begin a
    /// stop.
    fn own_stop(&self) -> Received {
        let stop_on = self.policy.stop_on;
        let signal = if stop_on.contains(Signal::TERM) {
            Signal::TERM
        } else {
            stop_on.first().unwrap_or(Signal::TERM)
        };
        self.policy.rewrite.apply(signal.into()).unwrap_or(signal.into())
    }

    pub(super) fn children_left(&mut self, now: Time, out: &mut Vec<Action>) {
        match self.phase {
            // Once more in each wake-up: children that a fork bomb made meanwhile, or that were
            // orphaned by the last SIGKILL.
            Phase::Draining(Ladder::Killed { .. }) => out.send(Target::Everyone, Signal::KILL),
            Phase::Preparing | Phase::Running | Phase::Delaying { .. } | Phase::Stopping(_) => {
                if let Some(status) = self.decided {
                    self.drain(status, now, out);
                } else if self.out_of_memory && self.phase.is_before_the_stop() {
                    let stop = if let Phase::Delaying { held, .. } = self.phase {
                        held
                    } else {
                        self.own_stop()
                    };
                    self.stop(stop, now, out);
                }
            }
            Phase::Draining(Ladder::Grace { .. }) | Phase::Finishing { .. } | Phase::Done => {}
        }
    }

    /// Asks all that is left to end. A grace period of the stop that ends later holds for them too.
    fn drain(&mut self, status: ExitStatus, now: Time, out: &mut Vec<Action>) {
        let stop_until = match self.phase {
            Phase::Stopping(Ladder::Grace { until, .. }) => until,
            Phase::Preparing
            | Phase::Running
            | Phase::Delaying { .. }
            | Phase::Stopping(Ladder::Killed { .. })
            | Phase::Draining(_)
            | Phase::Finishing { .. }
            | Phase::Done => None,
        };
        if self.policy.drain == Some(Duration::ZERO) {
            return self.conclude(status, now, out);
        }
        let until = self
            .policy
            .drain
            .map(|grace| now.saturating_add(grace).max(stop_until.unwrap_or_default()));
        self.phase = Phase::Draining(Ladder::Grace { since: now, until });
        out.tell(Notice::Draining(until.map(|until| until.saturating_sub(now))));
        out.send(Target::Everyone, Signal::TERM);
        out.send(Target::Everyone, Signal::CONT);
    }

    pub(super) fn elapsed(&mut self, now: Time, out: &mut Vec<Action>) {
        let killed = |since| {
            let after = now.saturating_sub(since);
            (after, Ladder::Killed { after, until: now.saturating_add(LAST_WAIT) })
        };
        match self.phase {
            Phase::Delaying { held, .. } => self.stop(held, now, out),
            Phase::Stopping(Ladder::Grace { since, .. }) => {
                let (after, ladder) = killed(since);
                self.phase = Phase::Stopping(ladder);
                out.tell(Notice::StopEscalated(after));
                if self.policy.stop_everyone {
                    out.send(Target::Everyone, Signal::KILL);
                } else {
                    let forward_to = self.policy.forward_to;
                    self.children()
                        .for_each(|(_, child)| out.send(child.target(forward_to), Signal::KILL));
                }
            }
            // Uninterruptible sleep, or not ours to kill: it counts as killed, and the others shall
            // have their time.
            Phase::Stopping(Ladder::Killed { .. }) => {
                out.tell(Notice::Unkillable);
                out.push(Action::ReclaimTerminal);
                let killed = ExitStatus::from(Termination::Killed {
                    signal: Signal::KILL,
                    core_dumped: false,
                });
                for command in self
                    .commands
                    .iter_mut()
                    .filter(|command| matches!(command.state, State::Starting(_) | State::Runs(_)))
                {
                    command.state = State::Ended(killed);
                }
                let prepared =
                    self.commands.get(MAIN).is_some_and(|main| main.state != State::Waiting);
                let status =
                    *self.decided.get_or_insert(if prepared { self.status() } else { killed });
                self.drain(status, now, out);
            }
            Phase::Draining(Ladder::Grace { since, .. }) => {
                let (after, ladder) = killed(since);
                self.phase = Phase::Draining(ladder);
                out.tell(Notice::DrainEscalated(after));
                out.send(Target::Everyone, Signal::KILL);
            }
            Phase::Draining(Ladder::Killed { .. }) => {
                out.tell(Notice::Abandoned);
                self.nobody_is_left(now, out);
            }
            Phase::Finishing { .. } => self.cut_short(out),
            Phase::Preparing | Phase::Running | Phase::Done => {}
        }
    }

    /// Nobody is left to wait for. If that is true while a command is not reaped, somebody else has
    /// its status; hanging would be worse than the loss.
    pub(super) fn nobody_is_left(&mut self, now: Time, out: &mut Vec<Action>) {
        match (self.phase, self.decided) {
            (Phase::Finishing { .. }, _) => {
                self.forget(Role::After);
                self.finish(out);
            }
            (_, Some(status)) => self.conclude(status, now, out),
            (_, None) if self.holds() => {}
            (_, None) => {
                out.tell(Notice::Lost);
                self.exit(ExitStatus::OWN_FAILURE, out);
            }
        }
    }

    fn forget(&mut self, role: Role) {
        for command in self.commands.iter_mut().filter(|command| {
            command.role == role && matches!(command.state, State::Starting(_) | State::Runs(_))
        }) {
            command.state = State::Ended(ExitStatus::OWN_FAILURE);
        }
    }

    /// All have ended, or nobody waits for them any longer.
    fn conclude(&mut self, status: ExitStatus, now: Time, out: &mut Vec<Action>) {
        let main_ran = matches!(
            self.commands.get(MAIN).map(|main| main.state),
            Some(State::Runs(_) | State::Ended(_))
        );
        match self.waiting(|role| role == Role::After).filter(|_| main_ran) {
            Some(first) => {
                self.phase = Phase::Finishing {
                    until: self.policy.drain.map(|limit| now.saturating_add(limit)),
                };
                out.push(Action::Start(first));
            }
            None => self.exit(status, out),
        }
    }

    /// The next of the commands after all others, if there is one.
    pub(super) fn finish(&mut self, out: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Finishing { .. }) {
            return;
        }
        match (self.waiting(|role| role == Role::After), self.decided) {
            (Some(next), _) => out.push(Action::Start(next)),
            (None, Some(status)) => self.exit(status, out),
            (None, None) => {}
        }
    }

    /// The time of the commands after all others is over.
    fn cut_short(&mut self, out: &mut Vec<Action>) {
        let placement = self.policy.placement;
        for (id, command) in
            self.commands.iter().enumerate().filter(|(_, command)| command.role == Role::After)
        {
            if let State::Starting(child) | State::Runs(child) = command.state {
                out.tell(Notice::AfterKilled(id));
                out.send(placement.job(child.pid), Signal::KILL);
            }
        }
        if let Some(status) = self.decided {
            self.exit(status, out);
        }
    }

    pub(super) fn exit(&mut self, status: ExitStatus, out: &mut Vec<Action>) {
        self.phase = Phase::Done;
        let killed =
            ExitStatus::from(Termination::Killed { signal: Signal::KILL, core_dumped: false });
        out.push(Action::Finish(if self.out_of_memory { killed } else { status }));
    }
}
