//! The loop. Nothing in it fails: it returns a status, not a `Result`.

use std::collections::VecDeque;
use std::io;

use log::{Level, LevelFilter};
use nix::errno::Errno;

use super::commands::Commands;
use super::end_report::EndReport;
use super::told::{Failure, Told};
use crate::config::{Command, Config, Placement};
use crate::report::{self, Sentence};
use crate::signal::{Received, Signal};
use crate::status::{ExitStatus, Pid, Termination};
use crate::supervisor::{Action, CommandId, Event, JobControl, MAIN, Notice, Supervisor, Target};
use crate::sys::clock::ActiveClock;
use crate::sys::everyone::Everyone;
use crate::sys::memory::MemoryWatch;
use crate::sys::reap::{self, Reap};
use crate::sys::signals::{self, Inherited, Queue};
use crate::sys::terminal::Terminal;
use crate::sys::users::Credentials;
use crate::sys::{descriptors, kill, process};

/// A container: the supervisor, and what it acts through. Nothing in it fails.
pub(super) struct Container<'queue> {
    supervisor: Supervisor,
    /// Empty, and kept for the room that they have: the path of signals allocates nothing.
    events: VecDeque<Event>,
    actions: Vec<Action>,
    commands: Commands,
    /// The main child, reaped or not, from when it was started.
    main: Option<Pid>,
    everyone: Everyone,
    clock: ActiveClock,
    queue: &'queue mut Queue,
    terminal: Option<Terminal>,
    memory: MemoryWatch,
    end_report: EndReport,
    log_level: LevelFilter,
    warn_on_reap: bool,
    told: Told,
    finished: Option<ExitStatus>,
}

impl<'queue> Container<'queue> {
    pub(super) fn new(
        config: Config,
        inherited: Inherited,
        credentials: Option<Credentials>,
        queue: &'queue mut Queue,
        end_report: EndReport,
    ) -> Self {
        let terminal = Terminal::find();
        let job_control = match &terminal {
            Some(terminal) if config.policy.placement == Placement::OwnGroup => {
                if terminal.is_under_a_shell() && !process::is_pid_1() {
                    JobControl::Above
                } else {
                    JobControl::NobodyAbove
                }
            }
            Some(_) | None => JobControl::Absent,
        };
        let (log_level, warn_on_reap, policy) =
            (config.log_level, config.warn_on_reap, config.policy.clone());
        let commands = Commands::new(config, inherited, credentials);
        let supervisor =
            Supervisor::new(policy, job_control, commands.all().iter().map(|command| command.role));
        Self {
            events: VecDeque::with_capacity(supervisor.most_actions()),
            actions: Vec::with_capacity(supervisor.most_actions()),
            everyone: Everyone::new(commands.all().len()),
            supervisor,
            commands,
            main: None,
            clock: ActiveClock::start(),
            queue,
            terminal,
            // Before the command is started: one whose limit is too low for it dies in its very
            // exec.
            memory: MemoryWatch::open(),
            end_report,
            log_level,
            warn_on_reap,
            told: Told::default(),
            finished: None,
        }
    }

    /// The loop. Each turn: the signals, the children, the deadline; then sleep.
    pub(super) fn supervise(&mut self) -> ExitStatus {
        loop {
            while let Some(received) = self.queue.next_received() {
                log::debug!(signal:% = received.signal; "received {}", received.signal);
                self.feed(Event::Signaled(received));
            }
            if self.queue.terminal_was_wanted() {
                self.share_terminal();
            }
            self.reap();
            if self.supervisor.deadline().is_some() {
                self.feed(Event::Elapsed);
            }
            if let Some(status) = self.finished {
                // Once more, for a job of the command may have had it so far.
                self.give_terminal_back();
                std::mem::take(&mut self.end_report).write();
                return status;
            }
            let slice = self.supervisor.deadline().map(|deadline| self.clock.slice(deadline));
            let memory_changed = self.queue.wait(slice, self.memory.events());
            if memory_changed {
                self.look_at_memory();
            }
        }
    }

    /// Until there is nothing left to reap: SIGCHLD only wakes us, any number of them may have
    /// become one.
    fn reap(&mut self) {
        loop {
            match reap::next() {
                Ok(Reap::Ended(pid, termination)) => self.reaped(pid, termination),
                Ok(Reap::Stopped(pid, signal)) => self.feed(Event::Stopped(pid, signal)),
                Ok(Reap::Continued(pid)) => self.feed(Event::Continued(pid)),
                Ok(Reap::Trapped(pid, signal)) => {
                    if let Err(error) = reap::detach(pid, signal)
                        && self.told.is_first(Failure::Detach)
                    {
                        log::warn!(
                            "cannot let process {pid} go, which has asked to be traced: {}",
                            io::Error::from(error)
                        );
                    }
                }
                Ok(Reap::Nothing) => return self.feed(Event::ChildrenLeft),
                Ok(Reap::NoChildren) => {
                    self.look_at_memory();
                    return self.feed(Event::NoChildren);
                }
                Err(error) => {
                    if self.told.is_first(Failure::Wait) {
                        log::error!("cannot wait for children: {}", io::Error::from(error));
                    }
                    return;
                }
            }
        }
    }

    fn reaped(&mut self, pid: Pid, termination: Termination) {
        let is_command = self.supervisor.is_command(pid);
        if !is_command {
            let level = if self.warn_on_reap { Level::Warn } else { Level::Debug };
            let status = ExitStatus::from(termination).code();
            log::log!(
                level, pid = pid.as_raw(), status;
                "reaped zombie process with pid={pid}, {termination}"
            );
        }
        // It may be a victim of the kernel, or the parent of one.
        if self.supervisor.main_pid() == Some(pid)
            || matches!(termination, Termination::Killed { signal: Signal::KILL, .. })
        {
            self.look_at_memory();
        }
        // The end of an orphan decides nothing, and there may be many.
        if is_command {
            self.feed(Event::Reaped(pid, termination));
        }
    }

    fn look_at_memory(&mut self) {
        let kills = self.memory.new_kills();
        if kills > 0 {
            self.feed(Event::OutOfMemory(kills));
        }
    }

    /// Feeds an event, performs what follows, and feeds what has come of that.
    pub(super) fn feed(&mut self, event: Event) {
        let (mut events, mut actions) =
            (std::mem::take(&mut self.events), std::mem::take(&mut self.actions));
        events.push_back(event);
        while let Some(event) = events.pop_front() {
            self.supervisor.handle(event, self.clock.now(), &mut actions);
            events.extend(actions.drain(..).filter_map(|action| self.perform(action)));
        }
        (self.events, self.actions) = (events, actions);
    }

    /// Does it; what nobody else would tell is the event that it gives.
    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Start(id) => return Some(self.start(id)),
            Action::Send(target, what) => self.send(target, what),
            Action::Suspend(signal) => return self.suspend(signal),
            Action::Stop => process::stop(),
            Action::ReclaimTerminal => drop(self.give_terminal_back()),
            Action::LendTerminal(signal) => {
                return Some(if self.take_terminal_again() {
                    Event::TerminalLent
                } else {
                    Event::TerminalNotLent(signal)
                });
            }
            Action::Tell(notice) => self.tell(notice),
            Action::Finish(status) => self.finished = Some(status),
        }
        None
    }

    fn start(&mut self, id: CommandId) -> Event {
        let started = match id {
            MAIN => self.commands.start_main(&mut self.terminal),
            other => self.commands.start_other(other, self.supervisor.main_pid()),
        };
        match started {
            Ok(pid) => {
                self.everyone.add(pid);
                if id == MAIN {
                    self.main_has_started(pid);
                }
                let program = self.commands.all().get(id).map(Command::program).unwrap_or_default();
                log::info!(pid = pid.as_raw(); "started {program:?} as process {pid}");
                Event::Started(id, pid)
            }
            Err(failed) => {
                log::error!("{failed}");
                self.end_report.add(&failed, self.supervisor.needs(id));
                Event::NotStarted(id, self.commands.exit_status(&failed))
            }
        }
    }

    /// It has all that we inherited; we keep what we need.
    fn main_has_started(&mut self, pid: Pid) {
        self.main = Some(pid);
        if self.commands.changes_user() && kill::probe(pid) == Err(Errno::EPERM) {
            log::warn!(
                "the command cannot be stopped: it runs as another user, and we lack CAP_KILL"
            );
        }
        report::reserve();
        log::set_max_level(self.log_level);
        descriptors::let_go([
            self.queue.descriptor(),
            self.memory.descriptor(),
            self.terminal.as_ref().and_then(Terminal::own_descriptor),
            self.commands.descriptor(),
            self.end_report.descriptor(),
        ]);
    }

    fn tell(&mut self, notice: Notice) {
        let leftovers = if matches!(notice, Notice::DrainEscalated(_)) {
            self.everyone.leftovers()
        } else {
            None
        };
        let sentence = Sentence { notice, commands: self.commands.all(), leftovers };
        if let Some(decisive) = sentence.is_reason() {
            self.end_report.add(&sentence, decisive);
        }
        report::tell(&sentence, self.supervisor.phase());
    }

    fn send(&mut self, target: Target, what: Received) {
        log::debug!(signal:% = what.signal; "sending {} to {target}", what.signal);
        let sent = match target {
            Target::Process(pid) => kill::process(pid, what),
            Target::Group(leader) => kill::group(leader, what),
            Target::Everyone => self.everyone.signal(what.signal),
        };
        match sent {
            // Gone already: wait(2) will tell.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => {
                if self.told.is_first(if what.signal == Signal::KILL {
                    Failure::Kill
                } else {
                    Failure::Send
                }) {
                    log::warn!(
                        "cannot send {} to {target}: {}",
                        what.signal,
                        io::Error::from(error)
                    );
                }
            }
        }
    }

    /// Stops ourselves with the main child, so that the shell above sees its job stopped.
    fn suspend(&mut self, signal: Signal) -> Option<Event> {
        self.give_terminal_back();
        let stopped = signals::stop_ourselves(signal);
        // Continued, or never stopped. A SIGCONT is pending, and goes to the child like any other
        // signal.
        self.take_terminal_again();
        (!stopped).then_some(Event::NotSuspended(signal))
    }

    /// Lets the rest of our own group have the terminal, like the pager in `firstmate ... | less`.
    /// The command can have it back when it reads.
    fn share_terminal(&mut self) {
        if self.give_terminal_back() {
            process::continue_our_group();
        }
    }

    /// Gives the main child the terminal if we have it: after its stop, or when it wants it; for
    /// bash sends no SIGCONT to a running job that it brings to the foreground.
    fn take_terminal_again(&mut self) -> bool {
        self.terminal
            .as_mut()
            .zip(self.main)
            .is_some_and(|(terminal, main)| terminal.take_again(main))
    }

    fn give_terminal_back(&mut self) -> bool {
        self.terminal
            .as_mut()
            .zip(self.main)
            .is_some_and(|(terminal, main)| terminal.give_back(main))
    }
}
