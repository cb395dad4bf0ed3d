//! What is left when the main command has ended: SIGTERM, time, SIGKILL.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{
    Directory, Lines, Process, Running, Scenario, become_lonely_user, clean, is_root, probe, skip,
    untimed, wait_until,
};

/// As the main command of the others: it ends by itself with a status of its own.
fn leaving(leftover: &str) -> Scenario {
    Scenario::container().probe(&format!("block-all {leftover} exit 3"))
}

/// The processes that the drain is about, once the main command is gone.
fn leftovers(running: &Running) -> Vec<Process> {
    running.init.children()
}

#[test]
fn a_leftover_in_its_own_session_has_time_to_clean_up() {
    let finished = leaving("daemon [ await 15 sleep-ms 1000 say cleaned ]").run();
    assert_eq!(
        (finished.status, finished.stdout, finished.stderr.len()),
        (3, vec!["cleaned".into()], 0)
    );
}

#[test]
fn so_it_has_when_the_command_was_stopped() {
    let running = Scenario::container()
        .probe("block-all daemon [ await 15 sleep-ms 1000 say cleaned ] say ready until 15 exit 4");
    let running = running.start().ready();
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert_eq!(finished.status, 4);
    assert!(finished.stdout.contains(&"cleaned".into()), "{finished:?}");
}

#[test]
fn a_leftover_that_ignores_sigterm_is_killed_at_the_deadline_and_the_status_stays_the_commands() {
    let started = Instant::now();
    let finished = leaving("daemon [ forever ]").options("--drain 300ms").run();
    assert!(started.elapsed() >= Duration::from_millis(300));
    assert_eq!(finished.status, 3);
    assert_eq!(
        finished.stderr.iter().map(|line| untimed(line)).collect::<Vec<_>>(),
        ["firstmate[1]: warning: 1 process was left N.Ns after SIGTERM, and killed: \"probe\""]
    );
}

#[test]
fn a_stopped_leftover_is_continued() {
    let running = Scenario::container()
        .options("--drain never")
        .probe("fork [ kill-self 19 ] block-all say ready until 10")
        .start();
    let running = running.ready();
    let stopped = leftovers(&running)[0].children()[0];
    wait_until("the stop", || stopped.state() == Some('T'));
    running.signal(libc::SIGUSR1);
    assert_eq!(running.finish().status, 0);
}

#[test]
fn without_a_drain_firstmate_exits_at_once() {
    let finished = leaving("daemon [ forever ]").options("--drain 0").run();
    assert_eq!((finished.status, finished.stderr.len()), (3, 0));
}

#[test]
fn a_drain_without_limit_waits() {
    let running = leaving("daemon [ until 15 until 10 ]").options("--drain never").start();
    running.stdout.expect_part("signal 15");
    running.init.wait_until_idle();
    leftovers(&running)[0].signal(libc::SIGUSR1);
    assert_eq!(running.finish().status, 3);
}

#[test]
fn the_deadline_is_the_later_one_of_the_drain_and_the_stop() {
    for options in ["-t 1s --drain 100ms", "-t 100ms --drain 1s"] {
        let scenario = Scenario::container()
            .options(options)
            .probe("block-all daemon [ forever ] say ready until 15");
        let running = scenario.start().ready();
        let asked = Instant::now();
        running.signal(libc::SIGTERM);
        assert_eq!(running.finish().status, 0);
        assert!(asked.elapsed() >= Duration::from_secs(1), "{options}: {:?}", asked.elapsed());
    }
}

#[test]
fn signals_during_the_drain_go_to_everyone_left_and_a_stop_signal_does_not_escalate() {
    let running =
        leaving("daemon [ until 10 ] daemon [ until 10 ]").options("-t 0 --drain never").start();
    let expect_from_both = |signal| {
        (0..2).for_each(|_| drop(running.stdout.expect_part(&format!("signal {signal} "))));
    };
    expect_from_both(15);
    for signal in [12, 15, 2, 10] {
        running.signal(signal);
        expect_from_both(signal);
    }
    let finished = running.finish();
    assert_eq!((finished.status, finished.stderr.len()), (3, 0));
}

#[test]
fn a_process_that_entered_from_outside_is_asked_to_end_but_not_waited_for() {
    if !is_root() {
        return skip("only root can enter another PID namespace");
    }
    let scenario = Scenario::container().options("--drain never");
    let running =
        scenario.probe("block-all daemon [ until 15 until 10 ] say ready until 10").start().ready();
    let leftover = leftovers(&running)[1];
    let mut command = clean(&probe());
    command
        .args(["block-all", "join", &running.init.0.to_string(), "say", "entered", "until", "10"])
        .stdout(Stdio::piped());
    let mut outside = command.spawn().expect("the probe runs");
    let stdout = Lines::read(outside.stdout.take().expect("a pipe"));
    stdout.expect("entered");
    running.signal(libc::SIGUSR1);
    stdout.expect_part("signal 15");
    running.stdout.expect_part("signal 15");
    leftover.signal(libc::SIGUSR1);
    assert_eq!(running.finish().status, 0);
    // The kernel has ended it with its namespace.
    assert_eq!(outside.wait().expect("a child").code(), Some(137));
}

#[test]
fn a_crowd_that_ignores_sigterm_is_killed() {
    let finished = leaving("crowd 300").options("--drain 200ms").run();
    assert_eq!((finished.status, finished.stderr.len()), (3, 1), "{finished:?}");
}

#[test]
fn a_fork_bomb_that_is_left_ends() {
    let directory = Directory::new();
    let user = if is_root() { become_lonely_user() } else { String::new() };
    let scenario = leaving("daemon [ bomb ]").options("--drain 300ms").programs_in(&directory);
    let mut running = scenario.prepare(&format!("nproc 40 {user}")).start();
    assert_eq!(running.exit_status(), 3);
    let stderr = running.finish().stderr;
    assert_eq!(stderr.len(), 1, "{stderr:?}");
    assert!(stderr[0].contains("and killed: "), "{stderr:?}");
}

#[test]
fn warn_on_reap_gives_a_line_for_each_orphan_and_none_for_the_command() {
    let finished = Scenario::container().options("-w").probe("orphans 3 exit 5").run();
    assert_eq!((finished.status, finished.stderr.len()), (5, 3), "{finished:?}");
    for line in &finished.stderr {
        assert!(
            line.starts_with("firstmate[1]: warning: reaped zombie process with pid="),
            "{line}"
        );
    }
    assert!(Scenario::container().probe("orphans 3").run().stderr.is_empty());
}
