//! Many processes, many signals, and none at all.

use std::process::Stdio;
use std::time::Duration;

use crate::support::{Process, Running, Scenario, Tracer, clean, is_root, probe, skip, wait_until};

#[test]
fn twenty_thousand_orphans_are_reaped_among_a_thousand_live_children() {
    let steps = "fork [ crowd 1000 ] wait-last orphans 20000 say ready forever";
    for scenario in [Scenario::container(), Scenario::plain()] {
        let running = scenario.probe(steps).start().ready();
        wait_until("the last zombie", || running.init.zombies() == 0);
        assert_eq!(running.init.children().len(), 1001);
        running.signal(15);
        assert_eq!(running.finish().status, 128 + 15);
    }
}

/// A container that only holds, and sessions that enter it from outside.
#[test]
fn a_hundred_thousand_orphans_of_sessions_leave_none() {
    if !is_root() {
        return skip("only root can enter another PID namespace");
    }
    let mut running = Scenario::container().options("-P --drain 5s").start();
    let pid = running.init.0.to_string();
    wait_until("firstmate", || running.init.status("Name") == "firstmate");
    let enter = |steps: &str| {
        let mut session = clean(&probe());
        session.args(["join", &pid]).args(steps.split(' ')).stdout(Stdio::null());
        session.spawn().expect("the probe runs")
    };
    for turn in 0..50 {
        let mut session = enter("orphans 2000");
        assert!(session.wait().expect("a child").success());
        if turn == 0 {
            // They were in its namespace.
            let mut next = enter("forever");
            let entered = Process(i32::try_from(next.id()).expect("a pid")).child();
            assert!(entered.inner_pid() > 2000, "{}", entered.inner_pid());
            entered.signal(libc::SIGKILL);
            next.wait().expect("a child");
        }
    }
    wait_until("the last zombie", || running.init.zombies() == 0);
    assert_eq!(running.init.children(), []);
    running.signal(libc::SIGTERM);
    assert_eq!(running.exit_status(), 0);
}

#[test]
fn however_many_have_died_signals_are_looked_at_in_between() {
    let steps = "block-all say ready await 10 orphans 300 say made forever";
    let running = Scenario::container().probe(steps).start().ready();
    let main = running.init.child();
    running.init.wait_until_idle();
    running.init.signal(libc::SIGSTOP);
    wait_until("a stopped firstmate", || running.init.state() == Some('T'));
    main.signal(libc::SIGUSR1);
    running.stdout.expect("made");
    wait_until("the dead", || running.init.zombies() == 300);
    let mut tracer = Tracer::seize(running.init);
    running.init.signal(libc::SIGCONT);
    let (mut in_a_row, mut most) = (0, 0);
    while running.init.zombies() > 0 {
        tracer.step();
        let reaps = running.init.system_call() == Some(libc::SYS_waitid);
        in_a_row = if reaps { in_a_row + 1 } else { 0 };
        most = most.max(in_a_row);
    }
    tracer.let_go();
    running.signal(libc::SIGKILL);
    // Each call stops at its beginning and at its end; and the main command is asked by itself.
    assert!((50..=2 * 33).contains(&most), "{most} stops");
}

#[test]
fn nothing_wakes_it_in_five_idle_seconds() {
    let idle = |scenario: Scenario| {
        scenario.prepare("open 9").probe("block-all say ready until 64").start().ready()
    };
    let running = [idle(Scenario::container()), idle(Scenario::plain().options("-t 1s -v"))];
    let switches = |running: &Running| {
        // After a first signal it is past its start.
        running.signal(1);
        running.stdout.expect_part("signal 1 ");
        running.init.wait_until_idle();
        running.init.context_switches()
    };
    let before: Vec<_> = running.iter().map(switches).collect();
    std::thread::sleep(Duration::from_secs(5));
    let after: Vec<_> = running.iter().map(|running| running.init.context_switches()).collect();
    assert_eq!(before, after);
    running[0].signal(10);
    running[0].stdout.expect_part("signal 10 ");
    assert!(running[0].init.context_switches() > after[0], "the count counts nothing");
}

#[test]
fn twenty_thousand_signals_arrive_in_order_while_orphans_are_reaped() {
    /// So many are on their way at most: far below the limit.
    const WINDOW: usize = 500;
    let steps = "block-all fork [ orphans 3000 ] say ready until 64";
    let running = Scenario::container().probe(steps).start().ready();
    let send = |value| running.init.queue(40, value).expect("room");
    (0..WINDOW).for_each(send);
    for value in 0..20_000 {
        // The probe hears of the end of its own child too, sooner or later.
        let line = std::iter::repeat_with(|| running.stdout.next())
            .find(|line| !line.starts_with("signal 17 "))
            .expect("a line without end");
        assert!(
            line.starts_with("signal 40 code -1 ") && line.ends_with(&format!(" value {value}")),
            "{value}: {line}"
        );
        if value + WINDOW < 20_000 {
            send(value + WINDOW);
        }
    }
    wait_until("the last zombie", || running.init.zombies() == 0);
    running.signal(64);
    assert_eq!(running.finish().status, 0);
}

#[test]
fn a_queue_full_of_signals_does_not_keep_it_from_reaping() {
    let steps = "fork [ daemon [ setsid forever ] ] block-all say ready until 64";
    let running = Scenario::plain().options("-wvv").probe(steps).start().ready();
    wait_until("the orphan", || running.init.children().len() == 2);
    let orphan = running.init.children()[1];
    wait_until("a firstmate that waits for signals", || running.init.is_idle());
    running.signal(19);
    wait_until("a stopped firstmate", || running.init.state() == Some('T'));
    (0..200).for_each(|value| running.init.queue(40, value).expect("room"));
    orphan.signal(9);
    wait_until("a zombie", || orphan.state() == Some('Z'));
    running.signal(64);
    running.signal(18);
    let log = running.finish().stderr;
    let reaped = log
        .iter()
        .position(|line| line.contains("warning: Reaped zombie process with pid="))
        .expect("a line of it");
    let received =
        log[..reaped].iter().filter(|line| line.ends_with("received SIGRTMIN+6")).count();
    assert!((1..=32).contains(&received), "{received} signals were read before");
}

#[test]
fn it_works_on_when_no_memory_can_be_had() {
    let steps = "block-all say ready until 64 orphans 50 die 9";
    for options in ["", "-w", "-gvv"] {
        let running = Scenario::container().options(options).probe(steps).start().ready();
        let forwards = |signal| {
            running.init.queue(signal, 1).expect("room");
            running.stdout.expect_part(&format!("signal {signal} "));
        };
        // After a first signal it is past its start, where it still makes room for its log.
        forwards(1);
        no_more_memory(running.init);
        [10, 40, 64].into_iter().for_each(forwards);
        let finished = running.finish();
        assert_eq!(finished.status, 128 + 9, "{options}: {finished:?}");
        let reaped = finished.stderr.iter().filter(|line| line.contains("Reaped zombie process"));
        assert!(options.is_empty() || reaped.count() >= 50, "{options}: {finished:?}");
    }
}

fn no_more_memory(process: Process) {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it reads one limit.
    let result =
        unsafe { libc::prlimit(process.0, libc::RLIMIT_AS, &raw const none, std::ptr::null_mut()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}
