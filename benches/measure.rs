//! What is measured. Every candidate in turn, and each round begins with another one: what disturbs
//! the machine disturbs all of them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::candidates::Candidate;
use crate::container::{Container, now};
use crate::counter::{self, Counter};
use crate::statistics::{Row, Samples};

/// How often and how much.
#[derive(Clone, Copy)]
pub struct Effort {
    pub starts: usize,
    pub signals: usize,
    pub orphans: u32,
    pub orphan_rounds: usize,
    /// Sizes of crowds of idle instances.
    pub crowds: &'static [usize],
    pub idle: Duration,
}

pub const QUICK: Effort = Effort {
    starts: 100,
    signals: 3000,
    orphans: 4000,
    orphan_rounds: 3,
    crowds: &[1, 100],
    idle: Duration::from_secs(3),
};
pub const FULL: Effort = Effort {
    starts: 1000,
    signals: 30_000,
    orphans: 20_000,
    orphan_rounds: 7,
    crowds: &[1, 100, 1000],
    idle: Duration::from_secs(10),
};

/// The candidates, and the command that they run.
#[derive(Clone)]
pub struct Bench {
    pub candidates: Vec<Candidate>,
    pub command: OsString,
    pub directory: PathBuf,
    pub effort: Effort,
}

impl Bench {
    fn start(&self, candidate: &Candidate, words: &[&str]) -> Container {
        Container::start(candidate, &self.command, words)
    }

    /// The places of all candidates, a round's first one first.
    fn turn(&self, round: usize) -> impl Iterator<Item = usize> + use<> {
        let count = self.candidates.len();
        (0..count).map(move |i| (i + round) % count)
    }

    fn samples(&self) -> Vec<Samples> {
        vec![Samples::default(); self.candidates.len()]
    }

    pub fn start_up(&self) -> Vec<Row> {
        let (starts, whole) = self.starts();
        vec![
            Row::median("start-up: exec to the command's main", "µs", &starts),
            Row::quantile("start-up, p99", "µs", &starts, 0.99),
            Row::median("exec to reaped, of a command that does nothing", "µs", &whole),
            Row::quantile("exec to reaped, p99", "µs", &whole, 0.99),
        ]
    }

    /// Without an option firstmate has nothing to parse.
    pub fn start_up_with_option(&self) -> Vec<Row> {
        let candidates = self.candidates.iter().cloned().map(Candidate::with_option).collect();
        let (starts, _) = Bench { candidates, ..self.clone() }.starts();
        vec![Row::median("start-up with an option (-g; dumb-init: -c)", "µs", &starts)]
    }

    fn starts(&self) -> (Vec<Samples>, Vec<Samples>) {
        let (mut starts, mut whole) = (self.samples(), self.samples());
        for round in 0..self.effort.starts {
            for at in self.turn(round) {
                let mut container = self.start(&self.candidates[at], &["exit"]);
                let (reaped, status) = container.wait();
                assert_eq!(status, 0, "{}", self.candidates[at].name);
                starts[at].add(container.told() - container.started);
                whole[at].add(reaped - container.started);
            }
        }
        (starts, whole)
    }

    pub fn shutdown(&self) -> Vec<Row> {
        let mut samples = self.samples();
        for round in 0..self.effort.starts {
            for at in self.turn(round) {
                let mut container = self.start(&self.candidates[at], &["pause"]);
                container.told();
                container.settle();
                let begun = now();
                container.signal(libc::SIGTERM);
                let (reaped, status) = container.wait();
                assert_eq!(status, 128 + libc::SIGTERM, "{}", self.candidates[at].name);
                samples[at].add(reaped - begun);
            }
        }
        vec![
            Row::median("shutdown: SIGTERM to reaped", "µs", &samples),
            Row::quantile("shutdown, p99", "µs", &samples, 0.99),
        ]
    }

    /// From kill(2) of the init to the command's return from its sigtimedwait(2). Then the same
    /// during a stop with a deadline: firstmate sleeps by ppoll(2) there, as it does where it
    /// watches for out-of-memory kills.
    pub fn forwarding(&self) -> Vec<Row> {
        let candidates = self.candidates.iter().cloned().map(Candidate::with_deadline).collect();
        let waiting = self.forward(false);
        let stopping = Bench { candidates, ..self.clone() }.forward(true);
        [("forwarding a signal", waiting), ("forwarding during a stop with a deadline", stopping)]
            .iter()
            .flat_map(|(what, samples)| {
                [
                    Row::median(format!("{what}, p50"), "µs", samples),
                    Row::quantile(format!("{what}, p99"), "µs", samples, 0.99),
                ]
            })
            .collect()
    }

    fn forward(&self, stop_first: bool) -> Vec<Samples> {
        // New ones now and then: which CPU a process lands on makes more of a difference than
        // anything else.
        const LIFE: usize = 100;
        let mut samples = self.samples();
        for begun in 0..self.effort.signals / LIFE {
            let mut containers: Vec<_> = self
                .candidates
                .iter()
                .map(|candidate| self.start(candidate, &["signals"]))
                .collect();
            for container in &mut containers {
                container.told();
                if stop_first {
                    container.signal(libc::SIGTERM);
                    container.told();
                }
                container.settle();
            }
            for round in 0..LIFE {
                for at in self.turn(begun + round) {
                    let begun = now();
                    containers[at].signal(libc::SIGUSR1);
                    samples[at].add(containers[at].told() - begun);
                }
            }
        }
        samples
    }

    pub fn reaping(&self) -> Vec<Row> {
        [0, 1000].into_iter().flat_map(|living| self.reap(living)).collect()
    }

    /// Each process forks twice and is an orphan at its end, among so many others that live on.
    fn reap(&self, living: u32) -> Vec<Row> {
        let (mut wall, mut cpu, mut calls, mut zombies) =
            (self.samples(), self.samples(), self.samples(), self.samples());
        let each = f64::from(self.effort.orphans);
        let mut counted = true;
        for round in 0..self.effort.orphan_rounds {
            for at in self.turn(round) {
                let words = ["orphans", &living.to_string(), &self.effort.orphans.to_string()];
                let mut container = self.start(&self.candidates[at], &words);
                container.told();
                container.settle();
                let mut counter = Counter::open(container.pid());
                let (before, calls_before) =
                    (container.cpu_time(), counter.as_mut().map(Counter::count));
                container.signal(libc::SIGUSR1);
                let begun = container.told();
                let expected = 1 + usize::try_from(living).expect("a small number");
                let mut peak = 0;
                while !container.has_told(Duration::from_millis(1)) {
                    peak = peak.max(container.children());
                }
                while container.children() > expected {
                    std::thread::sleep(Duration::from_micros(100));
                }
                wall[at].push(micros(now() - begun) / each);
                cpu[at].push(micros(container.cpu_time() - before) / each);
                zombies[at].push(f64::from(
                    u32::try_from(peak.saturating_sub(expected)).expect("a count"),
                ));
                match (counter.as_mut().map(Counter::count), calls_before) {
                    (Some(after), Some(before)) => {
                        calls[at].push(micros((after - before) * 1000) / each);
                    }
                    _ => counted = false,
                }
            }
        }
        let among = if living > 0 { format!(" among {living} living") } else { String::new() };
        let mut rows = vec![
            Row::median(
                format!("reaping {} orphans{among}: CPU of each", self.effort.orphans),
                "µs",
                &cpu,
            ),
            Row::median(
                format!("reaping{among}: wall of each, most of it their birth"),
                "µs",
                &wall,
            ),
            Row::median(format!("reaping{among}: zombies at once, the most seen"), "", &zombies),
        ];
        if counted {
            rows.push(Row::median(format!("reaping{among}: system calls of each"), "", &calls));
        } else {
            eprintln!(
                "*** system calls while reaping are not counted: it needs root and tracefs ***"
            );
        }
        rows
    }

    pub fn idle(&self) -> Vec<Row> {
        self.effort.crowds.iter().flat_map(|count| self.crowd(*count)).collect()
    }

    /// Idle instances, so many at once of one candidate after the other.
    fn crowd(&self, count: usize) -> Vec<Row> {
        let mut sums: [Vec<Option<f64>>; 5] = Default::default();
        let each = f64::from(u32::try_from(count).expect("a small number"));
        for candidate in &self.candidates {
            let mut crowd: Vec<_> = (0..count).map(|_| self.start(candidate, &["pause"])).collect();
            for container in &mut crowd {
                container.told();
                container.settle();
            }
            let sum = |value: &dyn Fn(&Container) -> u64| crowd.iter().map(value).sum::<u64>();
            let memory = |names: &[&str]| sum(&|container| container.sum("smaps_rollup", names));
            let before = (sum(&Container::context_switches), sum(&Container::cpu_time));
            std::thread::sleep(self.effort.idle);
            let after = (sum(&Container::context_switches), sum(&Container::cpu_time));
            let values = [
                micros(memory(&["Rss"]) * 1000),
                micros(memory(&["Private_Clean", "Private_Dirty"]) * 1000),
                micros(memory(&["Pss"]) * 1000),
                micros((after.0 - before.0) * 1000),
                micros(after.1 - before.1),
            ];
            for (sums, value) in sums.iter_mut().zip(values) {
                sums.push(Some(value / each));
            }
        }
        let [rss, private, pss, switches, cpu] = sums;
        let seconds = self.effort.idle.as_secs();
        vec![
            Row::new(format!("RSS, {count} idle, each"), "kB", rss),
            Row::new(format!("private memory, {count} idle, each"), "kB", private),
            Row::new(format!("proportional share (Pss), {count} idle, each"), "kB", pss),
            Row::new(format!("context switches in {seconds} s, {count} idle, each"), "", switches),
            Row::new(format!("CPU in {seconds} s, {count} idle, each"), "µs", cpu),
        ]
    }

    pub fn files(&self) -> Vec<Row> {
        let size = |candidate: &Candidate| {
            let bytes = candidate.path.metadata().expect("it was there").len();
            Some(micros(bytes * 1000) / 1000.0)
        };
        let calls = |candidate: &Candidate| {
            let count = counter::until_exec(candidate, &self.command, &self.directory);
            if count.is_none() {
                eprintln!("*** system calls until the exec are not counted: it needs strace ***");
            }
            count.map(|count| micros(count * 1000))
        };
        vec![
            Row::new("file", "kB", self.candidates.iter().map(size)),
            Row::new(
                "system calls until the command's exec",
                "",
                self.candidates.iter().map(calls),
            ),
        ]
    }
}

fn micros(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1e6
}
