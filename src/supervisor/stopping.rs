//! The stop: when its signal goes out, to whom, and when SIGKILL follows.

use std::time::Duration;

use super::commands::{Child, Command, End};
use super::{
    Action, AskedWay, KILL_WAIT, Life, MAIN, Notice, Out, Phase, State, Supervisor, Target, Time,
};
use crate::config::{ExitWhen, ForwardTo, Policy, Role};
use crate::signal::{Received, Signal};
use crate::status::{ExitStatus, Termination};

/// A command that still runs when another one's end has ended the container has this long at least,
/// as with `docker stop`, if nobody asked for that: no engine's clock runs.
const UNASKED: Duration = Duration::from_secs(10);

/// The time of what must not take for ever, where `--drain` says nothing of use.
pub(super) const DEFAULT_DRAIN: Duration = Duration::from_secs(5);

/// Whoever survives a typed SIGINT for so long took it for an interrupt.
const INTERRUPT: Duration = Duration::from_secs(3);

/// Whoever has not ended so long after it was asked is told of.
const PATIENCE: Duration = Duration::from_secs(3);

/// That a stop was asked for, or that the other commands are asked since one has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stop {
    /// When it was asked for; `None`: by nobody.
    pub(super) asked: Option<Time>,
    /// What the commands get.
    pub(super) signal: Received,
    /// It goes out then; `None`: it is out.
    pub(super) held: Option<Time>,
    /// When it went out, if it is out.
    pub(super) sent: Time,
    /// What this was is decided then: everybody has survived an interrupt.
    pub(super) interrupt: Option<Time>,
    /// Those that have not ended are told of then.
    pub(super) explain: Option<Patience>,
    /// SIGKILL goes out then; `None`: never, or it is out.
    pub(super) kill: Option<Time>,
    /// When to stop waiting for the effect of SIGKILL, once it is out.
    pub(super) give_up: Option<Time>,
    /// It went to everyone: so does SIGKILL.
    pub(super) to_everyone: bool,
}

impl Stop {
    /// One whose signal goes out now, asked for then.
    pub(super) fn sent(asked: Option<Time>, signal: Received, now: Time) -> Self {
        Self {
            asked,
            signal,
            held: None,
            sent: now,
            interrupt: None,
            explain: None,
            kill: None,
            give_up: None,
            to_everyone: false,
        }
    }

    /// What the commands get.
    pub(super) fn signal(&self) -> Signal {
        self.signal.signal
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let explain = self.explain.map(|patience| patience.until);
        [self.held, self.interrupt, explain, self.kill, self.give_up].into_iter().flatten().min()
    }
}

/// How long nothing is said of those that were asked and have not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Patience {
    since: Time,
    until: Time,
}

impl Patience {
    fn new(now: Time, kill: Option<Time>) -> Self {
        let half = kill.map_or(PATIENCE, |kill| kill.saturating_sub(now) / 2);
        Self { since: now, until: now.saturating_add(half.min(PATIENCE)) }
    }
}

impl Supervisor {
    /// A stop signal has arrived, and becomes this one.
    pub(super) fn stop_signal(
        &mut self,
        received: Received,
        rewritten: Received,
        now: Time,
        out: &mut Vec<Action>,
    ) {
        match self.life {
            Life::Preparing | Life::Running => {}
            Life::Draining(_) => return self.stop_signal_in_drain(received, rewritten, now, out),
            // The commands after all others get it.
            Life::Finishing { .. } => {
                return self.pass(rewritten, now, |role| role == Role::After, out);
            }
            Life::Done => return,
        }
        // Nothing is served yet, or is still: there is nothing to wait for.
        let delay = match self.life {
            Life::Running if !self.holds() => self.policy.stop_delay,
            _ => Duration::ZERO,
        };
        match &mut self.stop {
            None => {
                out.tell(Notice::StopAsked(received, delay));
                let is_interrupt = received.signal == Signal::INT && self.interactive;
                self.stop = Some(Stop {
                    held: Some(now.saturating_add(delay)),
                    interrupt: is_interrupt.then_some(Time::MAX),
                    ..Stop::sent(Some(now), rewritten, now)
                });
                if delay.is_zero() {
                    self.send_stop(now, out);
                }
            }
            Some(Stop { held: Some(_), .. }) => {
                out.tell(Notice::StopAskedAgain(received));
                self.send_stop(now, out);
            }
            Some(stop) => {
                // Whoever asks now is the first to do so, if the end of a command has asked before.
                if stop.asked.is_some() {
                    out.tell(Notice::StopAskedAgain(received));
                } else {
                    out.tell(Notice::StopAsked(received, Duration::ZERO));
                    stop.asked = Some(now);
                    let limit = self.policy.kill_after.map(|grace| now.saturating_add(grace));
                    stop.kill = stop.kill.min(limit.or(stop.kill));
                }
                // To the main command alone: it is what the user talks to.
                self.pass(rewritten, now, |role| role == Role::Main || role == Role::Before, out);
            }
        }
    }

    /// The stop signal goes out, to every command that is to hear of it, and the clock of
    /// `--kill-after` starts.
    fn send_stop(&mut self, now: Time, out: &mut Vec<Action>) {
        let kill = self.policy.kill_after.map(|grace| now.saturating_add(grace));
        let Some(stop) = &mut self.stop else { return };
        (stop.held, stop.sent, stop.kill) = (None, now, kill);
        // Only where SIGKILL does not come anyway.
        let until = Some(now.saturating_add(INTERRUPT));
        stop.interrupt = stop.interrupt.and(until).filter(|_| kill.is_none());
        // An interrupt is no stop yet.
        stop.explain = stop.interrupt.is_none().then(|| Patience::new(now, kill));
        if self.holds() {
            return self.drain_held(now, out);
        }
        self.ask(now, out);
    }

    /// Asks the commands that run and were not asked yet. With [`ExitWhen::Main`] the others serve
    /// the main command until it has exited.
    fn ask(&mut self, now: Time, out: &mut Vec<Action>) {
        let Some(stop) = self.stop else { return };
        let Policy { exit_when, stop_everyone, .. } = self.policy;
        let main_alone = exit_when == ExitWhen::Main && self.main().is_some();
        let hears = |role| match role {
            Role::Main | Role::Before => true,
            Role::With { .. } => !main_alone,
            Role::Stop | Role::After => false,
        };
        let is_main_unasked = self.main().is_some_and(|main| main.asked.is_none());
        let stop_command = self.waiting(|role| role == Role::Stop).filter(|_| is_main_unasked);
        if stop_everyone && stop_command.is_none() {
            return self.ask_everyone(stop.signal, now, out);
        }
        let by_command = |role| role == Role::Main && stop_command.is_some();
        self.ask_these(stop.signal, now, |role| hears(role) && !by_command(role), out);
        if let Some(command) = stop_command {
            for (_, main) in self.children_mut().filter(|(role, _)| *role == Role::Main) {
                main.asked = Some(stop.signal.signal);
                main.asked_by_command = true;
                out.push(Action::AskedByCommand(main.pid));
            }
            out.push(Action::Start(command));
        }
    }

    /// Asks the commands of these roles that were not asked yet; one that is suspended must go on
    /// to see it.
    fn ask_these(
        &mut self,
        what: Received,
        now: Time,
        to: impl Fn(Role) -> bool,
        out: &mut Vec<Action>,
    ) {
        let Policy { forward_to, placement, .. } = self.policy;
        for (_, child) in self.children_mut().filter(|(role, _)| to(*role)) {
            if child.asked.is_none() {
                child.asked = Some(what.signal);
                child.gets(what, now);
                out.push(Action::Ask(child.target(forward_to), what));
                if child.suspended {
                    out.send(placement.job(child.pid), Signal::CONT);
                }
            }
        }
    }

    /// All at once; but if some were asked already, the others one by one.
    fn ask_everyone(&mut self, what: Received, now: Time, out: &mut Vec<Action>) {
        let hears = |role: Role| role.is_beside() || role == Role::Before;
        if self.children().any(|(_, child)| child.asked.is_some()) {
            return self.ask_these(what, now, hears, out);
        }
        for (_, child) in self.children_mut().filter(|(role, _)| hears(*role)) {
            child.asked = Some(what.signal);
            child.gets(what, now);
        }
        if let Some(stop) = &mut self.stop {
            stop.to_everyone = true;
        }
        out.push(Action::Ask(Target::Everyone, what));
        if self.children().any(|(_, child)| child.suspended) {
            out.send(Target::Everyone, Signal::CONT);
        }
    }

    /// What it was to do is left to the signal.
    pub(super) fn stop_command_failed(&mut self, now: Time, out: &mut Vec<Action>) {
        let Some(stop) = self.stop.filter(|stop| stop.give_up.is_none()) else { return };
        let Some((_, main)) = self.children_mut().find(|(role, _)| *role == Role::Main) else {
            return;
        };
        (main.asked, main.asked_by_command) = (None, false);
        out.tell(Notice::StopCommandFailed(stop.signal.signal));
        if self.policy.stop_everyone {
            self.ask_everyone(stop.signal, now, out);
        } else {
            self.ask_these(stop.signal, now, |role| role == Role::Main, out);
        }
    }

    /// The end is decided: the commands that still run are asked, if they were not, as the user said
    /// that they are to be stopped, and have a limited time.
    pub(super) fn ask_others(&mut self, now: Time, out: &mut Vec<Action>) {
        let others = |role: Role| role.is_beside() || role == Role::Stop;
        if !self.children().any(|(role, _)| others(role)) {
            return;
        }
        let signal = self.own_stop();
        let stop = self.stop.unwrap_or(Stop::sent(None, signal, now));
        let sent = if stop.held.is_some() { now } else { stop.sent };
        let kill = Some(self.time_of_others(stop.asked, sent, now));
        let explain = Some(Patience::new(now, kill));
        let stop = Stop { held: None, interrupt: None, give_up: None, ..stop };
        self.stop = Some(Stop { sent, explain, kill, ..stop });
        self.ask(now, out);
    }

    /// When SIGKILL goes to the other commands.
    fn time_of_others(&self, asked: Option<Time>, sent: Time, now: Time) -> Time {
        let Policy { kill_after, drain, drain_is_given, .. } = self.policy;
        let drain = drain.filter(|drain| !drain.is_zero()).unwrap_or(DEFAULT_DRAIN);
        let drained = now.saturating_add(drain);
        match kill_after.map(|grace| sent.saturating_add(grace)) {
            Some(kill) if kill > now => kill,
            Some(_) => drained,
            None => {
                let docker = sent.saturating_add(UNASKED);
                if asked.is_none() || !drain_is_given { drained.max(docker) } else { drained }
            }
        }
    }

    /// The stop that may follow waits until all is reaped: the victim may be a command, whose pid
    /// is nobody's any more.
    pub(super) fn ran_out_of_memory(&mut self, kills: u64, out: &mut Vec<Action>) {
        let lives = matches!(self.life, Life::Preparing | Life::Running) && !self.holds();
        let stops = self.policy.exit_on_oom && lives && self.decided.is_none();
        self.killed.out_of_memory |= stops;
        out.tell(Notice::OutOfMemory { kills, stops });
    }

    /// The stop that a kill for memory has asked for begins, without a delay.
    pub(super) fn stop_for_memory(&mut self, now: Time, out: &mut Vec<Action>) {
        let signal = self.own_stop();
        match &self.stop {
            Some(Stop { held: None, .. }) => {}
            Some(_) => self.send_stop(now, out),
            None => {
                self.stop = Some(Stop::sent(Some(now), signal, now));
                self.send_stop(now, out);
            }
        }
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

    pub(super) fn time_is_up(&mut self, due: Time, now: Time, out: &mut Vec<Action>) {
        let is_due = |time: Option<Time>| time.is_some_and(|time| time <= due);
        let has_come = |time: Option<Time>| time.is_some_and(|time| time <= now);
        match self.life {
            Life::Preparing | Life::Running => {
                let Some(stop) = self.stop else { return };
                if has_come(stop.explain.map(|patience| patience.until)) {
                    self.explain(now, out);
                }
                if has_come(stop.held) {
                    self.send_stop(now, out);
                } else if is_due(stop.give_up) {
                    self.give_up(now, out);
                } else if is_due(stop.kill) {
                    self.escalate(now, out);
                } else if is_due(stop.interrupt) {
                    self.forget_interrupt(out);
                }
            }
            Life::Draining(drain) => self.drain_time_is_up(drain, due, now, out),
            Life::Finishing { until } if until <= due => self.cut_short(out),
            Life::Finishing { .. } | Life::Done => {}
        }
    }

    /// Tells of those that were asked and have not ended, each once.
    fn explain(&mut self, now: Time, out: &mut Vec<Action>) {
        let Some(stop) = &mut self.stop else { return };
        let Some(Patience { since, .. }) = stop.explain.take() else { return };
        let after = now.saturating_sub(since);
        let with_others = stop.to_everyone || self.policy.forward_to == ForwardTo::Group;
        for (command, Command { state, .. }) in self.commands.iter_mut().enumerate() {
            let (State::Starting(child) | State::Runs(child)) = state else { continue };
            let &mut Child { pid, asked: Some(asked_by), asked_by_command, .. } = child else {
                continue;
            };
            if !std::mem::replace(&mut child.explained, true) {
                let way = match asked_by_command {
                    true => AskedWay::ByCommand,
                    false if with_others => AskedWay::WithOthers,
                    false => AskedWay::Alone,
                };
                out.tell(Notice::NotEnded { command, pid, asked_by, way, after });
            }
        }
    }

    /// SIGKILL to whatever got the stop signal, and to the stop command.
    fn escalate(&mut self, now: Time, out: &mut Vec<Action>) {
        let Policy { forward_to, placement, .. } = self.policy;
        let Some(stop) = &mut self.stop else { return };
        let to_everyone = stop.to_everyone;
        let after = now.saturating_sub(stop.sent);
        (stop.kill, stop.give_up) = (None, Some(now.saturating_add(KILL_WAIT)));
        (stop.interrupt, stop.explain) = (None, None);
        out.tell(Notice::StopEscalated(after));
        for (role, child) in self.children_mut() {
            if child.asked.is_some() || role == Role::Stop {
                child.killed = Some(after);
                let target = if role == Role::Stop {
                    placement.job(child.pid)
                } else if child.asked_by_command {
                    Target::Process(child.pid)
                } else {
                    child.target(forward_to)
                };
                if !to_everyone {
                    out.push(Action::Kill(target));
                }
            }
        }
        if to_everyone {
            out.push(Action::Kill(Target::Everyone));
        }
    }

    /// Uninterruptible sleep, or not ours to kill: they count as killed, and the others shall have
    /// their time.
    fn give_up(&mut self, now: Time, out: &mut Vec<Action>) {
        if let Some(stop) = &mut self.stop {
            stop.give_up = None;
        }
        out.tell(Notice::Unkillable);
        let status =
            ExitStatus::from(Termination::Killed { signal: Signal::KILL, core_dumped: false });
        let mut ended = None;
        for (id, command) in self.commands.iter_mut().enumerate() {
            let killed = |child: &Child| child.killed.is_some();
            if command.child().is_some_and(killed) {
                command.state = State::Ended(End { status, was_killed_when_asked: true });
                ended = Some(ended.unwrap_or(command.role));
                if id == MAIN {
                    out.push(Action::ReclaimTerminal);
                }
            }
        }
        if self.life == Life::Preparing {
            self.decided.get_or_insert(status);
        }
        if let Some(role) = ended {
            self.decide(role, status, now, out);
        }
        // As in every wake-up: what the end of a command leaves to do.
        self.children_left(false, now, out);
    }

    /// SIGKILL was refused: nobody waits for its effect.
    pub(super) fn not_killed(&mut self, now: Time) {
        match self.life {
            Life::Preparing | Life::Running => {
                let waits = |stop: &&mut Stop| stop.give_up.is_some();
                if let Some(stop) = self.stop.as_mut().filter(waits) {
                    stop.give_up = Some(now);
                }
            }
            Life::Draining(_) => self.drain_was_refused(now),
            Life::Finishing { .. } | Life::Done => {}
        }
    }

    /// Every command has survived a typed SIGINT: it was an interrupt, and no stop.
    fn forget_interrupt(&mut self, out: &mut Vec<Action>) {
        let Some(stop) = &mut self.stop else { return };
        stop.interrupt = None;
        let signal = stop.signal();
        let all_survive = self
            .commands
            .iter()
            .filter(|command| command.role.is_beside() || command.role == Role::Before)
            .all(|command| match command.state {
                State::Ended(_) => false,
                State::Starting(_) | State::Runs(_) | State::NotStarted(_) | State::Waiting => true,
            });
        if all_survive && self.decided.is_none() && self.phase() == Phase::Stopping {
            out.tell(Notice::Interrupted(signal));
            out.push(Action::ForgetAsked);
            self.stop = None;
            for (_, child) in self.children_mut() {
                (child.asked, child.continued, child.explained) = (None, false, false);
            }
        }
    }
}
