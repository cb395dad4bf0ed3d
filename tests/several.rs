//! Several commands: what each of them is started with, and when.

mod after;
mod before;
mod beside;
mod deciding;
mod exit_when;
mod surroundings;

use crate::support::{Process, Running, Scenario, probe, untimed};

/// As PID 1, and as an ordinary process.
fn both() -> [Scenario; 2] {
    [Scenario::container(), Scenario::plain()]
}

/// The commands that run, in the order of their start: that of their pids, which begin again from
/// the lowest now and then.
fn commands(running: &Running) -> Vec<Process> {
    let mut commands: Vec<_> =
        running.init.children().into_iter().map(|child| (child.inner_pid(), child)).collect();
    let highest = commands.iter().map(|(pid, _)| *pid).max().unwrap_or_default();
    commands.sort_by_key(|(pid, _)| (highest - pid > 10_000, *pid));
    commands.into_iter().map(|(_, command)| command).collect()
}

/// The lines of the log, without who says it and after what time.
fn told(stderr: &[String]) -> Vec<String> {
    let line = |line: &String| untimed(line.split_once("]: ").expect("a line of firstmate").1);
    stderr.iter().map(line).collect()
}

/// How the log names a command that is the probe.
fn named(option: &str) -> String {
    format!("the {option} command {:?}", probe())
}
