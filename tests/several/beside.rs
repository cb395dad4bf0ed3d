//! `--with`: beside the main command, with the same stop signal.

use std::time::{Duration, Instant};

use super::{both, commands, named, told};
use crate::support::{Directory, Process, Running, Scenario, wait_until};

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
fn a_stop_signal_reaches_all_that_run_with_its_payload() {
    let steps = "block-all say ready until 40";
    for scenario in both() {
        let scenario = scenario
            .options("--exit-when all --stop-on RTMIN+6")
            .hook("--with", steps)
            .hook("--with", steps)
            .probe(steps);
        let (running, _) = all_ready(&scenario, 3);
        running.init.queue(40, 77).expect("room");
        let finished = running.finish();
        let of_three =
            |line: &&String| line.starts_with("signal 40 ") && line.ends_with(" value 77");
        assert_eq!(finished.stdout.iter().filter(of_three).count(), 3, "{finished:?}");
        assert_eq!(finished.status, 0);
    }
}

#[test]
fn what_is_no_stop_signal_goes_to_the_main_command_alone_and_so_do_later_stop_signals() {
    for scenario in both() {
        let scenario = scenario.options("--exit-when all");
        let scenario = scenario
            .hook("--with", "block-all say ready until 64 say other")
            .probe("block-all say ready until 12 say main");
        let (running, commands) = all_ready(&scenario, 2);
        for signal in [1, 10, 28, 40] {
            running.signal(signal);
            assert!(running.stdout.next().starts_with(&format!("signal {signal} ")));
        }
        running.signal(libc::SIGTERM);
        let mut stop = [running.stdout.next(), running.stdout.next()];
        stop.sort_unstable();
        assert!(stop.iter().all(|line| line.starts_with("signal 15 ")), "{stop:?}");
        for signal in [15, 2, 12] {
            running.signal(signal);
            assert!(running.stdout.next().starts_with(&format!("signal {signal} ")));
        }
        running.stdout.expect("main");
        commands[1].signal(64);
        // Nothing that went to the main command alone was waiting for the other one.
        let rest = running.finish().stdout;
        assert!(rest[0].starts_with("signal 64 ") && rest[1] == "other", "{rest:?}");
    }
}

#[test]
fn a_reload_leaves_a_helper_alive_for_whom_the_signal_is_deadly() {
    let directory = Directory::new();
    let log = directory.file("log", "");
    let tail = format!("tail -F '{}'", log.display());
    for scenario in both() {
        let scenario = scenario
            .options("--drain never")
            .option("--with", &tail)
            .probe("block-all say ready until 10 until 12 say main");
        let running = scenario.start().ready();
        wait_until("the helper", || commands(&running).len() == 2);
        let tail = commands(&running)[1];
        wait_until("tail", || tail.status("Name") == "tail");
        for signal in [libc::SIGHUP, libc::SIGUSR1] {
            running.signal(signal);
            running.stdout.expect_part(&format!("signal {signal} "));
        }
        // It may still be starting; one that has died never sleeps.
        wait_until("tail sleeps", || tail.is_idle());
        running.signal(libc::SIGUSR2);
        let finished = running.finish();
        assert_eq!((finished.status, finished.stderr.len()), (0, 0), "{finished:?}");
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
fn with_the_group_as_target_a_stop_goes_to_each_ones_group_and_any_other_signal_to_the_mains() {
    let steps = |name| {
        let member = format!("fork [ say ready await 10 say {name}-member await 15 ]");
        format!("block-all {member} say ready await 10 say {name} await 15 wait-all")
    };
    let other = "block-all fork [ say ready await 15 say other-member ] say ready await 15 say \
                 other wait-all";
    let scenario = Scenario::container()
        .options("-g --exit-when all")
        .hook("--with", other)
        .probe(&steps("main"));
    let running = scenario.start();
    (0..4).for_each(|_| running.stdout.expect("ready"));
    running.signal(libc::SIGUSR1);
    let next = || running.stdout.next();
    assert_eq!(sorted(&[next(), next()]), ["main", "main-member"]);
    running.signal(libc::SIGTERM);
    assert_eq!(sorted(&running.finish().stdout), ["other", "other-member"]);
}

#[test]
fn with_all_a_stop_goes_to_every_process_and_another_signal_to_the_main_command() {
    let main = "block-all session [ say ready await 15 say main-member ] say ready await 10 say \
                main await 15 wait-all";
    let other = "block-all session [ say ready await 15 say other-member ] say ready await 15 say \
                 other wait-all";
    for scenario in both() {
        let scenario = scenario.options("-a --exit-when all").hook("--with", other).probe(main);
        let running = scenario.start();
        (0..4).for_each(|_| running.stdout.expect("ready"));
        running.signal(libc::SIGUSR1);
        assert_eq!(running.stdout.next(), "main");
        running.signal(libc::SIGTERM);
        assert_eq!(sorted(&running.finish().stdout), ["main-member", "other", "other-member"]);
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
fn the_grace_period_ends_for_all_that_were_asked() {
    let steps = "block-all say ready forever";
    for mode in ["--exit-when any", "--exit-when all"] {
        // If not by that, they would end never.
        let scenario = Scenario::container().options("-t 200ms --drain never").options(mode);
        let (running, _) =
            all_ready(&scenario.hook("--with", steps).hook("--with", steps).probe(steps), 3);
        let asked = Instant::now();
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert!(asked.elapsed() >= Duration::from_millis(200), "{:?}", asked.elapsed());
        assert_eq!((finished.status, finished.stderr.len()), (137, 6), "{finished:?}");
        let reason = "was killed by SIGKILL: it had not ended N.Ns after SIGTERM";
        let main = format!("warning: the command {reason}");
        let [first, second] = ["--with", "2nd --with"].map(|option| {
            let named = named(option);
            format!("warning: {named} {reason}")
        });
        let mut told = told(&finished.stderr);
        told.retain(|line| !line.ends_with(": it blocks SIGTERM"));
        told.sort_unstable();
        assert_eq!(told, [first, second, main]);
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
fn the_end_of_the_first_asks_the_others_once_and_they_have_time() {
    let other = "block-all say ready until 15 sleep-ms 300 say done";
    let first = "block-all say ready await 10 exit 5";
    for (mode, main, with, ends) in
        [("any", other, first, 1), ("any", first, other, 0), ("main", first, other, 0)]
    {
        for scenario in both() {
            let scenario = scenario.option("--exit-when", mode).hook("--with", with).probe(main);
            let (running, commands) = all_ready(&scenario, 2);
            commands[ends].signal(libc::SIGUSR1);
            let finished = running.finish();
            assert_eq!(finished.status, 5);
            let [signal, done] = &finished.stdout[..] else { panic!("{finished:?}") };
            assert!(signal.starts_with("signal 15 ") && done == "done", "{mode}: {finished:?}");
        }
    }
}

fn assert_killed_after_a_crash(options: &str, mode: &str) {
    for scenario in both() {
        let scenario = scenario
            .options(options)
            .option("--exit-when", mode)
            .hook("--with", "block-all say ready forever");
        let (running, commands) = all_ready(&scenario.probe("say ready forever"), 2);
        commands[0].signal(libc::SIGSEGV);
        let finished = running.finish();
        assert_eq!(finished.status, 139);
        let told = told(&finished.stderr);
        assert!(told[0].starts_with("warning: the command was killed by SIGSEGV"), "{told:?}");
        let reasons = [
            "has not ended N.Ns after SIGTERM: it blocks SIGTERM",
            "was killed by SIGKILL: it had not ended N.Ns after SIGTERM",
        ];
        let reasons = reasons.map(|reason| format!("warning: {} {reason}", named("--with")));
        assert_eq!(told[1..3], reasons);
    }
}

#[test]
fn a_crash_beside_one_that_ignores_sigterm_ends_the_container_within_the_grace_period() {
    for mode in ["any", "main"] {
        let started = Instant::now();
        assert_killed_after_a_crash("-t 200ms --drain 1h", mode);
        assert!(started.elapsed() >= Duration::from_millis(400), "{:?}", started.elapsed());
    }
}

/// What `docker stop` gives: nobody asked for this end, and no engine's clock runs.
#[test]
fn without_a_grace_period_it_ends_in_ten_seconds_however_short_the_drain() {
    assert_killed_after_a_crash("--drain 200ms", "any");
}
