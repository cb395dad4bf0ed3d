//! `--after`: when all others have ended.

use std::time::{Duration, Instant};

use super::{both, named, told};
use crate::support::Scenario;

#[test]
fn they_run_in_order_after_the_drain_and_their_statuses_do_not_count() {
    for scenario in both() {
        let scenario = scenario
            .prepare("block-all")
            .hook("--after", "sleep-ms 50 say one")
            .hook("--after", "say two");
        let main = "daemon [ await 15 sleep-ms 100 say drained ] exit 3";
        let finished =
            scenario.hook("--with", "await 15 sleep-ms 50 say with-drained").probe(main).run();
        assert_eq!(finished.status, 3);
        assert_eq!(finished.stdout.len(), 4, "{finished:?}");
        assert_eq!(finished.stdout[2..], ["one", "two"]);
    }
}

#[test]
fn they_run_however_the_main_command_ended() {
    for (options, main, status) in [
        ("", "exit 0", 0),
        ("", "die 9", 137),
        ("-e 7", "exit 7", 0),
        ("-t 50ms", "block-all kill-parent 15 forever", 137),
    ] {
        let finished = Scenario::container()
            .options(options)
            .hook("--after", "say after exit 9")
            .probe(main)
            .run();
        assert_eq!(
            (finished.status, finished.stdout),
            (status, vec!["after".to_owned()]),
            "{main}"
        );
    }
}

#[test]
fn none_runs_if_the_main_command_never_did() {
    for scenario in both() {
        let scenario = scenario.hook("--after", "say after");
        for (scenario, status) in [
            (scenario.clone().command(["/nothing/here"]), 127),
            (scenario.clone().command(["/"]), 126),
            (scenario.clone().hook("--before", "exit 3").probe("exit 0"), 3),
            (scenario.clone().hook("--before", "kill-parent 15 forever").probe("exit 0"), 143),
            // What is left of the first one is drained, and nothing comes after that.
            (
                scenario
                    .hook("--before", "block-all daemon [ await 15 ]")
                    .command(["/nothing/here"]),
                127,
            ),
        ] {
            let finished = scenario.run();
            assert_eq!((finished.status, finished.stdout.len()), (status, 0), "{finished:?}");
        }
    }
}

#[test]
fn a_failure_is_only_logged_and_the_next_one_runs() {
    for scenario in both() {
        let scenario = scenario
            .hook("--after", "exit 9")
            .hook("--after", "die 9")
            .option("--after", "/nothing/here");
        let finished = scenario.hook("--after", "say last").probe("exit 3").run();
        assert_eq!((finished.status, finished.stdout), (3, vec!["last".to_owned()]));
        let name = named("--after");
        let lines = [
            format!("warning: {name} exited with 9"),
            format!("warning: {} was killed by SIGKILL", named("2nd --after")),
            r#"error: cannot run "/nothing/here": No such file or directory"#.to_owned(),
        ];
        assert_eq!(told(&finished.stderr), lines);
    }
}

#[test]
fn stop_signals_go_to_it_and_no_others_and_its_end_is_the_containers() {
    for scenario in both() {
        let scenario = scenario.hook("--after", "block 2 block 15 say after until 2");
        let running = scenario.probe("exit 3").start();
        running.stdout.expect("after");
        // It would die of the first.
        for signal in [1, 15, 15, 2] {
            running.signal(signal);
            if signal != 1 {
                assert!(running.stdout.next().starts_with(&format!("signal {signal} ")));
            }
        }
        let finished = running.finish();
        assert_eq!((finished.status, finished.stderr.len()), (3, 0), "{finished:?}");
    }
}

#[test]
fn one_that_takes_longer_than_the_drain_is_killed_and_no_other_runs() {
    for scenario in both() {
        let scenario = scenario
            .options("--drain 1s")
            .hook("--after", "block-all say after forever")
            .hook("--after", "say second");
        let started = Instant::now();
        let finished = scenario.probe("exit 3").run();
        assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
        assert_eq!((finished.status, finished.stdout), (3, vec!["after".to_owned()]));
        assert_eq!(
            told(&finished.stderr),
            [format!("warning: {} has taken too long: killed", named("--after"))]
        );
    }
}

fn assert_five_seconds(drain: &str) {
    let scenario = Scenario::container().option("--drain", drain);
    let started = Instant::now();
    let finished = scenario.hook("--after", "block-all say after forever").probe("exit 3").run();
    assert!(started.elapsed() >= Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!((finished.status, finished.stdout), (3, vec!["after".to_owned()]));
}

#[test]
fn where_the_drain_has_no_limit_it_has_five_seconds() {
    assert_five_seconds("never");
}

#[test]
fn where_there_is_no_drain_it_has_five_seconds() {
    assert_five_seconds("0");
}

#[test]
fn what_it_leaves_does_not_outlive_the_container() {
    for scenario in both() {
        for main in ["exit 3", "block-all kill-parent 15 forever"] {
            let finished = scenario
                .clone()
                .options("-t 50ms")
                .hook("--after", "daemon [ block-all forever ] say after")
                .probe(main)
                .run();
            // Its output ends only when whoever holds it has ended.
            let status = if main == "exit 3" { 3 } else { 137 };
            assert_eq!(
                (finished.status, finished.stdout),
                (status, vec!["after".to_owned()]),
                "{main}"
            );
        }
    }
}
