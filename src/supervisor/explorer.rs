//! Walks every reachable state of the supervisor, for every policy, and asserts what must hold in
//! each step.

mod invariants;
mod judge;
mod world;

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
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
    let limits = [None, Some(TICK * 2)];
    let mut all = Vec::new();
    for forward_to in [ForwardTo::Child, ForwardTo::Group] {
        for stop_everyone in [false, true] {
            for stop_delay in [Duration::ZERO, TICK * 2] {
                for kill_after in limits {
                    for drain in [None, Some(Duration::ZERO), Some(TICK)] {
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
            term_group_at_exit: true,
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
        &[with],
        &[watched],
        &[Role::Before],
        &[Role::After],
        &[watched, with],
        &[with, Role::Stop],
        &[Role::Before, with],
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
        timed(ExitWhen::Any, one, one, zero, false),
        timed(ExitWhen::Any, two, None, TICK, true),
        timed(ExitWhen::Main, None, two, zero, false),
        timed(ExitWhen::Main, two, one, TICK, true),
        timed(ExitWhen::Watched, one, two, zero, true),
        timed(ExitWhen::Watched, one, None, TICK, false),
        timed(ExitWhen::Empty, one, two, zero, false),
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
            if !seen.contains(&next) {
                next.check_state();
                seen.insert(next.clone());
                open.push(next);
            }
        }
    }
    (seen.len(), steps)
}

/// Where the walks start.
fn starts() -> Vec<World> {
    let mut all = Vec::new();
    for policy in policies_of_one() {
        all.push(World::new(&policy, JobControl::Absent, &[Role::Main], 1));
        if policy.forward_to == ForwardTo::Child && !policy.stop_everyone {
            for job_control in [JobControl::Above, JobControl::NobodyAbove] {
                all.push(World::new(&policy, job_control, &[Role::Main], 0));
            }
        }
    }
    for drain in [Some(Duration::ZERO), Some(TICK), None] {
        let policy = Policy { drain, ..Policy::default() };
        all.push(World::new(&policy, JobControl::Absent, &[], 2));
        all.push(World::new(&policy, JobControl::Above, &[Role::Main], 1).interactive());
    }
    for (i, policy) in policies_of_several().into_iter().enumerate() {
        for roles in companies() {
            // Three commands have states enough with every other of the policies.
            if roles.len() < 3 || i % 2 == 1 {
                all.push(World::new(&policy, JobControl::Absent, &roles, 0));
            }
        }
        if i % 4 != 1 {
            continue;
        }
        for job_control in [JobControl::Above, JobControl::NobodyAbove] {
            let roles = [Role::Main, Role::Before, Role::After];
            all.push(World::new(&policy, job_control, &roles, 0));
        }
        let together = Policy { preparation: Preparation::Together, ..policy };
        let roles = [Role::Main, Role::Before, Role::Before];
        all.push(World::new(&together, JobControl::Absent, &roles, 0));
    }
    all
}

#[test]
fn every_reachable_state_of_every_policy_keeps_the_invariants() {
    let starts = Mutex::new(starts());
    let totals = Mutex::new((BTreeMap::<usize, [usize; 3]>::new(), HashSet::new()));
    let walk = || {
        loop {
            let Some(start) = starts.lock().unwrap().pop() else { return };
            let commands = start.commands();
            let mut reached = HashSet::new();
            let (states, steps) = explore(start, &mut reached);
            let mut totals = totals.lock().unwrap();
            totals.1.extend(reached);
            let total = totals.0.entry(commands).or_default();
            *total = [total[0] + 1, total[1] + states, total[2] + steps];
        }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..2).map(|_| scope.spawn(walk)).collect();
        for walker in others {
            walker.join().unwrap();
        }
    });
    let (totals, phases) = totals.into_inner().unwrap();
    for (commands, [starts, states, steps]) in totals {
        println!(
            "{commands} commands: explored {states} states by {steps} steps from {starts} starts"
        );
    }
    assert_eq!(phases.len(), 7, "every phase was reached");
}
