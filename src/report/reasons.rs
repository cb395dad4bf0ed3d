//! Why the container ended, for the termination message.

use std::fmt::{self, Display, Write};

/// The sentences of why, one a line.
#[derive(Debug, Default)]
pub struct Reasons {
    text: Bounded,
    /// One of them has ended the container. What has only happened on the way is no reason for an
    /// ordinary end.
    decisive: bool,
}

impl Reasons {
    /// Kubernetes reads this many bytes of a termination message, and no more.
    pub const LONGEST: usize = 4096;

    /// Adds a sentence. What does not fit is left out; half of the room is kept for what has ended
    /// the container.
    pub fn add(&mut self, sentence: &impl Display, decisive: bool) {
        if !decisive && self.text.0.len() > Self::LONGEST / 2 {
            return;
        }
        self.decisive |= decisive;
        let _ = writeln!(self.text, "{sentence}");
    }

    /// All of them; empty if the end was an ordinary one.
    #[must_use]
    pub fn text(&self) -> &str {
        if self.decisive { self.text.0.trim_end() } else { "" }
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
        reasons.add(&"out of memory", false);
        assert_eq!(reasons.text(), "");
        reasons.add(&"killed", true);
        assert_eq!(reasons.text(), "out of memory\nkilled");
    }

    #[test]
    fn what_happens_again_and_again_leaves_room_for_what_ends_the_container() {
        let mut reasons = Reasons::default();
        for _ in 0..1000 {
            reasons.add(&"out of memory", false);
        }
        reasons.add(&"killed", true);
        assert!(reasons.text().ends_with("\nkilled"), "{}", reasons.text());
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_between_characters() {
        let mut reasons = Reasons::default();
        reasons.add(&format_args!("x{}", "é".repeat(Reasons::LONGEST)), true);
        assert_eq!(reasons.text().len(), Reasons::LONGEST - 1);
        reasons.add(&"more", true);
        assert!(reasons.text().len() <= Reasons::LONGEST);
    }
}
