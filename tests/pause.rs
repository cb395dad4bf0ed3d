//! No command: firstmate as the pause process of a pod.

use std::process::{Command, Stdio};

use crate::support::{Lines, Scenario, is_root, probe, skip, wait_until};

#[test]
fn it_reaps_what_others_leave_and_exits_0_on_term_and_int() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // Blocked, for it is told of before firstmate is executed.
        let others = "block-all fork [ orphans 100 say ready await 10 ]";
        let mut running = Scenario::container().prepare(others).options("-P").start().ready();
        wait_until("the orphans to be reaped", || {
            running.init.zombies() == 0 && running.init.children().len() == 1
        });
        running.signal(libc::SIGHUP);
        running.signal(signal);
        assert_eq!(running.exit_status(), 0);
    }
}

#[test]
fn it_asks_nobody_to_end() {
    let others = "block-all fork [ say ready until 10 ]";
    let scenario = Scenario::plain().prepare(others).options("--pause");
    let mut running = scenario.start().ready();
    let other = running.init.child();
    running.signal(libc::SIGTERM);
    assert_eq!(running.exit_status(), 0);
    other.signal(libc::SIGUSR1);
    assert_eq!(
        running.stdout.next(),
        format!("signal 10 code 0 from {} value 0", std::process::id())
    );
}

#[test]
fn it_holds_nothing() {
    let running = Scenario::container()
        .prepare("open 7 fork [ block-all say ready until 10 ]")
        .options("-P")
        .start()
        .ready();
    wait_until("the descriptors to be closed", || {
        running.init.descriptors().iter().all(|(descriptor, _)| *descriptor != 7)
    });
    assert_eq!(running.init.descriptors()[0].1, "/dev/null");
}

#[test]
fn with_a_drain_what_entered_is_asked_and_waited_for_and_no_longer() {
    if !is_root() {
        return skip("only root can enter another PID namespace");
    }
    let mut running = Scenario::container().options("-P --drain 1h").start();
    let pid = running.init.0.to_string();
    wait_until("firstmate", || running.init.status("Name") == "firstmate");
    let mut command = Command::new(probe());
    command.args(["block-all", "join", &pid, "say", "ready", "until", "15"]);
    command.args(["sleep-ms", "500", "say", "saved"]).stdout(Stdio::piped());
    let mut entered = command.spawn().expect("the probe runs");
    let stdout = Lines::read(entered.stdout.take().expect("a pipe"));
    stdout.expect("ready");
    running.signal(libc::SIGTERM);
    stdout.expect("saved");
    assert_eq!(entered.wait().expect("a child").code(), Some(0));
    assert_eq!(running.exit_status(), 0);
}
