//! The drain: who remains when the commands have ended is asked once, by whoever is in charge.

mod charges;
mod crowds;
mod leftovers;
mod readers;
mod refused;
mod scripts;
mod signals;
mod stop_timeout;
mod surroundings;

use std::time::{Duration, Instant};

use crate::support::{Directory, Finished, Process, Running, Scenario, probe, wait_until};

/// On its first SIGTERM it puts the default back, works for 0.8 s, and exits: to it a second one
/// means "quit now", as Go, node and Python programs are written.
const ONCE: &str = "catch-once 15 say ready await-caught 15 say saving sleep-ms 800 say saved";

/// On SIGTERM it prints for a while, and it dies of a pipe that nobody reads.
fn printing() -> String {
    let lines: Vec<_> = (1..=20).map(|number| format!("say line-{number} sleep-ms 20")).collect();
    format!("default 13 catch 15 say ready await-caught 15 {}", lines.join(" "))
}

/// As PID 1, and as an ordinary process.
fn both() -> [Scenario; 2] {
    [Scenario::container(), Scenario::plain()]
}

/// firstmate, as PID 1 or as its only child.
fn firstmate(running: &Running) -> Process {
    let is_init = running.init.status("Name") == "firstmate";
    if is_init { running.init } else { running.init.child() }
}

/// As the main command of the others: it ends by itself with a status of its own.
fn leaving(leftover: &str) -> Scenario {
    Scenario::container().probe(&format!("block-all {leftover} exit 3"))
}

/// Programs that a script finds by their names: the probe, each with its steps.
struct Programs(Directory);

impl Programs {
    fn new(programs: &[(&str, &str)]) -> Self {
        let directory = Directory::new();
        for (name, steps) in programs {
            // A bracket that stands alone is no pattern.
            let text = format!("#!/bin/sh\nexec '{}' {steps}\n", probe().display());
            directory.file(name, text);
        }
        Self(directory)
    }

    /// The command is this script, run by a real shell.
    fn script(&self, scenario: Scenario, shell: &str, text: &str) -> Scenario {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.0.path().display());
        scenario.env("PATH", path).command([shell, "-c", text])
    }
}

/// It has said `ready` so often, sleeps, and was sent SIGTERM, then.
fn stopped(scenario: &Scenario, readies: usize) -> (Running, Instant) {
    let running = asleep(scenario.start(), readies);
    let asked = Instant::now();
    running.signal(libc::SIGTERM);
    (running, asked)
}

/// The same, to its end.
fn stop(scenario: &Scenario, readies: usize) -> Finished {
    stopped(scenario, readies).0.finish()
}

/// So many at once.
fn stop_all(scenario: &Scenario, count: usize, readies: usize) -> Vec<Finished> {
    let all: Vec<_> = (0..count).map(|_| scenario.start()).collect();
    let all: Vec<_> = all.into_iter().map(|running| asleep(running, readies)).collect();
    for running in &all {
        running.signal(libc::SIGTERM);
    }
    all.into_iter().map(Running::finish).collect()
}

fn asleep(running: Running, readies: usize) -> Running {
    for _ in 0..readies {
        running.stdout.expect("ready");
    }
    wait_until("all asleep", || all_sleep(running.init));
    running
}

fn all_sleep(process: Process) -> bool {
    // A zombie may be one whose other threads go on.
    (process.is_idle() || process.state() == Some('Z'))
        && process.children().into_iter().all(all_sleep)
}

/// firstmate has not taken anybody for one that may have been told already.
fn assert_nobody_waited(finished: &Finished) {
    let waited = finished.stderr.iter().any(|line| line.contains("it is asked in"));
    assert!(!waited, "{finished:?}");
}

/// The next signal from firstmate, as PID 1, is SIGTERM, and does not come before that.
fn assert_asked_not_before(running: &Running, since: Instant, time: Duration) {
    let line = running.stdout.expect_part(" from 1 ");
    assert!(line.starts_with("signal 15 "), "{line}");
    assert!(since.elapsed() >= time, "{:?}", since.elapsed());
}
