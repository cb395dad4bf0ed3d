//! Whom to ask now.

use std::collections::{BTreeMap, BTreeSet};

use super::{Charge, Charges, Chief, dies_if_told, tells_by};
use crate::process::{Identity, Name, Pid, Process};
use crate::signal::{Signal, SignalSet};
use crate::supervisor::{DrainSignals, Moment};

/// Whom to ask now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// These, each with its signal.
    pub ask: Vec<Asking>,
    /// These wait for half of the time.
    pub wait: Vec<Waiting>,
    /// When another look is worth its price.
    pub next: NextLook,
}

/// A process to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// Which one.
    pub identity: Identity,
    /// With what.
    pub signal: Signal,
    /// SIGHUP as well: an interactive shell ignores all else.
    pub hang_up: bool,
}

impl Asking {
    /// The signal by which it exits.
    #[must_use]
    pub fn by(&self) -> Signal {
        if self.hang_up { Signal::HUP } else { self.signal }
    }
}

/// A process that is asked later, for it may have been told already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Which one.
    pub pid: Pid,
    /// What it is called.
    pub name: Name,
    /// Whose charge it was, if that is known.
    pub left_by: Option<(Pid, Name)>,
}

/// When to look again before the next moment of the drain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum NextLook {
    /// When we have a new child.
    #[default]
    Newcomer,
    /// When a child has ended, too: somebody waits for its turn, or reads what that one wrote.
    Death,
    /// In any case: somebody reads what is left to read.
    Soon,
}

/// When a process is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Now,
    AtHalf,
    AtThreeQuarters,
}

impl Charges {
    /// Whom to ask at this moment of the drain, by a look at all processes but us.
    #[must_use]
    pub fn plan(&mut self, look: &[Process], moment: Moment, signals: DrainSignals) -> Plan {
        // Newcomers come at the moment that is reached, whose order is that of the first.
        self.reached = self.reached.max(Some(moment));
        let turn = match self.reached {
            None | Some(Moment::First | Moment::Newcomers) => Turn::Now,
            Some(Moment::Half) => Turn::AtHalf,
            Some(Moment::ThreeQuarters) => Turn::AtThreeQuarters,
        };
        let scene = Scene::new(self, look, signals);
        let mut plan = Plan::default();
        let mut readers = Vec::new();
        for process in look.iter().filter(|process| process.lives) {
            if scene.was_asked(process) {
                continue;
            }
            let (of_process, left_by) = scene.turn_of(process);
            if of_process > turn {
                // Its chief may have ended while we looked.
                if process.parent == scene.own {
                    plan.next = NextLook::Death;
                }
                if of_process == Turn::AtHalf {
                    let Process { pid, name, .. } = *process;
                    plan.wait.push(Waiting { pid, name, left_by });
                }
            } else if turn < Turn::AtThreeQuarters && scene.is_reader(process) {
                readers.push(process);
            } else {
                plan.ask.push(scene.asking(process));
            }
        }
        self.switches = scene.plan_readers(&readers, moment, &mut plan);
        plan
    }
}

/// A look, with what is known of those in it.
struct Scene<'a> {
    look: &'a [Process],
    charges: &'a Charges,
    own: i32,
    signals: DrainSignals,
    living: BTreeSet<Identity>,
    /// Those with descendants that may do more than to die.
    wrappers: BTreeSet<i32>,
}

impl<'a> Scene<'a> {
    fn new(charges: &'a Charges, look: &'a [Process], signals: DrainSignals) -> Self {
        let mut scene = Self {
            look,
            charges,
            own: charges.own.as_raw(),
            signals,
            living: BTreeSet::new(),
            wrappers: BTreeSet::new(),
        };
        let living = || look.iter().filter(|process| process.lives);
        scene.living.extend(living().map(Process::identity));
        let parents: BTreeMap<_, _> =
            living().map(|process| (process.pid.as_raw(), process.parent)).collect();
        for process in living() {
            if scene.will_die(process) {
                continue;
            }
            let mut ancestor = Some(process.parent);
            while let Some(pid) = ancestor.filter(|pid| scene.wrappers.insert(*pid)) {
                ancestor = parents.get(&pid).copied();
            }
        }
        scene
    }

    fn was_asked(&self, process: &Process) -> bool {
        self.charges.chiefs.contains_key(&process.identity())
    }

    fn signal_for(&self, process: &Process) -> Signal {
        let catcher = self.signals.to_catchers;
        catcher
            .filter(|signal| process.catches(*signal) == Some(true))
            .unwrap_or(self.signals.signal)
    }

    fn asking(&self, process: &Process) -> Asking {
        let signal = self.signal_for(process);
        let leads = process.session == process.pid.as_raw() && process.has_terminal;
        let ignores = process.ignored.is_some_and(|ignored| ignored.contains(signal));
        Asking { identity: process.identity(), signal, hang_up: leads && ignores }
    }

    /// Whether it may go on after the signal, or does so already.
    fn may_write(&self, process: &Process) -> bool {
        self.was_asked(process) || process.dies_of(self.signal_for(process)) != Some(true)
    }

    /// Whether it is still to be killed by the signal.
    fn will_die(&self, process: &Process) -> bool {
        let signal = self.signal_for(process);
        !self.was_asked(process) && process.would_die_of(signal) == Some(true)
    }

    /// Whether it reads what others write: the signal would kill it, and without them it comes to
    /// its end by itself.
    fn is_reader(&self, process: &Process) -> bool {
        process.stdin_pipe.is_some_and(|pipe| Some(pipe) != self.charges.own_stdin)
            && self.will_die(process)
            && !self.wrappers.contains(&process.pid.as_raw())
    }

    /// Whether these are to be asked before three quarters of the time: when nobody may write any
    /// more, and all have slept since the last look, for readers write for each other, and work
    /// through their children; or, if they never sleep, at half of the time. Gives how often each
    /// had run, if that is worth another look.
    fn plan_readers(
        &self,
        readers: &[&Process],
        moment: Moment,
        plan: &mut Plan,
    ) -> BTreeMap<Identity, Option<u64>> {
        // What entered from outside may stay as long as it likes.
        let inside = || self.look.iter().filter(|process| process.lives && process.parent != 0);
        let has_slept = |process: &Process| {
            let before = self.charges.switches.get(&process.identity());
            process.sleeps && before == Some(&process.switches)
        };
        if readers.is_empty() {
            return BTreeMap::new();
        }
        if inside().any(|process| self.may_write(process)) {
            plan.next = NextLook::Death;
            return BTreeMap::new();
        }
        let is_half = moment == Moment::Half && !self.charges.switches.is_empty();
        if is_half || inside().all(has_slept) {
            plan.ask.extend(readers.iter().map(|reader| self.asking(reader)));
            return BTreeMap::new();
        }
        plan.next = NextLook::Soon;
        inside().map(|process| (process.identity(), process.switches)).collect()
    }

    /// When it is to be asked, and who has left it.
    fn turn_of(&self, process: &Process) -> (Turn, Option<(Pid, Name)>) {
        // What entered from outside is nobody's charge.
        if process.parent == 0 {
            return (Turn::Now, None);
        }
        if process.parent != self.own {
            return (Turn::AtThreeQuarters, None);
        }
        let Some(charges) = self.charges.seen.get(&process.identity()) else {
            // First seen after the ask, if there was one.
            return (if self.charges.begun { Turn::AtHalf } else { Turn::Now }, None);
        };
        charges
            .iter()
            .map(|charge| self.turn_of_charge(process, charge))
            .max_by_key(|(turn, _)| *turn)
            .unwrap_or((Turn::Now, None))
    }

    fn turn_of_charge(&self, process: &Process, charge: &Charge) -> (Turn, Option<(Pid, Name)>) {
        // It told nobody.
        let Some(chief) = self.charges.chiefs.get(&charge.chief) else { return (Turn::Now, None) };
        let turn = if self.living.contains(&charge.chief) {
            Turn::AtThreeQuarters
        } else if is_untold(process, charge, chief) {
            Turn::Now
        } else {
            Turn::AtHalf
        };
        (turn, Some((charge.chief.pid, chief.name)))
    }
}

/// Whether its chief has certainly not told it to exit: it would be dead, or its main thread has
/// not run since then, and could not have missed the signal.
fn is_untold(process: &Process, charge: &Charge, chief: &Chief) -> bool {
    let would_be_dead = charge.dies_if_told && dies_if_told(process, chief.by);
    let has_not_run = process.sleeps
        && process.switches.is_some()
        && process.switches == charge.switches
        && tells_by(chief.by).iter().all(|signal| {
            let lacks = |set: SignalSet| !set.contains(*signal);
            process.blocked.is_some_and(lacks) && process.pending.is_some_and(lacks)
        });
    would_be_dead || has_not_run
}
