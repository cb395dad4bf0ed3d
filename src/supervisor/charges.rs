//! Whom the drain asks, and when: facts about processes in, pids out.
//!
//! When a process is asked to exit, its descendants are in its *charge*: a master is asked, and not
//! its workers behind its back. Only children of ours can be left by whoever was in charge of them.
//! A child that is in nobody's charge is asked at once; so is one that was certainly not told to
//! exit by its *chief*. Whoever may have been told is asked at half of the time, and the charges of
//! the living at three quarters. Nobody is asked twice, and nobody is killed unasked. What reads
//! what others write is asked last, or they would lose their output.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use super::{DrainSignals, Moment};
use crate::process::{Identity, Name, Pid, Process};
use crate::signal::Signal;
use crate::status::Termination;

/// Who was asked so far, and who is in whose charge.
#[derive(Debug, Default)]
pub struct Charges {
    chiefs: Vec<Chief>,
    /// Those that a look before an ask has seen, each with the chiefs in whose charge it is.
    seen: BTreeMap<Identity, Vec<Charge>>,
    /// How far the drain is.
    reached: Option<Moment>,
}

/// A process that was asked to exit.
#[derive(Debug)]
struct Chief {
    identity: Identity,
    name: Name,
    by: Signal,
    /// Whether it caught the signal before it was asked, as far as that is known.
    caught: Option<bool>,
    fate: Fate,
}

/// What has become of a chief.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Lives,
    /// It died of the signal, or by our SIGKILL.
    ToldNobody,
    MayHaveTold,
}

/// What a process was like when its chief was asked.
#[derive(Clone, Copy, Debug)]
struct Charge {
    /// An index of `chiefs`.
    chief: usize,
    /// For the signals that it could have died of.
    died_of_term: Option<bool>,
    switches: Option<u64>,
}

/// Whom to ask now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// These, each with its signal.
    pub ask: Vec<Asking>,
    /// These wait for half of the time.
    pub wait: Vec<Waiting>,
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

/// When a process is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Now,
    AtHalf,
    AtThreeQuarters,
}

impl Charges {
    /// Whoever of these was sent `signal`, as a look before that has seen them, was asked.
    pub fn asked(&mut self, look: &[Process], signal: Signal, who: impl Fn(&Process) -> bool) {
        let is_first = self.chiefs.is_empty();
        let first = self.chiefs.len();
        let mut chiefs = BTreeMap::new();
        for process in look.iter().filter(|process| process.lives && who(process)) {
            chiefs.insert(process.pid.as_raw(), self.chiefs.len());
            self.chiefs.push(Chief {
                identity: process.identity(),
                name: process.name,
                by: signal,
                caught: process.catches(signal),
                fate: Fate::Lives,
            });
        }
        let parents: BTreeMap<_, _> =
            look.iter().map(|process| (process.pid.as_raw(), process.parent)).collect();
        // The nearest of its ancestors that was asked.
        let chief_of = |process: &Process| {
            let mut parent = process.parent;
            // Nobody has more ancestors than there are processes; a pid may be used again meanwhile.
            for _ in 0..=look.len() {
                if let Some(chief) = chiefs.get(&parent) {
                    return Some(*chief);
                }
                parent = *parents.get(&parent)?;
            }
            None
        };
        for process in look {
            let chief = chief_of(process);
            if is_first || chief.is_some() {
                let charges = self.seen.entry(process.identity()).or_default();
                charges.extend(chief.filter(|chief| *chief >= first).map(|chief| Charge {
                    chief,
                    died_of_term: process.dies_of(Signal::TERM),
                    switches: process.switches,
                }));
            }
        }
    }

    /// These were sent `signal` too, by their group or all at once: a look after that has seen them.
    pub fn asked_with_them(
        &mut self,
        look: &[Process],
        signal: Signal,
        who: impl Fn(&Process) -> bool,
    ) {
        let asked: BTreeSet<_> = self.chiefs.iter().map(|chief| chief.identity).collect();
        for process in look.iter().filter(|process| process.lives && who(process)) {
            if !asked.contains(&process.identity()) {
                self.chiefs.push(Chief {
                    identity: process.identity(),
                    name: process.name,
                    by: signal,
                    caught: None,
                    fate: Fate::Lives,
                });
            }
        }
    }

    /// Somebody was asked, but no look could be had before: whoever is seen later may have been
    /// told.
    pub fn asked_blindly(&mut self, pid: Pid, signal: Signal) {
        let identity = Identity { pid, started: 0 };
        let (name, caught, fate) = (Name::default(), None, Fate::Lives);
        self.chiefs.push(Chief { identity, name, by: signal, caught, fate });
    }

    /// A child has ended; `by_us`: a SIGKILL of ours may have been the reason.
    pub fn ended(&mut self, pid: Pid, termination: Termination, by_us: bool) {
        let lives = |chief: &&mut Chief| chief.identity.pid == pid && chief.fate == Fate::Lives;
        let Some(chief) = self.chiefs.iter_mut().rev().find(lives) else { return };
        chief.fate = match (termination, chief.caught) {
            (Termination::Killed { signal: Signal::KILL, .. }, _) if by_us => Fate::ToldNobody,
            (Termination::Killed { .. }, Some(false)) => Fate::ToldNobody,
            (Termination::Killed { signal, .. }, None) if signal == chief.by => Fate::ToldNobody,
            (Termination::Exited(_) | Termination::Killed { .. }, _) => Fate::MayHaveTold,
        };
    }

    /// Whom to ask at this moment of the drain, by a look at all processes but us, who are `own`.
    #[must_use]
    pub fn plan(
        &mut self,
        look: &[Process],
        own: Pid,
        moment: Moment,
        signals: DrainSignals,
    ) -> Plan {
        if moment != Moment::Newcomers {
            self.reached = self.reached.max(Some(moment));
        }
        let turn = match self.reached {
            None | Some(Moment::First | Moment::Newcomers) => Turn::Now,
            Some(Moment::Half) => Turn::AtHalf,
            Some(Moment::ThreeQuarters) => Turn::AtThreeQuarters,
        };
        let scene = Scene::new(self, look, own, signals);
        let mut plan = Plan::default();
        for process in look.iter().filter(|process| process.lives) {
            if scene.asked.contains(&process.identity()) {
                continue;
            }
            let (of_process, left_by) = scene.turn_of(process);
            if of_process > turn {
                if of_process == Turn::AtHalf {
                    let Process { pid, name, .. } = *process;
                    plan.wait.push(Waiting { pid, name, left_by });
                }
            } else if turn == Turn::AtThreeQuarters || !scene.is_reader_of_others(process) {
                let signal = scene.signal_for(process);
                let leads = process.session == process.pid.as_raw() && process.has_terminal;
                let ignores = process.ignored.is_some_and(|ignored| ignored.contains(signal));
                let hang_up = leads && ignores;
                plan.ask.push(Asking { identity: process.identity(), signal, hang_up });
            }
        }
        plan
    }
}

/// A look, with what is known of those in it.
struct Scene<'a> {
    charges: &'a Charges,
    own: Pid,
    signals: DrainSignals,
    asked: BTreeSet<Identity>,
    living: BTreeSet<Identity>,
    parents: BTreeSet<i32>,
    /// How many are left whose output a reader may still have to read.
    writers: usize,
}

impl<'a> Scene<'a> {
    fn new(charges: &'a Charges, look: &[Process], own: Pid, signals: DrainSignals) -> Self {
        let living = || look.iter().filter(|process| process.lives);
        let mut scene = Self {
            charges,
            own,
            signals,
            asked: charges.chiefs.iter().map(|chief| chief.identity).collect(),
            living: living().map(Process::identity).collect(),
            parents: living().map(|process| process.parent).collect(),
            writers: 0,
        };
        scene.writers = living().filter(|process| scene.is_writer(process)).count();
        scene
    }

    /// Who catches the signal, or did before it was asked: it may be at work. What entered from
    /// outside does not count.
    fn is_writer(&self, process: &Process) -> bool {
        let catches = process.catches(self.signal_for(process)) != Some(false);
        process.parent != 0 && (catches || self.asked.contains(&process.identity()))
    }

    fn signal_for(&self, process: &Process) -> Signal {
        let catcher = self.signals.to_catchers;
        catcher
            .filter(|signal| process.catches(*signal) == Some(true))
            .unwrap_or(self.signals.signal)
    }

    /// Whether it reads what others write, and dies of the signal: without them it ends by itself.
    fn is_reader_of_others(&self, process: &Process) -> bool {
        let is_leaf = !self.parents.contains(&process.pid.as_raw());
        let dies = process.dies_of(self.signal_for(process)) == Some(true);
        is_leaf && dies && process.reads_a_pipe && self.writers > 0
    }

    /// When it is to be asked, and who has left it.
    fn turn_of(&self, process: &Process) -> (Turn, Option<(Pid, Name)>) {
        // What entered from outside is nobody's charge.
        if process.parent == 0 {
            return (Turn::Now, None);
        }
        if process.parent != self.own.as_raw() {
            return (Turn::AtThreeQuarters, None);
        }
        let Some(charges) = self.charges.seen.get(&process.identity()) else {
            // First seen after the ask, if there was one.
            let nobody = self.charges.chiefs.is_empty();
            return (if nobody { Turn::Now } else { Turn::AtHalf }, None);
        };
        charges
            .iter()
            .map(|charge| self.turn_of_charge(process, charge))
            .max_by_key(|(turn, _)| *turn)
            .unwrap_or((Turn::Now, None))
    }

    fn turn_of_charge(&self, process: &Process, charge: &Charge) -> (Turn, Option<(Pid, Name)>) {
        let Some(chief) = self.charges.chiefs.get(charge.chief) else { return (Turn::Now, None) };
        let left_by = Some((chief.identity.pid, chief.name));
        let turn = match chief.fate {
            Fate::ToldNobody => Turn::Now,
            Fate::Lives if self.living.contains(&chief.identity) => Turn::AtThreeQuarters,
            Fate::Lives | Fate::MayHaveTold if self.is_untold(process, charge) => Turn::Now,
            Fate::Lives | Fate::MayHaveTold => Turn::AtHalf,
        };
        (turn, left_by)
    }

    /// Whether its chief has certainly not told it to exit: it would be dead, or its main thread
    /// has not run since then, and could not have missed the signal.
    fn is_untold(&self, process: &Process, charge: &Charge) -> bool {
        let signal = self.signal_for(process);
        let would_be_dead =
            charge.died_of_term == Some(true) && process.dies_of(Signal::TERM) == Some(true);
        let has_not_run = process.sleeps
            && process.switches.is_some()
            && process.switches == charge.switches
            && process.blocked.is_some_and(|blocked| !blocked.contains(signal))
            && process.pending.is_some_and(|pending| !pending.contains(signal));
        would_be_dead || has_not_run
    }
}
