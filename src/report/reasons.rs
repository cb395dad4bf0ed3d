//! Why the container ended, for the termination message.

use std::fmt::{self, Display, Write};

use crate::status::ExitStatus;

/// What a sentence has to do with the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has ended the container.
    Decisive,
    /// It has asked for the end: a reason, unless all went well.
    Asked,
    /// It has happened on the way, and is no reason for an ordinary end.
    Context,
}

/// The sentences of why, one a line.
#[derive(Debug, Default)]
pub struct Reasons {
    text: Bounded,
    is_decided: bool,
    is_asked: bool,
}

impl Reasons {
    /// Kubernetes reads this many bytes of a termination message, and no more.
    pub const LONGEST: usize = 4096;

    /// Adds a sentence. What does not fit is left out; half of the room is kept for what has ended
    /// the container.
    pub fn add(&mut self, sentence: &impl Display, reason: Reason) {
        if reason == Reason::Context && self.text.0.len() > Self::LONGEST / 2 {
            return;
        }
        self.is_decided |= reason == Reason::Decisive;
        self.is_asked |= reason == Reason::Asked;
        let _ = writeln!(self.text, "{sentence}");
    }

    /// All that has happened so far, and what happens now.
    #[must_use]
    pub fn so_far(&self, step: impl Display) -> String {
        let mut text = Bounded::default();
        let _ = write!(text, "{}{step}", self.text.0);
        text.0.truncate(text.0.trim_end().len());
        text.0
    }

    /// All of them; empty if the end, with this status, was an ordinary one.
    #[must_use]
    pub fn text(&self, status: ExitStatus) -> &str {
        let is_worth_it = self.is_decided || (self.is_asked && status != ExitStatus::SUCCESS);
        if is_worth_it { self.text.0.trim_end() } else { "" }
    }
}

/// A text of at most [`Reasons::LONGEST`] bytes.
#[derive(Debug, Default)]
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = text.len().min(Reasons::LONGEST - self.0.len());
        let fits = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        self.0.try_reserve(fits).map_err(|_| fmt::Error)?;
        self.0.push_str(text.get(..fits).unwrap_or_default());
        if fits < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_on_the_way_is_no_reason_for_an_ordinary_end() {
        let mut reasons = Reasons::default();
        reasons.add(&"out of memory", Reason::Context);
        assert_eq!(reasons.text(ExitStatus::OWN_FAILURE), "");
        reasons.add(&"killed", Reason::Decisive);
        assert_eq!(reasons.text(ExitStatus::OWN_FAILURE), "out of memory\nkilled");
    }

    #[test]
    fn a_stop_is_a_reason_unless_all_went_well() {
        let mut reasons = Reasons::default();
        reasons.add(&"SIGTERM", Reason::Asked);
        assert_eq!(reasons.text(ExitStatus::OWN_FAILURE), "SIGTERM");
        assert_eq!(reasons.text(ExitStatus::SUCCESS), "");
        reasons.add(&"killed", Reason::Decisive);
        assert_eq!(reasons.text(ExitStatus::SUCCESS), "SIGTERM\nkilled");
    }

    #[test]
    fn what_happens_again_and_again_leaves_room_for_what_ends_the_container() {
        let mut reasons = Reasons::default();
        for _ in 0..1000 {
            reasons.add(&"out of memory", Reason::Context);
        }
        reasons.add(&"killed", Reason::Decisive);
        assert!(
            reasons.text(ExitStatus::OWN_FAILURE).ends_with("\nkilled"),
            "{}",
            reasons.text(ExitStatus::OWN_FAILURE)
        );
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_between_characters() {
        let mut reasons = Reasons::default();
        reasons.add(&format_args!("x{}", "é".repeat(Reasons::LONGEST)), Reason::Decisive);
        assert_eq!(reasons.text(ExitStatus::OWN_FAILURE).len(), Reasons::LONGEST - 1);
        reasons.add(&"more", Reason::Decisive);
        assert!(reasons.text(ExitStatus::OWN_FAILURE).len() <= Reasons::LONGEST);
    }
}
