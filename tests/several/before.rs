//! `--before`: each runs to its end, and a failure is the end of all.

use std::time::{Duration, Instant};

use super::{both, named, told};
use crate::support::{Finished, Scenario, probe};

/// With everything that must not start after that.
fn nothing_else(scenario: Scenario) -> Scenario {
    let others = scenario
        .hook("--before", "say second")
        .hook("--with", "say with")
        .hook("--after", "say after");
    others.hook("--stop-command", "say stop-command").probe("say main")
}

fn assert_silent(finished: &Finished, status: i32) {
    let said: Vec<_> = finished.stdout.iter().filter(|line| !line.starts_with("signal ")).collect();
    assert_eq!((finished.status, said.len()), (status, 0), "{finished:?}");
}

#[test]
fn they_run_in_order_and_each_to_its_end_before_the_next_one_starts() {
    for scenario in both() {
        let scenario = scenario
            .hook("--before", "sleep-ms 100 say one")
            .hook("--before", "sleep-ms 50 say two");
        let finished = scenario.hook("--with", "block-all await 15").probe("say main exit 7").run();
        assert_eq!(
            (finished.status, finished.stdout),
            (7, ["one", "two", "main"].map(String::from).into())
        );
        assert_eq!(finished.stderr.len(), 0);
    }
}

#[test]
fn one_that_fails_ends_all_with_its_status_and_nothing_else_starts() {
    let probe = probe();
    let probe = probe.display();
    for (command, status, reason) in [
        (
            format!("'{probe}' exit 3"),
            3,
            format!("warning: {} exited with 3: nothing else is started", named("2nd --before")),
        ),
        (
            format!("'{probe}' die 15"),
            143,
            format!(
                "warning: {} was killed by SIGTERM: nothing else is started",
                named("2nd --before")
            ),
        ),
        (
            "/nothing/here".into(),
            127,
            r#"error: cannot run "/nothing/here": No such file or directory"#.into(),
        ),
        (
            "no-such-command".into(),
            127,
            r#"error: cannot run "no-such-command": not found in PATH ("/usr/bin:/bin")"#.into(),
        ),
        ("/".into(), 126, r#"error: cannot run "/": Permission denied: it is a directory"#.into()),
    ] {
        for scenario in both() {
            let scenario = scenario
                .env("PATH", "/usr/bin:/bin")
                .hook("--before", "exit 0")
                .option("--before", &command);
            let finished = nothing_else(scenario).run();
            assert_silent(&finished, status);
            assert_eq!(told(&finished.stderr), [reason.as_str()]);
        }
    }
}

#[test]
fn no_remapping_touches_their_status() {
    assert_eq!(
        Scenario::container()
            .options("-e 3")
            .hook("--before", "exit 3")
            .probe("exit 0")
            .run()
            .status,
        3
    );
}

#[test]
fn what_a_failed_one_leaves_is_drained() {
    for scenario in both() {
        let finished = scenario
            .hook("--before", "block-all daemon [ await 15 say drained ] exit 3")
            .probe("say main")
            .run();
        assert_eq!((finished.status, finished.stdout), (3, vec!["drained".to_owned()]));
    }
}

#[test]
fn what_a_successful_one_leaves_lives_as_long_as_the_container() {
    let scenario = Scenario::container()
        .hook("--before", "block-all daemon [ await 10 say alive await 15 say drained ]");
    let running = scenario.probe("block-all say ready await 10 exit 5").start().ready();
    running
        .init
        .children()
        .iter()
        .find(|child| child.group() != child.0)
        .expect("the daemon")
        .signal(libc::SIGUSR1);
    running.stdout.expect("alive");
    running.signal(libc::SIGUSR1);
    let finished = running.finish();
    assert_eq!((finished.status, finished.stdout), (5, vec!["drained".to_owned()]));
}

#[test]
fn a_stop_is_forwarded_to_the_one_that_runs_and_its_status_is_the_containers() {
    for (end, status) in [("exit 4", 4), ("exit 0", 0), ("die 3", 131)] {
        for scenario in both() {
            let scenario = scenario
                .options("--stop-delay 1h")
                .hook("--before", &format!("block-all say ready until 15 {end}"));
            let running = nothing_else(scenario).start().ready();
            running.signal(libc::SIGTERM);
            running.stdout.expect_part("signal 15 ");
            assert_silent(&running.finish(), status);
        }
    }
}

#[test]
fn one_that_ignores_the_stop_is_killed_after_the_grace_period() {
    let scenario =
        Scenario::container().options("-t 200ms").hook("--before", "block-all say ready forever");
    let running = nothing_else(scenario).start().ready();
    let asked = Instant::now();
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert!(asked.elapsed() >= Duration::from_millis(200), "{:?}", asked.elapsed());
    assert_silent(&finished, 137);
    let reasons = [
        "has not ended N.Ns after SIGTERM: it blocks SIGTERM",
        "was killed by SIGKILL: it had not ended N.Ns after SIGTERM",
    ];
    let reasons = reasons.map(|reason| format!("warning: {} {reason}", named("--before")));
    assert_eq!(told(&finished.stderr), reasons);
}

#[test]
fn a_stop_that_is_pending_at_the_start_reaches_the_first_one() {
    let scenario =
        Scenario::container().prepare("block-all kill-self 15").hook("--before", "until 15 exit 4");
    assert_silent(&nothing_else(scenario).run(), 4);
}

#[test]
fn what_is_no_stop_signal_is_told_of_and_dropped_while_a_migration_runs() {
    for scenario in both() {
        // Each of the two would end it.
        let running = scenario
            .options("-v")
            .hook("--before", "block 15 say ready await 15 say migrated exit 0")
            .probe("say main")
            .start()
            .ready();
        for (signal, name) in [(libc::SIGHUP, "SIGHUP"), (libc::SIGUSR1, "SIGUSR1")] {
            running.signal(signal);
            running.stderr.expect_part(&format!("info: {name} is dropped: "));
        }
        running.init.child().signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!(
            (finished.status, finished.stdout),
            (0, ["migrated", "main"].map(String::from).into())
        );
    }
}

#[test]
fn a_later_stop_signal_reaches_the_one_that_runs() {
    for scenario in both() {
        let running = nothing_else(scenario.hook("--before", "block-all say ready until 2 exit 4"))
            .start()
            .ready();
        for signal in [15, 15, 2] {
            running.signal(signal);
            running.stdout.expect_part(&format!("signal {signal} "));
        }
        assert_silent(&running.finish(), 4);
    }
}
