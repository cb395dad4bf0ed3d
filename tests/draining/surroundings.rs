//! Where /proc tells little or nothing.

use std::time::{Duration, Instant};

use super::{ONCE, Programs, both, leaving, printing};
use crate::support::{Directory, Scenario, is_root, skip};

/// capabilities(7), which the default profile of Docker does not give.
const CAP_SYS_PTRACE: i32 = 19;

fn assert_saved(scenario: &Scenario, what: &str) {
    let running = scenario.start().ready();
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert_eq!(finished.stdout, ["saving", "saved"], "{what}: {finished:?}");
}

/// Where /proc tells nothing: as PID 1, with none and with that of others, and below it.
const BLIND: [&str; 3] = ["hide /proc", "pid-namespace", "hide /proc as-child"];

fn assert_everyone_is_asked_once(place: &str) {
    let programs = Programs::new(&[("once", ONCE)]);
    for options in ["", "-g", "-a"] {
        let scenario = Scenario::container().prepare(place).options(options);
        let running = programs.script(scenario, "sh", "once; true").start().ready();
        let firstmate = if place == BLIND[0] { running.init } else { running.init.child() };
        firstmate.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!(finished.stdout, ["saving", "saved"], "{place} {options:?}: {finished:?}");
    }
}

#[test]
fn without_proc_everyone_is_asked_once() {
    assert_everyone_is_asked_once(BLIND[0]);
    assert_everyone_is_asked_once(BLIND[1]);
}

#[test]
fn without_proc_and_not_as_pid_1_the_groups_of_the_commands_are_asked_once() {
    assert_everyone_is_asked_once(BLIND[2]);
}

fn assert_killed_in_time(place: &str) {
    let scenario = Scenario::container().prepare(place).options("--drain 300ms");
    let started = Instant::now();
    let finished = scenario.probe("block-all fork [ forever ] exit 3").run();
    assert!(started.elapsed() >= Duration::from_millis(300));
    assert_eq!(finished.status, 3, "{finished:?}");
    // Nobody could say who it was.
    let last = finished.stderr.last().expect("a line");
    assert!(last.contains("processes were left 0.3s after SIGTERM"), "{finished:?}");
}

#[test]
fn without_proc_whoever_ignores_it_is_killed_in_time() {
    assert_killed_in_time(BLIND[0]);
    assert_killed_in_time(BLIND[1]);
}

#[test]
fn without_proc_and_not_as_pid_1_the_groups_of_the_commands_are_killed_in_time() {
    assert_killed_in_time(BLIND[2]);
}

#[test]
fn without_memory_for_a_look_everyone_is_asked_once() {
    let programs = Programs::new(&[("once", ONCE)]);
    for scenario in both() {
        let running = programs.script(scenario, "sh", "once; true").start().ready();
        let none = libc::rlimit { rlim_cur: 0, rlim_max: libc::RLIM_INFINITY };
        let (pid, old) = (running.init.0, std::ptr::null_mut());
        // SAFETY: prlimit(2) reads one limit.
        let set = unsafe { libc::prlimit(pid, libc::RLIMIT_AS, &raw const none, old) };
        assert_eq!(set, 0);
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!((finished.status, &*finished.stdout.join(" ")), (143, "saving saved"));
    }
}

/// PID 1 of an ordinary user who sees no others.
fn hidden(directory: &Directory, inherited: &str) -> Scenario {
    let steps = format!("proc hidepid=2 {inherited} setuid 54321");
    Scenario::container().programs_in(directory).prepare(&steps)
}

#[test]
fn with_hidepid_the_users_own_processes_are_asked_once() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let directory = Directory::new();
    for options in ["", "-g", "-a"] {
        let shell = format!("'{}' {ONCE}; true", directory.path().join("probe").display());
        let scenario = hidden(&directory, "").options(options).command(["sh", "-c", &shell]);
        assert_saved(&scenario, options);
    }
}

#[test]
fn with_hidepid_whoever_is_not_seen_is_waited_for_nevertheless() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let directory = Directory::new();
    let inherited = "block-all fork [ say ready await 10 sleep-ms 500 say done ] unblock-all";
    let scenario = hidden(&directory, inherited).options("-v").probe("exit 3");
    let running = scenario.start().ready();
    running.stderr.expect_part("the command exited with 3");
    running.init.child().signal(libc::SIGUSR1);
    let finished = running.finish();
    assert_eq!((finished.status, finished.stdout), (3, vec!["done".to_owned()]));
}

#[test]
fn with_hidepid_and_without_ptrace_another_users_processes_are_not_killed_unasked() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let directory = Directory::new();
    // Root's group would see all.
    let steps = format!("proc hidepid=2,gid=54322 lose-capability {CAP_SYS_PTRACE}");
    let shell = format!("'{}' {ONCE}; true", directory.path().join("probe").display());
    let scenario = Scenario::container().programs_in(&directory).prepare(&steps);
    let scenario = scenario.options("--user 54321").command(["sh", "-c", &shell]);
    assert_saved(&scenario, "hidden");
}

#[test]
fn without_ptrace_another_users_reader_is_seen_to_be_one() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let programs = Programs::new(&[("prog", &printing())]);
    let scenario = Scenario::container().prepare(&format!("lose-capability {CAP_SYS_PTRACE}"));
    let text = "prog | setpriv --reuid 54321 --clear-groups cat; true";
    let running = programs.script(scenario, "sh", text).start().ready();
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert_eq!(finished.stdout.len(), 20, "{finished:?}");
}

#[test]
fn another_user_is_asked_and_has_time() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let directory = Directory::new();
    for scenario in both() {
        let shell = format!("'{}' {ONCE}; true", directory.path().join("probe").display());
        let scenario = scenario.programs_in(&directory).options("--user 54321");
        assert_saved(&scenario.command(["sh", "-c", &shell]), "--user");
    }
}

#[test]
fn one_that_waits_for_its_vfork_is_asked_like_any_other() {
    // It is held by the kernel until its child is asked, at three quarters of the time.
    let finished = leaving("unblock-all daemon [ vfork ]").options("--drain 2s").run();
    assert_eq!((finished.status, finished.stderr.len()), (3, 0), "{finished:?}");
}
