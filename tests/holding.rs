//! Promise 2: firstmate holds nothing that it inherited but stdout and stderr.

use std::fs;

use crate::support::{Directory, Running, Scenario, wait_until};

/// What firstmate's descriptors lead to, once it has let go of all that it will; the counter of OOM
/// kills left out, for not every machine has one.
fn held(running: &Running) -> Vec<(i32, String)> {
    let cwd = || fs::read_link(format!("/proc/{}/cwd", running.init.0)).expect("a directory");
    // The command may be quicker than firstmate, which changes its directory last.
    wait_until("firstmate in /", || cwd().as_os_str() == "/");
    let some_pipe =
        |target: String| if target.starts_with("pipe:") { "pipe".to_owned() } else { target };
    let counters = ["/memory.oom_control", "/memory.events"];
    let (counter, others): (Vec<_>, Vec<_>) = running
        .init
        .descriptors()
        .into_iter()
        .partition(|(_, target)| counters.iter().any(|counter| target.ends_with(counter)));
    assert!(counter.len() <= 1, "{counter:?}");
    // Those hold nothing: they name the groups of its children.
    let others = others.into_iter().filter(|(_, target)| !target.ends_with("[pidfd]"));
    others.map(|(descriptor, target)| (descriptor, some_pipe(target))).collect()
}

/// That the exec is over, firstmate may hear after its command has said something.
fn assert_holds(running: &Running, expected: &[(i32, String)]) {
    wait_until(&format!("{expected:?} to be all that it holds"), || held(running) == expected);
}

fn expected(stdin: &str, log: &str, own: i32) -> Vec<(i32, String)> {
    [(0, stdin), (1, log), (2, log), (own, "anon_inode:[signalfd]")]
        .map(|(descriptor, target)| (descriptor, target.to_owned()))
        .into()
}

#[test]
fn nothing_stays_open_but_the_log_and_its_own() {
    for scenario in [Scenario::container(), Scenario::plain()] {
        let running = scenario
            .prepare("open 3 open 5 open 10 open 200")
            .probe("say ready forever")
            .start()
            .ready();
        assert_holds(&running, &expected("/dev/null", "pipe", 4));
    }
}

#[test]
fn descriptors_are_closed_without_close_range_too() {
    let refused = format!("refuse {} -1 {}", libc::SYS_close_range, libc::ENOSYS);
    for hidden in ["", "hide /proc"] {
        let scenario = Scenario::container()
            .prepare("open 3 open 5 open 10 open 200")
            .prepare(hidden)
            .prepare(&refused);
        let running = scenario.probe("say ready forever").start().ready();
        assert_holds(&running, &expected("/dev/null", "pipe", 4));
    }
}

#[test]
fn a_closed_stdin_is_taken_by_dev_null() {
    let running =
        Scenario::container().prepare("close 0").probe("say ready forever").start().ready();
    assert_holds(&running, &expected("/dev/null", "pipe", 3));
}

#[test]
fn a_closed_stdout_and_stderr_are_never_taken_by_something_else() {
    let running = Scenario::container()
        .prepare("dup 1 9 close 1 close 2")
        .probe("dup 9 1 say ready forever")
        .start()
        .ready();
    assert_holds(&running, &expected("/dev/null", "/dev/null", 3));
}

#[test]
fn without_dev_null_a_handle_of_the_root_keeps_stdin_taken() {
    let running =
        Scenario::container().prepare("hide /dev").probe("say ready forever").start().ready();
    assert_holds(&running, &expected("/", "pipe", 3));
}

#[test]
fn the_working_directory_is_let_go_so_that_it_can_be_unmounted() {
    let directory = Directory::new();
    let place = directory.path().display();
    // The command goes elsewhere, and the mount is busy no more.
    let unmount = format!("cd / say ready await 10 exec umount {place}");
    let preparation = format!("hide {place} cd {place} block 10");
    let running = Scenario::container().prepare(&preparation).probe(&unmount).start().ready();
    held(&running);
    running.signal(libc::SIGUSR1);
    let finished = running.finish();
    assert_eq!(finished.status, 0, "{finished:?}");
}

#[test]
fn a_pipe_ends_when_the_command_closes_it() {
    for scenario in [Scenario::container(), Scenario::plain()] {
        let reader = "pipe 5 6 fork [ close 6 read-to-end 5 say end ]";
        let running = scenario.prepare(reader).probe("say ready close 6 forever").start().ready();
        running.stdout.expect("end");
    }
}

#[test]
fn writing_to_its_stdout_and_stderr_reaches_the_log() {
    let directory = Directory::new();
    let script = directory.file(
        "script",
        "(echo out > /proc/1/fd/1; echo err > /proc/1/fd/2) > /dev/null 2>&1 & wait",
    );
    let steps = format!("say ready await 10 exec sh {}", script.display());
    let running = Scenario::container().prepare("block 10").probe(&steps).start().ready();
    held(&running);
    running.signal(libc::SIGUSR1);
    let finished = running.finish();
    assert_eq!(
        (finished.stdout, finished.stderr),
        (vec!["out".to_owned()], vec!["err".to_owned()])
    );
}
