//! Starting the commands.

use std::fmt::Display;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::job::Job;
use crate::config::{Command, Config, FailureStatuses, Placement, Role};
use crate::process::Pid;
use crate::status::Termination;
use crate::supervisor::{CommandId, Event, MAIN};
use crate::sys::descriptors;
use crate::sys::program::NotStarted;
use crate::sys::signals::Inherited;
use crate::sys::spawn::{Exec, ExecReport, Inheritance, Launch, Place, Started};
use crate::sys::users::Credentials;

/// All that a command may need when its time comes.
pub(super) struct Commands {
    /// By their numbers.
    all: Vec<Command>,
    placement: Placement,
    failures: FailureStatuses,
    signals: Inherited,
    /// The user of the main command and of those beside it.
    credentials: Option<Credentials>,
    /// Where we were started, for those that start when we are no longer there.
    directory: Option<OwnedFd>,
    /// How many of those there are.
    to_start: usize,
    /// The main child until it is reaped.
    main: Option<Pid>,
    /// Those whose exec is still to come, the oldest first.
    starting: Vec<Starting>,
    /// Why a command could not be started.
    not_started: Vec<(CommandId, NotStarted)>,
}

/// A child whose exec is still to come, or has failed: then it is about to exit.
struct Starting {
    id: CommandId,
    pid: Pid,
    /// `None` if nothing can tell: then the child says itself why it cannot run.
    report: Option<ExecReport>,
    failed: Option<NotStarted>,
}

impl Starting {
    /// Whether the exec is over, and has not failed.
    fn is_executed(&mut self) -> bool {
        if self.failed.is_some() {
            return false;
        }
        let Some(report) = &mut self.report else { return true };
        match report.read() {
            Exec::Pending => false,
            Exec::Over => true,
            Exec::Failed(why) => {
                self.failed = Some(why);
                false
            }
        }
    }
}

impl Commands {
    pub(super) fn new(
        config: Config,
        signals: Inherited,
        credentials: Option<Credentials>,
    ) -> Self {
        let to_start = config.commands.len().saturating_sub(1);
        Self {
            placement: config.policy.placement,
            failures: config.failures,
            signals,
            credentials,
            directory: (to_start > 0).then(descriptors::working_directory).flatten(),
            to_start,
            main: None,
            starting: Vec::with_capacity(config.commands.len()),
            not_started: Vec::with_capacity(config.commands.len()),
            all: config.commands,
        }
    }

    /// By their numbers.
    pub(super) fn all(&self) -> &[Command] {
        &self.all
    }

    /// The start directory, to keep open.
    pub(super) fn directory(&self) -> Option<BorrowedFd<'_>> {
        self.directory.as_ref().map(AsFd::as_fd)
    }

    /// What tells of the oldest exec that is still to come.
    pub(super) fn exec(&self) -> Option<BorrowedFd<'_>> {
        let pending = self.starting.iter().find(|starting| starting.failed.is_none());
        pending?.report.as_ref().map(AsFd::as_fd)
    }

    /// Whether the main command runs as another user than we do.
    pub(super) fn changes_user(&self) -> bool {
        self.credentials.is_some()
    }

    /// Whether no command is left that would need what we are allowed.
    pub(super) fn all_have_started(&self) -> bool {
        self.main.is_some() && self.to_start == 0
    }

    pub(super) fn why_not_started(&self, id: CommandId) -> Option<&dyn Display> {
        let failed = self.not_started.iter().find(|(failed, _)| *failed == id);
        failed.map(|(_, why)| why as &dyn Display)
    }

    /// Starts a command. The main one gets all that we inherited, the terminal's foreground too.
    pub(super) fn start(&mut self, id: CommandId, job: &mut Job) -> Event {
        let (place, inheritance) = if id == MAIN {
            (job.place(self.placement), Inheritance::Everything)
        } else {
            let place = match self.placement {
                Placement::OwnGroup | Placement::OwnSession => Place::OwnGroup(None),
                Placement::SharedGroup => Place::SharedGroup,
            };
            // Before the main command is started, we are still there.
            let directory = self.directory().filter(|_| self.role(id) != Some(Role::Before));
            (place, Inheritance::Output { directory, main: self.main })
        };
        let takes_user = self.role(id).is_some_and(Role::is_beside);
        let launch = Launch {
            words: self.all.get(id).map_or(&[][..], |command| command.words.as_slice()),
            place,
            inheritance,
            signals: self.signals,
            credentials: self.credentials.as_ref().filter(|_| takes_user),
            failures: self.failures,
        };
        match launch.start() {
            Ok(started) => {
                let pid = started.pid;
                self.has_started(id, started);
                if id == MAIN {
                    job.started(pid, self.placement);
                }
                Event::Started(id, pid)
            }
            Err(why) => self.failed(id, why, job),
        }
    }

    fn has_started(&mut self, id: CommandId, started: Started) {
        let pid = started.pid;
        self.starting.push(Starting { id, pid, report: started.exec, failed: None });
        if id == MAIN {
            self.main = Some(pid);
        } else {
            self.to_start = self.to_start.saturating_sub(1);
        }
        if self.to_start == 0 {
            self.directory = None;
        }
    }

    fn failed(&mut self, id: CommandId, why: NotStarted, job: &mut Job) -> Event {
        if id == MAIN {
            job.not_started();
        }
        let status = why.kind.exit_status(self.failures);
        self.not_started.push((id, why));
        Event::NotStarted(id, status)
    }

    /// The next command that has executed its program.
    pub(super) fn next_executed(&mut self) -> Option<Event> {
        let at = self.starting.iter_mut().position(Starting::is_executed)?;
        let Starting { id, pid, .. } = self.starting.remove(at);
        Some(Event::Executed(id, pid))
    }

    /// What the end of a child means: one that could not execute its program was never started.
    pub(super) fn ended(&mut self, pid: Pid, termination: Termination, job: &mut Job) -> Event {
        if self.main == Some(pid) {
            self.main = None;
        }
        let at = self.starting.iter().position(|starting| starting.pid == pid);
        match at.map(|at| self.starting.remove(at)) {
            Some(Starting { id, failed: Some(why), .. }) => self.failed(id, why, job),
            Some(_) | None => Event::Reaped(pid, termination),
        }
    }

    fn role(&self, id: CommandId) -> Option<Role> {
        self.all.get(id).map(|command| command.role)
    }
}
