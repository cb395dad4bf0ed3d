//! What must hold in each step and in each state.

use super::world::{Process, World};
use super::*;

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
        assert!(
            before.decided.is_none() || before.decided == after.decided,
            "the status is decided once\n{}",
            context()
        );
        if let Some(Action::Finish(status)) = actions.last() {
            let lost = actions.contains(&Action::Tell(Notice::Lost));
            let decided = match () {
                () if lost => Some(ExitStatus::OWN_FAILURE),
                () if self.commands() == 0 => Some(ExitStatus::SUCCESS),
                () => after.decided,
            };
            let killed = ExitStatus::from_code(137);
            assert_eq!(
                Some(*status),
                if after.out_of_memory { Some(killed) } else { decided },
                "the status\n{}",
                context()
            );
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
        if event == Event::CheckDeadline
            && before.deadline().is_some_and(|deadline| deadline <= self.now)
        {
            assert!(
                rank(after.phase) > rank(before.phase),
                "a deadline that has come moves us on\n{}",
                context()
            );
        }
        self.check_decision(event, next);
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
                        && self.processes[MAIN] != Process::None
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
        assert_eq!(actions.contains(&Action::SuspendAlone), stops_us, "{received:?}\n{self:?}");
        if policy.placement == Placement::SharedGroup && received.from == Sender::Kernel {
            return assert!(
                sent.is_empty(),
                "{received:?} has come by the terminal\n{self:?}\n{sent:?}"
            );
        }
        let never = |what: Received| !sent.iter().any(|(_, sent)| *sent == what);
        if received.from == Sender::Ourselves {
            return assert!(actions.is_empty(), "not for anybody: {actions:?}\n{self:?}");
        }
        if received.from == Sender::Kernel && received.signal == Signal::TTIN {
            let shares = actions.contains(&Action::ShareTerminal);
            return assert!(
                never(received) && shares == (self.supervisor.phase != Phase::Done),
                "the terminal is wanted by the rest of our group\n{self:?}\n{actions:?}"
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
        self.running().any(|id| self.supervisor.commands[id].child().is_none())
    }

    /// Whose end is the end, and with which status.
    fn check_decision(&self, event: Event, next: &World) {
        let (before, after) = (&self.supervisor, &next.supervisor);
        let Event::Reaped(pid, termination) = event else { return };
        let Some(id) = self.running().find(|id| pid_of(*id) == pid) else { return };
        if before.decided.is_some() {
            return;
        }
        let status = ExitStatus::from(termination);
        let role = before.commands[id].role;
        let beside =
            |id: &CommandId| matches!(after.commands[*id].role, Role::Main | Role::With { .. });
        let watched = |id: &CommandId| {
            matches!(after.commands[*id].role, Role::Main | Role::With { watched: true })
        };
        let ended = |id: CommandId| match after.commands[id].state {
            State::Ended(status) | State::NotStarted(status) => Some(status),
            State::Waiting | State::Starting(_) | State::Runs(_) => None,
        };
        let first_failure = || {
            let mut statuses = (0..after.commands.len()).filter(watched).filter_map(ended);
            statuses.find(|status| status.code() != 0).unwrap_or(ExitStatus::SUCCESS)
        };
        let main = || ended(MAIN).unwrap();
        let asked = matches!(before.phase, Phase::Delaying { .. } | Phase::Stopping(_));
        let expected = match (role, after.policy.exit_when) {
            (Role::Main | Role::With { .. }, _)
                if asked && next.running().any(|id| beside(&id)) =>
            {
                None
            }
            (Role::Main | Role::With { .. }, ExitWhen::Any) => {
                Some(if asked { main() } else { status })
            }
            (Role::Main | Role::With { .. }, ExitWhen::Watched) => {
                let all = asked
                    || (0..after.commands.len()).filter(watched).all(|id| ended(id).is_some());
                all.then(first_failure)
            }
            (Role::Before, _) if asked => {
                (!next.running().any(|id| after.commands[id].role == Role::Before))
                    .then_some(status)
            }
            (Role::Before, _) => (after.policy.preparation == Preparation::InOrder
                && status.code() != 0)
                .then_some(status),
            (Role::Stop | Role::After, _) => None,
        };
        assert_eq!(after.decided, expected, "whose end decides\n{self:?}\n{event:?}\n{next:?}");
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
        if self.commands() == 0 {
            // Only a stop signal ends what holds namespaces.
            let stop = Event::Signaled(Signal::TERM.into());
            supervisor.handle(stop, self.now, &mut actions);
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
            for event in [Event::ChildrenLeft, Event::CheckDeadline] {
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
