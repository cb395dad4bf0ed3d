//! The loop. Nothing in it fails: it returns a status, not a `Result`.

use std::collections::VecDeque;
use std::io;

use log::Level;

use super::effects::Effects;
use super::log_once::{Failure, LogOnce};
use crate::process::Pid;
use crate::signal::Signal;
use crate::status::{ExitStatus, Termination};
use crate::supervisor::{Action, Event, MAIN, Supervisor};
use crate::sys::clock::ActiveClock;
use crate::sys::reap::{self, Reap};
use crate::sys::signals::SignalReceiver;

/// The supervisor, when and of what it hears, and what does what it says.
pub(super) struct Loop<'signals> {
    supervisor: Supervisor,
    clock: ActiveClock,
    signals: &'signals mut SignalReceiver,
    /// Both are empty between two events, and kept so that the path of signals allocates nothing.
    events: VecDeque<Event>,
    actions: Vec<Action>,
    effects: Effects,
    reap_level: Level,
    logged: LogOnce,
}

impl<'signals> Loop<'signals> {
    pub(super) fn new(
        supervisor: Supervisor,
        signals: &'signals mut SignalReceiver,
        effects: Effects,
        reap_level: Level,
    ) -> Self {
        Self {
            events: VecDeque::with_capacity(supervisor.most_actions()),
            actions: Vec::with_capacity(supervisor.most_actions()),
            supervisor,
            clock: ActiveClock::start(),
            signals,
            effects,
            reap_level,
            logged: LogOnce::default(),
        }
    }

    /// Each turn: the signals, the children, the deadline; then sleep.
    pub(super) fn run(&mut self) -> ExitStatus {
        loop {
            while let Some(received) = self.signals.next_received() {
                self.feed(Event::Signaled(received));
            }
            self.reap();
            if self.supervisor.deadline().is_some() {
                self.feed(Event::CheckDeadline);
            }
            if let Some(status) = self.effects.finish() {
                return status;
            }
            self.sleep();
        }
    }

    fn sleep(&mut self) {
        // A start of which nothing could tell.
        if self.effects.beside().exec.is_none() {
            self.look_at_execs();
        }
        let slice = self.supervisor.deadline().map(|deadline| self.clock.slice(deadline));
        let ready = self.signals.wait(slice, self.effects.beside());
        if ready.memory {
            self.look_at_memory();
        }
        self.look_at_execs();
    }

    fn look_at_execs(&mut self) {
        while let Some(executed) = self.effects.next_executed() {
            self.feed(executed);
        }
    }

    /// Until there is nothing left to reap: SIGCHLD only wakes us, any number of them may have
    /// become one.
    fn reap(&mut self) {
        let mut died = false;
        loop {
            match reap::next() {
                Ok(Reap::Ended(pid, termination)) => {
                    died = true;
                    self.ended(pid, termination);
                }
                Ok(Reap::Suspended(pid, signal)) => self.feed(Event::Suspended(pid, signal)),
                Ok(Reap::Continued(pid)) => self.feed(Event::Continued(pid)),
                Ok(Reap::Trapped(pid, signal)) => self.detach(pid, signal),
                Ok(Reap::Nothing) => return self.feed(Event::ChildrenLeft { died }),
                Ok(Reap::NoChildren) => {
                    self.look_at_memory();
                    return self.feed(Event::NoChildren);
                }
                Err(error) => {
                    if self.logged.is_first(Failure::Wait) {
                        log::error!("cannot wait for children: {}", io::Error::from(error));
                    }
                    return;
                }
            }
        }
    }

    fn ended(&mut self, pid: Pid, termination: Termination) {
        // It may be a victim of the kernel, or the parent of one.
        if self.supervisor.main_pid() == Some(pid)
            || matches!(termination, Termination::Killed { signal: Signal::KILL, .. })
        {
            self.look_at_memory();
        }
        let is_command = self.supervisor.is_command(pid);
        if is_command {
            self.look_at_execs();
        }
        self.effects.reaped(pid, termination);
        if is_command {
            let event = self.effects.ended(pid, termination);
            return self.feed(event);
        }
        // The end of an orphan decides nothing, and there may be many.
        let status = ExitStatus::from(termination).code();
        log::log!(
            self.reap_level, pid = pid.as_raw(), status;
            "reaped zombie process with pid={pid}, {termination}"
        );
    }

    /// Lets a child go that has asked to be traced by us.
    fn detach(&mut self, pid: Pid, signal: Signal) {
        let Err(error) = reap::detach(pid, signal) else { return };
        if self.logged.is_first(Failure::Detach) {
            log::warn!(
                "cannot let process {pid} go, which has asked to be traced: {}",
                io::Error::from(error)
            );
        }
    }

    /// The main command has all that we inherited, or there is none.
    pub(super) fn release_inherited(&mut self) {
        self.effects.release_inherited(self.signals);
    }

    fn look_at_memory(&mut self) {
        if let Some(event) = self.effects.out_of_memory() {
            self.feed(event);
        }
    }

    /// Feeds an event, performs what follows, and feeds what has come of that.
    pub(super) fn feed(&mut self, event: Event) {
        self.events.push_back(event);
        while let Some(event) = self.events.pop_front() {
            self.supervisor.handle(event, self.clock.now(), &mut self.actions);
            let phase = self.supervisor.phase();
            for action in self.actions.drain(..) {
                let event = self.effects.perform(action, phase);
                if let Some(Event::Started(MAIN, _)) = event {
                    self.effects.release_inherited(self.signals);
                }
                if let Some(Event::Started(_, pid)) = event {
                    self.effects.started(pid);
                }
                self.events.extend(event);
            }
        }
    }
}
