//! The loop. Nothing in it fails: it returns a status, not a `Result`.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use log::Level;

use super::effects::Effects;
use super::log_once::{Failure, LogOnce};
use crate::process::Pid;
use crate::signal::Signal;
use crate::status::{ExitStatus, Termination};
use crate::supervisor::{Action, Clock, Event, MAIN, Supervisor};
use crate::sys::clock;
use crate::sys::reap::{self, Reap};
use crate::sys::signals::SignalReceiver;

/// How many children one turn reaps: in a fork storm each may take milliseconds.
const MOST_REAPED: usize = 32;

/// The same when all that remain are being killed: another round passes by those that are dead, and
/// those that fork must not win by that.
const MOST_REAPED_OF_KILLED: usize = 4096;

/// When to try again what must work and does not, or tells of nothing new.
const RETRY: Duration = Duration::from_millis(100);

/// The supervisor, when and of what it hears, and what does what it says.
pub(super) struct Loop<'signals> {
    supervisor: Supervisor,
    clock: Clock,
    signals: &'signals mut SignalReceiver,
    /// Both are empty between two events, and kept so that the path of signals allocates nothing.
    events: VecDeque<Event>,
    actions: Vec<Action>,
    effects: Effects,
    reap_level: Level,
    /// Monotonic time.
    memory_rests_until: Duration,
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
            clock: Clock::default(),
            signals,
            effects,
            reap_level,
            memory_rests_until: Duration::ZERO,
            logged: LogOnce::default(),
        }
    }

    /// Each turn: the signals, the children, the deadline; then sleep.
    pub(super) fn run(&mut self) -> ExitStatus {
        loop {
            while let Some(received) = self.signals.next_received() {
                self.feed(Event::Signaled(received));
            }
            let most = self.reap();
            self.check_deadline();
            if let Some(status) = self.effects.finish() {
                return status;
            }
            self.sleep(most);
        }
    }

    fn check_deadline(&mut self) {
        let now = self.clock.now(clock::monotonic());
        if self.supervisor.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        // A child that has died in time is not killed for being late.
        if self.reap_commands() {
            self.feed(Event::ChildrenLeft { died: true });
        }
        self.feed(Event::CheckDeadline(self.clock.due()));
    }

    /// No longer than `most`.
    fn sleep(&mut self, most: Option<Duration>) {
        // A start of which nothing could tell.
        if self.effects.beside().exec.is_none() {
            self.look_at_execs();
        }
        // What is hit again and again has an event each time.
        let now = clock::monotonic().unwrap_or_default();
        let rest = self.memory_rests_until.saturating_sub(now);
        let mut beside = self.effects.beside();
        let most = if !rest.is_zero() && beside.memory.take().is_some() {
            Some(most.map_or(rest, |most| most.min(rest)))
        } else {
            most
        };
        let slice = self.clock.sleep(self.supervisor.deadline(), most);
        let ready = self.signals.wait(slice, beside);
        if ready.memory {
            let now = clock::monotonic().unwrap_or_default();
            self.memory_rests_until = now.saturating_add(RETRY);
            self.look_at_memory();
        }
        self.look_at_execs();
    }

    fn look_at_execs(&mut self) {
        while let Some(executed) = self.effects.next_executed() {
            self.feed(executed);
        }
    }

    /// SIGCHLD only wakes us, any number of them may have become one. How long to wait at most before
    /// the next time: deaths without end must not keep us from signals.
    fn reap(&mut self) -> Option<Duration> {
        let mut died = false;
        let most = if self.effects.kills_remaining() { MOST_REAPED_OF_KILLED } else { MOST_REAPED };
        self.effects.deaths_are_endless(false);
        for _ in 0..most {
            match reap::next() {
                Ok(Reap::Ended(pid, termination)) => {
                    died = true;
                    self.ended(pid, termination);
                }
                Ok(Reap::Suspended(pid, signal)) => self.feed(Event::Suspended(pid, signal)),
                Ok(Reap::Continued(pid)) => self.feed(Event::Continued(pid)),
                Ok(Reap::Trapped(pid, signal)) => self.detach(pid, signal),
                Ok(Reap::Nothing) => {
                    self.feed(Event::ChildrenLeft { died });
                    return None;
                }
                Ok(Reap::NoChildren) => {
                    self.look_at_memory();
                    self.feed(Event::NoChildren);
                    return None;
                }
                Err(error) => {
                    if self.logged.is_first(Failure::Wait) {
                        log::error!("cannot wait for children: {}", io::Error::from(error));
                    }
                    return Some(RETRY);
                }
            }
        }
        self.effects.deaths_are_endless(true);
        // Their ends must not wait behind those of others.
        died |= self.reap_commands();
        self.feed(Event::ChildrenLeft { died });
        Some(Duration::ZERO)
    }

    /// Reaps the commands among our children that have ended; whether there was one.
    fn reap_commands(&mut self) -> bool {
        let mut died = false;
        for id in 0..self.effects.commands() {
            let Some(pid) = self.supervisor.pid(id) else { continue };
            if let Ok(Reap::Ended(pid, termination)) = reap::child(pid) {
                died = true;
                self.ended(pid, termination);
            }
        }
        died
    }

    fn ended(&mut self, pid: Pid, termination: Termination) {
        // It may be a victim of the kernel, or the parent of one.
        if self.supervisor.pid(MAIN) == Some(pid)
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
            "Reaped zombie process with pid={pid}, {termination}"
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
            let now = self.clock.now(clock::monotonic());
            self.supervisor.handle(event, now, &mut self.actions);
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
