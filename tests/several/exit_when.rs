//! `--exit-when`: who decides, and which status.

use super::{both, commands, named, told};
use crate::support::{Finished, Process, Scenario, wait_until};

/// Runs commands that wait for SIGUSR1, the main one first, and lets them end in this order. Those
/// that are still there when the end is decided die of SIGTERM.
fn run(scenario: &Scenario, commands_do: &[&str], order: &[usize]) -> Finished {
    let waiting = |end: &str| format!("block 10 say ready await 10 {end}");
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
            let finished = run(&scenario, &ends, &order);
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
        let finished = run(&Scenario::container().options("--exit-when main"), &ends, order);
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
        let finished =
            run(&Scenario::container().options("-e 5").option("--exit-when", mode), &ends, order);
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
    let finished = run(&Scenario::container(), &["exit 3", "exit 5"], &[1]);
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

#[test]
fn a_success_is_none_where_our_sigkill_ended_the_main_command() {
    let scenario = Scenario::container().options("-t 100ms");
    for (main, first, status) in
        [("ignore 15", "exit 0", 137), ("ignore 15", "exit 5", 5), ("", "exit 0", 0)]
    {
        let first = format!("block 10 say ready await 10 {first}");
        let running = scenario.clone().hook("--with", &first);
        let running = running.probe(&format!("{main} say ready forever")).start().ready().ready();
        commands(&running)[1].signal(libc::SIGUSR1);
        let finished = running.finish();
        assert_eq!(finished.status, status, "{main} {first}: {finished:?}");
    }
}

#[test]
fn main_a_stop_goes_to_the_main_command_alone_until_it_has_exited() {
    for scenario in both() {
        let scenario = scenario
            .options("--exit-when main")
            .hook("--with", "block-all say ready until 15 say other")
            .probe("block-all say ready until 15 sleep-ms 200 say main");
        let running = scenario.start().ready().ready();
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        let signal = |line: &String| line.starts_with("signal 15 ");
        let told = &finished.stdout;
        assert_eq!((finished.status, told.len()), (0, 4), "{finished:?}");
        assert!(signal(&told[0]) && told[1] == "main", "{finished:?}");
        assert!(signal(&told[2]) && told[3] == "other", "{finished:?}");
    }
}

#[test]
fn empty_the_last_process_decides_and_a_stop_asks_what_went_into_the_background() {
    let daemon = r#"setsid sh -c "trap \"echo bye; exit\" TERM; echo ready; sleep 300 & wait" &"#;
    for (scenario, status) in both().into_iter().zip([0, 5]) {
        let scenario = scenario.options("--exit-when empty");
        let text = format!("{daemon} exit {status}");
        let running = scenario.command(["sh", "-c", &text]).start().ready();
        wait_until("the end of the command", || {
            let children = running.init.children();
            children.len() == 1 && children[0].session() == children[0].0
        });
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!((finished.status, finished.stdout), (status, vec!["bye".to_owned()]));
    }
}

#[test]
fn empty_the_end_of_the_last_process_is_the_containers() {
    for scenario in both() {
        let scenario = scenario.options("--exit-when empty -v");
        let main = "daemon [ block 10 say ready await 10 say last ] exit 5";
        let running = scenario.probe(main).start().ready();
        running.stderr.expect_part("the command exited with 5");
        running.init.child().signal(libc::SIGUSR1);
        let finished = running.finish();
        assert_eq!((finished.status, finished.stdout), (5, vec!["last".to_owned()]));
    }
}

#[test]
fn main_those_that_serve_it_have_the_time_of_the_drain_when_its_own_is_over() {
    for scenario in both() {
        let scenario = scenario
            .options("--exit-when main -t 200ms --drain 1h")
            .hook("--with", "block-all say ready until 15 sleep-ms 300 say other")
            .probe("block-all say ready forever");
        let running = scenario.start().ready().ready();
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!((finished.status, &*finished.stdout[1]), (137, "other"), "{finished:?}");
        assert_eq!(finished.stderr.len(), 2, "{finished:?}");
    }
}
