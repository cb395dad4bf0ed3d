//! Job control: what becomes of us, and of the terminal, when the main child is suspended, or a
//! command that runs while there is none.

use std::time::Duration;

use super::commands::Child;
use super::{Action, Life, Out, Supervisor, Target, Time};
use crate::config::{Placement, Policy, Role};
use crate::process::Pid;
use crate::signal::Signal;

/// What becomes of us when the main child is suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobControl {
    /// Nobody here does job control: nothing.
    Absent,
    /// A shell above us does: suspend as well, so that it sees its job stopped.
    Above,
    /// There is a terminal, but nobody above us in its session who could `fg` anything: a ^Z typed
    /// there is undone.
    NobodyAbove,
}

/// A suspension that comes later than this after our SIGTSTP is not its effect.
const EFFECT_OF_TSTP: Duration = Duration::from_secs(1);

impl Supervisor {
    pub(super) fn suspended(&mut self, pid: Pid, signal: Signal, now: Time, out: &mut Vec<Action>) {
        let Policy { placement, .. } = self.policy;
        let Some((role, child)) = self.children_mut().find(|(_, child)| child.pid == pid) else {
            return;
        };
        (child.suspended, child.continues) = (true, false);
        // It may have been suspended before it was asked to exit: we hear of signals first.
        if child.asked.is_some() && !std::mem::replace(&mut child.continued, true) {
            return out.send(placement.job(pid), Signal::CONT);
        }
        if !role.is_job() {
            return;
        }
        // It wants the terminal, and we may have it to give.
        if role == Role::Main
            && self.job_control != JobControl::Absent
            && [Signal::TTIN, Signal::TTOU].contains(&signal)
        {
            return out.push(Action::LendTerminal(signal));
        }
        self.job_is_suspended(signal, now, out);
    }

    /// It is, and the terminal cannot help it.
    pub(super) fn job_is_suspended(&mut self, signal: Signal, now: Time, out: &mut Vec<Action>) {
        let Some((_, job)) = self.children_mut().filter(|(role, _)| role.is_job()).last() else {
            return;
        };
        let wanted =
            job.tstp_sent.take().is_some_and(|sent| now.saturating_sub(sent) <= EFFECT_OF_TSTP);
        // What comes last is short: it goes on.
        let running = matches!(self.life, Life::Preparing | Life::Running);
        match self.job_control {
            JobControl::Above if running => out.push(Action::Suspend(signal)),
            // Only SIGTSTP: a background job stopped for its terminal access would stop again at
            // once.
            JobControl::Above | JobControl::NobodyAbove
                if signal == Signal::TSTP && !(running && wanted) =>
            {
                self.continue_job(out);
            }
            JobControl::Absent | JobControl::Above | JobControl::NobodyAbove => {}
        }
    }

    /// A ^Z that came before we could continue the job has taken the shell's SIGCONT from us
    /// (signal(7): each of them discards the other), and the job has nothing new to report.
    pub(super) fn typed_to_a_suspended_job(&mut self, now: Time, out: &mut Vec<Action>) {
        let is_still = |job: &Child| job.suspended && !job.continues;
        if self.job_control == JobControl::Above && self.job().is_some_and(is_still) {
            self.job_is_suspended(Signal::TSTP, now, out);
        }
    }

    pub(super) fn not_suspended(&self, signal: Signal, out: &mut Vec<Action>) {
        if signal == Signal::TSTP && self.job().is_some_and(|job| job.suspended) {
            self.continue_job(out);
        }
    }

    pub(super) fn continue_job(&self, out: &mut Vec<Action>) {
        if let Some(job) = self.job() {
            out.send(self.policy.placement.job(job.pid), Signal::CONT);
        }
    }

    fn job(&self) -> Option<&Child> {
        self.children().filter(|(role, _)| role.is_job()).last().map(|(_, child)| child)
    }

    pub(super) fn continued(&mut self, pid: Pid) {
        if let Some((_, child)) = self.children_mut().find(|(_, child)| child.pid == pid) {
            (child.suspended, child.continues) = (false, false);
        }
    }
}

impl Placement {
    /// Whom the terminal would stop and continue with the main child: its group, unless that is
    /// ours too.
    pub(super) fn job(self, main: Pid) -> Target {
        match self {
            Self::OwnGroup | Self::OwnSession => Target::Group(main),
            Self::SharedGroup => Target::Process(main),
        }
    }
}
