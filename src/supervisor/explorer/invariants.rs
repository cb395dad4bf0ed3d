//! What must hold in each step and in each state.

use super::judge::reaches;
use super::world::{Process, World};
use super::*;

impl World {
    /// The invariants of one step.
    pub(super) fn check_step(&self, event: Event, actions: &[Action], next: &World) {
        let (before, after) = (&self.supervisor, &next.supervisor);
        let context = || format!("{self:?}\n{event:?} => {actions:?}\n{next:?}");

        assert!(actions.len() <= before.most_actions(), "no room\n{}", context());
        let finishes = actions.iter().filter(|action| matches!(action, Action::Finish(_))).count();
        let is_end = before.life != Life::Done && after.life == Life::Done;
        assert_eq!(finishes, usize::from(is_end), "one Finish\n{}", context());
        assert!(
            finishes == 0 || matches!(actions.last(), Some(Action::Finish(_))),
            "Finish comes last\n{}",
            context()
        );
        assert!(before.life != Life::Done || actions.is_empty(), "Done absorbs\n{}", context());
        let forgotten =
            actions.iter().any(|action| matches!(action, Action::Tell(Notice::Interrupted(_))));
        assert!(
            forgotten || rank(after.phase()) >= rank(before.phase()),
            "phases only advance\n{}",
            context()
        );
        assert!(
            before.decided.is_none() || before.decided == after.decided,
            "the status is decided once\n{}",
            context()
        );
        self.check_status(actions, next, &context);
        self.check_starts(actions, next);
        Self::check_sends(event, actions, next, &context);
        self.check_asks(event, actions, next, &context);
        self.check_kills(event, actions, next, &context);
        self.check_notices(event, actions, next, &context);
        let suspends = actions.iter().any(|action| matches!(action, Action::Suspend(_)));
        let may_suspend = after.job_control == JobControl::Above
            && matches!(after.life, Life::Preparing | Life::Running);
        assert!(!suspends || may_suspend, "we stop only with a job of a shell\n{}", context());
        if let Event::Signaled(received) = event {
            self.check_signal(received, actions, next);
        }
        if let Event::CheckDeadline(due) = event {
            let has_come = |time| before.deadline().is_some_and(|deadline| deadline <= time);
            let moved = before != after;
            assert!(moved || !has_come(due), "what is due moves us on\n{}", context());
            assert!(!moved || has_come(self.now), "before its time\n{}", context());
        }
    }

    /// The judge finds the same status, and when it is decided.
    fn check_status(&self, actions: &[Action], next: &World, context: &dyn Fn() -> String) {
        let judge = next.judge;
        assert_eq!(next.supervisor.decided, judge.status, "whose end decides\n{}", context());
        let Some(Action::Finish(status)) = actions.last() else { return };
        let lost = actions.contains(&Action::Tell(Notice::Lost));
        let killed = ExitStatus::from_code(137);
        let expected = match judge.status {
            _ if judge.out_of_memory => killed,
            _ if lost => ExitStatus::OWN_FAILURE,
            None => ExitStatus::SUCCESS,
            Some(ExitStatus::SUCCESS) if judge.main_killed => killed,
            Some(status) => status,
        };
        assert!(judge.status.is_some() || lost || self.commands() == 0, "{}", context());
        assert_eq!(*status, expected, "the status\n{}", context());
    }

    /// What starts when.
    fn check_starts(&self, actions: &[Action], next: &World) {
        let phase = next.supervisor.phase();
        for action in actions {
            let Action::Start(id) = action else { continue };
            assert_eq!(self.processes[*id], Process::None, "started twice: {id}\n{self:?}");
            let allowed = match self.role(*id) {
                Role::Before => phase == Phase::Preparing && self.processes[MAIN] == Process::None,
                Role::Main => {
                    phase == Phase::Running
                        && !next.running().any(|id| self.role(id) == Role::Before)
                }
                Role::With { .. } => phase == Phase::Running && next.judge.status.is_none(),
                Role::Stop => phase == Phase::Stopping && next.runs(MAIN),
                Role::After => phase == Phase::Finishing && self.processes[MAIN] != Process::None,
            };
            assert!(allowed, "{id} must not start now\n{self:?}\n{next:?}");
        }
        if actions.contains(&Action::Start(MAIN))
            && next.supervisor.policy.preparation == Preparation::InOrder
        {
            let failed = |id: CommandId| {
                self.role(id) == Role::Before
                    && next.records[id].status != Some(ExitStatus::SUCCESS)
            };
            assert!(!(0..self.commands()).any(failed), "what comes before has failed\n{self:?}");
        }
    }

    /// Nobody is signalled who is not ours any more.
    fn check_sends(event: Event, actions: &[Action], next: &World, context: &dyn Fn() -> String) {
        for (to, what) in all_sent(actions) {
            let pid = match to {
                Target::Process(pid) | Target::Group(pid) => Some(pid),
                Target::Everyone => None,
            };
            let at_exit = next.supervisor.policy.term_group_at_exit
                && matches!(event, Event::Reaped(..))
                && to == Target::Group(pid_of(MAIN));
            let ours = pid.is_none_or(|pid| at_exit || next.running().any(|id| pid_of(id) == pid));
            assert!(ours, "not ours to signal\n{}", context());
            assert_ne!(what.signal, Signal::CHLD, "SIGCHLD is never forwarded\n{}", context());
            assert_ne!(what.signal, Signal::KILL, "SIGKILL is no signal to pass\n{}", context());
        }
    }

    /// Everybody is asked once for one stop, and every command that runs when the end is decided.
    fn check_asks(
        &self,
        event: Event,
        actions: &[Action],
        next: &World,
        context: &dyn Fn() -> String,
    ) {
        let failed = actions
            .iter()
            .any(|action| matches!(action, Action::Tell(Notice::StopCommandFailed(_))));
        let mut asked: Vec<_> = self.records.iter().map(|record| record.asked).collect();
        for action in actions {
            let reached = |id| match action {
                Action::Ask(to, _) => reaches(*to, id),
                Action::AskedByCommand(pid) => *pid == pid_of(id),
                _ => false,
            };
            for id in next.running().filter(|id| reached(*id)) {
                let again = (failed && id == MAIN) || is_given_up(next, id);
                let is_hook = matches!(self.role(id), Role::Stop | Role::After);
                assert!(!asked[id] || again || is_hook, "{id} is asked twice\n{}", context());
                asked[id] = true;
            }
        }
        // Once the end is decided, or a stop signal is out.
        let decided = next.judge.status.is_some() && self.judge.status.is_none();
        let went_out = next.supervisor.phase() == Phase::Stopping
            && !matches!(self.supervisor.phase(), Phase::Stopping);
        if (decided || went_out) && matches!(next.supervisor.life, Life::Preparing | Life::Running)
        {
            let main_first = next.supervisor.policy.exit_when == ExitWhen::Main && next.runs(MAIN);
            for id in next.running().filter(|id| !is_given_up(next, *id)) {
                let hears = match self.role(id) {
                    Role::Main | Role::Before => true,
                    Role::With { .. } => !main_first,
                    Role::Stop | Role::After => false,
                };
                assert!(!hears || asked[id], "{id} does not hear of it\n{}", context());
                let to = |to| reaches(to, id);
                let continued = all_sent(actions)
                    .any(|(target, what)| what.signal == Signal::CONT && to(target));
                let by_signal = actions
                    .iter()
                    .any(|action| matches!(action, Action::Ask(target, _) if to(*target)));
                assert!(
                    next.processes[id] != Process::Suspended || continued || !by_signal,
                    "{id} stays suspended\n{}",
                    context()
                );
            }
        }
        let drains = actions.iter().any(|action| matches!(action, Action::AskRemaining { .. }));
        assert!(
            !drains || next.supervisor.phase() == Phase::Draining || is_over(next),
            "only the drain asks those that remain\n{event:?}\n{}",
            context()
        );
    }

    /// Who has not ended is told of after it was asked, and not again.
    fn check_notices(
        &self,
        event: Event,
        actions: &[Action],
        next: &World,
        context: &dyn Fn() -> String,
    ) {
        for action in actions {
            let Action::Tell(Notice::NotEnded { command, pid, .. }) = action else { continue };
            assert!(matches!(event, Event::CheckDeadline(_)), "not now\n{}", context());
            assert!(
                self.runs(*command) && self.records[*command].asked && *pid == pid_of(*command),
                "{command} has nothing to answer for\n{}",
                context()
            );
            let Some(child) = self.supervisor.commands[*command].child() else {
                panic!("{command} is given up\n{}", context())
            };
            let after = next.supervisor.commands[*command].child();
            assert!(
                !child.explained && after.is_none_or(|child| child.explained),
                "{command} is told of twice\n{}",
                context()
            );
        }
    }

    /// SIGKILL goes out at the end of a grace period, at ^C in the drain, or again until nobody is
    /// left; and to nobody who was not asked.
    fn check_kills(
        &self,
        event: Event,
        actions: &[Action],
        next: &World,
        context: &dyn Fn() -> String,
    ) {
        let due = |due| self.supervisor.deadline().is_some_and(|deadline| deadline <= due);
        let is_due = matches!(event, Event::CheckDeadline(time) if due(time));
        let sweeps = matches!(event, Event::ChildrenLeft { .. }) && self.has_killed();
        let typed = matches!(
            event,
            Event::Signaled(Received { signal: Signal::INT, from: Sender::Kernel, .. })
        ) && self.supervisor.phase() == Phase::Draining;
        // Whatever the commands after all others have left.
        let last = matches!(self.supervisor.life, Life::Finishing { .. })
            && matches!(actions, [.., Action::Kill(Target::Everyone), Action::Finish(_)]);
        for action in actions {
            let Action::Kill(to) = action else { continue };
            assert!(sweeps || typed || last || is_due, "SIGKILL before its time\n{}", context());
            for id in next.running().filter(|id| reaches(*to, *id)) {
                let is_hook = matches!(self.role(id), Role::Stop | Role::After);
                let asked = next.records[id].asked || is_given_up(next, id);
                assert!(asked || is_hook, "{id} is killed unasked\n{}", context());
            }
        }
        let swept = self.has_killed() && matches!(event, Event::ChildrenLeft { .. });
        let kills_all = actions.contains(&Action::Kill(Target::Everyone));
        assert!(!swept || kills_all, "SIGKILL again until nobody is left\n{}", context());
    }

    fn has_killed(&self) -> bool {
        matches!(&self.supervisor.life, Life::Draining(drain) if drain.is_killing())
    }

    /// No signal is lost: it goes out at once, or is the one that is held, or the one that ends the
    /// delay.
    fn check_signal(&self, received: Received, actions: &[Action], next: &World) {
        let policy = &self.supervisor.policy;
        let (life, signal) = (self.supervisor.life, received.signal);
        let sent: Vec<_> = all_sent(actions).collect();
        let context = || format!("{received:?}\n{self:?}\n{actions:?}\n{next:?}");
        if received.from == Sender::Ourselves {
            return assert!(actions.is_empty(), "not for anybody\n{}", context());
        }
        let suspends_us = policy.suspend_on.contains(signal) && life != Life::Done;
        if received.from == Sender::Kernel && signal == Signal::TTIN {
            let shares = actions.contains(&Action::ShareTerminal);
            let kept = sent.is_empty() && shares == (life != Life::Done);
            return assert!(kept, "the rest of our group wants the terminal\n{}", context());
        }
        let alone = actions.contains(&Action::SuspendAlone);
        assert_eq!(alone, suspends_us, "{}", context());
        let Some(rewritten) = policy.rewrite.apply(received) else {
            let unchanged = sent.is_empty() && self.supervisor == next.supervisor;
            return assert!(unchanged, "it shall do nothing\n{}", context());
        };
        if policy.placement == Placement::SharedGroup && received.from == Sender::Kernel {
            return assert!(sent.is_empty(), "it has come by the terminal\n{}", context());
        }
        let to = |id: CommandId, what: Received| {
            sent.iter().filter(|(to, sent)| *sent == what && reaches(*to, id)).count()
        };
        let ours: Vec<_> = self.running().filter(|id| !is_given_up(self, *id)).collect();
        if signal == Signal::CHLD || life == Life::Done {
            return assert!(sent.is_empty(), "{}", context());
        }
        let is_stop = policy.stop_on.contains(signal);
        let is_first = is_stop && matches!(life, Life::Preparing | Life::Running);
        if is_first && (!self.judge.stop_asked || self.is_held()) {
            let no_longer_held = self.is_held() && !next.is_held();
            let begins = next.judge.stop_asked;
            // By the end of a command it may have gone out before: then it is the user's.
            if self.supervisor.stop.is_none() || no_longer_held {
                return assert!(begins, "the stop is lost\n{}", context());
            }
        }
        // For the main command alone, or for what runs in its place.
        let job = [Signal::CONT, Signal::TSTP].contains(&signal);
        let takes = |id: &CommandId| match self.role(*id) {
            Role::Main => true,
            Role::Before => job || is_first,
            Role::After => job || is_stop,
            Role::With { .. } | Role::Stop => false,
        };
        if life == Life::Preparing && !is_stop && !job {
            let dropped = actions.contains(&Action::Tell(Notice::Dropped(rewritten.signal)));
            return assert!(dropped && sent.is_empty(), "{}", context());
        }
        if matches!(life, Life::Draining(_)) {
            return assert!(sent.is_empty(), "nobody is there for it\n{}", context());
        }
        for id in ours {
            let expected = usize::from(takes(&id) && !self.is_asked_now(id, next, is_first));
            assert_eq!(to(id, rewritten), expected, "{id}\n{}", context());
        }
    }

    /// It gets the signal as its stop.
    fn is_asked_now(&self, id: CommandId, next: &World, is_first: bool) -> bool {
        is_first && !self.records[id].asked && next.records[id].asked
    }

    /// What holds in each state by itself.
    pub(super) fn check_state(&self) {
        let Supervisor { policy, life, decided, stop, .. } = &self.supervisor;
        let over = matches!(life, Life::Draining(_) | Life::Finishing { .. });
        let is_known = decided.is_some() || self.commands() == 0;
        assert!(!over || is_known, "the drain knows the status\n{self:?}");
        let awaits = match life {
            Life::Preparing | Life::Running => stop.is_some(),
            Life::Draining(_) | Life::Finishing { .. } => true,
            Life::Done => false,
        };
        let is_timed = self.supervisor.deadline().is_some();
        assert!(awaits || !is_timed, "a deadline while nothing is awaited\n{self:?}");
        let is_limited = match life {
            Life::Preparing | Life::Running => {
                stop.is_some() && (policy.kill_after.is_some() || decided.is_some())
            }
            Life::Draining(_) => policy.drain.is_some(),
            Life::Finishing { .. } => true,
            Life::Done => false,
        };
        let somebody = self.running().any(|id| !is_given_up(self, id));
        assert!(is_timed || !is_limited || !somebody, "no deadline for a limit\n{self:?}");
        if *life == Life::Done {
            return;
        }
        for (id, command) in self.supervisor.commands.iter().enumerate() {
            if let Some(child) = command.child() {
                assert_eq!(child.pid, pid_of(id));
                assert!(self.runs(id), "a reaped pid is forgotten\n{self:?}");
            }
        }
        if self.starting().next().is_none() {
            self.reaping_everyone_ends_it();
            self.time_alone_ends_a_limited_stop();
        }
    }

    fn reaping_everyone_ends_it(&self) {
        let (mut supervisor, mut running): (_, Vec<_>) =
            (self.supervisor.clone(), self.running().collect());
        let mut actions = Vec::new();
        // A stop command and what comes after may still be started, and end too.
        for _ in 0..=2 * self.commands() {
            for id in running.drain(..) {
                let event = Event::Reaped(pid_of(id), Termination::Exited(0));
                supervisor.handle(event, self.now, &mut actions);
            }
            running = start_all(&mut supervisor, self.now, &mut actions);
            if running.is_empty() {
                supervisor.handle(Event::NoChildren, self.now, &mut actions);
            }
        }
        if self.commands() == 0 {
            // Only a stop signal ends what holds namespaces, and that nobody is there.
            let stop = Event::Signaled(Signal::TERM.into());
            supervisor.handle(stop, self.now, &mut actions);
            supervisor.handle(Event::NobodyLeft, self.now, &mut actions);
        }
        assert_eq!(supervisor.life, Life::Done, "nobody is left\n{self:?}");
    }

    /// Where nothing dies, not even by SIGKILL, we wait for a limited time after a stop, unless a
    /// limit is `never`.
    fn time_alone_ends_a_limited_stop(&self) {
        let (mut supervisor, mut now) = (self.supervisor.clone(), self.now);
        let policy = supervisor.policy.clone();
        let drain = policy.drain.unwrap_or_default().max(Duration::from_secs(5));
        // The stop, the others, the drain, what comes after.
        let longest = policy.stop_delay
            + policy.kill_after.unwrap_or_default()
            + Duration::from_secs(10)
            + drain * 3
            + KILL_WAIT * 3;
        let mut actions = Vec::new();
        while now <= self.now + longest {
            supervisor.handle(Event::ChildrenLeft { died: false }, now, &mut actions);
            start_all(&mut supervisor, now, &mut actions);
            let Some(deadline) = supervisor.deadline() else { break };
            now = now.max(deadline);
            supervisor.handle(Event::CheckDeadline(now), now, &mut actions);
            start_all(&mut supervisor, now, &mut actions);
        }
        let unlimited = match supervisor.phase() {
            Phase::Preparing | Phase::Running | Phase::Done => true,
            Phase::Stopping => policy.kill_after.is_none() && supervisor.decided.is_none(),
            Phase::Draining => policy.drain.is_none(),
            Phase::Finishing | Phase::Delaying => false,
        };
        assert!(unlimited, "stuck in {:?}\n{self:?}", supervisor.phase());
        assert!(
            supervisor.phase() != Phase::Done || now <= self.now + longest,
            "{now:?} is too late\n{self:?}"
        );
    }
}

/// Starts what is to be started, and returns that.
fn start_all(supervisor: &mut Supervisor, now: Time, actions: &mut Vec<Action>) -> Vec<CommandId> {
    let mut started = Vec::new();
    while let Some(at) = actions.iter().position(|action| matches!(action, Action::Start(_))) {
        let Action::Start(id) = actions.remove(at) else { continue };
        for event in [Event::Started(id, pid_of(id)), Event::Executed(id, pid_of(id))] {
            supervisor.handle(event, now, actions);
        }
        started.push(id);
    }
    started
}

fn all_sent(actions: &[Action]) -> impl Iterator<Item = (Target, Received)> {
    actions.iter().filter_map(|action| match action {
        Action::Send(to, what) => Some((*to, *what)),
        _ => None,
    })
}

/// A command that even SIGKILL did not end is no longer one of the supervisor's.
fn is_given_up(world: &World, id: CommandId) -> bool {
    world.supervisor.commands[id].child().is_none()
}

fn is_over(world: &World) -> bool {
    matches!(world.supervisor.life, Life::Finishing { .. } | Life::Done)
}

pub(super) fn rank(phase: Phase) -> u8 {
    match phase {
        Phase::Preparing => 0,
        Phase::Running => 1,
        Phase::Delaying => 2,
        Phase::Stopping => 3,
        Phase::Draining => 4,
        Phase::Finishing => 5,
        Phase::Done => 6,
    }
}
