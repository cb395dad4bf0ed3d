//! `--with`: beside the main command, with the same signals.

use std::time::{Duration, Instant};

use super::{both, commands, named, told};
use crate::support::{Process, Running, Scenario, wait_until};

const MODES: [&str; 3] = ["--exit-when any", "--exit-when main", "--exit-when all"];

/// So many commands have said that they are ready.
fn all_ready(scenario: &Scenario, count: usize) -> (Running, Vec<Process>) {
    let running = scenario.start();
    (0..count).for_each(|_| running.stdout.expect("ready"));
    let commands = commands(&running);
    assert_eq!(commands.len(), count);
    (running, commands)
}

fn sorted(lines: &[String]) -> Vec<&str> {
    let mut lines: Vec<_> = lines.iter().map(String::as_str).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn each_has_a_process_group_of_its_own() {
    for scenario in both() {
        let scenario = scenario
            .hook("--with", "say ready forever")
            .hook("--with", "say ready forever")
            .probe("say ready forever");
        let (running, commands) = all_ready(&scenario, 3);
        assert!(commands.iter().all(|command| command.group() == command.0));
        assert!(commands.iter().all(|command| command.session() == running.init.session()));
    }
}

#[test]
fn a_signal_reaches_all_that_run_with_its_payload() {
    let steps = "block-all say ready until 40";
    for scenario in both() {
        let scenario = scenario
            .options("--exit-when all")
            .hook("--with", steps)
            .hook("--with", steps)
            .probe(steps);
        let (running, _) = all_ready(&scenario, 3);
        for signal in [1, 10, 28] {
            running.signal(signal);
            (0..3).for_each(|_| drop(running.stdout.expect_part(&format!("signal {signal} "))));
        }
        running.init.queue(40, 77).expect("room");
        let finished = running.finish();
        assert_eq!(
            finished
                .stdout
                .iter()
                .filter(|line| line.starts_with("signal 40 ") && line.ends_with(" value 77"))
                .count(),
            3
        );
        assert_eq!(finished.status, 0);
    }
}

#[test]
fn rewriting_is_for_all() {
    let steps = "block-all say ready until 3";
    let scenario = Scenario::container()
        .options("-r TERM:QUIT --exit-when all")
        .hook("--with", steps)
        .probe(steps);
    let (running, _) = all_ready(&scenario, 2);
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert_eq!((finished.status, finished.stdout.len()), (0, 2), "{finished:?}");
    assert!(finished.stdout.iter().all(|line| line.starts_with("signal 3 ")), "{finished:?}");
}

#[test]
fn with_the_group_as_target_each_ones_group_has_the_signal() {
    let steps = |name| {
        format!(
            "block-all fork [ say ready await 10 say {name}-member ] say ready await 10 say \
             {name} wait-all"
        )
    };
    let scenario = Scenario::container()
        .options("-g --exit-when all")
        .hook("--with", &steps("other"))
        .probe(&steps("main"));
    let running = scenario.start();
    (0..4).for_each(|_| running.stdout.expect("ready"));
    running.signal(libc::SIGUSR1);
    assert_eq!(sorted(&running.finish().stdout), ["main", "main-member", "other", "other-member"]);
}

#[test]
fn with_all_a_stop_goes_to_every_process_and_another_signal_to_each_command() {
    let steps = |name| {
        format!(
            "block-all session [ say ready await 15 say {name}-member ] say ready await 10 say \
             {name} await 15 wait-all"
        )
    };
    for scenario in both() {
        let scenario = scenario
            .options("-a --exit-when all")
            .hook("--with", &steps("other"))
            .probe(&steps("main"));
        let running = scenario.start();
        (0..4).for_each(|_| running.stdout.expect("ready"));
        running.signal(libc::SIGUSR1);
        assert_eq!(sorted(&[running.stdout.next(), running.stdout.next()]), ["main", "other"]);
        running.signal(libc::SIGTERM);
        assert_eq!(sorted(&running.finish().stdout), ["main-member", "other-member"]);
    }
}

#[test]
fn a_stop_waits_for_all_of_them_in_every_mode() {
    for mode in MODES {
        // Without a drain, whoever is not waited for says nothing more.
        let scenario = Scenario::container().options("--drain 0").options(mode);
        let slow = "block-all say ready await 15 sleep-ms 200 say done";
        for (main, other) in [
            ("block-all say ready await 15 say done", slow),
            (slow, "block-all say ready await 15 say done"),
        ] {
            let (running, _) = all_ready(&scenario.clone().hook("--with", other).probe(main), 2);
            running.signal(libc::SIGTERM);
            assert_eq!(running.finish().stdout, ["done", "done"], "{mode}");
        }
    }
}

#[test]
fn the_grace_period_ends_for_all_of_them_in_every_mode() {
    let steps = "block-all say ready forever";
    for mode in MODES {
        // If not by that, they would end never.
        let scenario = Scenario::container().options("-t 200ms --drain never").options(mode);
        let (running, _) =
            all_ready(&scenario.hook("--with", steps).hook("--with", steps).probe(steps), 3);
        let asked = Instant::now();
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert!(asked.elapsed() >= Duration::from_millis(200), "{:?}", asked.elapsed());
        assert_eq!((finished.status, finished.stderr.len()), (137, 3), "{finished:?}");
        let reason = "was killed by SIGKILL: it had not ended N.Ns after SIGTERM";
        let (main, other) = (
            format!("warning: the command {reason}"),
            format!("warning: {} {reason}", named("--with")),
        );
        let mut told = told(&finished.stderr);
        told.sort_unstable();
        assert_eq!(told, [other.clone(), other, main]);
    }
}

#[test]
fn a_stopped_one_that_is_asked_to_stop_is_continued() {
    let scenario = Scenario::container()
        .options("--exit-when all")
        .hook("--with", "say ready forever")
        .probe("say ready forever");
    let (running, commands) = all_ready(&scenario, 2);
    for command in &commands {
        command.signal(libc::SIGSTOP);
    }
    wait_until("the stops", || commands.iter().all(|command| command.state() == Some('T')));
    running.signal(libc::SIGTERM);
    assert_eq!(running.finish().status, 143);
}

#[test]
fn the_end_of_the_first_drains_the_others() {
    let other = "block-all say ready await 15 say drained";
    for (mode, main, with) in [
        ("any", other, "block-all say ready await 10 exit 5"),
        ("any", "block-all say ready await 10 exit 5", other),
        ("main", "block-all say ready await 10 exit 5", other),
    ] {
        for scenario in both() {
            let (running, _) = all_ready(
                &scenario.option("--exit-when", mode).hook("--with", with).probe(main),
                2,
            );
            running.signal(libc::SIGUSR1);
            let finished = running.finish();
            assert_eq!(
                (finished.status, finished.stdout),
                (5, vec!["drained".to_owned()]),
                "{mode}"
            );
        }
    }
}

#[test]
fn a_crash_beside_one_that_ignores_sigterm_ends_the_container_within_the_drain_time() {
    for mode in ["any", "main"] {
        for scenario in both() {
            let scenario = scenario
                .options("--drain 200ms")
                .option("--exit-when", mode)
                .hook("--with", "block-all say ready forever");
            let (running, commands) = all_ready(&scenario.probe("say ready forever"), 2);
            let crashed = Instant::now();
            commands[0].signal(libc::SIGSEGV);
            let finished = running.finish();
            assert!(crashed.elapsed() >= Duration::from_millis(200), "{:?}", crashed.elapsed());
            assert_eq!(finished.status, 139);
            let told = told(&finished.stderr);
            assert!(told[0].starts_with("warning: the command was killed by SIGSEGV"), "{told:?}");
            assert_eq!(
                told[1],
                r#"warning: 1 process was left N.Ns after SIGTERM, and killed: "probe""#
            );
        }
    }
}
