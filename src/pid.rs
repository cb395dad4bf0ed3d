//! Process ids.
#![forbid(unsafe_code)]

use std::fmt;

/// A process id as we see it: positive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(i32);

impl Pid {
    /// `None` unless positive: 0 and below mean groups to kill(2).
    #[must_use]
    pub const fn from_raw(pid: i32) -> Option<Self> {
        if pid > 0 { Some(Self(pid)) } else { None }
    }

    /// The number, positive.
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
