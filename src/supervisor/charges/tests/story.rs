//! What happens in a drain, and who is asked at which moment.

use std::fmt::Write;

use crate::signal::SignalSet;
use crate::supervisor::DrainSignals;
use crate::supervisor::charges::*;

pub(super) const OWN: i32 = 1;
pub(super) const OWN_STDIN: u64 = 6;
pub(super) const BY_TERM: DrainSignals = DrainSignals { signal: Signal::TERM, to_catchers: None };
/// The main command was a wrapper, and died of the SIGQUIT that the stop sent.
pub(super) const BY_QUIT_OR_TERM: DrainSignals =
    DrainSignals { signal: Signal::TERM, to_catchers: Some(Signal::QUIT) };

/// A child of ours that is asleep, and that any signal would kill.
pub(super) fn process(pid: i32) -> Process {
    let mut name = Name::default();
    name.0.iter_mut().zip(format!("p{pid}").bytes()).for_each(|(place, byte)| *place = byte);
    Process {
        pid: Pid::from_raw(pid).unwrap(),
        started: 100,
        parent: OWN,
        group: 2,
        session: 2,
        has_terminal: false,
        lives: true,
        sleeps: true,
        name,
        caught: Some(SignalSet::default()),
        blocked: Some(SignalSet::default()),
        ignored: Some(SignalSet::default()),
        pending: Some(SignalSet::default()),
        switches: Some(10),
        stdin_pipe: None,
    }
}

pub(super) fn with(set: Option<SignalSet>, signal: Signal) -> Option<SignalSet> {
    set.map(|set| SignalSet::from_bits(set.bits() | SignalSet::from_iter([signal]).bits()))
}

impl Process {
    pub(super) fn under(self, parent: i32) -> Self {
        Self { parent, ..self }
    }

    pub(super) fn catches_a(self, signal: Signal) -> Self {
        Self { caught: with(self.caught, signal), ..self }
    }

    pub(super) fn catches_term(self) -> Self {
        self.catches_a(Signal::TERM)
    }

    pub(super) fn blocks(self, signal: Signal) -> Self {
        Self { blocked: with(self.blocked, signal), ..self }
    }

    pub(super) fn ignores(self, signal: Signal) -> Self {
        Self { ignored: with(self.ignored, signal), ..self }
    }

    pub(super) fn in_group(self, group: i32) -> Self {
        Self { group, ..self }
    }

    pub(super) fn reads(self) -> Self {
        Self { stdin_pipe: Some(7), ..self }
    }

    /// gVisor's /proc tells neither signals nor context switches.
    pub(super) fn unknown(self) -> Self {
        let (caught, blocked, ignored, pending) = (None, None, None, None);
        Self { caught, blocked, ignored, pending, switches: None, ..self }
    }
}

/// What happens, and who was asked at each moment so far.
pub(super) struct Story {
    pub(super) charges: Charges,
    pub(super) look: Vec<Process>,
    signals: DrainSignals,
    refused: Vec<i32>,
    /// Our SIGKILL has gone out.
    killed: bool,
    next: NextLook,
    moments: Vec<String>,
}

pub(super) fn with_processes<const COUNT: usize>(look: [Process; COUNT]) -> Story {
    Story {
        charges: Charges::new(Pid::from_raw(OWN).unwrap(), Some(OWN_STDIN)),
        look: look.to_vec(),
        signals: BY_TERM,
        refused: Vec::new(),
        killed: false,
        next: NextLook::default(),
        moments: Vec::new(),
    }
}

impl Story {
    pub(super) fn asks(mut self, pid: i32, by: Signal) -> Self {
        self.charges.asked(&self.look, |process| (process.pid.as_raw() == pid).then_some(by));
        self
    }

    pub(super) fn asks_blindly(mut self) -> Self {
        self.charges.asked_blindly();
        self
    }

    /// With `-g`: a look before, and one after.
    pub(super) fn asks_group(mut self, group: i32, before: usize) -> Self {
        let is_in = |process: &Process| process.group == group;
        let before = &self.look[..before];
        self.charges.asked(before, |process| is_in(process).then_some(Signal::TERM));
        self.charges.asked_with_them(&self.look, Signal::TERM, is_in);
        self
    }

    pub(super) fn asks_all(mut self) -> Self {
        self.charges.asked(&self.look, |_| Some(Signal::TERM));
        self.charges.asked_with_them(&self.look, Signal::TERM, |_| true);
        self
    }

    /// Its children become ours.
    pub(super) fn ends(mut self, pid: i32, termination: Termination) -> Self {
        let at = self.look.iter().position(|process| process.pid.as_raw() == pid).unwrap();
        let gone = self.look.remove(at);
        for orphan in self.look.iter_mut().filter(|process| process.parent == pid) {
            orphan.parent = OWN;
        }
        if gone.parent == OWN {
            self.charges.ended(gone.pid, termination, self.killed);
        }
        self
    }

    pub(super) fn exits(self, pid: i32) -> Self {
        self.ends(pid, Termination::Exited(0))
    }

    pub(super) fn dies(self, pid: i32, signal: Signal) -> Self {
        self.ends(pid, Termination::Killed { signal, core_dumped: false })
    }

    pub(super) fn we_kill(mut self, pid: i32) -> Self {
        self.killed = true;
        self.dies(pid, Signal::KILL)
    }

    pub(super) fn becomes(mut self, pid: i32, change: impl Fn(Process) -> Process) -> Self {
        for process in self.look.iter_mut().filter(|process| process.pid.as_raw() == pid) {
            *process = change(*process);
        }
        self
    }

    pub(super) fn runs(self, pid: i32) -> Self {
        self.becomes(pid, |process| Process {
            switches: process.switches.map(|switches| switches + 1),
            ..process
        })
    }

    pub(super) fn comes(mut self, newcomer: Process) -> Self {
        self.look.push(newcomer);
        self
    }

    pub(super) fn signals(self, signals: DrainSignals) -> Self {
        Self { signals, ..self }
    }

    pub(super) fn refuses(mut self, pid: i32) -> Self {
        self.refused.push(pid);
        self
    }

    pub(super) fn at(mut self, moment: Moment) -> Self {
        let plan = self.charges.plan(&self.look, moment, self.signals);
        self.next = plan.next;
        let mut done = BTreeMap::new();
        let mut text = String::new();
        for asking in plan.ask {
            let Asking { identity, signal, hang_up } = asking;
            write!(text, " {}", identity.pid).unwrap();
            if signal != Signal::TERM {
                write!(text, "-{signal}").unwrap();
            }
            if hang_up {
                text.push_str("+HUP");
            }
            if !self.refused.contains(&identity.pid.as_raw()) {
                done.insert(identity, asking.by());
            }
        }
        if !done.is_empty() {
            self.charges.asked(&self.look, |process| done.get(&process.identity()).copied());
        }
        self.moments.push(if text.is_empty() { "-".into() } else { text.trim().into() });
        self
    }

    pub(super) fn first(self) -> Self {
        self.at(Moment::First)
    }

    pub(super) fn look(self) -> Self {
        self.at(Moment::Newcomers)
    }

    pub(super) fn half(self) -> Self {
        self.at(Moment::Half)
    }

    /// At three quarters.
    pub(super) fn late(self) -> Self {
        self.at(Moment::ThreeQuarters)
    }

    /// All moments of a drain in which nothing more happens.
    pub(super) fn drained(self) -> Self {
        self.first().half().late()
    }

    pub(super) fn is(&self, expected: &str) {
        assert_eq!(self.moments.join(" | "), expected);
    }

    pub(super) fn next_look_is(self, next: NextLook) -> Self {
        assert_eq!(self.next, next);
        self
    }
}
