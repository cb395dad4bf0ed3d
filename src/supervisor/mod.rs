//! Every decision of an init, in one pure state machine: events in, actions out.
//!
//! **Contract.** The caller feeds each event with the time at which it handles it, and performs the
//! returned actions in their order. How that went is no event, least of all a failed `kill`: the
//! truth comes from wait(2). (Only what nobody else would tell is answered at once: whether a
//! command was started, and what has become of the terminal.) [`Event::Begun`] comes first. In each
//! wake-up the caller feeds the signals first, then what wait(2) told, then [`Event::ChildrenLeft`]
//! or [`Event::NoChildren`], and last [`Event::CheckDeadline`], which counts only if
//! [`Supervisor::deadline`] has come: a child that died in time is never killed for being late.
//!
//! ```text
//!               stop signal                 delay over, or a second one
//!     Running ───────────────► Delaying ──────────────────────────────┐
//!     ▲  │   └───────(no delay)───────────────────────────────────────▼
//!     │  │                        │        Stopping: Grace ──kill-after──► Killed
//!     │  │                        │            ▲       │                     │
//!  Preparing ──── stop signal ────┼────────────┘       │                     │
//!     │  │                        │                    │                     │
//!     └──┴── the end is decided ──┴────────────────────┴─────────────────────┤
//!                                                                            ▼
//!          ┌─────── nobody is left ───────── Draining: Grace ────drain────► Killed
//!          ▼                                                                 │
//!      Finishing ◄─────────────────────── nobody is left, or last wait ──────┘
//!          │
//!          └──── the commands after all others have ended ────► Done
//! ```
#![forbid(unsafe_code)]

mod actions;
mod commands;
mod event;
#[cfg(test)]
mod explorer;
mod job;
mod phase;
mod stop;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use actions::{Action, Ending, Notice, Target};
use commands::{Command, State};
pub use commands::{CommandId, MAIN};
pub use event::Event;
pub use job::JobControl;
pub use phase::{Ladder, Phase, Time};

use crate::config::{Placement, Policy, Role};
use crate::pid::Pid;
use crate::signal::{Received, Sender, Signal};
use crate::status::ExitStatus;

/// How long to wait for the effect of a SIGKILL: a process in uninterruptible sleep must not hold
/// the container.
pub const LAST_WAIT: Duration = Duration::from_secs(1);

/// The state machine of an init.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Supervisor {
    policy: Policy,
    job_control: JobControl,
    phase: Phase,
    /// The main one first.
    commands: Vec<Command>,
    /// The signal that the stop sent, or that the stop command stands for.
    stop_signal: Option<Received>,
    /// The exit status; `Some` from when the end is decided, and never changed.
    decided: Option<ExitStatus>,
    /// The container stops because it was out of memory.
    out_of_memory: bool,
}

impl Supervisor {
    /// An init of commands of these roles, the main one first. Nothing is started yet.
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
            phase: Phase::Preparing,
            commands,
            stop_signal: None,
            decided: None,
            out_of_memory: false,
        }
    }

    /// Where in its life the container is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The main child's pid until it is reaped.
    #[must_use]
    pub fn main_pid(&self) -> Option<Pid> {
        self.main().map(|main| main.pid)
    }

    /// Whether this is the pid of a command that is not reaped yet.
    #[must_use]
    pub fn is_command(&self, pid: Pid) -> bool {
        self.children().any(|(_, child)| child.pid == pid)
    }

    /// How many actions may follow from one event.
    #[must_use]
    pub fn most_actions(&self) -> usize {
        // Each command gets two signals, and the drain is logged, with two more; so is what came
        // before it.
        2 * self.commands.len() + 7
    }

    /// When [`Event::CheckDeadline`] is due; `None`: nothing is timed.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::Preparing | Phase::Running | Phase::Done => None,
            Phase::Delaying { until, .. } => Some(until),
            Phase::Finishing { until } => until,
            Phase::Stopping(ladder) | Phase::Draining(ladder) => match ladder {
                Ladder::Grace { until, .. } => until,
                Ladder::Killed { until, .. } => Some(until),
            },
        }
    }

    /// Takes one event, handled at `now`, and adds what to do to `out`, at most
    /// [`Supervisor::most_actions`].
    pub fn handle(&mut self, event: Event, now: Time, out: &mut Vec<Action>) {
        if self.phase == Phase::Done {
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
            Event::Suspended(pid, signal) => self.stopped(pid, signal, now, out),
            Event::TerminalLent => self.continue_job(out),
            Event::TerminalNotLent(signal) => self.job_is_stopped(signal, now, out),
            Event::NotSuspended(signal) => self.not_suspended(signal, out),
            Event::Continued(pid) => self.continued(pid),
            Event::ChildrenLeft => self.children_left(now, out),
            Event::NoChildren => self.nobody_is_left(now, out),
            Event::CheckDeadline => {
                if self.deadline().is_some_and(|deadline| deadline <= now) {
                    self.elapsed(now, out);
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
        out.tell(Notice::Received(signal));
        if signal == Signal::CHLD {
            return;
        }
        // Not for a command, which has a group of its own.
        if received.from == Sender::Kernel && [Signal::TTIN, Signal::TTOU].contains(&signal) {
            return out.push(Action::ShareTerminal);
        }
        // What was received decides whether a stop begins; but one that is rewritten to nothing
        // does not even that.
        if let Some(rewritten) = self.policy.rewrite.apply(received) {
            if !self.has_reached_the_command(received) {
                self.pass_on(received, rewritten, now, out);
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

    fn pass_on(
        &mut self,
        received: Received,
        rewritten: Received,
        now: Time,
        out: &mut Vec<Action>,
    ) {
        let stops = self.policy.stop_on.contains(received.signal);
        match self.phase {
            // Nobody is asked to exit: the processes here are those of other containers.
            Phase::Running if stops && self.holds() => self.exit(ExitStatus::SUCCESS, out),
            Phase::Running if stops && !self.policy.stop_delay.is_zero() => {
                let delay = self.policy.stop_delay;
                out.push(Action::Tell(Notice::StopAsked(received.signal, delay)));
                self.phase = Phase::Delaying { held: rewritten, until: now.saturating_add(delay) };
            }
            // Nothing is served yet: there is nothing to wait for.
            Phase::Preparing | Phase::Running if stops => {
                out.push(Action::Tell(Notice::StopAsked(received.signal, Duration::ZERO)));
                self.stop(rewritten, now, out);
            }
            Phase::Delaying { held, .. } if stops => self.stop(held, now, out),
            Phase::Preparing
            | Phase::Running
            | Phase::Delaying { .. }
            | Phase::Stopping(_)
            | Phase::Finishing { .. } => {
                self.forward(rewritten, now, out);
            }
            Phase::Draining(Ladder::Grace { .. }) => out.send(Target::Everyone, rewritten),
            Phase::Draining(Ladder::Killed { .. }) | Phase::Done => {}
        }
    }

    /// To each command that runs. The stop command is nobody's to signal: it is itself the answer
    /// to one.
    fn forward(&mut self, received: Received, now: Time, out: &mut Vec<Action>) {
        let Policy { forward_to, placement, .. } = self.policy;
        for (_, child) in self.children_mut().filter(|(role, _)| *role != Role::Stop) {
            child.sends(received, now);
            // The terminal stops the whole group; continuing its leader alone would leave the rest
            // behind.
            let continues = received.signal == Signal::CONT && child.stopped;
            out.send(
                if continues { placement.job(child.pid) } else { child.target(forward_to) },
                received,
            );
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
