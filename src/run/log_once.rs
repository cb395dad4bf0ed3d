//! Failures that may come again and again, and are worth one line.

/// Such a failure.
#[derive(Clone, Copy)]
pub(super) enum Failure {
    Send,
    Kill,
    Wait,
    Detach,
    Look,
}

/// The failures that were logged, a bit each.
#[derive(Default)]
pub(super) struct LogOnce(u8);

impl LogOnce {
    pub(super) fn is_first(&mut self, failure: Failure) -> bool {
        let bit = 1 << failure as u8;
        let first = self.0 & bit == 0;
        self.0 |= bit;
        first
    }
}
