//! How processes end, and what becomes of it as an exit status.
#![forbid(unsafe_code)]

use std::fmt;

use crate::signal::Signal;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Termination {
    /// By itself, with this code.
    Exited(u8),
    /// By a signal.
    Killed {
        /// Which one.
        signal: Signal,
        /// Whether the kernel wrote a core file.
        core_dumped: bool,
    },
}

impl fmt::Display for Termination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with {code}"),
            Self::Killed { signal, core_dumped: false } => write!(f, "killed by {signal}"),
            Self::Killed { signal, core_dumped: true } => {
                write!(f, "killed by {signal}, core dumped")
            }
        }
    }
}

/// An exit status as a shell and an engine see it, 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExitStatus(u8);

impl ExitStatus {
    /// Success.
    pub const SUCCESS: Self = Self(0);
    /// firstmate's own failure: a bad option, fork failed, and all that has no code of its own.
    pub const OWN_FAILURE: Self = Self(125);
    /// The command was found but cannot be executed.
    pub const NOT_EXECUTABLE: Self = Self(126);
    /// The command was not found.
    pub const NOT_FOUND: Self = Self(127);

    /// The status with this number.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        Self(code)
    }

    /// The number, 0 to 255.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// Exit 0 instead of each of `codes`.
    #[must_use]
    pub fn remapped(self, codes: &[u8]) -> Self {
        if codes.contains(&self.0) { Self::SUCCESS } else { self }
    }
}

impl From<Termination> for ExitStatus {
    /// The code, or 128+n for signal n: PID 1 cannot die of the signal itself, the kernel ignores
    /// it.
    fn from(termination: Termination) -> Self {
        match termination {
            Termination::Exited(code) => Self(code),
            Termination::Killed { signal, .. } => Self(signal.as_raw().to_le_bytes()[0] | 0x80),
        }
    }
}

/// Who is left in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftovers {
    /// How many processes live.
    pub count: usize,
    /// How many of them are not ours to signal.
    pub refused: usize,
    /// The names of the first of them.
    pub names: Vec<LeftName>,
}

/// What a process is called that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftName {
    /// Its name.
    pub name: String,
    /// It, and none of its ancestors here, was started from outside (`docker exec`).
    pub has_entered: bool,
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, LeftName { name, has_entered }) in self.names.iter().enumerate() {
            let entered = if *has_entered { " (entered from outside)" } else { "" };
            write!(f, "{}{name:?}{entered}", if i == 0 { "" } else { ", " })?;
        }
        match self.count.saturating_sub(self.names.len()) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Leftovers {
    /// More names than this tell nobody anything.
    pub const MOST_NAMES: usize = 10;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_by_signal_n_is_128_plus_n_for_all_64() {
        for n in 1..=64_u8 {
            let signal = Signal::from_raw(i32::from(n)).unwrap();
            assert_eq!(
                ExitStatus::from(Termination::Killed { signal, core_dumped: false }).code(),
                128 + n
            );
        }
    }

    #[test]
    fn remapping_touches_only_the_codes_named() {
        assert_eq!(ExitStatus(143).remapped(&[143, 7]), ExitStatus::SUCCESS);
        assert_eq!(ExitStatus(1).remapped(&[143, 7]), ExitStatus(1));
    }
}
