//! Behind real shells: what a script has told is not asked behind its back, and what it has not
//! told is asked at once.

use std::time::Duration;

use super::{
    ONCE, Programs, assert_asked_not_before, assert_nobody_waited, both, stop, stop_all, stopped,
};
use crate::support::{Process, Scenario, wait_until};

/// As often as a race that loses the data once in a while needs, to be seen.
const TIMES: usize = 8;

fn once() -> Programs {
    Programs::new(&[("once", ONCE)])
}

fn assert_saved(scenario: &Scenario, readies: usize, what: &str) {
    for finished in stop_all(scenario, TIMES, readies) {
        assert_eq!(finished.stdout, ["saving", "saved"], "{what}: {finished:?}");
    }
}

#[test]
fn what_takes_a_second_sigterm_as_quit_now_gets_one_behind_a_shell() {
    let programs = once();
    for options in ["", "-g", "-a"] {
        for (scenario, shell) in both().into_iter().zip(["sh", "bash"]) {
            let scenario = programs.script(scenario.options(options), shell, "once; true");
            assert_saved(&scenario, 1, &format!("{shell} {options:?}"));
        }
    }
}

#[test]
fn what_a_script_forwards_the_signal_to_is_not_asked_again() {
    let programs = once();
    for (shells, text) in [
        (&["sh", "bash"][..], "trap 'kill -TERM $p' TERM; once & p=$!; echo ready; wait $p"),
        (&["bash"], "trap 'kill -TERM $p' TERM; once & p=$!; echo ready; wait -n"),
        (&["sh", "bash"], "once & p=$!; trap \"kill -TERM $p; exit 1\" TERM; echo ready; wait"),
        (&["sh", "bash"], "trap 'trap - TERM; kill 0' TERM; once & echo ready; wait"),
    ] {
        for shell in shells {
            for scenario in both() {
                let scenario = programs.script(scenario, shell, text);
                assert_saved(&scenario, 2, &format!("{shell}: {text}"));
            }
        }
    }
}

#[test]
fn what_an_exit_trap_tells_is_not_asked_before_half_of_the_time() {
    let programs = Programs::new(&[("prog", "catch 15 say ready until-caught 64")]);
    let text = "trap 'kill -- -$$' EXIT; prog & echo ready; wait";
    let scenario = programs.script(Scenario::container().options("--drain 4s"), "bash", text);
    let (running, asked) = stopped(&scenario, 2);
    // That of the shell.
    assert!(!running.stdout.expect_part("signal 15 code 0 from ").contains(" from 1 "));
    assert_asked_not_before(&running, asked, Duration::from_secs(2));
    assert_eq!(running.finish().status, 143);
}

#[test]
fn what_a_script_leaves_without_a_word_has_all_of_the_time() {
    // More than would remain for whoever is asked at half of the time.
    let programs = Programs::new(&[(
        "prog",
        "catch 15 say ready await-caught 15 say saving sleep-ms 3500 say saved",
    )]);
    for scenario in both() {
        let scenario = programs.script(
            scenario.options("-v"),
            "bash",
            "trap 'exit 0' TERM; prog & echo ready; wait",
        );
        let finished = stop(&scenario, 2);
        assert_eq!(finished.stdout, ["saving", "saved"], "{finished:?}");
        assert_nobody_waited(&finished);
    }
}

#[test]
fn what_runs_in_the_foreground_of_a_script_with_a_trap_is_asked_when_the_script_is_killed() {
    let prog = "catch 15 say ready await-caught-with-timer 15 say saving sleep-ms 1800 say saved";
    let programs = Programs::new(&[("prog", prog)]);
    for scenario in both() {
        let text = "trap 'exit 0' TERM; prog; true";
        let finished = stop(&programs.script(scenario.options("-v -t 500ms"), "bash", text), 1);
        assert_eq!((finished.status, &*finished.stdout.join(" ")), (137, "saving saved"));
        assert_nobody_waited(&finished);
    }
}

#[test]
fn the_sleep_of_a_script_that_exits_is_asked_at_once() {
    let programs = Programs::new(&[]);
    let text = "trap exit TERM; while :; do sleep 6h & wait $!; done";
    for (scenario, shell) in both().into_iter().zip(["sh", "bash"]) {
        let scenario = programs.script(scenario.options("-v --drain 1h"), shell, text);
        let running = scenario.start();
        running.stderr.expect_part("info: started ");
        let shell = running.init.child();
        let sleeps = |child: Process| child.status("Name") == "sleep" && child.is_idle();
        wait_until("its sleep", || shell.children().into_iter().any(sleeps));
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_nobody_waited(&finished);
    }
}

#[test]
fn a_loop_beside_the_program_is_asked_at_once() {
    let programs = once();
    let text = "while :; do sleep .2; done & exec once";
    for scenario in both() {
        let scenario = programs.script(scenario.options("-v --drain 1h"), "sh", text);
        let is_asked_at_once = || {
            let finished = stop(&scenario, 1);
            assert_eq!(
                (finished.status, &finished.stdout[..]),
                (0, &["saving", "saved"].map(String::from)[..])
            );
            // A shell that is met in a fork blocks all signals: it waits.
            !finished.stderr.iter().any(|line| line.contains("it is asked in"))
        };
        assert!((0..3).any(|_| is_asked_at_once()), "it waits each time");
    }
}

#[test]
fn what_waits_for_signals_in_another_thread_is_not_asked_again() {
    // Its main thread blocks them all.
    let prog = "block-all in-thread [ say ready until 64 ] forever";
    let programs = Programs::new(&[("prog", prog)]);
    let text = "trap 'kill $p' TERM; prog & p=$!; echo ready; wait $p";
    let scenario = programs.script(Scenario::container().options("--drain 4s"), "bash", text);
    let (running, asked) = stopped(&scenario, 2);
    assert!(!running.stdout.expect_part("signal 15 code 0 from ").contains(" from 1 "));
    assert_asked_not_before(&running, asked, Duration::from_secs(2));
}

#[test]
fn what_waits_for_signals_in_its_main_thread_is_not_asked_again() {
    // sigwait(3) unblocks what it waits for: to /proc it is one that the signal would kill.
    let programs = Programs::new(&[("prog", "block-all say ready until 64")]);
    let text = "trap 'kill $p' TERM; prog & p=$!; echo ready; wait $p; sleep .2";
    let scenario = programs.script(Scenario::container().options("--drain 4s"), "bash", text);
    let (running, asked) = stopped(&scenario, 2);
    assert!(!running.stdout.expect_part("signal 15 code 0 from ").contains(" from 1 "));
    assert_asked_not_before(&running, asked, Duration::from_secs(2));
}

#[test]
fn what_has_lost_its_main_thread_is_asked_and_has_time() {
    let programs = Programs::new(&[("prog", &format!("leave-main-thread {ONCE}"))]);
    for scenario in both() {
        let scenario = programs.script(scenario, "sh", "prog; true");
        let finished = stop(&scenario, 1);
        assert_eq!(finished.stdout, ["saving", "saved"], "{finished:?}");
    }
}
