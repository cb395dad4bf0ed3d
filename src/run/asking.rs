//! Asking processes to exit: looks at them first, and keeps who was asked and who is in whose
//! charge.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nix::errno::Errno;

use crate::process::{Inspection, Name, Pid, Process};
use crate::signal::{Received, Sender, Signal};
use crate::status::{Leftovers, Termination};
use crate::supervisor::charges::{self, Charges, NextLook, Plan, Waiting};
use crate::supervisor::{DrainSignals, Moment, Target};
use crate::sys::broadcast::{Broadcast, Detail};
use crate::sys::{clock, descriptors, kill, process};

/// So many times as long as a look has taken, no other follows between two moments of the drain.
const REST_AFTER_LOOK: u32 = 10;

/// A signal does not wait longer for the look before it: among thousands of processes on a busy
/// machine that takes seconds. Without it, more are asked at half of the drain than could be.
const LONGEST_LOOK: Duration = Duration::from_millis(100);

/// What is only told of, and not acted upon, may be left out where there is no memory for it.
const FEW: usize = 16;

/// Pieces of memory such as what is made of a look takes.
const PIECES: [usize; 6] = [48, 96, 192, 400, 800, 1600];

/// Everyone in the container, and whom of them was asked.
pub(super) struct Asking {
    broadcast: Broadcast,
    /// `None` where no drain would ask anybody: then nobody looks.
    charges: Option<Charges>,
    own: Pid,
    own_stdin: Option<u64>,
    /// A signal went out to these, and no look has told yet who got it.
    unseen: Vec<Sent>,
    /// Our children at the last look of the drain.
    children: BTreeSet<i32>,
    /// What another look before the next moment is worth its price for.
    next: NextLook,
    /// But none before that.
    next_look: Duration,
    /// The moment of a look that has failed, and is to be had again.
    missed: Option<Moment>,
    /// A look of the drain has worked.
    has_looked: bool,
    /// A signal went to a whole group or to everyone: it may have reached who remains.
    asked_many: bool,
    /// More die than can be reaped: a look would keep a signal waiting, and tell of the dead.
    pub(super) is_in_storm: bool,
}

/// A signal by which some are to exit.
#[derive(Clone, Copy)]
struct Sent {
    target: Target,
    signal: Signal,
    /// In clock ticks since the boot.
    at: Option<u64>,
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
    /// Before anything that we inherited is let go.
    pub(super) fn new(commands: usize, drains: bool) -> Self {
        let (own, own_stdin) = (process::own_pid(), descriptors::stdin_pipe());
        Self {
            broadcast: Broadcast::new(commands),
            charges: drains.then(|| Charges::new(own, own_stdin)),
            own,
            own_stdin,
            unseen: Vec::with_capacity(2 * commands + 2),
            children: BTreeSet::new(),
            next: NextLook::default(),
            next_look: Duration::ZERO,
            missed: None,
            has_looked: false,
            asked_many: false,
            is_in_storm: false,
        }
    }

    pub(super) fn started(&mut self, leader: Pid) {
        self.broadcast.add(leader);
    }

    /// Of what came before the main command.
    pub(super) fn forget_pidfds(&mut self) {
        self.broadcast.forget_pidfds();
    }

    /// A child has ended, maybe by our SIGKILL.
    pub(super) fn ended(&mut self, pid: Pid, termination: Termination, by_us: bool) {
        self.broadcast.remove(pid);
        self.unseen.retain(|sent| sent.target != Target::Process(pid));
        if let Some(charges) = &mut self.charges {
            charges.ended(pid, termination, by_us);
        }
    }

    pub(super) fn leftovers(&self) -> Option<Leftovers> {
        has_room_for(FEW).then(|| self.broadcast.leftovers()).flatten()
    }

    /// What there is to know of this process.
    pub(super) fn inspect(&self, pid: Pid) -> Option<Inspection> {
        has_room_for(FEW).then(|| self.broadcast.inspect(pid)).flatten()
    }

    /// What a process is called that has sent a signal, if it is still there.
    pub(super) fn name_of(&self, sender: Sender) -> Option<Name> {
        let Sender::Process(pid) = sender else { return None };
        self.broadcast.name(pid)
    }

    /// SIGKILL to everyone, and who they were.
    pub(super) fn kill_remaining(&self) -> (nix::Result<()>, Option<Leftovers>) {
        self.broadcast.kill()
    }

    pub(super) fn send(&self, target: Target, what: Received) -> nix::Result<()> {
        match target {
            Target::Process(pid) => kill::process(pid, what),
            Target::Group(leader) => kill::group(leader, what),
            Target::Everyone if what.signal == Signal::KILL => self.broadcast.kill_again(),
            Target::Everyone => self.broadcast.signal(what.signal),
        }
    }

    /// Sends the signal by which these are to exit.
    pub(super) fn ask(&mut self, target: Target, what: Received) -> nix::Result<()> {
        let sent = Sent::now(target, what.signal);
        let before = self.charges.is_some().then(|| self.look_before(&sent));
        self.send(target, what)?;
        let is_one = matches!(target, Target::Process(_));
        self.asked_many |= !is_one;
        self.asked(before, sent);
        if !is_one && self.charges.is_some() {
            self.unseen.push(sent);
            if let Ok(after) = self.look(Detail::Signals) {
                self.has_seen(&after);
            }
        }
        Ok(())
    }

    /// The stop command asks this child in our place.
    pub(super) fn asked_by_command(&mut self, pid: Pid) {
        let sent = Sent::now(Target::Process(pid), Signal::TERM);
        let look = self.charges.is_some().then(|| self.look_before(&sent));
        self.asked(look, sent);
    }

    /// All have survived what they were asked by: it was an interrupt, and they were not asked.
    pub(super) fn forget(&mut self) {
        self.charges = self.charges.take().map(|_| Charges::new(self.own, self.own_stdin));
        self.unseen.clear();
        self.asked_many = false;
    }

    fn asked(&mut self, before: Option<nix::Result<Vec<Process>>>, sent: Sent) {
        let Some(charges) = &mut self.charges else { return };
        if let Some(Ok(look)) = before {
            charges.asked(&look, |process| sent.is_for(process).then_some(sent.signal));
        } else {
            charges.asked_blindly();
            self.unseen.push(sent);
        }
    }

    /// Who is there after a signal went out to many got it too.
    fn has_seen(&mut self, look: &[Process]) {
        let Some(charges) = &mut self.charges else { return };
        for sent in self.unseen.drain(..) {
            charges.asked_with_them(look, sent.signal, |process| sent.has_reached(process));
        }
    }

    /// All processes but us; what they would do with signals only of those that are asked, and of
    /// their descendants. The signal waits for this, so it must not take long.
    fn look_before(&self, sent: &Sent) -> nix::Result<Vec<Process>> {
        let now = clock::monotonic().filter(|_| !self.is_in_storm).ok_or(Errno::ETIMEDOUT)?;
        let until = now.saturating_add(LONGEST_LOOK);
        self.broadcast.look_closely(until, |look| {
            let concerned = || charges::with_descendants(look, |one| sent.is_for(one));
            // That must not fail, nor what is made of the look after that.
            has_room_for(look.len()).then(concerned).ok_or(Errno::ENOMEM)
        })
    }

    /// All processes but us, if there is memory for what is made of them: that must not fail.
    fn look(&self, detail: Detail) -> nix::Result<Vec<Process>> {
        let look = self.broadcast.look(detail)?;
        has_room_for(look.len()).then_some(look).ok_or(Errno::ENOMEM)
    }

    /// Asks those that remain, as far as it is their turn.
    pub(super) fn ask_remaining(&mut self, moment: Moment, signals: DrainSignals) -> Asked {
        let mut asked = Asked { waiting: Vec::new(), nobody: false, refused: None, failed: None };
        let missed = self.missed.take();
        let moment = missed.map_or(moment, |missed| missed.max(moment));
        if missed.is_none() && moment == Moment::Newcomers && !self.is_worth_a_look() {
            return asked;
        }
        let begun = monotonic();
        let look = self.look(Detail::Readers(signals.signal));
        let took = monotonic().saturating_sub(begun);
        self.next_look = begun.saturating_add(took.saturating_mul(REST_AFTER_LOOK + 1));
        let look = match look {
            Ok(look) => look,
            Err(error) => {
                asked.failed = Some(error);
                self.without_look(moment, signals.signal, error);
                return asked;
            }
        };
        self.has_seen(&look);
        let Some(charges) = &mut self.charges else { return asked };
        let own = self.own.as_raw();
        self.children = look
            .iter()
            .filter(|process| process.parent == own)
            .map(|process| process.pid.as_raw())
            .collect();
        asked.nobody = !look.iter().any(|process| process.lives);
        let Plan { ask, wait, next } = charges.plan(&look, moment, signals);
        (asked.waiting, self.next) = (wait, next);
        let mut done = BTreeMap::new();
        for one in ask {
            let send = |signal| self.broadcast.signal_one(one.identity, signal);
            match send(one.signal) {
                Ok(()) => {
                    done.insert(one.identity, one.by());
                    // It cannot fail where the other did not.
                    let _ = one.hang_up.then(|| send(Signal::HUP));
                    let _ = send(Signal::CONT);
                }
                Err(error) => asked.refused = asked.refused.or(Some((one.identity.pid, error))),
            }
        }
        if !done.is_empty() {
            charges.asked(&look, |process| done.get(&process.identity()).copied());
        }
        if !std::mem::replace(&mut self.has_looked, true) {
            // Nothing is known of them; as long as they are not reaped, their pids are theirs.
            for pid in self.broadcast.hidden_children(&look) {
                let _ = kill::process(pid, signals.signal.into());
                let _ = kill::process(pid, Signal::CONT.into());
            }
        }
        asked
    }

    fn is_worth_a_look(&self) -> bool {
        if monotonic() < self.next_look {
            return false;
        }
        let Some(children) = self.broadcast.own_children() else { return true };
        let has_newcomer = children.iter().any(|pid| !self.children.contains(pid));
        let waits = match self.next {
            NextLook::Newcomer => false,
            NextLook::Death => children.len() < self.children.len(),
            NextLook::Soon => true,
        };
        // Without a child we wait for what entered from outside, and nobody tells of its end.
        has_newcomer || waits || children.is_empty()
    }

    /// Where /proc cannot be read, everyone is asked once; any other error is worth another look.
    fn without_look(&mut self, moment: Moment, signal: Signal, error: Errno) {
        let is_for_good =
            [Errno::ENOENT, Errno::ESRCH, Errno::EACCES, Errno::EPERM].contains(&error);
        if !self.asked_many && (is_for_good || moment >= Moment::Half) {
            self.asked_many = true;
            self.unseen.push(Sent::now(Target::Everyone, signal));
            let _ = self.broadcast.signal(signal);
            let _ = self.broadcast.signal(Signal::CONT);
        } else {
            self.missed = Some(moment);
            self.next_look = Duration::ZERO;
        }
    }
}

/// Zero where it cannot be read.
fn monotonic() -> Duration {
    clock::monotonic().unwrap_or_default()
}

impl Sent {
    /// To be made before it is sent.
    fn now(target: Target, signal: Signal) -> Self {
        Self { target, signal, at: clock::ticks() }
    }

    fn is_for(&self, process: &Process) -> bool {
        match self.target {
            Target::Process(pid) => process.pid == pid,
            Target::Group(leader) => process.group == leader.as_raw(),
            Target::Everyone => true,
        }
    }

    /// Whether this process, seen after that, has certainly got it: it was there before, or was
    /// being forked by one that was (fork(2) is done again then, or passes the signal on), or has
    /// still to take it.
    fn has_reached(&self, process: &Process) -> bool {
        let was_there = self.at.is_none_or(|at| process.started < at);
        let is_pending = process.pending.is_some_and(|pending| pending.contains(self.signal));
        self.is_for(process) && (was_there || is_pending)
    }
}

/// Whether there is memory for what is made of a look at so many processes: that must not fail.
fn has_room_for(processes: usize) -> bool {
    let count = processes.saturating_mul(2).saturating_add(PIECES.len());
    let mut pieces = Vec::<Vec<u8>>::new();
    if pieces.try_reserve_exact(count).is_err() {
        return false;
    }
    let has_room = PIECES.into_iter().cycle().take(count).all(|size| {
        let mut piece = Vec::new();
        let reserved = piece.try_reserve_exact(size).is_ok();
        pieces.push(piece);
        reserved
    });
    std::hint::black_box(&pieces);
    has_room
}
