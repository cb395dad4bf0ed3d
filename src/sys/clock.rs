//! The time of the system.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};

/// `CLOCK_MONOTONIC`; `None` where a filter forbids to ask for it, for which `Instant` panics.
#[must_use]
pub fn monotonic() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_MONOTONIC).ok().map(Duration::from)
}

/// The time since the boot in clock ticks, in which /proc/PID/stat says when a process started
/// (proc_pid_stat(5)); `None` where it cannot be read.
#[must_use]
pub fn ticks() -> Option<u64> {
    let since_boot = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?);
    let in_a_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    let nanoseconds = u64::from(since_boot.subsec_nanos()) * in_a_second;
    Some(since_boot.as_secs() * in_a_second + nanoseconds / 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_starts_between_two_readings() {
        let before = ticks().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let after = ticks().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let (_, rest) = stat.rsplit_once(')').unwrap();
        let started: u64 = rest.split_whitespace().nth(19).unwrap().parse().unwrap();
        child.wait().unwrap();
        assert!((before..=after).contains(&started), "{started} in {before} to {after}");
    }
}
