//! `--exit-when`: who decides, and which status.

use super::{both, commands, named, told};
use crate::support::{Finished, Process, Scenario, wait_until};

/// Runs commands that wait for SIGUSR1, the main one first, and lets them end in this order.
fn run(scenario: &Scenario, commands_do: &[&str], order: &[usize]) -> Finished {
    let waiting = |end: &str| format!("block-all say ready await 10 {end}");
    let with = |scenario: Scenario, end: &&str| scenario.hook("--with", &waiting(end));
    let scenario =
        commands_do[1..].iter().fold(scenario.clone().probe(&waiting(commands_do[0])), with);
    let running = scenario.start();
    for _ in commands_do {
        running.stdout.expect("ready");
    }
    let processes: Vec<Process> = commands(&running);
    for at in order {
        processes[*at].signal(libc::SIGUSR1);
        wait_until("its end", || processes[*at].state().is_none());
    }
    running.finish()
}

#[test]
fn any_the_first_to_end_decides() {
    for scenario in both() {
        for (ends, order, status) in [
            (["exit 3", "exit 5", "exit 6"], [0], 3),
            (["exit 3", "exit 5", "exit 6"], [1], 5),
            (["exit 3", "exit 5", "exit 6"], [2], 6),
            (["exit 3", "exit 0", "exit 6"], [1], 0),
            (["exit 3", "exit 5", "die 9"], [2], 137),
            (["exit 0", "exit 5", "exit 6"], [0], 0),
        ] {
            // The others do not matter: SIGTERM is blocked, and they are killed.
            let finished = run(&scenario.clone().options("--drain 50ms"), &ends, &order);
            assert_eq!(finished.status, status, "{ends:?} {order:?}: {finished:?}");
        }
    }
}

#[test]
fn main_the_main_command_decides() {
    for (ends, order, status) in [
        (["exit 3", "exit 5", "exit 6"], [1, 2, 0].as_slice(), 3),
        (["exit 0", "exit 5", "die 9"], &[2, 1, 0], 0),
        (["die 9", "exit 5", "exit 6"], &[0], 137),
        (["exit 3", "exit 5", "exit 6"], &[1, 0], 3),
    ] {
        let finished =
            run(&Scenario::container().options("--exit-when main --drain 50ms"), &ends, order);
        assert_eq!(finished.status, status, "{ends:?} {order:?}: {finished:?}");
    }
}

#[test]
fn all_the_last_decides_with_the_first_status_that_is_not_zero() {
    for (ends, order, status) in [
        (["exit 0", "exit 0", "exit 0"], [0, 1, 2], 0),
        (["exit 3", "exit 5", "exit 6"], [2, 1, 0], 3),
        (["exit 0", "exit 5", "exit 6"], [2, 0, 1], 5),
        (["exit 0", "exit 0", "die 9"], [2, 1, 0], 137),
        (["exit 0", "exit 0", "exit 6"], [0, 2, 1], 6),
    ] {
        // Without a drain, whoever is not waited for could not be signalled.
        let finished =
            run(&Scenario::container().options("--exit-when all --drain 0"), &ends, &order);
        assert_eq!(finished.status, status, "{ends:?} {order:?}: {finished:?}");
    }
}

#[test]
fn remapping_touches_each_ones_status() {
    for (mode, ends, order, status) in [
        ("any", ["exit 3", "exit 5"], [1].as_slice(), 0),
        ("any", ["exit 3", "exit 5"], &[0], 3),
        ("all", ["exit 5", "exit 5"], &[0, 1], 0),
        ("all", ["exit 5", "exit 6"], &[0, 1], 6),
        ("main", ["exit 5", "exit 6"], &[1, 0], 0),
    ] {
        let finished = run(
            &Scenario::container().options("-e 5 --drain 50ms").option("--exit-when", mode),
            &ends,
            order,
        );
        assert_eq!(finished.status, status, "{mode} {ends:?} {order:?}: {finished:?}");
    }
}

#[test]
fn after_a_stop_the_status_is_the_main_commands_unless_all_count() {
    for (mode, main, other, status) in [
        ("any", "exit 0", "exit 5", 0),
        ("any", "exit 3", "exit 0", 3),
        ("main", "exit 0", "exit 5", 0),
        ("main", "exit 3", "exit 5", 3),
        ("all", "exit 0", "exit 5", 5),
        ("all", "exit 3", "exit 5", 3),
    ] {
        // The other one first, and then the main one first.
        for (main_waits, other_waits) in [("sleep-ms 100", ""), ("", "sleep-ms 100")] {
            let scenario = Scenario::container().option("--exit-when", mode);
            let scenario = scenario
                .hook("--with", &format!("block-all say ready await 15 {other_waits} {other}"));
            let running = scenario
                .probe(&format!("block-all say ready await 15 {main_waits} {main}"))
                .start()
                .ready()
                .ready();
            running.signal(libc::SIGTERM);
            let finished = running.finish();
            assert_eq!(
                (finished.status, finished.stderr.len()),
                (status, 0),
                "{mode} {main} {other}: {finished:?}"
            );
        }
    }
}

#[test]
fn one_beside_the_main_command_that_ends_the_container_is_told_of() {
    let finished = run(&Scenario::container().options("--drain 50ms"), &["exit 3", "exit 5"], &[1]);
    assert_eq!(
        told(&finished.stderr)[0],
        format!("warning: {} exited with 5: that ends the container", named("--with"))
    );
}

#[test]
fn one_that_cannot_be_started_counts_as_one_that_has_ended() {
    for (mode, program, main, status, said) in [
        ("any", "/nothing/here", "await 15 say drained exit 3", 127, "drained"),
        ("any", "/", "await 15 say drained exit 3", 126, "drained"),
        ("main", "/nothing/here", "say main exit 3", 3, "main"),
        ("main", "/nothing/here", "say main exit 0", 0, "main"),
        ("all", "/nothing/here", "say main exit 3", 3, "main"),
        ("all", "/nothing/here", "say main exit 0", 127, "main"),
    ] {
        for scenario in both() {
            let scenario =
                scenario.prepare("block-all").option("--exit-when", mode).option("--with", program);
            let finished = scenario.probe(main).run();
            assert_eq!(
                (finished.status, finished.stdout),
                (status, vec![said.to_owned()]),
                "{mode} {program}"
            );
            assert_eq!(finished.stderr.len(), 1, "{:?}", finished.stderr);
            assert!(
                told(&finished.stderr)[0].starts_with(&format!("error: cannot run {program:?}: ")),
                "{:?}",
                finished.stderr
            );
        }
    }
}

#[test]
fn none_is_started_after_one_that_has_ended_the_container() {
    let scenario =
        Scenario::container().option("--with", "/nothing/here").hook("--with", "say second");
    let finished = scenario.probe("block-all await 15").run();
    assert_eq!((finished.status, finished.stdout.len()), (127, 0), "{finished:?}");
    let scenario = Scenario::container().options("--exit-when all").hook("--with", "say second");
    let finished = scenario.command(["/nothing/here"]).run();
    assert_eq!((finished.status, finished.stdout.len()), (127, 0), "{finished:?}");
}
