//! `--stop-command`: what is run instead of sending the stop signal.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::{Directory, Scenario, untimed};

/// As PID 1, and as an ordinary process.
fn both() -> [Scenario; 2] {
    [Scenario::container(), Scenario::plain()]
}

/// Says so, and sends SIGUSR1 to the pid that it is given.
fn asking(directory: &Directory) -> PathBuf {
    directory.file("ask", "#!/bin/sh\necho \"asked $MAINPID\"\nkill -USR1 $MAINPID\n")
}

#[test]
fn it_runs_once_instead_of_the_signal_and_knows_the_main_pid() {
    let directory = Directory::new();
    let ask = asking(&directory);
    for scenario in both() {
        let scenario = scenario.option("--stop-command", &ask).hook("--before", "exit 0");
        let running = scenario.probe("block-all say ready until 10 exit 4").start().ready();
        let main = running.init.children()[0].inner_pid();
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!((finished.status, finished.stderr.len()), (4, 0), "{finished:?}");
        assert_eq!(finished.stdout[0], format!("asked {main}"));
        assert!(finished.stdout[1].starts_with("signal 10 "), "{finished:?}");
        assert_eq!(finished.stdout.len(), 2, "{finished:?}");
    }
}

#[test]
fn words_and_variables_are_for_a_shell_only_if_one_is_named() {
    let scenario = Scenario::container()
        .option("--stop-command", r#"sh -c 'echo "a  b" $((1+1)); kill -USR1 "$MAINPID"'"#);
    let running = scenario.probe("block-all say ready until 10").start().ready();
    running.signal(libc::SIGTERM);
    assert_eq!(running.finish().stdout[0], "a  b 2");
}

#[test]
fn the_last_one_given_holds() {
    let directory = Directory::new();
    let scenario = Scenario::container()
        .option("--stop-command", "/nothing/here")
        .option("--stop-command", asking(&directory));
    let running = scenario.probe("block-all say ready until 10").start().ready();
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert_eq!((finished.status, finished.stderr.len()), (0, 0), "{finished:?}");
}

#[test]
fn if_it_fails_the_signal_goes_out_after_all() {
    for scenario in both() {
        for (scenario, lines) in [
            (scenario.clone().hook("--stop-command", "exit 1"), 1),
            (scenario.clone().hook("--stop-command", "die 9"), 1),
            (scenario.clone().option("--stop-command", "/nothing/here"), 2),
        ] {
            let scenario =
                scenario.options("-r TERM:QUIT").probe("block-all say ready until 3 exit 4");
            let running = scenario.start().ready();
            running.signal(libc::SIGTERM);
            let finished = running.finish();
            assert_eq!(
                (finished.status, finished.stdout.len(), finished.stderr.len()),
                (4, 1, lines),
                "{finished:?}"
            );
            assert!(
                finished.stderr[lines - 1]
                    .ends_with("warning: the stop command has failed: sending SIGQUIT instead"),
                "{finished:?}"
            );
        }
    }
}

#[test]
fn if_it_fails_the_signal_goes_to_all_with_that_option() {
    let scenario = Scenario::container().options("-a").hook("--stop-command", "exit 1");
    let running = scenario
        .probe("block-all session [ say ready until 15 ] say ready until 15")
        .start()
        .ready()
        .ready();
    running.signal(libc::SIGTERM);
    assert_eq!(
        running.finish().stdout.iter().filter(|line| line.starts_with("signal 15 ")).count(),
        2
    );
}

#[test]
fn further_stop_signals_go_to_the_main_command_and_not_to_it() {
    for scenario in both() {
        // A signal would end it, and that would be a failure.
        let scenario = scenario.hook("--stop-command", "say asked forever");
        let running = scenario.probe("block-all say ready until 10 exit 4").start().ready();
        running.signal(libc::SIGTERM);
        assert_eq!(running.stdout.next(), "asked");
        for signal in [15, 2, 12, 10] {
            running.signal(signal);
            assert!(running.stdout.next().starts_with(&format!("signal {signal} ")));
        }
        let finished = running.finish();
        assert_eq!((finished.status, finished.stderr.len()), (4, 0), "{finished:?}");
    }
}

#[test]
fn at_the_end_of_the_grace_period_the_main_command_and_it_are_killed() {
    for scenario in both() {
        // What was left would never end.
        let scenario =
            scenario.options("-t 200ms --drain never").hook("--stop-command", "block-all forever");
        let running = scenario.probe("block-all say ready forever").start().ready();
        let asked = Instant::now();
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert!(asked.elapsed() >= Duration::from_millis(200), "{:?}", asked.elapsed());
        assert_eq!((finished.status, finished.stderr.len()), (137, 2), "{finished:?}");
        assert!(
            untimed(&finished.stderr[1]).ends_with(
                "the command was killed by SIGKILL: it had not ended N.Ns after SIGTERM"
            ),
            "{finished:?}"
        );
    }
}

#[test]
fn it_starts_at_the_end_of_the_delay() {
    let directory = Directory::new();
    let scenario = Scenario::container()
        .option("--stop-command", asking(&directory))
        .probe("block-all say ready until 10");
    let running = scenario.clone().options("--stop-delay 300ms").start().ready();
    let asked = Instant::now();
    running.signal(libc::SIGTERM);
    assert_eq!(running.finish().stdout.len(), 2);
    assert!(asked.elapsed() >= Duration::from_millis(300), "{:?}", asked.elapsed());
    let running = scenario.options("--stop-delay 1h").start().ready();
    running.signal(libc::SIGTERM);
    // The kernel delivers lower numbers first: with this one, SIGTERM has been read.
    running.signal(libc::SIGURG);
    running.stdout.expect_part("signal 23 ");
    running.signal(libc::SIGTERM);
    assert_eq!(running.finish().stdout.len(), 2);
}

#[test]
fn those_beside_the_main_command_get_the_signal() {
    let directory = Directory::new();
    let scenario = Scenario::container()
        .option("--stop-command", asking(&directory))
        .hook("--with", "block-all say ready until 15");
    let running = scenario.probe("block-all say ready until 10").start().ready().ready();
    running.signal(libc::SIGTERM);
    let mut signals: Vec<_> =
        running.finish().stdout.into_iter().filter(|line| line.starts_with("signal ")).collect();
    signals.sort_unstable();
    assert!(
        signals[0].starts_with("signal 10 ")
            && signals[1].starts_with("signal 15 ")
            && signals.len() == 2,
        "{signals:?}"
    );
}

#[test]
fn it_does_not_start_without_a_main_command_to_stop() {
    for scenario in both() {
        let scenario = scenario.options("--exit-when all").hook("--stop-command", "say asked");
        let running = scenario
            .clone()
            .hook("--with", "block-all say ready until 15 exit 5")
            .probe("exit 0")
            .start()
            .ready();
        crate::support::wait_until("the end of the main command", || {
            running.init.children().len() == 1
        });
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!((finished.status, finished.stdout.len()), (5, 1), "{finished:?}");
        let running = scenario
            .hook("--before", "block-all say ready until 15 exit 5")
            .probe("exit 0")
            .start()
            .ready();
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!((finished.status, finished.stdout.len()), (5, 1), "{finished:?}");
    }
}

#[test]
fn it_does_not_start_when_the_container_ends_by_itself() {
    let finished = Scenario::container()
        .hook("--stop-command", "say asked")
        .probe("block-all daemon [ await 15 ] exit 3")
        .run();
    assert_eq!((finished.status, finished.stdout.len()), (3, 0));
}

#[test]
fn other_signals_do_not_start_it() {
    let running = Scenario::container()
        .hook("--stop-command", "say asked")
        .probe("block-all say ready until 10")
        .start()
        .ready();
    running.signal(libc::SIGUSR1);
    assert_eq!(running.finish().stdout.len(), 1);
}

#[test]
fn without_memory_for_it_the_signal_is_sent() {
    for scenario in both() {
        // What is needed most for a start is the list of these.
        let scenario =
            (0..20_000).fold(scenario, |scenario, number| scenario.env(format!("V{number}"), "x"));
        let running = scenario
            .hook("--stop-command", "say asked")
            .probe("block-all say ready until 15 exit 4")
            .start()
            .ready();
        let none = libc::rlimit { rlim_cur: 0, rlim_max: libc::RLIM_INFINITY };
        let (pid, old) = (running.init.0, std::ptr::null_mut());
        // SAFETY: prlimit(2) reads one limit.
        let set = unsafe { libc::prlimit(pid, libc::RLIMIT_AS, &raw const none, old) };
        assert_eq!(set, 0);
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!(finished.status, 4, "{finished:?}");
        assert!(finished.stdout[0].starts_with("signal 15 "), "{finished:?}");
    }
}
