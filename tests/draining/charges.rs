//! Who is in whose charge: masters and their workers, and who was left by somebody that was asked.

use std::time::{Duration, Instant};

use super::{
    Programs, assert_asked_not_before, assert_nobody_waited, both, stop, stop_all, stopped,
};
use crate::support::{Scenario, wait_until};

/// Two workers that the master lets finish what they do, when it is asked: 1.5 s. SIGTERM kills
/// them. It tells them by closing a pipe.
const MASTER: &str = "pipe 5 6 \
                      fork [ close 6 say ready read-to-end 5 sleep-ms 1500 say finished ] \
                      fork [ close 6 say ready read-to-end 5 sleep-ms 1500 say finished ] \
                      catch 15 say ready await-caught 15 close 6 wait-all say master";

#[test]
fn workers_are_left_to_their_master_behind_a_shell() {
    let programs = Programs::new(&[("master", MASTER)]);
    for (scenario, shell) in both().into_iter().zip(["sh", "bash"]) {
        let scenario = programs.script(scenario.options("-v"), shell, "master; true");
        for finished in stop_all(&scenario, 4, 3) {
            assert_eq!(finished.stdout, ["finished", "finished", "master"], "{finished:?}");
            assert_nobody_waited(&finished);
        }
    }
}

#[test]
fn workers_that_their_master_abandons_are_asked_at_once() {
    // They would be dead if they had been told.
    let worker = "fork [ say ready forever ]";
    let master = format!("{worker} {worker} catch 15 say ready await-caught 15 sleep-ms 300");
    let programs = Programs::new(&[("master", &master)]);
    for (scenario, text) in both().into_iter().zip(["master; true", "exec master"]) {
        let scenario = programs.script(scenario.options("-v --drain 1h"), "sh", text);
        let finished = stop(&scenario, 3);
        assert_nobody_waited(&finished);
    }
}

#[test]
fn the_workers_of_a_master_that_ignores_sigterm_are_asked_at_three_quarters_of_the_time() {
    let worker = "fork [ default 15 catch 15 say ready until-caught 15 say finished ]";
    let master = format!("ignore 15 {worker} {worker} say ready wait-all say master");
    let programs = Programs::new(&[("master", &master)]);
    let scenario = Scenario::container().options("--drain 4s");
    let scenario = programs.script(scenario, "sh", "master; true");
    let (running, asked) = stopped(&scenario, 3);
    for _ in 0..2 {
        assert_asked_not_before(&running, asked, Duration::from_secs(3));
    }
    // It ends without SIGKILL.
    running.stdout.expect("master");
    assert_eq!(running.finish().stderr.len(), 0);
}

/// Its timer makes it one that may have run a handler.
const HELPER: &str = "catch 15 say ready await-caught-with-timer 15 say saved";

/// It exits by itself, long enough after the signal for such a timer.
const PROG: &str = "catch 15 say ready await-caught 15 sleep-ms 200";

#[test]
fn a_helper_that_may_have_been_told_is_asked_after_five_seconds_at_most() {
    let programs = Programs::new(&[("helper", HELPER), ("prog", PROG)]);
    for drain in ["30s", "never"] {
        let scenario = Scenario::container().options("-v").option("--drain", drain);
        let scenario = programs.script(scenario, "sh", "helper & exec prog");
        let (running, asked) = stopped(&scenario, 2);
        let finished = running.finish();
        let elapsed = asked.elapsed();
        let waits = |line: &String| line.ends_with("may have told it to exit: it is asked in 5s");
        assert!(finished.stderr.iter().any(waits), "{finished:?}");
        assert_eq!(finished.stdout, ["saved"]);
        assert!((5..12).contains(&elapsed.as_secs()), "{drain}: {elapsed:?}");
    }
}

#[test]
fn without_a_limit_the_charges_of_the_living_are_not_asked_at_all() {
    let stubborn = "ignore 15 fork [ catch 10 catch 15 say ready until-caught 10 ] wait-all";
    let programs = Programs::new(&[("stubborn", stubborn), ("helper", HELPER), ("prog", PROG)]);
    let scenario = Scenario::container().options("--drain never");
    let scenario = programs.script(scenario, "sh", "stubborn & helper & exec prog");
    let (running, _) = stopped(&scenario, 3);
    // Now all have been asked that ever are.
    running.stdout.expect("saved");
    wait_until("the end of the helper", || running.init.children().len() == 1);
    running.init.child().child().signal(libc::SIGUSR1);
    let finished = running.finish();
    assert_eq!(finished.stdout.len(), 1, "{finished:?}");
    assert!(finished.stdout[0].starts_with("signal 10 "), "{finished:?}");
}

#[test]
fn who_is_started_while_others_are_asked_is_asked_at_half_of_the_time() {
    let cleaner = "daemon [ catch 15 say ready until-caught 15 ]";
    let main = format!("catch 15 say ready until-caught 15 {cleaner} exit 4");
    let scenario = Scenario::container().options("--drain 2s -v").probe(&main);
    let running = scenario.start().ready();
    let asked = Instant::now();
    running.signal(libc::SIGTERM);
    running.stdout.expect("ready");
    assert_asked_not_before(&running, asked, Duration::from_secs(1));
    let finished = running.finish();
    assert_eq!(finished.status, 4);
    let reason = "was started while others were asked to exit, and may have been told too";
    assert!(finished.stderr.iter().any(|line| line.contains(reason)), "{finished:?}");
}

#[test]
fn whoever_a_killed_command_leaves_is_asked_at_once_for_it_has_told_nobody() {
    // The command catches the signal, and takes too long.
    let left = "fork [ catch 15 say ready until-caught 15 say saved ]";
    let main = format!("{left} catch 15 say ready forever");
    for scenario in both() {
        let scenario = scenario.options("-t 200ms -v --drain 1h").probe(&main);
        let running = scenario.start().ready().ready();
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!((finished.status, &*finished.stdout[1]), (137, "saved"), "{finished:?}");
        assert_nobody_waited(&finished);
    }
}

#[test]
fn what_a_stop_command_may_have_told_is_asked_at_half_of_the_time() {
    let main = format!("fork [ {HELPER} ] catch 10 say ready await-caught 10 sleep-ms 200 exit 4");
    for scenario in both() {
        let scenario = scenario.options("--drain 2s");
        let ask = "sh -c 'kill -USR1 $MAINPID'";
        let running = scenario.option("--stop-command", ask).probe(&main).start();
        let running = running.ready().ready();
        let asked = Instant::now();
        running.signal(libc::SIGTERM);
        running.stdout.expect("saved");
        assert!(asked.elapsed() >= Duration::from_secs(1), "{:?}", asked.elapsed());
        assert_eq!(running.finish().status, 4);
    }
}
