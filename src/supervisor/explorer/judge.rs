//! What must come of what has happened, found out from the contract and without the supervisor.

use super::world::{Judge, Process, World};
use super::*;

impl World {
    /// Takes in what has happened and what was done about it.
    pub(super) fn judge_step(&mut self, before: &World, event: Event, actions: &[Action]) {
        self.judge_actions(actions);
        let policy = before.supervisor.policy.clone();
        let lives = matches!(before.supervisor.life, Life::Preparing | Life::Running);
        match event {
            Event::Signaled(received) if lives && before.begins_stop(received) => {
                let held = !self.judge.stop_asked
                    && before.supervisor.life == Life::Running
                    && self.commands() > 0
                    && !policy.stop_delay.is_zero();
                (self.judge.stop_asked, self.judge.held) = (true, held);
            }
            Event::OutOfMemory(_) if lives && policy.exit_on_oom && self.commands() > 0 => {
                self.judge.out_of_memory |= before.judge.status.is_none();
            }
            Event::ChildrenLeft { .. }
                if self.judge.out_of_memory && before.judge.status.is_none() && lives =>
            {
                self.judge.stop_asked |= before.running().next().is_some();
            }
            _ => {}
        }
        let ended = match event {
            Event::Reaped(pid, termination) => {
                let id = before.running().find(|id| pid_of(*id) == pid);
                id.map(|id| (id, ExitStatus::from(termination)))
            }
            Event::NotStarted(id, status) if before.records[id].status.is_none() => {
                Some((id, status))
            }
            _ => None,
        };
        if let Some((id, status)) = ended
            && before.records[id].status.is_none()
        {
            self.records[id].status = Some(status);
            let died_of_us = before.records[id].killed
                && matches!(event, Event::Reaped(_, Termination::Killed { .. }));
            self.judge.main_killed |= id == MAIN && died_of_us && before.judge.status.is_some();
            self.decide(before, id, status);
        }
        let gave_up = actions.contains(&Action::Tell(Notice::Unkillable));
        if gave_up {
            self.give_up(before);
        }
        let over = matches!(event, Event::NoChildren | Event::ChildrenLeft { .. }) || gave_up;
        if over
            && policy.exit_when == ExitWhen::Empty
            && self.judge.status.is_none()
            && (before.no_command_left() || (gave_up && self.no_command_left()))
            && before.supervisor.life == Life::Running
            && (event == Event::NoChildren || (self.judge.stop_asked && !before.is_held()))
        {
            self.judge.status = Some(self.first_failure(Role::is_beside));
        }
    }

    fn judge_actions(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Ask(target, _) => {
                    for id in self.running().collect::<Vec<_>>() {
                        self.records[id].asked |= reaches(*target, id);
                    }
                }
                Action::AskedByCommand(pid) => {
                    let id = self.running().find(|id| pid_of(*id) == *pid).unwrap();
                    self.records[id].asked = true;
                }
                Action::Kill(target) => {
                    for id in self.running().collect::<Vec<_>>() {
                        self.records[id].killed |= reaches(*target, id);
                    }
                }
                Action::Tell(Notice::Interrupted(_)) => {
                    self.judge.stop_asked = false;
                    self.records.iter_mut().for_each(|record| record.asked = false);
                }
                _ => {}
            }
        }
    }

    /// Whether this signal asks for a stop.
    pub(super) fn begins_stop(&self, received: Received) -> bool {
        let policy = &self.supervisor.policy;
        let is_typed =
            policy.placement == Placement::SharedGroup && received.from == Sender::Kernel;
        policy.stop_on.contains(received.signal)
            && policy.rewrite.apply(received).is_some()
            && received.from != Sender::Ourselves
            && !is_typed
    }

    pub(super) fn is_held(&self) -> bool {
        self.supervisor.phase() == Phase::Delaying
    }

    fn no_command_left(&self) -> bool {
        (0..self.commands()).all(|id| !self.runs(id) || self.records[id].status.is_some())
    }

    /// Whose end is the end, and with which status.
    fn decide(&mut self, before: &World, id: CommandId, status: ExitStatus) {
        if self.judge.status.is_some() {
            return;
        }
        let policy = &before.supervisor.policy;
        let asked = before.judge.stop_asked;
        let main_missing = |world: &World| {
            world.records[MAIN].status.is_some() && world.processes[MAIN] != Process::Reaped
                || matches!(world.supervisor.commands[MAIN].state, State::NotStarted(_))
        };
        let role = self.role(id);
        let decided = match (role, before.supervisor.life) {
            (Role::Before, Life::Preparing) => {
                let runs = self.running().any(|id| self.role(id) == Role::Before);
                if asked && !before.is_held() {
                    (!runs).then_some(status)
                } else {
                    (policy.preparation == Preparation::InOrder && status != ExitStatus::SUCCESS)
                        .then_some(status)
                }
            }
            (Role::Main | Role::With { .. }, Life::Running) => match policy.exit_when {
                ExitWhen::Any if !asked => Some(status),
                ExitWhen::Any | ExitWhen::Main => {
                    if role == Role::Main {
                        Some(status)
                    } else {
                        None
                    }
                }
                ExitWhen::Watched => {
                    let all =
                        (0..self.commands()).filter(|id| self.role(*id).is_watched()).all(|id| {
                            let never = asked && self.processes[id] == Process::None;
                            self.records[id].status.is_some() || never
                        });
                    (all || main_missing(self)).then(|| self.first_failure(Role::is_watched))
                }
                ExitWhen::Empty => main_missing(self).then(|| self.first_failure(Role::is_beside)),
            },
            _ => None,
        };
        self.judge.status = decided;
    }

    fn first_failure(&self, counts: fn(Role) -> bool) -> ExitStatus {
        let mut statuses = (0..self.commands())
            .filter(|id| counts(self.role(*id)))
            .filter_map(|id| self.records[id].status);
        statuses.find(|status| *status != ExitStatus::SUCCESS).unwrap_or(ExitStatus::SUCCESS)
    }

    /// Those whom SIGKILL did not end count as killed.
    fn give_up(&mut self, before: &World) {
        let killed = ExitStatus::from_code(137);
        let given_up: Vec<_> = (0..self.commands())
            .filter(|id| self.runs(*id) && self.records[*id].killed)
            .filter(|id| self.records[*id].status.is_none())
            .collect();
        for id in &given_up {
            self.records[*id].status = Some(killed);
        }
        if before.supervisor.life == Life::Preparing {
            self.judge.status.get_or_insert(killed);
        }
        for id in given_up {
            let asked = Judge { stop_asked: before.judge.stop_asked, ..self.judge };
            self.judge = asked;
            self.decide(before, id, killed);
        }
    }
}

pub(super) fn reaches(to: Target, id: CommandId) -> bool {
    match to {
        Target::Process(pid) | Target::Group(pid) => pid == pid_of(id),
        Target::Everyone => true,
    }
}
