//! What the supervisor wants done.

use std::io;

use log::LevelFilter;
use nix::errno::Errno;

use super::commands::Commands;
use super::end_report::EndReport;
use super::job::Job;
use super::log_once::{Failure, LogOnce};
use crate::config::Command;
use crate::pid::Pid;
use crate::report::{self, Sentence};
use crate::signal::{Received, Signal};
use crate::status::{ExitStatus, Termination};
use crate::supervisor::{Action, CommandId, Event, MAIN, Notice, Phase, Target};
use crate::sys::broadcast::Broadcast;
use crate::sys::memory::MemoryWatch;
use crate::sys::signals::{Beside, SignalReceiver};
use crate::sys::{descriptors, job_control, kill};

/// What an init acts through. Nothing in it fails.
pub(super) struct Effects {
    commands: Commands,
    broadcast: Broadcast,
    job: Job,
    memory: MemoryWatch,
    end_report: EndReport,
    log_level: LevelFilter,
    logged: LogOnce,
    finished: Option<ExitStatus>,
}

impl Effects {
    pub(super) fn new(
        commands: Commands,
        job: Job,
        memory: MemoryWatch,
        end_report: EndReport,
        log_level: LevelFilter,
    ) -> Self {
        Self {
            broadcast: Broadcast::new(commands.all().len()),
            commands,
            job,
            memory,
            end_report,
            log_level,
            logged: LogOnce::default(),
            finished: None,
        }
    }

    /// Does it; what nobody else would tell is the event that it gives. The supervisor is in this
    /// phase by now.
    pub(super) fn perform(&mut self, action: Action, phase: Phase) -> Option<Event> {
        match action {
            Action::Start(id) => return Some(self.start(id)),
            Action::Send(target, what) => self.send(target, what),
            Action::Suspend(signal) => {
                return (!self.job.suspend(signal)).then_some(Event::NotSuspended(signal));
            }
            Action::SuspendAlone => job_control::suspend(),
            Action::ReclaimTerminal => drop(self.job.give_back()),
            Action::ShareTerminal => self.job.share(),
            Action::LendTerminal(signal) => {
                let lent = self.job.lend();
                return Some(if lent {
                    Event::TerminalLent
                } else {
                    Event::TerminalNotLent(signal)
                });
            }
            Action::Tell(notice) => self.tell(notice, phase),
            Action::Finish(status) => self.finished = Some(status),
        }
        None
    }

    fn start(&mut self, id: CommandId) -> Event {
        let event = self.commands.start(id, &mut self.job);
        if let Event::Started(_, pid) = event {
            self.broadcast.add(pid);
        }
        event
    }

    /// What else to wait for.
    pub(super) fn beside(&self) -> Beside<'_> {
        Beside { memory: self.memory.events(), exec: self.commands.exec() }
    }

    /// The next command that has executed its program.
    pub(super) fn next_executed(&mut self) -> Option<Event> {
        let executed = self.commands.next_executed()?;
        if let Event::Executed(id, pid) = executed {
            let program = self.commands.all().get(id).map(Command::program).unwrap_or_default();
            if id == MAIN {
                self.main_has_started(pid);
            }
            log::info!(pid = pid.as_raw(); "started {program:?} as process {pid}");
        }
        Some(executed)
    }

    fn main_has_started(&self, pid: Pid) {
        log::set_max_level(self.log_level);
        if self.commands.changes_user() && kill::probe(pid) == Err(Errno::EPERM) {
            log::warn!(
                "the command cannot be stopped: it runs as another user, and we lack CAP_KILL"
            );
        }
    }

    /// What the end of a command's child means.
    pub(super) fn ended(&mut self, pid: Pid, termination: Termination) -> Event {
        self.commands.ended(pid, termination, &mut self.job)
    }

    /// The processes that the kernel has killed since the last look because memory ran out.
    pub(super) fn out_of_memory(&mut self) -> Option<Event> {
        Some(self.memory.new_kills()).filter(|kills| *kills > 0).map(Event::OutOfMemory)
    }

    /// The main command has all that we inherited, or there is none: we keep what we need.
    pub(super) fn release_inherited(&self, signals: &SignalReceiver) {
        report::reserve();
        descriptors::release_inherited([
            signals.descriptor(),
            self.memory.descriptor(),
            self.job.descriptor(),
            self.commands.directory(),
            self.end_report.descriptor(),
            self.commands.exec(),
        ]);
    }

    /// The exit status, once the supervisor has decided that it is over.
    pub(super) fn finish(&mut self) -> Option<ExitStatus> {
        let status = self.finished?;
        // Once more, for a job of the command may have had it so far.
        self.job.give_back();
        std::mem::take(&mut self.end_report).write();
        Some(status)
    }

    fn tell(&mut self, notice: Notice, phase: Phase) {
        let leftovers = match notice {
            Notice::DrainEscalated(_) => self.broadcast.leftovers(),
            _ => None,
        };
        let not_started = match notice {
            Notice::NotStarted { command, .. } => self.commands.why_not_started(command),
            _ => None,
        };
        let sentence = Sentence { notice, commands: self.commands.all(), leftovers, not_started };
        if let Some(reason) = sentence.reason() {
            self.end_report.add(&sentence, reason);
        }
        report::tell(&sentence, phase);
    }

    fn send(&mut self, target: Target, what: Received) {
        log::debug!(signal:% = what.signal; "sending {} to {target}", what.signal);
        let sent = match target {
            Target::Process(pid) => kill::process(pid, what),
            Target::Group(leader) => kill::group(leader, what),
            Target::Everyone => self.broadcast.signal(what.signal),
        };
        match sent {
            // Gone already: wait(2) will tell.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => {
                let is_kill = what.signal == Signal::KILL;
                if self.logged.is_first(if is_kill { Failure::Kill } else { Failure::Send }) {
                    let error = io::Error::from(error);
                    log::warn!("cannot send {} to {target}: {error}", what.signal);
                }
            }
        }
    }
}
