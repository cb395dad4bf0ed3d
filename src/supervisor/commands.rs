//! The commands: what starts when, and whose end decides.

use std::time::Duration;

use super::{Action, Ending, Life, Notice, Out, Phase, Supervisor, Target, Time};
use crate::config::{ExitWhen, ForwardTo, Policy, Preparation, Role};
use crate::process::Pid;
use crate::signal::{Received, Sender, Signal};
use crate::status::{ExitStatus, Termination};

/// The number of a command: 0 is the main one, then come the others in their order.
pub type CommandId = usize;

/// The main command's number.
pub const MAIN: CommandId = 0;

/// A command, and where in its life it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Command {
    pub(super) role: Role,
    pub(super) state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    Waiting,
    /// It is a child of ours, which is still to execute its program: that may take any time.
    Starting(Child),
    Runs(Child),
    Ended(End),
    /// It never ran; the status stands for that.
    NotStarted(ExitStatus),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct End {
    pub(super) status: ExitStatus,
    /// We had asked it, and it died of a signal, whichever: it was a wrapper.
    pub(super) was_killed_when_asked: bool,
}

/// A child, as long as it is not reaped: nothing can be sent to a pid that is no longer ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub(super) struct Child {
    pub(super) pid: Pid,
    pub(super) suspended: bool,
    /// It was sent a SIGCONT since then, and has not told yet that it goes on.
    pub(super) continues: bool,
    /// When we sent it a SIGTSTP: the stop that follows is wanted.
    pub(super) tstp_sent: Option<Time>,
    /// It was suspended while it was asked to exit, and was continued for that. Once: whatever
    /// suspends it again means it.
    pub(super) continued: bool,
    /// The signal by which it was asked to exit, or that the stop command stands for.
    pub(super) asked: Option<Signal>,
    /// The stop command asks it, and it alone: its process group has heard of nothing.
    pub(super) asked_by_command: bool,
    /// It was told that it has not ended.
    pub(super) explained: bool,
    /// How long after that our SIGKILL went out.
    pub(super) killed: Option<Duration>,
}

impl Command {
    pub(super) fn new(role: Role) -> Self {
        Self { role, state: State::Waiting }
    }

    pub(super) fn child(&self) -> Option<&Child> {
        match &self.state {
            State::Starting(child) | State::Runs(child) => Some(child),
            State::Waiting | State::Ended(_) | State::NotStarted(_) => None,
        }
    }

    fn child_mut(&mut self) -> Option<&mut Child> {
        match &mut self.state {
            State::Starting(child) | State::Runs(child) => Some(child),
            State::Waiting | State::Ended(_) | State::NotStarted(_) => None,
        }
    }

    fn status(&self) -> Option<ExitStatus> {
        match self.state {
            State::Ended(End { status, .. }) | State::NotStarted(status) => Some(status),
            State::Waiting | State::Starting(_) | State::Runs(_) => None,
        }
    }
}

impl Child {
    /// Keeps in mind what makes a suspension a wanted one. At the terminal, it was typed for
    /// whoever had the foreground.
    pub(super) fn gets(&mut self, what: Received, now: Time) {
        if what.signal == Signal::TSTP && what.from != Sender::Kernel {
            self.tstp_sent = Some(now);
        }
    }

    pub(super) fn target(&self, forward_to: ForwardTo) -> Target {
        match forward_to {
            ForwardTo::Child => Target::Process(self.pid),
            ForwardTo::Group => Target::Group(self.pid),
        }
    }
}

impl Supervisor {
    pub(super) fn main(&self) -> Option<&Child> {
        self.commands.first().and_then(Command::child)
    }

    /// Those that run.
    pub(super) fn children(&self) -> impl Iterator<Item = (Role, &Child)> {
        self.commands.iter().filter_map(|command| Some((command.role, command.child()?)))
    }

    pub(super) fn children_mut(&mut self) -> impl Iterator<Item = (Role, &mut Child)> {
        self.commands.iter_mut().filter_map(|command| Some((command.role, command.child_mut()?)))
    }

    /// Whether the container ends if this command cannot be started, or with the status of that.
    fn needs(&self, id: CommandId) -> bool {
        match self.commands.get(id).map(|command| command.role) {
            Some(Role::Main) => true,
            Some(Role::Before) => self.policy.preparation == Preparation::InOrder,
            Some(Role::With { watched }) => watched || self.policy.exit_when == ExitWhen::Any,
            Some(Role::Stop | Role::After) | None => false,
        }
    }

    /// The next command of this kind that was not started yet.
    pub(super) fn waiting(&self, is_next: impl Fn(Role) -> bool) -> Option<CommandId> {
        self.commands
            .iter()
            .position(|command| command.state == State::Waiting && is_next(command.role))
    }

    pub(super) fn begin(&mut self, out: &mut Vec<Action>) {
        let before =
            self.commands.iter().enumerate().filter(|(_, command)| command.role == Role::Before);
        let at_once = match self.policy.preparation {
            Preparation::InOrder => 1,
            Preparation::Together => usize::MAX,
        };
        out.extend(before.take(at_once).map(|(id, _)| Action::Start(id)));
        if out.is_empty() {
            self.start_main(out);
        }
    }

    /// If there is one: an init without a command only holds its namespaces.
    fn start_main(&mut self, out: &mut Vec<Action>) {
        self.life = Life::Running;
        out.extend((!self.holds()).then_some(Action::Start(MAIN)));
    }

    /// Whether there is no command.
    pub(super) fn holds(&self) -> bool {
        self.commands.is_empty()
    }

    pub(super) fn started(&mut self, id: CommandId, pid: Pid) {
        if let Some(command) = self.commands.get_mut(id) {
            command.state = State::Starting(Child {
                pid,
                suspended: false,
                continues: false,
                tstp_sent: None,
                continued: false,
                asked: None,
                asked_by_command: false,
                explained: false,
                killed: None,
            });
        }
    }

    pub(super) fn executed(&mut self, id: CommandId, out: &mut Vec<Action>) {
        let Some(command) = self.commands.get_mut(id) else { return };
        if let State::Starting(child) = command.state {
            command.state = State::Runs(child);
            if command.role.is_beside() {
                self.start_beside(out);
            }
        }
    }

    /// One more beside the main command, as long as nothing ends the container.
    fn start_beside(&self, out: &mut Vec<Action>) {
        let goes_on = self.phase() == Phase::Running && self.decided.is_none();
        let next = self.waiting(|role| matches!(role, Role::With { .. }));
        out.extend(next.filter(|_| goes_on).map(Action::Start));
    }

    pub(super) fn not_started(
        &mut self,
        id: CommandId,
        status: ExitStatus,
        now: Time,
        out: &mut Vec<Action>,
    ) {
        let decides = self.needs(id);
        let Some(command) = self.commands.get_mut(id) else { return };
        // Nobody waits for it any longer.
        if let State::Ended(_) = command.state {
            return;
        }
        command.state = State::NotStarted(status);
        let role = command.role;
        out.tell(Notice::NotStarted { command: id, decides });
        self.ended(role, status, now, out);
        if matches!(role, Role::With { .. }) {
            self.start_beside(out);
        }
        // Without any process of ours there is nothing to stop or to drain.
        let nothing_ran = self
            .commands
            .iter()
            .all(|command| matches!(command.state, State::Waiting | State::NotStarted(_)));
        let goes_on = self.life != Life::Done;
        if let (true, true, Some(status)) = (goes_on, nothing_ran, self.decided) {
            self.exit(status, out);
        }
    }

    pub(super) fn reaped(
        &mut self,
        pid: Pid,
        termination: Termination,
        now: Time,
        out: &mut Vec<Action>,
    ) {
        let Some(id) = self
            .commands
            .iter()
            .position(|command| command.child().is_some_and(|child| child.pid == pid))
        else {
            return;
        };
        let Some(command) = self.commands.get_mut(id) else { return };
        let Some(&Child { asked, killed, .. }) = command.child() else { return };
        let never_ran = matches!(command.state, State::Starting(_));
        let status = ExitStatus::from(termination);
        let role = command.role;
        let status =
            if role.is_beside() { status.remapped(&self.policy.remap_exit) } else { status };
        let died = matches!(termination, Termination::Killed { .. });
        let end = End { status, was_killed_when_asked: died && asked.is_some() };
        command.state = State::Ended(end);
        // Whoever else has decided for success.
        self.killed.main |=
            role == Role::Main && died && killed.is_some() && self.decided.is_some();

        let unasked = self.stop.is_none() && self.decided.is_none();
        let at = out.len();
        self.ended(role, status, now, out);
        let decides = unasked
            && self.decided.is_some()
            && (role == Role::Before || self.policy.exit_when == ExitWhen::Any);
        let ending = Ending { pid, termination, asked_by: asked, killed_after: killed, decides };
        out.insert(at, Action::Tell(Notice::Ended(id, ending)));
        if never_ran && role.is_beside() {
            self.start_beside(out);
        }
        if role == Role::Main {
            out.push(Action::ReclaimTerminal);
            if let (true, Some(term)) =
                (self.policy.term_group_at_exit, self.policy.rewrite.apply(Signal::TERM.into()))
            {
                out.send(Target::Group(pid), term);
            }
        }
    }

    /// What follows from the end of a command, or from the lack of one.
    fn ended(&mut self, role: Role, status: ExitStatus, now: Time, out: &mut Vec<Action>) {
        match role {
            Role::Before => self.before_ended(status, out),
            Role::Main | Role::With { .. } => self.decide(role, status, now, out),
            Role::Stop if status != ExitStatus::SUCCESS => self.stop_command_failed(now, out),
            Role::Stop => {}
            Role::After => self.finish(out),
        }
    }

    fn before_ended(&mut self, status: ExitStatus, out: &mut Vec<Action>) {
        let is_before = |role| role == Role::Before;
        let waiting = self.waiting(is_before);
        let runs = self.children().any(|(role, _)| is_before(role));
        match (self.phase(), self.policy.preparation) {
            (Phase::Preparing, Preparation::InOrder) if status == ExitStatus::SUCCESS => {
                match waiting {
                    Some(next) => out.push(Action::Start(next)),
                    None => self.start_main(out),
                }
            }
            (Phase::Preparing, Preparation::Together) if waiting.is_none() && !runs => {
                self.start_main(out);
            }
            // It has failed, or was asked to exit: nothing else starts.
            (Phase::Preparing, Preparation::InOrder) => {
                self.decided = self.decided.or(Some(status));
            }
            (Phase::Stopping, _) if !runs => self.decided = self.decided.or(Some(status)),
            (
                Phase::Preparing
                | Phase::Running
                | Phase::Delaying
                | Phase::Stopping
                | Phase::Draining
                | Phase::Finishing
                | Phase::Done,
                _,
            ) => {}
        }
    }

    /// Whether the end of a command, with this status, is the end of the container: the others that
    /// still run are asked then.
    pub(super) fn decide(
        &mut self,
        role: Role,
        status: ExitStatus,
        now: Time,
        out: &mut Vec<Action>,
    ) {
        if self.life != Life::Running || self.decided.is_some() {
            return;
        }
        let Policy { exit_when, .. } = self.policy;
        let is_main_missing =
            matches!(self.commands.first(), Some(Command { state: State::NotStarted(_), .. }));
        let over = match exit_when {
            ExitWhen::Any => self.stop.is_none() || role == Role::Main,
            ExitWhen::Main => role == Role::Main,
            ExitWhen::Watched => {
                // Once a stop was asked for, nobody starts any more.
                let is_over = |command: &Command| {
                    command.status().is_some()
                        || (self.stop.is_some() && command.state == State::Waiting)
                };
                let mut watched = self.commands.iter().filter(|command| command.role.is_watched());
                is_main_missing || watched.all(is_over)
            }
            ExitWhen::Empty => is_main_missing,
        };
        if over {
            let unasked = exit_when == ExitWhen::Any && self.stop.is_none();
            self.decided = Some(if unasked { status } else { self.status() });
            self.ask_others(now, out);
        }
    }

    /// The status of a container whose commands have ended.
    pub(super) fn status(&self) -> ExitStatus {
        let counts = |command: &&Command| match self.policy.exit_when {
            ExitWhen::Any | ExitWhen::Main => command.role == Role::Main,
            ExitWhen::Watched => command.role.is_watched(),
            ExitWhen::Empty => command.role.is_beside(),
        };
        let mut statuses = self.commands.iter().filter(counts).filter_map(Command::status);
        statuses.find(|status| *status != ExitStatus::SUCCESS).unwrap_or(ExitStatus::SUCCESS)
    }
}
