//! Sets of signals.

use std::fmt;

use super::{RTMAX, Signal};

/// A set of signals, laid out as the kernel's `sigset_t`: bit n-1 is signal n.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct SignalSet(u64);

impl SignalSet {
    /// All 64 signals.
    pub const FULL: Self = Self(u64::MAX);

    /// The set that the kernel's bits stand for.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The kernel's bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether `signal` is in it.
    #[must_use]
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & Self::bit(signal) != 0
    }

    /// The signal of the lowest number in it.
    #[must_use]
    pub fn first(self) -> Option<Signal> {
        Signal::from_raw(i32::try_from(self.0.trailing_zeros()).ok()? + 1)
    }

    /// Takes `signal` out.
    pub fn remove(&mut self, signal: Signal) {
        self.0 &= !Self::bit(signal);
    }

    const fn bit(signal: Signal) -> u64 {
        1 << (signal.0 - 1)
    }
}

impl FromIterator<Signal> for SignalSet {
    fn from_iter<I: IntoIterator<Item = Signal>>(signals: I) -> Self {
        Self(signals.into_iter().fold(0, |bits, signal| bits | Self::bit(signal)))
    }
}

impl fmt::Debug for SignalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((1..=RTMAX).map(Signal).filter(|s| self.contains(*s))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_the_layout_of_the_kernel() {
        let mut set: SignalSet = [Signal::HUP, Signal::from_raw(64).unwrap()].into_iter().collect();
        assert_eq!(set.bits(), 1 | 1 << 63);
        set.remove(Signal::HUP);
        assert_eq!(set, SignalSet::from_bits(1 << 63));
    }
}
