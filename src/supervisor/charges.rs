//! Whom the drain asks, and when: facts about processes in, pids out.
//!
//! When a process is asked to exit, its descendants are in its *charge*: a master is asked, and not
//! its workers behind its back. Only children of ours can be left by whoever was in charge of them.
//! A child that is in nobody's charge is asked at once; so is one that was certainly not told to
//! exit by its *chief*. Whoever may have been told is asked at half of the time, and the charges of
//! the living at three quarters. Nobody is asked twice, and nobody is killed unasked. What reads
//! what others write is asked last, or they would lose their output.
#![forbid(unsafe_code)]

mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use plan::{Asking, NextLook, Plan, Waiting};

use super::Moment;
use crate::process::{Identity, Name, Pid, Process};
use crate::signal::Signal;
use crate::status::Termination;

/// Who was asked so far, and who is in whose charge.
#[derive(Debug)]
pub struct Charges {
    own: Pid,
    /// Who reads that reads what is written outside.
    own_stdin: Option<u64>,
    /// Somebody was asked.
    begun: bool,
    /// Who was asked; without those who have ended, and certainly told nobody.
    chiefs: BTreeMap<Identity, Chief>,
    /// Those that a look before an ask has seen, each with the chiefs in whose charge it is.
    seen: BTreeMap<Identity, Vec<Charge>>,
    /// How far the drain is.
    reached: Option<Moment>,
    /// How often each had run at the last look, if readers are there that nobody writes for.
    switches: BTreeMap<Identity, Option<u64>>,
}

/// A process that was asked to exit.
#[derive(Debug)]
struct Chief {
    name: Name,
    by: Signal,
    /// Whether it caught the signal before it was asked, as far as that is known.
    caught: Option<bool>,
}

/// What a process was like when its chief was asked.
#[derive(Clone, Copy, Debug)]
struct Charge {
    chief: Identity,
    /// Told to exit by its chief, it would be dead.
    dies_if_told: bool,
    switches: Option<u64>,
}

impl Charges {
    /// Nobody yet; `own` is our pid, and `own_stdin` the pipe that our stdin is, if it is one.
    #[must_use]
    pub fn new(own: Pid, own_stdin: Option<u64>) -> Self {
        Self {
            own,
            own_stdin,
            begun: false,
            chiefs: BTreeMap::new(),
            seen: BTreeMap::new(),
            reached: None,
            switches: BTreeMap::new(),
        }
    }

    /// Whoever of these was sent a signal, as a look before that has seen them, was asked.
    pub fn asked(&mut self, look: &[Process], by: impl Fn(&Process) -> Option<Signal>) {
        if !std::mem::replace(&mut self.begun, true) {
            self.seen.extend(look.iter().map(|process| (process.identity(), Vec::new())));
        }
        let mut chiefs = BTreeMap::new();
        for process in look.iter().filter(|process| process.lives) {
            if let Some(by) = by(process) {
                let Process { name, pid, .. } = *process;
                let chief = Chief { name, by, caught: process.catches(by) };
                self.chiefs.insert(process.identity(), chief);
                chiefs.insert(pid.as_raw(), (process.identity(), by));
            }
        }
        for (process, (chief, by)) in in_charge(look, &chiefs) {
            self.seen.entry(process.identity()).or_default().push(Charge {
                chief,
                dies_if_told: dies_if_told(process, by),
                switches: process.switches,
            });
        }
    }

    /// These were sent the signal too, by their group or all at once: a look after that has seen
    /// them.
    pub fn asked_with_them(
        &mut self,
        look: &[Process],
        by: Signal,
        who: impl Fn(&Process) -> bool,
    ) {
        self.begun = true;
        for process in look.iter().filter(|process| process.lives && who(process)) {
            let chief = Chief { name: process.name, by, caught: None };
            self.chiefs.entry(process.identity()).or_insert(chief);
        }
    }

    /// Somebody was asked, but no look could be had before: whoever is seen later may have been
    /// told.
    pub fn asked_blindly(&mut self) {
        self.begun = true;
    }

    /// A child has ended; `by_us`: a SIGKILL of ours may have been the reason.
    pub fn ended(&mut self, pid: Pid, termination: Termination, by_us: bool) {
        // The last one that had this pid.
        let of_pid = Identity { pid, started: 0 }..=Identity { pid, started: u64::MAX };
        let Some((&identity, chief)) = self.chiefs.range(of_pid).next_back() else { return };
        let told_nobody = match (termination, chief.caught) {
            (Termination::Killed { signal: Signal::KILL, .. }, _) if by_us => true,
            (Termination::Killed { .. }, Some(caught)) => !caught,
            (Termination::Killed { signal, .. }, None) => signal == chief.by,
            (Termination::Exited(_), _) => false,
        };
        if told_nobody {
            self.chiefs.remove(&identity);
        }
    }
}

/// The pids of these, and of all their descendants.
pub fn with_descendants(look: &[Process], are: impl Fn(&Process) -> bool) -> BTreeSet<i32> {
    let these = look.iter().filter(|process| are(process)).map(|process| process.pid.as_raw());
    let these: BTreeMap<_, _> = these.map(|pid| (pid, pid)).collect();
    let below = in_charge(look, &these).into_iter().map(|(process, _)| process.pid.as_raw());
    these.keys().copied().chain(below).collect()
}

/// Whoever has one of these pids among its ancestors, with what is known of the nearest.
fn in_charge<'look, T: Copy>(
    look: &'look [Process],
    chiefs: &BTreeMap<i32, T>,
) -> Vec<(&'look Process, T)> {
    let mut children = BTreeMap::<_, Vec<_>>::new();
    for process in look {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut parents: Vec<_> = chiefs.iter().map(|(pid, chief)| (*pid, *chief)).collect();
    while let Some((parent, chief)) = parents.pop() {
        // Taken out, for a look is no single moment: a pid may be its own ancestor.
        for child in children.remove(&parent).unwrap_or_default() {
            found.push((child, chief));
            let pid = child.pid.as_raw();
            if !chiefs.contains_key(&pid) {
                parents.push((pid, chief));
            }
        }
    }
    found
}

/// Those by which a chief tells its charges to exit: SIGTERM, or what it was asked by itself.
fn tells_by(by: Signal) -> [Signal; 2] {
    [Signal::TERM, by]
}

/// Whether it would be dead, had a chief that was asked by this signal told it to exit.
fn dies_if_told(process: &Process, by: Signal) -> bool {
    let catches = tells_by(by).map(|signal| process.catches(signal));
    catches == [Some(false); 2] && process.dies_of(Signal::TERM) == Some(true)
}
