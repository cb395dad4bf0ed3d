//! Whoever cannot be signalled, or does not end even by SIGKILL, is said to be so, and holds up
//! nothing.

use std::time::{Duration, Instant};

use super::{firstmate, leaving};
use crate::support::{Directory, Finished, HungMount, Scenario, is_root, skip, wait_until};

/// capabilities(7)
const CAP_KILL: i32 = 5;

const DRAIN: Duration = Duration::from_millis(500);

/// A command leaves a child of another user, and these others, when it gets SIGUSR1; firstmate
/// may not signal that child. Gives the time from then to the end.
fn leave_another_users_child(scenario: Scenario, others: &str) -> (Finished, Duration) {
    let directory = Directory::new();
    let child = "fork [ setuid 54321 say ready forever ]";
    let main = format!("block-all {others} {child} say ready await 10 exit 3");
    let scenario = scenario.programs_in(&directory).options("--drain 500ms").probe(&main);
    let scenario = scenario.prepare(&format!("lose-capability {CAP_KILL}"));
    let running = scenario.start().ready().ready();
    let main = firstmate(&running).child();
    let ended = Instant::now();
    main.signal(libc::SIGUSR1);
    let finished = running.finish();
    (finished, ended.elapsed())
}

/// As PID 1, and below it in a container of its own: whoever firstmate leaves alone is killed with
/// PID 1.
fn contained() -> [Scenario; 2] {
    [Scenario::container(), Scenario::inside("", "wait-last exit 3")]
}

fn assert_refused(finished: &Finished) {
    assert_eq!(finished.status, 3, "{finished:?}");
    let has = |part: &str| finished.stderr.iter().any(|line| line.contains(part));
    assert!(has("cannot send SIGTERM to process "), "{finished:?}");
    assert!(!has("and killed"), "{finished:?}");
}

/// That is less than a second longer than this. A busy machine may take one now and then;
/// firstmate would each time.
fn assert_quick(least: Duration, mut attempt: impl FnMut() -> Duration) {
    let mut is_quick = || {
        let elapsed = attempt();
        assert!(elapsed >= least, "{elapsed:?}");
        elapsed < least + Duration::from_millis(900)
    };
    assert!((0..5).any(|_| is_quick()), "a second too long each time");
}

#[test]
fn nobody_waits_for_the_effect_of_a_sigkill_that_a_child_of_another_user_did_not_get() {
    if !is_root() {
        return skip("only root can become another user");
    }
    for scenario in contained() {
        assert_quick(DRAIN, || leave_another_users_child(scenario.clone(), "").1);
    }
}

#[test]
fn a_child_of_another_user_is_said_to_be_not_signalled() {
    if !is_root() {
        return skip("only root can become another user");
    }
    for scenario in contained() {
        assert_refused(&leave_another_users_child(scenario, "").0);
    }
}

#[test]
fn a_command_of_another_user_that_got_no_signal_ends_the_container_with_its_grace_period() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let directory = Directory::new();
    let scenario = Scenario::container().programs_in(&directory).options("-t 500ms --drain 0");
    let scenario = scenario.prepare(&format!("lose-capability {CAP_KILL}"));
    let scenario = scenario.probe("setuid 54321 block-all say ready forever");
    assert_quick(Duration::from_millis(500), || {
        let running = scenario.start().ready();
        let asked = Instant::now();
        running.signal(libc::SIGTERM);
        assert_eq!(running.finish().status, 137);
        asked.elapsed()
    });
}

#[test]
fn those_beside_a_child_of_another_user_are_killed() {
    if !is_root() {
        return skip("only root can become another user");
    }
    for scenario in contained() {
        let (finished, elapsed) = leave_another_users_child(scenario, "fork [ forever ]");
        assert_refused(&finished);
        assert!(elapsed >= DRAIN, "{elapsed:?}");
    }
}

/// Steps of one that a file system holds, which does not answer.
fn stuck(mount: &HungMount) -> String {
    format!("say ready list {}", mount.path().display())
}

#[test]
fn a_process_that_the_kernel_holds_does_not_hold_the_container() {
    let Some(mount) = HungMount::new() else { return skip("FUSE cannot be mounted") };
    for (scenario, told) in
        [(Scenario::container(), None), (Scenario::inside("", "wait-last"), Some("ended 3"))]
    {
        let main = format!("block-all daemon [ {} ] exit 3", stuck(&mount));
        let running = scenario.options("--drain 500ms").probe(&main).start().ready();
        mount.wait_until_asked();
        running.stderr.expect_part("1 process was left 0.5s after SIGTERM");
        running.stderr.expect_part("left even after SIGKILL");
        if let Some(told) = told {
            running.stdout.expect(told);
        }
    }
}

#[test]
fn a_process_that_the_kernel_holds_is_named() {
    let Some(mount) = HungMount::new() else { return skip("FUSE cannot be mounted") };
    let running = leaving(&format!("daemon [ {} ]", stuck(&mount))).options("--drain 500ms");
    let running = running.start().ready();
    mount.wait_until_asked();
    let line = running.stderr.expect_part("even after SIGKILL");
    assert!(line.contains("\"probe\""), "{line}");
    // The kernel keeps PID 1 until its child is gone.
    drop(mount);
    assert_eq!(running.finish().status, 3);
}

#[test]
fn a_command_that_the_kernel_holds_does_not_hold_the_container() {
    let Some(mount) = HungMount::new() else { return skip("FUSE cannot be mounted") };
    let scenario = Scenario::container().options("-t 500ms").hook("--after", "say after");
    let running = scenario.probe(&format!("block-all {}", stuck(&mount))).start().ready();
    mount.wait_until_asked();
    running.signal(libc::SIGTERM);
    running.stderr.expect_part("the command has not ended even after SIGKILL");
    running.stdout.expect("after");
    drop(mount);
    assert_eq!(running.finish().status, 137);
}

#[test]
fn a_command_that_waits_for_its_vfork_is_said_to_be_held_by_the_kernel() {
    let running =
        Scenario::container().options("-t 4s").probe("block-all say ready vfork").start().ready();
    let main = running.init.child();
    wait_until("the vfork", || main.state() == Some('D'));
    running.signal(libc::SIGTERM);
    running.stderr.expect_part("the kernel holds it (state D)");
    assert_eq!(running.finish().status, 137);
}
