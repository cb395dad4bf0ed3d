//! Signals that were sent to us, and what is sent on.

use super::Signal;
use crate::process::Pid;

/// A signal that was sent to us, or is to be sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Received {
    /// Which one.
    pub signal: Signal,
    /// What `sigqueue` attached to it; `None` for `kill` and for the kernel's own.
    pub payload: Option<Payload>,
    /// Who has sent it to us.
    pub from: Sender,
}

/// Who has sent a signal (sigaction(2), `si_code` and `si_pid`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// A process outside our PID namespace: the engine's stop.
    Outside,
    /// This process.
    Process(Pid),
    /// The kernel: it was typed at the terminal, or is about something else of its own.
    Kernel,
    /// We, since we began: our write to a broken stderr queues a SIGPIPE (one over a file size
    /// limit a SIGXFSZ), giving up a terminal a SIGHUP and a SIGCONT.
    Ourselves,
}

impl From<Signal> for Received {
    fn from(signal: Signal) -> Self {
        Self { signal, payload: None, from: Sender::Outside }
    }
}

/// What `sigqueue` attaches to a signal (sigqueue(3)), with its sender as we see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Payload {
    /// The bits of `union sigval`: an `int` or a pointer.
    pub value: u64,
    /// The sender's pid in our namespace; 0 when it is outside.
    pub pid: i32,
    /// The sender's real user id.
    pub uid: u32,
}

/// What becomes of a signal before it is forwarded: another one, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RewriteMap(Vec<(Signal, Option<Signal>)>);

impl RewriteMap {
    /// The signal to forward instead of this one, with the same payload; `None`: forward nothing.
    /// It is rewritten once: what comes out is not looked up again.
    #[must_use]
    pub fn apply(&self, received: Received) -> Option<Received> {
        // The last rule for a signal holds.
        match self.0.iter().rev().find(|(from, _)| *from == received.signal) {
            Some((_, to)) => to.map(|signal| Received { signal, ..received }),
            None => Some(received),
        }
    }
}

impl FromIterator<(Signal, Option<Signal>)> for RewriteMap {
    fn from_iter<I: IntoIterator<Item = (Signal, Option<Signal>)>>(rules: I) -> Self {
        Self(rules.into_iter().collect())
    }
}

impl Extend<(Signal, Option<Signal>)> for RewriteMap {
    fn extend<I: IntoIterator<Item = (Signal, Option<Signal>)>>(&mut self, rules: I) {
        self.0.extend(rules);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_rewritten_once_by_its_last_rule_and_keeps_its_payload() {
        let map: RewriteMap = [
            (Signal::TERM, Some(Signal::HUP)),
            (Signal::HUP, Some(Signal::INT)),
            (Signal::INT, None),
            (Signal::TERM, Some(Signal::HUP)),
        ]
        .into_iter()
        .collect();
        assert_eq!(map.apply(Signal::TERM.into()), Some(Signal::HUP.into()));
        assert_eq!(map.apply(Signal::INT.into()), None);
        assert_eq!(map.apply(Signal::CONT.into()), Some(Signal::CONT.into()));
        let payload = Some(Payload { value: 1, pid: 2, uid: 3 });
        let rewritten = map.apply(Received { payload, ..Signal::HUP.into() });
        assert_eq!(rewritten, Some(Received { payload, ..Signal::INT.into() }));
        let last: RewriteMap =
            [(Signal::TERM, None), (Signal::TERM, Some(Signal::INT))].into_iter().collect();
        assert_eq!(last.apply(Signal::TERM.into()), Some(Signal::INT.into()));
    }
}
