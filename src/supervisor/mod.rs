//! Every decision of an init, in one pure state machine: events in, actions out.
//!
//! **Contract.** The caller feeds each event with the time at which it handles it, and performs the
//! returned actions in their order. How that went is no event, least of all a failed `kill`: the
//! truth comes from wait(2). (Only what nobody else would tell is answered: whether a command was
//! started, what has become of the terminal, that SIGKILL was refused, that nobody is left of those
//! who are nobody's children.) [`Event::Begun`] comes first. In each wake-up the caller feeds the
//! signals first, then what wait(2) told, then [`Event::ChildrenLeft`] or [`Event::NoChildren`],
//! and last [`Event::CheckDeadline`], which counts only if [`Supervisor::deadline`] has come: a
//! child that died in time is never killed for being late.
//!
//! **One way to the end.** A container lives through these steps, whatever ends it:
//!
//! ```text
//!   Preparing ──► Running ──► Draining ──► Finishing ──► Done
//!   --before      commands    the rest     --after
//! ```
//!
//! That a stop was asked for is a fact beside that, with a clock of its own (`stopping.rs`): it is held
//! for `--stop-delay`, goes out once to each command, and ends in SIGKILL. When the end is decided
//! and other commands still run, they are asked in the same way, whoever has asked for the end. When
//! none is left, the drain asks the remaining processes (see [`charges`] for whom and when).
#![forbid(unsafe_code)]

mod actions;
pub mod charges;
mod clock;
mod commands;
mod draining;
mod event;
#[cfg(test)]
mod explorer;
mod job;
mod phase;
mod stopping;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use actions::{Action, AskedWay, DrainSignals, Ending, Moment, Notice, Target};
pub use clock::Clock;
use commands::{Command, State};
pub use commands::{CommandId, MAIN};
use draining::Drain;
pub use event::Event;
pub use job::JobControl;
pub use phase::{Phase, Time};
use stopping::Stop;

use crate::config::{AskWith, Placement, Policy, Role};
use crate::process::Pid;
use crate::signal::{Received, Sender, Signal};
use crate::status::ExitStatus;

/// How long to wait for the effect of a SIGKILL: a process in uninterruptible sleep must not hold
/// the container.
pub const KILL_WAIT: Duration = Duration::from_secs(1);

/// The state machine of an init.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Supervisor {
    policy: Policy,
    job_control: JobControl,
    life: Life,
    /// The main one first.
    commands: Vec<Command>,
    /// A stop was asked for, or the other commands are asked since the end is decided.
    stop: Option<Stop>,
    /// The exit status; `Some` from when the end is decided, and never changed.
    decided: Option<ExitStatus>,
    /// What makes it 137 after all.
    killed: Killed,
    /// Whoever types ^C may mean the commands, and not the container: stdin is a terminal.
    interactive: bool,
}

/// Where in its life the container is, apart from a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Life {
    Preparing,
    Running,
    Draining(Drain),
    /// The commands after all others run, until then.
    Finishing {
        until: Time,
    },
    Done,
}

/// What makes the exit status 137.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Killed {
    /// The container stops because memory ran out.
    out_of_memory: bool,
    /// The main command, by our SIGKILL, after another had decided for success.
    main: bool,
}

impl Supervisor {
    /// An init of these commands, the main one first; without any it only holds the namespaces.
    /// Nothing is started yet.
    #[must_use]
    pub fn new(
        policy: Policy,
        job_control: JobControl,
        roles: impl IntoIterator<Item = Role>,
    ) -> Self {
        let commands = roles.into_iter().map(Command::new).collect();
        Self {
            policy,
            job_control,
            life: Life::Preparing,
            commands,
            stop: None,
            decided: None,
            killed: Killed::default(),
            interactive: false,
        }
    }

    /// stdin is a terminal: ^C may be meant for the commands, and not for the container.
    #[must_use]
    pub fn interactive(mut self) -> Self {
        self.interactive = true;
        self
    }

    /// Whether a drain may ask anybody.
    #[must_use]
    pub fn drains(&self) -> bool {
        !self.asks_nobody() && self.policy.ask_with != AskWith::Nothing
    }

    /// Where in its life the container is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match (self.life, &self.stop) {
            (Life::Preparing | Life::Running, Some(Stop { held: Some(_), .. })) => Phase::Delaying,
            (Life::Preparing | Life::Running, Some(_)) => Phase::Stopping,
            (Life::Preparing, None) => Phase::Preparing,
            (Life::Running, None) => Phase::Running,
            (Life::Draining(_), _) => Phase::Draining,
            (Life::Finishing { .. }, _) => Phase::Finishing,
            (Life::Done, _) => Phase::Done,
        }
    }

    /// The pid of a command's child until it is reaped.
    #[must_use]
    pub fn pid(&self, command: CommandId) -> Option<Pid> {
        self.commands.get(command)?.child().map(|child| child.pid)
    }

    /// Whether this is the pid of a command that is not reaped yet.
    #[must_use]
    pub fn is_command(&self, pid: Pid) -> bool {
        self.children().any(|(_, child)| child.pid == pid)
    }

    /// How many actions may follow from one event.
    #[must_use]
    pub fn most_actions(&self) -> usize {
        // Each command gets two signals, and the rest is about the end of one and what follows.
        2 * self.commands.len() + 8
    }

    /// When [`Event::CheckDeadline`] is due; `None`: nothing is timed.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        match &self.life {
            Life::Preparing | Life::Running => self.stop.as_ref().and_then(Stop::deadline),
            Life::Draining(drain) => drain.deadline(),
            Life::Finishing { until } => Some(*until),
            Life::Done => None,
        }
    }

    /// Takes one event, handled at `now`, and adds what to do to `out`, at most
    /// [`Supervisor::most_actions`].
    pub fn handle(&mut self, event: Event, now: Time, out: &mut Vec<Action>) {
        if self.life == Life::Done {
            return;
        }
        match event {
            Event::Begun => self.begin(out),
            Event::Started(command, pid) => self.started(command, pid),
            Event::Executed(command, _) => self.executed(command, out),
            Event::NotStarted(command, status) => self.not_started(command, status, now, out),
            Event::Signaled(received) => self.signaled(received, now, out),
            Event::OutOfMemory(kills) => self.ran_out_of_memory(kills, out),
            Event::Reaped(pid, termination) => self.reaped(pid, termination, now, out),
            Event::Suspended(pid, signal) => self.suspended(pid, signal, now, out),
            Event::TerminalLent => self.continue_job(out),
            Event::TerminalNotLent(signal) => self.job_is_suspended(signal, now, out),
            Event::NotSuspended(signal) => self.not_suspended(signal, out),
            Event::Continued(pid) => self.continued(pid),
            Event::ChildrenLeft { died } => self.children_left(died, now, out),
            Event::NoChildren => self.no_children(now, out),
            Event::NobodyLeft => self.nobody_left(out),
            Event::NotKilled => self.not_killed(now),
            Event::CheckDeadline(due) => {
                if self.deadline().is_some_and(|deadline| deadline <= now) {
                    self.time_is_up(due, now, out);
                }
            }
        }
    }

    fn signaled(&mut self, received: Received, now: Time, out: &mut Vec<Action>) {
        let signal = received.signal;
        // Not even a line: where stderr is broken, it would be the next such signal.
        if received.from == Sender::Ourselves {
            return;
        }
        out.tell(Notice::Received(received));
        if signal == Signal::CHLD {
            return;
        }
        // Not for a command, which has a group of its own.
        if received.from == Sender::Kernel && [Signal::TTIN, Signal::TTOU].contains(&signal) {
            return out.push(Action::ShareTerminal);
        }
        // What was received decides whether a stop begins; but one that is rewritten to nothing
        // does not even that.
        let rewritten = self.policy.rewrite.apply(received);
        if let Some(rewritten) = rewritten.filter(|_| !self.has_reached_the_command(received)) {
            if self.policy.stop_on.contains(signal) {
                self.stop_signal(received, rewritten, now, out);
            } else {
                self.forward(rewritten, now, out);
            }
        }
        if self.policy.suspend_on.contains(signal) {
            out.push(Action::SuspendAlone);
        }
    }

    /// What is typed at the terminal goes to its whole foreground group, and so to a command that
    /// shares ours.
    fn has_reached_the_command(&self, received: Received) -> bool {
        let typed = [Signal::INT, Signal::QUIT, Signal::TSTP, Signal::WINCH];
        self.policy.placement == Placement::SharedGroup
            && received.from == Sender::Kernel
            && typed.contains(&received.signal)
    }

    /// What is no stop signal is for the main command alone: what means "reload" to it kills its
    /// helper. Job control is for what runs in its place.
    fn forward(&mut self, received: Received, now: Time, out: &mut Vec<Action>) {
        let signal = received.signal;
        let job_control = [Signal::CONT, Signal::TSTP, Signal::TTIN, Signal::TTOU, Signal::WINCH];
        let is_job_control = job_control.contains(&signal);
        if self.life == Life::Preparing && !is_job_control {
            return out.tell(Notice::Dropped(signal));
        }
        self.pass(
            received,
            now,
            |role| role == Role::Main || (is_job_control && role.is_job()),
            out,
        );
        if signal == Signal::TSTP && received.from == Sender::Kernel {
            self.typed_to_a_suspended_job(now, out);
        }
    }

    /// Sends it on to the commands of these roles.
    fn pass(
        &mut self,
        received: Received,
        now: Time,
        to: impl Fn(Role) -> bool,
        out: &mut Vec<Action>,
    ) {
        let Policy { forward_to, placement, .. } = self.policy;
        for (_, child) in self.children_mut().filter(|(role, _)| to(*role)) {
            child.gets(received, now);
            // The terminal stops the whole group; continuing its leader alone would leave the rest
            // behind.
            let continues = received.signal == Signal::CONT && child.suspended;
            let target =
                if continues { placement.job(child.pid) } else { child.target(forward_to) };
            child.continues |= continues;
            out.send(target, received);
        }
    }
}

/// Adding to the list of actions.
trait Out {
    fn send(&mut self, to: Target, what: impl Into<Received>);
    fn tell(&mut self, notice: Notice);
}

impl Out for Vec<Action> {
    fn send(&mut self, to: Target, what: impl Into<Received>) {
        self.push(Action::Send(to, what.into()));
    }

    fn tell(&mut self, notice: Notice) {
        self.push(Action::Tell(notice));
    }
}
