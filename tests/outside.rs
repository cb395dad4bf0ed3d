//! firstmate where it is not PID 1: all that it touches is its own.
//!
//! Mostly in a container nevertheless, as a child of its PID 1: whatever it does wrong there, it
//! does to the test alone.

use crate::support::{
    Directory, Process, Running, Scenario, become_lonely_user, is_root, skip, wait_until,
};

/// capabilities(7)
const CAP_KILL: i32 = 5;

/// Others in firstmate's process group, in its session, and in neither. Each tells what signals it
/// gets, and that it lives at SIGUSR1.
const STRANGERS: &str = "setsid block-all fork [ until 10 say lives ] fork [ setpgid until 10 say \
                         lives ] session [ until 10 say lives ]";

/// PID 1 tells how firstmate ended, and waits for its other children.
const TELL: &str = "wait-last wait-all";

fn inside() -> Scenario {
    Scenario::inside(STRANGERS, TELL)
}

/// PID 1 has made it last.
fn firstmate(running: &Running) -> Process {
    *running.init.children().last().expect("a child")
}

/// After firstmate's end: what PID 1 tells of it; then its other children are all alive, have got
/// no signal, and there are so many.
fn assert_ends_alone(running: Running, status: i32, others: usize) -> Vec<String> {
    running.stdout.expect(&format!("ended {status}"));
    let children = running.init.children();
    assert_eq!(
        children.len(),
        others,
        "{:?}",
        children.iter().map(|child| child.status("Name")).collect::<Vec<_>>()
    );
    for child in children {
        child.signal(libc::SIGUSR1);
    }
    let finished = running.finish();
    let lives = finished.stdout.iter().filter(|line| *line == "lives").count();
    let signals: Vec<_> =
        finished.stdout.iter().filter(|line| line.starts_with("signal ")).collect();
    assert_eq!(lives, others, "{finished:?}");
    assert!(
        signals.iter().all(|line| line.starts_with("signal 10 ")) && signals.len() == others,
        "{finished:?}"
    );
    finished.stderr
}

#[test]
fn the_status_of_the_command_and_its_signals_are_the_same_as_of_pid_1() {
    let running = Scenario::plain().probe("block-all say ready until 15 exit 9").start().ready();
    running.signal(libc::SIGUSR2);
    running.stdout.expect_part("signal 12 ");
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert_eq!((finished.status, finished.stderr.len()), (9, 0), "{finished:?}");
    let running =
        Scenario::plain().options("-t 200ms").probe("block-all say ready forever").start().ready();
    running.signal(libc::SIGTERM);
    assert_eq!(running.finish().status, 137);
}

#[test]
fn an_orphan_is_adopted_drained_and_reaped() {
    let scenario = inside().options("-w").probe("block-all daemon [ await 15 say cleaned ] exit 3");
    let running = scenario.start();
    running.stdout.expect("cleaned");
    let stderr = assert_ends_alone(running, 3, 3);
    assert!(
        stderr.len() == 1 && stderr[0].contains("Reaped zombie process with pid="),
        "{stderr:?}"
    );
}

#[test]
fn an_orphan_is_left_alone_by_one_that_is_no_subreaper() {
    let running =
        inside().options("--subreaper=off").probe("daemon [ until 10 say lives ]").start();
    assert_ends_alone(running, 0, 4);
}

#[test]
fn without_a_drain_a_leftover_gets_no_signal() {
    let running = inside().options("--drain 0").probe("daemon [ until 10 say lives ]").start();
    assert_ends_alone(running, 0, 4);
}

#[test]
fn a_drain_touches_no_stranger() {
    let leftovers = "fork [ forever ] daemon [ forever ] session [ session [ session [ crowd 3 \
                     forever ] forever ] forever ]";
    let running = inside().options("--drain 200ms").probe(&format!("{leftovers} exit 5")).start();
    let stderr = assert_ends_alone(running, 5, 3);
    assert!(stderr.len() == 1 && stderr[0].contains("and killed: "), "{stderr:?}");
}

#[test]
fn a_stop_of_all_touches_no_stranger() {
    let running = inside()
        .options("-a -t 1s")
        .probe("daemon [ until 15 say daemon-asked ] say ready forever")
        .start()
        .ready();
    firstmate(&running).signal(libc::SIGTERM);
    running.stdout.expect("daemon-asked");
    assert_ends_alone(running, 137, 3);
}

#[test]
fn a_child_that_was_inherited_is_killed_without_its_process_group() {
    // The group of PID 1, whose number as a target of kill(2) would mean everyone; ours at first,
    // then not.
    for own_session in ["", "setsid"] {
        let scenario =
            inside().options("--drain 200ms").prepare(&format!("fork [ forever ] {own_session}"));
        assert_ends_alone(scenario.probe("exit 6").start(), 6, 3);
    }
    // The group of our parent.
    for own_session in ["", "setsid"] {
        let scenario = Scenario::inside(
            "block-all fork [ setpgid fork [ until 10 say lives ]",
            "wait-last wait-all say alone ] wait-all",
        );
        let scenario =
            scenario.options("--drain 200ms").prepare(&format!("fork [ forever ] {own_session}"));
        let running = scenario.probe("exit 6").start();
        running.stdout.expect("ended 6");
        let strangers = running.init.children()[0].children();
        assert_eq!(strangers.len(), 1);
        strangers[0].signal(libc::SIGUSR1);
        assert!(running.stdout.next().starts_with("signal 10 "));
        running.stdout.expect("lives");
        running.stdout.expect("alone");
    }
}

#[test]
fn descendants_of_any_depth_in_sessions_of_their_own_are_asked_to_end() {
    let nest =
        |below: String, depth| format!("session [ {below} say here await 15 say asked-{depth} ]");
    let generations = (1..=5).fold(String::new(), nest);
    let running =
        inside().options("--drain never").probe(&format!("{generations} until 10")).start();
    for _ in 1..=5 {
        running.stdout.expect("here");
    }
    firstmate(&running).signal(libc::SIGUSR1);
    for _ in 1..=5 {
        running.stdout.expect_part("asked-");
    }
    assert_ends_alone(running, 0, 3);
}

#[test]
fn a_process_whose_first_thread_has_ended_is_asked_to_end() {
    let leftover = "fork [ leave-main-thread say ready await 15 say asked ]";
    let running =
        inside().options("--drain never").probe(&format!("{leftover} until 10")).start().ready();
    firstmate(&running).signal(libc::SIGUSR1);
    running.stdout.expect("asked");
    assert_ends_alone(running, 0, 3);
}

#[test]
fn a_fork_bomb_that_orphans_itself_ends() {
    let directory = Directory::new();
    let user = if is_root() { become_lonely_user() } else { String::new() };
    let scenario = inside()
        .options("--drain 300ms")
        .programs_in(&directory)
        .prepare(&format!("nproc 40 {user}"));
    let stderr = assert_ends_alone(scenario.probe("daemon [ bomb 16 ]").start(), 0, 3);
    assert!(stderr.len() == 1 && stderr[0].contains("and killed: "), "{stderr:?}");
}

/// The surroundings in which firstmate cannot look for its descendants: it knows no others than the
/// main child's process group.
fn assert_only_the_own_group_is_drained(scenario: &Scenario, others: usize) {
    let scenario = scenario.clone().probe("block-all fork [ await 15 say asked ] exit 7");
    let running = scenario.start();
    running.stdout.expect("asked");
    assert_ends_alone(running, 7, others);
}

#[test]
fn without_proc_the_commands_group_is_drained() {
    assert_only_the_own_group_is_drained(&inside().prepare("hide /proc"), 3);
}

#[test]
fn without_proc_one_that_may_not_be_signalled_is_told_of_and_the_others_are_signalled() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let prepared = inside().prepare(&format!("hide /proc lose-capability {CAP_KILL}"));
    // The first one to be signalled is another user's.
    let scenario = prepared.options("-a --exit-when main");
    let scenario = scenario.hook("--with", "block-all say ready until 15");
    let scenario = scenario.probe("setuid 54321 block-all say ready await 10");
    let running = scenario.start().ready().ready();
    let firstmate = firstmate(&running);
    let main = firstmate.children()[0];
    assert!(main.status("Uid").starts_with("54321"));
    firstmate.signal(libc::SIGTERM);
    running.stdout.expect_part("signal 15 ");
    running.stderr.expect_part("cannot send SIGTERM to ");
    main.signal(libc::SIGUSR1);
    assert_ends_alone(running, 0, 3);
}

#[test]
fn without_descriptors_for_proc_the_commands_group_is_drained() {
    for limit in [4, 5, 6, 7] {
        assert_only_the_own_group_is_drained(&inside().prepare(&format!("nofile {limit}")), 3);
    }
}

#[test]
fn without_descriptors_a_stop_of_all_reaches_the_command() {
    for limit in [4, 5, 6, 7] {
        let scenario =
            inside().options("-a").prepare(&format!("nofile {limit}")).probe("say ready until 15");
        let running = scenario.start().ready();
        firstmate(&running).signal(libc::SIGTERM);
        running.stdout.expect_part("signal 15 ");
        assert_ends_alone(running, 0, 3);
    }
}

#[test]
fn the_proc_of_another_pid_namespace_is_not_trusted() {
    // Out there process 3 is a child of process 2; in here 2 is firstmate, and 3 somebody else.
    let before = "fork [ fork [ forever ] forever ] await-process 3 pid-namespace block-all";
    let scenario =
        Scenario::inside(before, "fork [ until 10 say lives ] await-process 3 await 12 wait-all");
    let running = scenario
        .prepare("await-process 3")
        .probe("fork [ await 15 say asked ] say ready exit 7")
        .start()
        .ready();
    running.stdout.expect("asked");
    let inner = running
        .init
        .children()
        .into_iter()
        .find(|child| child.inner_pid() == 1)
        .expect("a namespace");
    wait_until("the end of firstmate", || {
        inner.children().iter().all(|child| child.inner_pid() != 2 || child.state() == Some('Z'))
    });
    let stranger = *inner.children().last().expect("somebody else");
    assert_eq!(stranger.inner_pid(), 3);
    stranger.signal(libc::SIGUSR1);
    assert!(running.stdout.next().starts_with("signal 10 "));
    running.stdout.expect("lives");
}

#[test]
fn without_a_terminal_a_command_that_stops_does_not_stop_firstmate() {
    let scenario =
        Scenario::inside("", TELL).prepare("setsid block-all").probe("say ready until 10");
    let running = scenario.start().ready();
    let firstmate = firstmate(&running);
    let main = firstmate.children()[0];
    main.signal(libc::SIGSTOP);
    wait_until("the stop", || main.state() == Some('T'));
    // The second one is forwarded after firstmate has heard of the stop.
    for signal in [libc::SIGURG, libc::SIGUSR2] {
        firstmate.signal(signal);
        wait_until("a forwarded signal", || main.has_pending(signal));
    }
    main.signal(libc::SIGCONT);
    firstmate.signal(libc::SIGUSR1);
    running.stdout.expect("ended 0");
}
