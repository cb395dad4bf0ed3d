//! Walks every reachable state of the supervisor, for every policy, and asserts what must hold in
//! each step.

mod invariants;
mod world;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::*;
use crate::config::{ExitWhen, ForwardTo, Preparation};
use crate::status::Termination;
use world::World;

/// All times are multiples of this.
const TICK: Duration = Duration::from_secs(1);

/// Another child than a command.
const OTHER: Pid = pid(90);

const fn pid(raw: i32) -> Pid {
    match Pid::from_raw(raw) {
        Some(pid) => pid,
        None => panic!("not positive"),
    }
}

/// The pid of each command.
fn pid_of(id: CommandId) -> Pid {
    pid(10 + i32::try_from(id).unwrap())
}

/// One command, and every combination of the limits.
fn policies_of_one() -> Vec<Policy> {
    let limits = [None, Some(Duration::ZERO), Some(TICK * 2)];
    let mut all = Vec::new();
    for forward_to in [ForwardTo::Child, ForwardTo::Group] {
        for stop_everyone in [false, true] {
            for stop_delay in [Duration::ZERO, TICK * 2] {
                for kill_after in limits {
                    for drain in [None, Some(Duration::ZERO), Some(TICK), Some(TICK * 3)] {
                        let times = Policy {
                            rewrite: rewrite(),
                            stop_delay,
                            kill_after,
                            drain,
                            ..Policy::default()
                        };
                        all.push(Policy { forward_to, stop_everyone, ..times });
                    }
                }
            }
        }
    }
    // What only the peers' personalities ask for.
    for drain in [Some(Duration::ZERO), Some(TICK)] {
        let suspend_on = [Signal::TSTP].into_iter().collect();
        let peer = Policy { suspend_on, drain, kill_after: Some(TICK), ..Policy::default() };
        all.push(Policy { placement: Placement::SharedGroup, ..peer.clone() });
        all.push(Policy {
            placement: Placement::OwnSession,
            forward_to: ForwardTo::Group,
            farewell: true,
            ..peer
        });
    }
    all
}

/// TERM becomes QUIT, HUP nothing.
fn rewrite() -> crate::signal::RewriteMap {
    [(Signal::TERM, Signal::from_raw(3)), (Signal::HUP, None)].into_iter().collect()
}

/// Which commands there are, if there is not the main one alone.
fn companies() -> Vec<Vec<Role>> {
    let (with, watched) = (Role::With { watched: false }, Role::With { watched: true });
    let others = [
        &[Role::Stop][..],
        &[Role::Before, Role::Before],
        &[Role::After, Role::After],
        &[with],
        &[watched, watched],
        &[with, watched],
        &[with, Role::Stop],
        &[Role::Before, with],
        &[Role::Before, Role::After],
        &[with, Role::After],
        &[Role::Stop, Role::After],
    ];
    others.iter().map(|others| [&[Role::Main], *others].concat()).collect()
}

/// Fewer combinations, for several commands: each value of each option, with different others.
fn policies_of_several() -> Vec<Policy> {
    let (zero, one, two) = (Duration::ZERO, Some(TICK), Some(TICK * 2));
    let timed = |exit_when, kill_after, drain, stop_delay, stop_everyone| {
        let times = Policy { stop_delay, kill_after, drain, ..Policy::default() };
        Policy { exit_when, stop_everyone, rewrite: rewrite(), exit_on_oom: stop_everyone, ..times }
    };
    vec![
        timed(ExitWhen::Any, None, Some(zero), zero, false),
        timed(ExitWhen::Any, one, one, TICK, false),
        timed(ExitWhen::Any, two, None, zero, true),
        timed(ExitWhen::Watched, one, two, zero, true),
        timed(ExitWhen::Watched, two, one, zero, false),
        timed(ExitWhen::Watched, one, None, TICK, false),
    ]
}

/// Walks all that can happen from here; how many states and steps.
fn explore(start: World, phases: &mut HashSet<u8>) -> (usize, usize) {
    let mut steps = 0;
    let (mut seen, mut open) = (HashSet::from([start.clone()]), vec![start]);
    while let Some(world) = open.pop() {
        phases.insert(world.rank());
        for step in world.steps() {
            steps += 1;
            let next = world.after(step);
            if seen.insert(next.clone()) {
                next.check_state();
                open.push(next);
            }
        }
    }
    (seen.len(), steps)
}

#[test]
fn every_reachable_state_of_every_policy_keeps_the_invariants() {
    let mut totals = HashMap::<usize, (usize, usize, usize)>::new();
    let mut phases = HashSet::new();
    let mut count = |start: World, phases: &mut HashSet<u8>| {
        let commands = start.commands();
        let (states, steps) = explore(start, phases);
        let total = totals.entry(commands).or_default();
        *total = (total.0 + 1, total.1 + states, total.2 + steps);
    };
    for policy in policies_of_one() {
        for job_control in [JobControl::Absent, JobControl::Above, JobControl::NobodyAbove] {
            for others in [0, 2] {
                count(World::new(&policy, job_control, &[Role::Main], others), &mut phases);
            }
        }
    }
    count(World::new(&Policy::default(), JobControl::Absent, &[], 2), &mut phases);
    for policy in policies_of_several() {
        for roles in companies() {
            count(World::new(&policy, JobControl::Absent, &roles, 1), &mut phases);
        }
        for job_control in [JobControl::Above, JobControl::NobodyAbove] {
            let roles = [Role::Main, Role::Before, Role::After];
            count(World::new(&policy, job_control, &roles, 1), &mut phases);
        }
        let together = Policy { preparation: Preparation::Together, ..policy };
        let roles = [Role::Main, Role::Before, Role::Before];
        count(World::new(&together, JobControl::Absent, &roles, 1), &mut phases);
    }
    let mut totals: Vec<_> = totals.into_iter().collect();
    totals.sort_unstable();
    for (commands, (starts, states, steps)) in totals {
        println!(
            "{commands} commands: explored {states} states by {steps} steps from {starts} starts"
        );
    }
    assert_eq!(phases.len(), 9, "every phase was reached");
}
