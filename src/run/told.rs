//! What was told of already.

/// A failure that may come again and again, and is worth one line.
#[derive(Clone, Copy)]
pub(super) enum Failure {
    Send,
    Kill,
    Wait,
    Detach,
}

/// The failures that were told of, a bit each.
#[derive(Default)]
pub(super) struct Told(u8);

impl Told {
    pub(super) fn is_first(&mut self, failure: Failure) -> bool {
        let bit = 1 << failure as u8;
        let first = self.0 & bit == 0;
        self.0 |= bit;
        first
    }
}
