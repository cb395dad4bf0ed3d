//! Signals as Linux numbers them, real-time ones included.
#![forbid(unsafe_code)]

mod received;
mod set;

use std::fmt;
use std::str::FromStr;

pub use received::{Payload, Received, RewriteMap, Sender};
pub use set::SignalSet;
use signal_hook::consts;
use signal_hook::low_level::signal_name;

/// The first real-time signal as engines, systemd and glibc number it. The kernel's own is 32;
/// glibc keeps 32 and 33 for itself, musl 34 too and says 35, which would shift every `RTMIN+n` of
/// a Dockerfile by one (signal(7)).
const RTMIN: u8 = 34;
const RTMAX: u8 = 64;
/// From this number on the kernel queues every instance and keeps their order (signal(7)).
const KERNEL_RTMIN: u8 = 32;

/// The standard signals that `signal-hook` has no name for, and the names that signal(7) lists as
/// synonyms.
const MORE_NAMES: [(&str, u8); 5] =
    [("SIGSTKFLT", 16), ("SIGPWR", 30), ("SIGIOT", 6), ("SIGPOLL", 29), ("SIGCLD", 17)];

/// A signal number from 1 to 64.
///
/// A newtype, not an enum: `kill` takes any of them, and the real-time ones have no names of their
/// own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

impl Signal {
    /// Child stopped or terminated.
    pub const CHLD: Self = Self::constant(consts::SIGCHLD);
    /// Continue if stopped.
    pub const CONT: Self = Self::constant(consts::SIGCONT);
    /// Hang-up of the controlling terminal.
    pub const HUP: Self = Self::constant(consts::SIGHUP);
    /// Interrupt from the keyboard.
    pub const INT: Self = Self::constant(consts::SIGINT);
    /// Kill; cannot be caught.
    pub const KILL: Self = Self::constant(consts::SIGKILL);
    /// Quit from the keyboard.
    pub const QUIT: Self = Self::constant(consts::SIGQUIT);
    /// Writing to a pipe that nobody reads.
    pub const PIPE: Self = Self::constant(consts::SIGPIPE);
    /// Stop; cannot be caught.
    pub const STOP: Self = Self::constant(consts::SIGSTOP);
    /// Termination.
    pub const TERM: Self = Self::constant(consts::SIGTERM);
    /// Stop typed at the terminal.
    pub const TSTP: Self = Self::constant(consts::SIGTSTP);
    /// Terminal input wanted in the background.
    pub const TTIN: Self = Self::constant(consts::SIGTTIN);
    /// Terminal output wanted in the background.
    pub const TTOU: Self = Self::constant(consts::SIGTTOU);
    /// The terminal's size has changed.
    pub const WINCH: Self = Self::constant(consts::SIGWINCH);

    /// Only for the constants of signal(7), all below 32.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the constants of signal(7) are 1 to 31"
    )]
    const fn constant(number: i32) -> Self {
        Self(number as u8)
    }

    /// The signal with this number; `None` outside 1 to 64.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is in the range"
    )]
    pub const fn from_raw(number: i32) -> Option<Self> {
        if 1 <= number && number <= RTMAX as i32 { Some(Self(number as u8)) } else { None }
    }

    /// The number, 1 to 64.
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self.0 as i32
    }

    /// Whether the kernel queues every instance of it in order (32 to 64), instead of keeping at
    /// most one pending.
    #[must_use]
    pub const fn is_queued(self) -> bool {
        self.0 >= KERNEL_RTMIN
    }

    /// Whether an init can receive it from others: not KILL and STOP, which nobody can catch
    /// (signal(7)), and not CHLD, which tells an init about its own children.
    #[must_use]
    pub fn is_forwardable(self) -> bool {
        ![Self::KILL, Self::STOP, Self::CHLD].contains(&self)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more =
            || MORE_NAMES.iter().find(|(_, number)| *number == self.0).map(|(name, _)| *name);
        match (signal_name(self.as_raw()).or_else(more), self.0.checked_sub(RTMIN)) {
            (Some(name), _) => f.write_str(name),
            (None, Some(0)) => f.write_str("SIGRTMIN"),
            (None, Some(n)) => write!(f, "SIGRTMIN+{n}"),
            (None, None) => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no signal.
#[derive(Debug, PartialEq, Eq)]
pub struct NotASignal;

impl FromStr for Signal {
    type Err = NotASignal;

    /// Takes `TERM`, `SIGTERM`, `15`, `RTMIN+3` and `RTMAX-2`, in any case.
    fn from_str(text: &str) -> Result<Self, NotASignal> {
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().and_then(Self::from_raw).ok_or(NotASignal);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(offset) = name.strip_prefix("RTMIN") {
            return offset_of(offset, '+')
                .and_then(|n| RTMIN.checked_add(n))
                .filter(|n| *n <= RTMAX)
                .map(Self)
                .ok_or(NotASignal);
        }
        if let Some(offset) = name.strip_prefix("RTMAX") {
            return offset_of(offset, '-')
                .and_then(|n| RTMAX.checked_sub(n))
                .filter(|n| *n >= RTMIN)
                .map(Self)
                .ok_or(NotASignal);
        }
        let standard = (1..KERNEL_RTMIN)
            .map(Self)
            .find(|s| signal_name(s.as_raw()).is_some_and(|n| n.get(3..) == Some(name)));
        let more = || {
            MORE_NAMES
                .iter()
                .find(|(n, _)| n.get(3..) == Some(name))
                .map(|(_, number)| Self(*number))
        };
        standard.or_else(more).ok_or(NotASignal)
    }
}

/// The `n` of `+n` or `-n`; 0 for an empty text.
fn offset_of(text: &str, sign: char) -> Option<u8> {
    if text.is_empty() {
        return Some(0);
    }
    text.strip_prefix(sign)
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_is_read_back_from_its_name_and_its_number() {
        for signal in (1..=64).map(|n| Signal::from_raw(n).unwrap()) {
            let number = signal.as_raw().to_string();
            assert_eq!(number.parse(), Ok(signal));
            let name = signal.to_string();
            if let Some(short) = name.strip_prefix("SIG") {
                assert_eq!(name.parse(), Ok(signal), "{name}");
                assert_eq!(short.to_lowercase().parse(), Ok(signal), "{short}");
            } else {
                assert!([32, 33].contains(&signal.as_raw()), "{signal} has a name in signal(7)");
            }
        }
    }

    #[test]
    fn the_numbers_are_those_of_libc() {
        let named = [
            ("STKFLT", libc::SIGSTKFLT),
            ("PWR", libc::SIGPWR),
            ("IOT", libc::SIGIOT),
            ("POLL", libc::SIGPOLL),
            ("CLD", libc::SIGCHLD),
            ("RTMIN+3", 37),
            ("sigrtmin", 34),
            ("RTMAX-2", 62),
            ("RTMAX-30", 34),
            ("RTMIN+30", 64),
        ];
        for (name, number) in named {
            assert_eq!(name.parse::<Signal>().map(Signal::as_raw), Ok(number), "{name}");
        }
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in [
            "", "0", "65", "-1", "+1", "NOPE", "SIG", "RTMIN+31", "RTMAX-31", "RTMIN-1", "RTMIN+",
            "RTMIN++1", " TERM", "TÉRM",
        ] {
            assert_eq!(text.parse::<Signal>(), Err(NotASignal), "{text:?}");
        }
    }
}
