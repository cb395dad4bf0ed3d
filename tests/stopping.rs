//! From the stop signal to the end of the main command: delay, grace, SIGKILL.

use std::time::{Duration, Instant};

use crate::support::{
    Cgroup, Directory, Freezer, Lease, Process, Running, Scenario, is_root, probe, skip,
    until_quick_enough, untimed, wait_until,
};

fn main_child(running: &Running) -> Process {
    running.init.children()[0]
}

/// The signals that probes told of, but for the ends of their own children.
fn signals(lines: &[String]) -> Vec<&str> {
    let signals = lines.iter().filter_map(|line| line.strip_prefix("signal ")?.split(' ').next());
    signals.filter(|signal| *signal != "17").collect()
}

#[test]
fn a_command_that_ignores_sigterm_is_killed_after_the_grace_period_and_not_before() {
    let running = Scenario::container()
        .options("-t 500ms")
        .probe("block-all say ready forever")
        .start()
        .ready();
    let asked = Instant::now();
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert!(asked.elapsed() >= Duration::from_millis(500), "{:?}", asked.elapsed());
    let elapsed = asked.elapsed().as_secs_f64();
    assert_eq!(finished.status, 137);
    let [why, line] = &finished.stderr[..] else { panic!("{finished:?}") };
    assert!(why.ends_with(" after SIGTERM: it blocks SIGTERM"), "{why}");
    assert_eq!(
        untimed(line),
        "firstmate[1]: warning: the command was killed by SIGKILL: it had not ended N.Ns after \
         SIGTERM"
    );
    // The one test of the number, which other tests leave out. It is cut to a tenth.
    let told: Vec<_> =
        line.split(' ').filter_map(|word| word.strip_suffix('s')?.parse().ok()).collect();
    assert!(told.len() == 1 && (0.5..=elapsed).contains(&told[0]), "{line} within {elapsed} s");
}

#[test]
fn a_stop_during_an_exec_that_hangs_escalates_in_time() {
    let directory = Directory::new();
    let program = directory.copy(&probe(), "probe");
    let lease = Lease::take(&program);
    let scenario = Scenario::container().options("-t 400ms").prepare("block-all");
    let running = scenario.command([program.as_os_str(), "until".as_ref(), "64".as_ref()]).start();
    lease.wait_for_the_exec();
    let asked = Instant::now();
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert_eq!((finished.status, finished.stdout.len()), (137, 0), "{finished:?}");
    assert!(asked.elapsed() >= Duration::from_millis(400), "{:?}", asked.elapsed());
    drop(lease);
}

#[test]
fn without_a_grace_period_it_is_never_killed() {
    for options in ["-t never", ""] {
        let running = Scenario::container()
            .options(options)
            .probe("block-all say ready until 10")
            .start()
            .ready();
        running.signal(libc::SIGTERM);
        running.stdout.expect_part("signal 15");
        running.init.wait_until_idle();
        running.signal(libc::SIGUSR1);
        assert_eq!(running.finish().status, 0);
    }
}

#[test]
fn sigkill_goes_to_what_the_stop_went_to() {
    let steps = "block-all fork [ until 10 say member-lives ] session [ until 10 say other-lives \
                 ] say ready forever";
    for (options, killed) in [("", 0), ("-g", 1), ("-a", 2)] {
        let scenario =
            Scenario::container().options("-t 200ms --drain never").options(options).probe(steps);
        let running = scenario.start().ready();
        let others = main_child(&running).children();
        running.signal(libc::SIGTERM);
        running.stderr.expect_part("the command was killed by SIGKILL");
        let (killed, alive) = others.split_at(killed);
        wait_until("the end of those that it went to", || {
            killed.iter().all(|process| process.state().is_none())
        });
        for process in alive {
            process.signal(libc::SIGUSR1);
        }
        let finished = running.finish();
        let mut told: Vec<_> = finished
            .stdout
            .iter()
            .map(String::as_str)
            .filter(|line| line.ends_with("-lives"))
            .collect();
        told.sort_unstable();
        assert_eq!(
            (finished.status, told),
            (137, ["member-lives", "other-lives"].into_iter().skip(killed.len()).collect())
        );
    }
}

#[test]
fn with_all_the_stop_signal_goes_to_every_process_and_any_other_to_the_child_alone() {
    let steps = "block-all session [ until 15 ] say ready until 15";
    let running = Scenario::container().options("-a").probe(steps).start().ready();
    running.signal(libc::SIGUSR1);
    running.stdout.expect_part("signal 10");
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert_eq!(signals(&finished.stdout), ["15", "15"], "{finished:?}");
}

#[test]
fn stop_on_replaces_the_signals_that_stop() {
    for (signal, name) in [(1, "SIGHUP"), (35, "SIGRTMIN+1")] {
        let scenario = Scenario::container().options("-t 1s --stop-on HUP --stop-on RTMIN+1");
        let running = scenario.probe("block-all say ready until 64").start().ready();
        running.signal(libc::SIGTERM);
        running.stdout.expect_part("signal 15");
        running.init.wait_until_idle();
        running.signal(signal);
        running.stdout.expect_part(&format!("signal {signal} "));
        let finished = running.finish();
        assert_eq!(finished.status, 137);
        assert!(
            untimed(&finished.stderr[1]).ends_with(&format!("it had not ended N.Ns after {name}")),
            "{finished:?}"
        );
    }
}

#[test]
fn further_stop_signals_are_forwarded() {
    let running = Scenario::container().probe("block-all say ready until 10").start().ready();
    for signal in [15, 2, 15] {
        running.signal(signal);
        running.stdout.expect_part(&format!("signal {signal} "));
    }
    running.signal(libc::SIGUSR1);
    assert_eq!(running.finish().status, 0);
}

#[test]
fn further_stop_signals_do_not_restart_the_clock() {
    // The command would live for ten seconds if each of its signals gave it another one.
    let steps = "kill-parent 2 sleep-ms 100 ".repeat(100);
    let running = Scenario::container()
        .options("-t 1s")
        .probe(&format!("block-all say ready {steps} exit 9"))
        .start()
        .ready();
    assert_eq!(running.finish().status, 137);
}

#[test]
fn the_first_stop_signal_is_held_for_the_delay_while_others_pass() {
    let running = Scenario::container()
        .options("--stop-delay 1s")
        .probe("block-all say ready until 15")
        .start()
        .ready();
    let asked = Instant::now();
    running.signal(libc::SIGTERM);
    running.signal(libc::SIGUSR1);
    let finished = running.finish();
    assert!(asked.elapsed() >= Duration::from_secs(1), "{:?}", asked.elapsed());
    assert_eq!(signals(&finished.stdout), ["10", "15"]);
}

#[test]
fn a_second_stop_signal_ends_the_delay_and_only_the_held_one_goes_out() {
    let running = Scenario::container()
        .options("--stop-delay 1h")
        .probe("block-all say ready until 10")
        .start()
        .ready();
    running.signal(libc::SIGTERM);
    // The kernel delivers lower numbers first: with this one, SIGTERM has been read.
    running.signal(libc::SIGURG);
    assert!(running.stdout.next().starts_with("signal 23 "));
    running.signal(libc::SIGINT);
    assert!(running.stdout.next().starts_with("signal 15 "));
    running.signal(libc::SIGUSR1);
    assert_eq!(signals(&running.finish().stdout), ["10"]);
}

#[test]
fn the_grace_period_starts_when_the_delay_is_over() {
    let scenario = Scenario::container()
        .options("--stop-delay 400ms -t 400ms")
        .probe("block-all say ready forever");
    let running = scenario.start().ready();
    let asked = Instant::now();
    running.signal(libc::SIGTERM);
    assert_eq!(running.finish().status, 137);
    assert!(asked.elapsed() >= Duration::from_millis(800), "{:?}", asked.elapsed());
}

#[test]
fn a_command_that_ends_during_the_delay_or_the_grace_period_has_its_own_status() {
    for options in ["--stop-delay 1h", "-t 1h"] {
        let running = Scenario::container()
            .options(options)
            .probe("block-all say ready until 10 exit 7")
            .start()
            .ready();
        running.signal(libc::SIGTERM);
        running.signal(libc::SIGUSR1);
        let finished = running.finish();
        assert_eq!((finished.status, finished.stderr.len()), (7, 0), "{finished:?}");
    }
}

#[test]
fn a_stopped_command_that_is_asked_to_stop_is_continued() {
    let running = Scenario::container().probe("say ready forever").start().ready();
    let main = main_child(&running);
    main.signal(libc::SIGSTOP);
    wait_until("the stop", || main.state() == Some('T'));
    running.signal(libc::SIGTERM);
    assert_eq!(running.finish().status, 143);
}

#[test]
fn a_command_whose_own_stop_is_seen_only_with_the_stop_signal_is_continued_too() {
    let Some(freezer) = Freezer::new() else { return skip("no freezer cgroup to change") };
    let running = Scenario::container().probe("say ready forever").start().ready();
    let main = main_child(&running);
    freezer.freeze(&[running.init]);
    main.signal(libc::SIGSTOP);
    wait_until("the stop", || main.state() == Some('T'));
    running.signal(libc::SIGTERM);
    freezer.thaw();
    assert_eq!(running.finish().status, 143);
}

#[test]
fn a_container_that_was_frozen_for_longer_than_its_grace_period_still_gets_the_rest_of_it() {
    let grace = Duration::from_secs(2);
    until_quick_enough(|| {
        let scenario = Scenario::container().options("-t 2s");
        let running = scenario.probe("block-all say ready until 10 forever").start().ready();
        let all = [running.init, main_child(&running)];
        let freezer = Freezer::new();
        let asked = Instant::now();
        running.signal(libc::SIGTERM);
        running.stdout.expect_part("signal 15");
        match &freezer {
            Some(freezer) => freezer.freeze(&all),
            None => all.iter().for_each(|process| process.signal(libc::SIGSTOP)),
        }
        wait_until("the frost", || {
            freezer.is_some() || all.iter().all(|process| process.state() == Some('T'))
        });
        let used = asked.elapsed();
        if used > grace / 2 {
            return false;
        }
        // Longer than a machine is busy.
        std::thread::sleep(grace + Duration::from_millis(1_500));
        let thawed = Instant::now();
        match &freezer {
            Some(freezer) => freezer.thaw(),
            None => all.iter().for_each(|process| process.signal(libc::SIGCONT)),
        }
        assert_eq!(running.finish().status, 137);
        // The slice in which the frost came is lost.
        let rest = grace.saturating_sub(used + Duration::from_millis(500));
        assert!(thawed.elapsed() >= rest, "{:?} of {rest:?}", thawed.elapsed());
        true
    });
}

#[test]
fn a_frost_kills_nobody_however_short_the_grace_period() {
    let Some(freezer) = Freezer::new() else { return skip("no freezer cgroup to change") };
    until_quick_enough(|| {
        let running = Scenario::container()
            .options("-t 500ms")
            .probe("block-all say ready await 15 say asked await 10 sleep-ms 250 exit 5")
            .start()
            .ready();
        let main = main_child(&running);
        let asked = Instant::now();
        running.signal(libc::SIGTERM);
        running.stdout.expect("asked");
        std::thread::sleep(Duration::from_millis(350));
        freezer.freeze(&[running.init, main]);
        let was_in_time = asked.elapsed() < Duration::from_millis(450);
        main.signal(libc::SIGUSR1);
        std::thread::sleep(Duration::from_millis(3_500));
        // What was left of the sleep is slept now, and the short one follows.
        let thawed = Instant::now();
        freezer.thaw();
        let status = running.finish().status;
        let was_quick = was_in_time && thawed.elapsed() < Duration::from_millis(280);
        assert!(!was_quick || status == 5, "{status}");
        was_quick
    });
}

#[test]
fn a_grace_period_is_not_stretched_by_a_lack_of_processor_time() {
    let Some(cgroup) = Cgroup::with_cpu_quota(3) else {
        return skip("no cgroup with a quota of the processors can be made");
    };
    let grace = Duration::from_secs(5);
    let running =
        Scenario::container().options("-t 5s").probe("block-all busy 4 say ready forever");
    let running = running.start().ready();
    let main = main_child(&running);
    for process in main.children().into_iter().chain([running.init, main]) {
        cgroup.enter(process);
    }
    let asked = Instant::now();
    running.signal(libc::SIGTERM);
    wait_until("SIGKILL", || main.state().is_none_or(|state| "XZ".contains(state)));
    let elapsed = asked.elapsed();
    assert!(elapsed >= grace && elapsed < grace * 8 / 5, "{elapsed:?}");
    drop(cgroup);
    assert_eq!(running.finish().status, 137);
}

#[test]
fn a_stop_ends_also_a_command_that_became_another_user() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let running = Scenario::container()
        .options("-t 200ms")
        .probe("setuid 54321 block-all say ready forever")
        .start()
        .ready();
    running.signal(libc::SIGTERM);
    assert_eq!(running.finish().status, 137);
}

#[test]
fn a_child_that_ended_in_time_is_not_killed_for_being_late() {
    let steps = "block-all say ready await 15 say asked await 10 exit 5";
    // No longer than firstmate sleeps at a time: a stop of its own counts for no more than that.
    let grace = Duration::from_millis(500);
    until_quick_enough(|| {
        let running = Scenario::plain().options("-t 500ms -v").probe(steps).start().ready();
        let main = main_child(&running);
        let asked = Instant::now();
        running.signal(libc::SIGTERM);
        let in_time = running.stdout.comes("asked");
        running.signal(libc::SIGSTOP);
        wait_until("a stopped firstmate", || matches!(running.init.state(), Some('T' | 'Z')));
        if !in_time || asked.elapsed() >= grace {
            return false;
        }
        main.signal(libc::SIGUSR1);
        wait_until("its end", || main.state() == Some('Z'));
        std::thread::sleep(grace);
        running.signal(libc::SIGCONT);
        let finished = running.finish();
        assert_eq!(finished.status, 5);
        let killed = finished.stderr.iter().any(|line| line.contains("sending SIGKILL"));
        assert!(!killed, "{finished:?}");
        true
    });
}
