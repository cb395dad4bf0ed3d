//! Asking processes to exit: looks at them first, and keeps who was asked and who is in whose
//! charge.

use std::collections::BTreeSet;
use std::time::Instant;

use nix::errno::Errno;

use crate::process::{Pid, Process};
use crate::signal::{Received, Signal};
use crate::status::{Leftovers, Termination};
use crate::supervisor::charges::{Charges, Plan, Waiting};
use crate::supervisor::{DrainSignals, Moment, Target};
use crate::sys::broadcast::Broadcast;
use crate::sys::{kill, process};

/// So many times as long as a look has taken, no other follows for a newcomer's sake.
const REST_AFTER_LOOK: u32 = 10;

/// Everyone in the container, and whom of them was asked.
pub(super) struct Asking {
    broadcast: Broadcast,
    /// `None` where no drain would ask anybody: then nobody looks.
    charges: Option<Charges>,
    own: Pid,
    /// Our children at the last look of the drain.
    children: BTreeSet<i32>,
    /// No other look for newcomers before that.
    next_look: Option<Instant>,
    /// The moment of a look that has failed, and is to be had again.
    missed: Option<Moment>,
    /// A signal went to a whole group or to everyone: it may have reached who remains.
    asked_many: bool,
}

/// What has come of asking those that remain.
pub(super) struct Asked {
    /// These wait until half of the time.
    pub(super) waiting: Vec<Waiting>,
    /// Nobody is there but us.
    pub(super) nobody: bool,
    /// The first error of a signal.
    pub(super) refused: Option<(Pid, Errno)>,
    /// Why there was no look.
    pub(super) failed: Option<Errno>,
}

impl Asking {
    pub(super) fn new(commands: usize, drains: bool) -> Self {
        Self {
            broadcast: Broadcast::new(commands),
            charges: drains.then(Charges::default),
            own: process::own_pid(),
            children: BTreeSet::new(),
            next_look: None,
            missed: None,
            asked_many: false,
        }
    }

    pub(super) fn started(&mut self, leader: Pid) {
        self.broadcast.add(leader);
    }

    /// A child has ended, maybe by our SIGKILL.
    pub(super) fn ended(&mut self, pid: Pid, termination: Termination, by_us: bool) {
        self.broadcast.remove(pid);
        if let Some(charges) = &mut self.charges {
            charges.ended(pid, termination, by_us);
        }
    }

    pub(super) fn leftovers(&self) -> Option<Leftovers> {
        self.broadcast.leftovers()
    }

    pub(super) fn send(&self, target: Target, what: Received) -> nix::Result<()> {
        match target {
            Target::Process(pid) => kill::process(pid, what),
            Target::Group(leader) => kill::group(leader, what),
            Target::Everyone if what.signal == Signal::KILL => self.broadcast.kill(),
            Target::Everyone => self.broadcast.signal(what.signal),
        }
    }

    /// Sends the signal by which these are to exit.
    pub(super) fn ask(&mut self, target: Target, what: Received) -> nix::Result<()> {
        let before = self.charges.is_some().then(|| self.broadcast.look(Signal::TERM));
        self.send(target, what)?;
        self.asked_many |= !matches!(target, Target::Process(_));
        let is_target = move |process: &Process| match target {
            Target::Process(pid) => process.pid == pid,
            Target::Group(leader) => process.group == leader.as_raw(),
            Target::Everyone => true,
        };
        let Some(charges) = &mut self.charges else { return Ok(()) };
        if let Some(Ok(look)) = before {
            charges.asked(&look, what.signal, is_target);
        } else if let Target::Process(pid) | Target::Group(pid) = target {
            charges.asked_blindly(pid, what.signal);
        }
        // A fork that the signal has met was done again, and its child has the signal too.
        if !matches!(target, Target::Process(_))
            && let Ok(after) = self.broadcast.look(Signal::TERM)
        {
            charges.asked_with_them(&after, what.signal, is_target);
        }
        Ok(())
    }

    /// The stop command asks this child in our place.
    pub(super) fn asked_by_command(&mut self, pid: Pid) {
        let Some(charges) = &mut self.charges else { return };
        match self.broadcast.look(Signal::TERM) {
            Ok(look) => charges.asked(&look, Signal::TERM, |process| process.pid == pid),
            Err(_) => charges.asked_blindly(pid, Signal::TERM),
        }
    }

    /// Asks those that remain, as far as it is their turn.
    pub(super) fn ask_remaining(&mut self, moment: Moment, signals: DrainSignals) -> Asked {
        let mut asked = Asked { waiting: Vec::new(), nobody: false, refused: None, failed: None };
        let moment = self.missed.take().map_or(moment, |missed| missed.max(moment));
        if moment == Moment::Newcomers && !self.has_newcomers() {
            return asked;
        }
        let begun = Instant::now();
        let look = self.broadcast.look(signals.signal);
        let took = begun.elapsed();
        self.next_look = Some(begun + took.saturating_mul(REST_AFTER_LOOK + 1));
        let (look, Some(charges)) = (look, &mut self.charges) else { return asked };
        let look = match look {
            Ok(look) => look,
            Err(error) => {
                asked.failed = Some(error);
                self.without_look(moment, signals.signal, error);
                return asked;
            }
        };
        let own = self.own.as_raw();
        self.children = look
            .iter()
            .filter(|process| process.parent == own)
            .map(|process| process.pid.as_raw())
            .collect();
        asked.nobody = !look.iter().any(|process| process.lives);
        let Plan { ask, wait } = charges.plan(&look, self.own, moment, signals);
        asked.waiting = wait;
        let mut done = BTreeSet::new();
        for one in ask {
            let send = |signal| self.broadcast.signal_one(one.identity, signal);
            match send(one.signal) {
                Ok(()) => {
                    done.insert(one.identity);
                    // It cannot fail where the other did not.
                    let _ = one.hang_up.then(|| send(Signal::HUP));
                    let _ = send(Signal::CONT);
                }
                Err(error) => asked.refused = asked.refused.or(Some((one.identity.pid, error))),
            }
        }
        if !done.is_empty() {
            charges.asked(&look, signals.signal, |process| done.contains(&process.identity()));
        }
        asked
    }

    fn has_newcomers(&self) -> bool {
        if self.next_look.is_some_and(|next| Instant::now() < next) {
            return false;
        }
        let children = self.broadcast.own_children();
        children.is_none_or(|children| children.iter().any(|pid| !self.children.contains(pid)))
    }

    /// Where /proc cannot be read, everyone is asked once; any other error is worth another look.
    fn without_look(&mut self, moment: Moment, signal: Signal, error: Errno) {
        let is_for_good =
            [Errno::ENOENT, Errno::ESRCH, Errno::EACCES, Errno::EPERM].contains(&error);
        if is_for_good || moment >= Moment::Half {
            if !std::mem::replace(&mut self.asked_many, true) {
                let _ = self.broadcast.signal(signal);
                let _ = self.broadcast.signal(Signal::CONT);
            }
        } else {
            self.missed = Some(moment);
            self.next_look = None;
        }
    }
}
