//! What must hold in each step and in each state.

use super::world::{Process, World};
use super::*;

/// The status of what SIGKILL has ended.
const KILLED: ExitStatus = ExitStatus::from_code(137);

impl World {
    /// The invariants of one step.
    pub(super) fn check_step(&self, event: Event, actions: &[Action], next: &World) {
        let (before, after) = (&self.supervisor, &next.supervisor);
        let context = || format!("{self:?}\n{event:?} => {actions:?}\n{next:?}");

        assert!(actions.len() <= before.most_actions(), "no room\n{}", context());
        let finishes = actions.iter().filter(|action| matches!(action, Action::Finish(_))).count();
        assert_eq!(
            finishes,
            usize::from(before.phase != Phase::Done && after.phase == Phase::Done),
            "one Finish\n{}",
            context()
        );
        assert!(
            finishes == 0 || matches!(actions.last(), Some(Action::Finish(_))),
            "Finish comes last\n{}",
            context()
        );
        assert!(before.phase != Phase::Done || actions.is_empty(), "Done absorbs\n{}", context());
        assert!(rank(after.phase) >= rank(before.phase), "phases only advance\n{}", context());
        assert_eq!(after.decided, next.decided, "whose end decides, once\n{}", context());
        if let Some(Action::Finish(status)) = actions.last() {
            // Somebody else has reaped what would have decided.
            let decided = next.decided.unwrap_or(ExitStatus::OWN_FAILURE);
            let expected = if next.out_of_memory { KILLED } else { decided };
            assert_eq!(*status, expected, "the status\n{}", context());
        }
        self.check_starts(actions, next);
        self.check_sends(event, actions, next);
        let suspends = actions.iter().any(|action| matches!(action, Action::Suspend(_)));
        let may_suspend = after.job_control == JobControl::Above
            && matches!(after.phase, Phase::Preparing | Phase::Running);
        assert!(!suspends || may_suspend, "we stop only with a job of a shell\n{}", context());
        if let Event::Signaled(received) = event {
            self.check_signal(received, actions, next);
        }
        if event == Event::Elapsed && before.deadline().is_some_and(|deadline| deadline <= self.now)
        {
            assert!(
                rank(after.phase) > rank(before.phase),
                "a deadline that has come moves us on\n{}",
                context()
            );
        }
    }

    /// What starts when.
    fn check_starts(&self, actions: &[Action], next: &World) {
        let supervisor = &next.supervisor;
        for action in actions {
            let Action::Start(id) = action else { continue };
            assert_eq!(self.processes[*id], Process::None, "started twice: {id}\n{self:?}");
            let of_role =
                |role: Role| supervisor.commands.iter().position(|command| command.role == role);
            let allowed = match supervisor.commands[*id].role {
                Role::Before => {
                    supervisor.phase == Phase::Preparing && self.processes[MAIN] == Process::None
                }
                Role::Main => {
                    supervisor.phase == Phase::Running
                        && !next.running().any(|id| supervisor.commands[id].role == Role::Before)
                }
                Role::With { .. } => {
                    supervisor.phase == Phase::Running && supervisor.decided.is_none()
                }
                Role::Stop => {
                    matches!(supervisor.phase, Phase::Stopping(Ladder::Grace { .. }))
                        && next.runs(MAIN)
                }
                Role::After => {
                    matches!(supervisor.phase, Phase::Finishing { .. })
                        && !matches!(self.processes[MAIN], Process::None | Process::Refused(_))
                }
            };
            assert!(
                allowed,
                "{id} must not start now\n{self:?}\n{next:?}\n{:?}",
                of_role(Role::Main)
            );
        }
        if actions.contains(&Action::Start(MAIN))
            && supervisor.policy.preparation == Preparation::InOrder
        {
            let failed = |command: &Command| {
                command.role == Role::Before && command.state != State::Ended(ExitStatus::SUCCESS)
            };
            assert!(
                !supervisor.commands.iter().any(failed),
                "what comes before has failed\n{self:?}"
            );
        }
    }

    /// Who gets what.
    fn check_sends(&self, event: Event, actions: &[Action], next: &World) {
        let (before, after) = (&self.supervisor, &next.supervisor);
        let context = || format!("{self:?}\n{event:?} => {actions:?}\n{next:?}");
        let sent = sent(actions);
        for (to, what) in &sent {
            let signalled = match to {
                Target::Process(pid) | Target::Group(pid) => Some(*pid),
                Target::Everyone => None,
            };
            let farewell = after.policy.farewell
                && matches!(event, Event::Reaped(..))
                && *to == Target::Group(pid_of(MAIN));
            let ours =
                signalled.is_none_or(|pid| farewell || next.running().any(|id| pid_of(id) == pid));
            assert!(ours, "not ours to signal\n{}", context());
            assert_ne!(what.signal, Signal::CHLD, "SIGCHLD is never forwarded\n{}", context());
            if what.signal == Signal::KILL {
                let swept = event == Event::ChildrenLeft
                    && matches!(before.phase, Phase::Draining(Ladder::Killed { .. }));
                let cut_short =
                    matches!(before.phase, Phase::Finishing { .. }) && after.phase == Phase::Done;
                let entered = rank(after.phase) > rank(before.phase) && is_killed(after.phase);
                assert!(
                    swept || entered || cut_short,
                    "SIGKILL only on entering Killed, or to sweep\n{}",
                    context()
                );
                assert!(
                    swept || before.deadline().is_some_and(|deadline| deadline <= self.now),
                    "SIGKILL before its time\n{}",
                    context()
                );
            }
        }
        let kills = |to| sent.contains(&(to, Signal::KILL.into()));
        match (before.phase, after.phase) {
            (Phase::Stopping(Ladder::Grace { .. }), Phase::Stopping(Ladder::Killed { .. })) => {
                let killed =
                    |id| kills(Target::Process(pid_of(id))) || kills(Target::Group(pid_of(id)));
                let all_killed = next.running().all(killed)
                    || (after.policy.stop_everyone && kills(Target::Everyone));
                assert!(all_killed, "SIGKILL to what the stop went to\n{}", context());
            }
            (Phase::Draining(Ladder::Grace { .. }), Phase::Draining(Ladder::Killed { .. })) => {
                assert!(kills(Target::Everyone), "SIGKILL to all that is left\n{}", context());
            }
            (_, Phase::Draining(Ladder::Killed { .. })) if event == Event::ChildrenLeft => {
                assert!(
                    kills(Target::Everyone),
                    "SIGKILL again until nobody is left\n{}",
                    context()
                );
            }
            _ => {}
        }
        let drains = matches!(after.phase, Phase::Draining(_))
            && !matches!(before.phase, Phase::Draining(_));
        let asked = |signal: Signal| sent.contains(&(Target::Everyone, signal.into()));
        assert!(
            !drains || (asked(Signal::TERM) && asked(Signal::CONT)),
            "the drain asks everyone\n{}",
            context()
        );
        assert!(
            !matches!(after.phase, Phase::Draining(_))
                || after.policy.drain != Some(Duration::ZERO),
            "no drain\n{}",
            context()
        );
        self.check_stop(&sent, next, &context);
    }

    /// The stop reaches every command that runs, or the stop command does so for the main one.
    fn check_stop(&self, sent: &[(Target, Received)], next: &World, context: &dyn Fn() -> String) {
        let (before, after) = (&self.supervisor, &next.supervisor);
        let Phase::Stopping(Ladder::Grace { .. }) = after.phase else { return };
        if matches!(before.phase, Phase::Stopping(_)) {
            return;
        }
        let stop = after.stop_signal.unwrap();
        let reached = |id| sent.iter().any(|(to, what)| *what == stop && reaches(*to, id));
        let starts_stop_command = next.steps_start(Role::Stop);
        for id in next.running() {
            let by_command = starts_stop_command && id == MAIN;
            let told =
                reached(id) || by_command || (starts_stop_command && after.policy.stop_everyone);
            assert!(told, "{id} does not hear of the stop\n{}", context());
            let continued = |to| sent.contains(&(to, Signal::CONT.into()));
            let goes_on = continued(Target::Group(pid_of(id)))
                || continued(Target::Process(pid_of(id)))
                || continued(Target::Everyone);
            assert!(
                next.processes[id] != Process::Stopped || goes_on || starts_stop_command,
                "{id} stays stopped\n{}",
                context()
            );
        }
    }

    fn steps_start(&self, role: Role) -> bool {
        self.starting().any(|id| self.supervisor.commands[id].role == role)
    }

    /// No signal is lost: it goes out at once, or is the one that is held, or the one that ends the
    /// delay.
    fn check_signal(&self, received: Received, actions: &[Action], next: &World) {
        let (policy, sent) = (&self.supervisor.policy, sent(actions));
        let Some(rewritten) = policy.rewrite.apply(received) else {
            return assert!(
                sent.is_empty() && self.supervisor == next.supervisor,
                "{received:?} shall do nothing\n{self:?}\n{next:?}"
            );
        };
        let stops_us =
            policy.suspend_on.contains(received.signal) && self.supervisor.phase != Phase::Done;
        assert_eq!(actions.contains(&Action::Stop), stops_us, "{received:?}\n{self:?}");
        if policy.placement == Placement::SharedGroup && received.from_kernel {
            return assert!(
                sent.is_empty(),
                "{received:?} has come by the terminal\n{self:?}\n{sent:?}"
            );
        }
        let to_each = |what: Received| {
            let commands =
                || self.running().filter(|id| self.supervisor.commands[*id].role != Role::Stop);
            let everyone =
                sent.iter().filter(|(to, sent)| *sent == what && *to == Target::Everyone).count();
            let once = |id| {
                sent.iter().filter(|(to, sent)| *sent == what && reaches(*to, id)).count() == 1
            };
            let starts_stop_command = next.steps_start(Role::Stop);
            everyone == 1 || starts_stop_command || (everyone == 0 && commands().all(once))
        };
        let never = |what: Received| !sent.iter().any(|(_, sent)| *sent == what);
        let is_stop = policy.stop_on.contains(received.signal);
        let kept = match self.supervisor.phase {
            _ if received.signal == Signal::CHLD => sent.is_empty(),
            Phase::Delaying { held, .. } if is_stop => to_each(held),
            Phase::Running if is_stop && !policy.stop_delay.is_zero() => {
                let held = match next.supervisor.phase {
                    Phase::Delaying { held, .. } => Some(held),
                    _ => None,
                };
                never(rewritten) && held == Some(rewritten)
            }
            Phase::Draining(Ladder::Killed { .. }) | Phase::Done => never(rewritten),
            Phase::Draining(Ladder::Grace { .. }) => sent.contains(&(Target::Everyone, rewritten)),
            Phase::Stopping(Ladder::Killed { .. }) | Phase::Finishing { .. }
                if self.abandoned() =>
            {
                true
            }
            Phase::Preparing
            | Phase::Running
            | Phase::Delaying { .. }
            | Phase::Stopping(_)
            | Phase::Finishing { .. } => to_each(rewritten),
        };
        assert!(kept, "{received:?} is lost\n{self:?}\n{sent:?}\n{next:?}");
    }

    /// A command that even SIGKILL did not end is no longer one of the supervisor's.
    fn abandoned(&self) -> bool {
        self.running().any(|id| !matches!(self.supervisor.commands[id].state, State::Runs(_)))
    }

    /// The status that must be decided by this event, if none was before: whose end is the end.
    pub(super) fn decision(&self, event: Event, next: &World) -> Option<ExitStatus> {
        let Supervisor { policy, phase, commands, .. } = &self.supervisor;
        let is_beside = |id: CommandId| matches!(commands[id].role, Role::Main | Role::With { .. });
        let counts = |id: &CommandId| match (commands[*id].role, policy.exit_when) {
            (Role::Main, _) | (Role::With { watched: true }, ExitWhen::Watched) => true,
            (Role::With { .. } | Role::Before | Role::After | Role::Stop, _) => false,
        };
        let counted = || (0..commands.len()).filter(counts).map(|id| next.processes[id]);
        let first_failure = |of: fn(Process) -> Option<ExitStatus>| {
            let mut failures = counted().filter_map(of).filter(|status| status.code() != 0);
            failures.next().unwrap_or(ExitStatus::SUCCESS)
        };
        let (id, status) = match event {
            Event::Reaped(pid, end) => {
                (self.running().find(|id| pid_of(*id) == pid)?, ExitStatus::from(end))
            }
            Event::NotStarted(id, status) => (id, status),
            // What even SIGKILL does not end counts as killed.
            Event::Elapsed if matches!(phase, Phase::Stopping(Ladder::Killed { until, .. }) if *until <= self.now) =>
            {
                let or_killed = |process: Process| match process {
                    Process::None => None,
                    _ => process.status().or(Some(KILLED)),
                };
                let prepared = self.processes[MAIN] != Process::None;
                return Some(if prepared { first_failure(or_killed) } else { KILLED });
            }
            _ => return None,
        };
        let asked = matches!(phase, Phase::Delaying { .. } | Phase::Stopping(_));
        match commands[id].role {
            Role::Main | Role::With { .. } => {
                let over = if asked {
                    !next.running().any(is_beside)
                } else {
                    policy.exit_when == ExitWhen::Any
                        || matches!(next.processes[MAIN], Process::Refused(_))
                        || counted().all(|process| process.status().is_some())
                };
                let alone = policy.exit_when == ExitWhen::Any && !asked;
                over.then(|| if alone { status } else { first_failure(Process::status) })
            }
            Role::Before if asked => {
                let last = !next.running().any(|id| commands[id].role == Role::Before);
                last.then_some(status)
            }
            Role::Before => {
                let fails = policy.preparation == Preparation::InOrder && status.code() != 0;
                fails.then_some(status)
            }
            Role::Stop | Role::After => None,
        }
    }

    /// What holds in each state by itself.
    pub(super) fn check_state(&self) {
        let Supervisor { policy, phase, decided, .. } = &self.supervisor;
        let over = matches!(phase, Phase::Draining(_) | Phase::Finishing { .. });
        assert!(!over || decided.is_some(), "the drain knows the status\n{self:?}");
        let timed = match phase {
            Phase::Preparing | Phase::Running | Phase::Done => false,
            Phase::Stopping(Ladder::Grace { .. }) => policy.kill_after.is_some(),
            Phase::Draining(Ladder::Grace { .. }) | Phase::Finishing { .. } => {
                policy.drain.is_some()
            }
            Phase::Delaying { .. }
            | Phase::Stopping(Ladder::Killed { .. })
            | Phase::Draining(Ladder::Killed { .. }) => true,
        };
        assert_eq!(
            self.supervisor.deadline().is_some(),
            timed,
            "a deadline exists exactly while something is timed\n{self:?}"
        );
        if *phase == Phase::Done {
            return;
        }
        for (id, command) in self.supervisor.commands.iter().enumerate() {
            if let State::Runs(child) = &command.state {
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
                supervisor.handle(
                    Event::Reaped(pid_of(id), Termination::Exited(0)),
                    self.now,
                    &mut actions,
                );
            }
            let mut started = Vec::new();
            while let Some(at) =
                actions.iter().position(|action| matches!(action, Action::Start(_)))
            {
                let Action::Start(id) = actions.remove(at) else { continue };
                supervisor.handle(Event::Started(id, pid_of(id)), self.now, &mut actions);
                started.push(id);
            }
            running = started;
            if running.is_empty() {
                supervisor.handle(Event::NoChildren, self.now, &mut actions);
            }
        }
        assert_eq!(supervisor.phase, Phase::Done, "nobody is left\n{self:?}");
    }

    /// Where nothing dies, not even by SIGKILL, we wait for a limited time after a stop, unless a
    /// limit is `never`.
    fn time_alone_ends_a_limited_stop(&self) {
        let (mut supervisor, mut now) = (self.supervisor.clone(), self.now);
        let Policy { stop_delay, kill_after, drain, .. } = &supervisor.policy;
        let has_after = supervisor.commands.iter().any(|command| command.role == Role::After);
        let drains = if has_after { 2 } else { 1 };
        let longest = *stop_delay
            + kill_after.unwrap_or_default()
            + drain.unwrap_or_default() * drains
            + LAST_WAIT * 2;
        let mut actions = Vec::new();
        while let Some(deadline) = supervisor.deadline() {
            now = now.max(deadline);
            for event in [Event::ChildrenLeft, Event::Elapsed] {
                supervisor.handle(event, now, &mut actions);
                while let Some(at) =
                    actions.iter().position(|action| matches!(action, Action::Start(_)))
                {
                    let Action::Start(id) = actions.remove(at) else { continue };
                    supervisor.handle(Event::Started(id, pid_of(id)), now, &mut actions);
                }
            }
        }
        assert!(now <= self.now + longest, "{now:?} is too late\n{self:?}");
        let unlimited = match supervisor.phase {
            Phase::Preparing | Phase::Running | Phase::Done => true,
            Phase::Stopping(_) => supervisor.policy.kill_after.is_none(),
            Phase::Draining(_) | Phase::Finishing { .. } => supervisor.policy.drain.is_none(),
            Phase::Delaying { .. } => false,
        };
        assert!(unlimited, "stuck in {:?}\n{self:?}", supervisor.phase);
    }
}

fn sent(actions: &[Action]) -> Vec<(Target, Received)> {
    actions
        .iter()
        .filter_map(
            |action| if let Action::Send(to, what) = action { Some((*to, *what)) } else { None },
        )
        .collect()
}

fn reaches(to: Target, id: CommandId) -> bool {
    match to {
        Target::Process(pid) | Target::Group(pid) => pid == pid_of(id),
        Target::Everyone => true,
    }
}

pub(super) fn rank(phase: Phase) -> u8 {
    match phase {
        Phase::Preparing => 0,
        Phase::Running => 1,
        Phase::Delaying { .. } => 2,
        Phase::Stopping(Ladder::Grace { .. }) => 3,
        Phase::Stopping(Ladder::Killed { .. }) => 4,
        Phase::Draining(Ladder::Grace { .. }) => 5,
        Phase::Draining(Ladder::Killed { .. }) => 6,
        Phase::Finishing { .. } => 7,
        Phase::Done => 8,
    }
}

fn is_killed(phase: Phase) -> bool {
    matches!(phase, Phase::Stopping(Ladder::Killed { .. }) | Phase::Draining(Ladder::Killed { .. }))
}
