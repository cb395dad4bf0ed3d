//! What becomes of firstmate when its own parent dies.

use crate::support::{Directory, Lease, Process, Running, Scenario, probe, wait_until};

/// firstmate's parent is a child of PID 1, and never ends by itself.
fn with_a_parent() -> Scenario {
    Scenario::inside("fork [", "forever ] forever")
}

fn parent(running: &Running) -> Process {
    running.init.children()[0]
}

#[test]
fn the_death_of_the_parent_sends_the_signal_and_it_is_forwarded() {
    let running = with_a_parent()
        .options("-p USR1")
        .probe("block-all say ready until 10 say told")
        .start()
        .ready();
    parent(&running).signal(libc::SIGKILL);
    running.stdout.expect("told");
}

#[test]
fn a_parent_that_dies_before_the_kernel_was_asked_counts_too() {
    let directory = Directory::new();
    let program = directory.copy(&probe(), "probe");
    // In the exec firstmate stands between its first look at its parent and prctl.
    let lease = Lease::take(&program);
    let scenario = with_a_parent().options("-p USR1").prepare("block-all").command([
        program.as_os_str(),
        "until".as_ref(),
        "10".as_ref(),
    ]);
    let running = scenario.start();
    lease.wait_for_the_exec();
    let (parent, firstmate) = (parent(&running), parent(&running).children()[0]);
    parent.signal(libc::SIGKILL);
    wait_until("another parent", || running.init.children().contains(&firstmate));
    drop(lease);
    running.stdout.expect_part("signal 10");
}

#[test]
fn without_the_option_nothing_is_sent() {
    let scenario = with_a_parent().probe("block-all say ready until 12 say told");
    let running = scenario.start().ready();
    let firstmate = parent(&running).children()[0];
    parent(&running).signal(libc::SIGKILL);
    wait_until("another parent", || running.init.children().contains(&firstmate));
    firstmate.signal(libc::SIGUSR2);
    assert!(running.stdout.next().starts_with("signal 12 "));
}
