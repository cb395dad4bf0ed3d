//! What remains when the main command has ended: SIGTERM, time, SIGKILL.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{both, leaving};
use crate::support::{Lines, Process, Running, Scenario, is_root, probe, skip, wait_until};

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
        finished.stderr,
        ["firstmate[1]: warning: 1 process was left 0.3s after SIGTERM, and killed: \"probe\""]
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
    let running = leaving("daemon [ until 15 until 10 ]").options("--drain never -v").start();
    running.stderr.expect_part("; waiting for their end");
    running.stdout.expect_part("signal 15");
    // Longer than the time that it has by default.
    std::thread::sleep(Duration::from_secs(6));
    leftovers(&running)[0].signal(libc::SIGUSR1);
    assert_eq!(running.finish().status, 3);
}

#[test]
fn the_drain_has_its_own_time_whatever_is_left_of_the_stops() {
    for (options, time) in [("-t 1h --drain 300ms", 300), ("-t 100ms --drain 1s", 1000)] {
        let time = Duration::from_millis(time);
        for scenario in both() {
            let scenario =
                scenario.options(options).probe("block-all daemon [ forever ] say ready until 15");
            let running = scenario.start().ready();
            let asked = Instant::now();
            running.signal(libc::SIGTERM);
            let finished = running.finish();
            assert_eq!((finished.status, finished.stderr.len()), (0, 1), "{finished:?}");
            assert!(asked.elapsed() >= time, "{options}: {:?}", asked.elapsed());
        }
    }
}

#[test]
fn signals_during_the_drain_reach_nobody_and_a_stop_signal_does_not_escalate() {
    for scenario in both() {
        let main = "block-all daemon [ until 15 until 10 say alive ] exit 3";
        let running = scenario.options("-vv --drain never").probe(main).start();
        running.stdout.expect_part("signal 18 ");
        for (signal, name) in [(12, "SIGUSR2"), (15, "SIGTERM"), (2, "SIGINT"), (15, "SIGTERM")] {
            running.signal(signal);
            running.stderr.expect_part(&format!("received {name}"));
        }
        leftovers(&running)[0].signal(libc::SIGUSR1);
        let finished = running.finish();
        let [last, alive] = &finished.stdout[..] else { panic!("{finished:?}") };
        assert!(last.starts_with("signal 10 ") && alive == "alive", "{finished:?}");
        assert_eq!(finished.status, 3);
    }
}

#[test]
fn a_second_stop_signal_is_for_the_command_alone_and_escalates_nothing() {
    let main = "block-all daemon [ until 15 say left ] say ready until 15 until 15 exit 4";
    for scenario in both() {
        let running = scenario.options("--drain never").probe(main).start().ready();
        running.signal(libc::SIGTERM);
        running.stdout.expect_part("signal 15 ");
        running.signal(libc::SIGTERM);
        running.stdout.expect_part("signal 15 ");
        let finished = running.finish();
        let said = &finished.stdout;
        assert_eq!((finished.status, said.len()), (4, 2), "{finished:?}");
        assert!(said[0].starts_with("signal 15 ") && said[1] == "left", "{finished:?}");
    }
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
    let mut command = Command::new(probe());
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
fn warn_on_reap_gives_a_line_for_each_orphan_and_none_for_the_command() {
    let finished = Scenario::container().options("-w").probe("orphans 3 exit 5").run();
    assert_eq!((finished.status, finished.stderr.len()), (5, 3), "{finished:?}");
    for line in &finished.stderr {
        assert!(
            line.starts_with("firstmate[1]: warning: Reaped zombie process with pid="),
            "{line}"
        );
    }
    assert!(Scenario::container().probe("orphans 3").run().stderr.is_empty());
}
