//! Promise 5: in harsh surroundings and after odd events firstmate lives on, and still does its
//! work.

use std::time::Duration;

use crate::support::{Directory, Finished, Running, Scenario, is_root, skip, wait_until};

const TERM: i32 = libc::SIGTERM;

/// capabilities(7)
const CAP_KILL: i32 = 5;

/// The steps of a command that exits with 7 on SIGTERM.
const STOPPABLE: &str = "block-all say ready await 15 exit 7";

/// It starts, is stopped, and its status is told.
fn assert_it_works(scenario: &Scenario) -> Finished {
    let running = scenario.clone().probe(STOPPABLE).start().ready();
    running.stop()
}

trait Stop {
    fn stop(self) -> Finished;
}

impl Stop for Running {
    fn stop(self) -> Finished {
        self.signal(TERM);
        let finished = self.finish();
        assert_eq!(finished.status, 7, "{finished:?}");
        finished
    }
}

fn both() -> [Scenario; 2] {
    [Scenario::container(), Scenario::plain()]
}

fn only_child(running: &Running) -> crate::support::Process {
    let children = running.init.children();
    assert_eq!(children.len(), 1);
    children[0]
}

#[test]
fn an_ignored_sigchld_loses_no_exit_status_and_no_orphan() {
    for scenario in both() {
        let finished = scenario.prepare("ignore 17").probe("orphans 5 exit 7").run();
        assert_eq!((finished.status, finished.stderr.len()), (7, 0), "{finished:?}");
    }
}

#[test]
fn with_all_signals_blocked_at_the_start_it_still_reacts() {
    for scenario in both() {
        assert_it_works(&scenario.prepare("block-all"));
    }
}

#[test]
fn with_all_signals_blocked_at_the_start_it_still_escalates() {
    for scenario in both() {
        let running = scenario
            .prepare("block-all")
            .options("-t 100ms")
            .probe("say ready forever")
            .start()
            .ready();
        running.signal(TERM);
        assert_eq!(running.finish().status, 137);
    }
}

#[test]
fn a_child_that_was_there_before_it_is_drained() {
    for scenario in both() {
        let inherited = "block-all fork [ await 15 say drained ] unblock-all";
        let finished = scenario.prepare(inherited).options("--drain never").probe("exit 7").run();
        assert_eq!((finished.status, finished.stdout), (7, vec!["drained".to_owned()]));
    }
}

#[test]
fn a_child_that_was_made_with_another_exit_signal_or_none_is_drained_and_reaped() {
    for scenario in both() {
        for signal in [0, libc::SIGUSR1] {
            let inherited =
                format!("block-all clone {signal} [ await 15 say drained ] unblock-all");
            let scenario = scenario.clone().prepare(&inherited).options("--drain 30s");
            let finished = scenario.probe("exit 7").run();
            assert_eq!(
                (finished.status, finished.stdout, finished.stderr),
                (7, vec!["drained".to_owned()], vec![]),
                "{signal}"
            );
        }
    }
}

#[test]
fn where_waitid_is_forbidden_wait4_reaps() {
    let refused = format!("refuse {} -1 {}", libc::SYS_waitid, libc::EPERM);
    for scenario in both() {
        let finished = assert_it_works(&scenario.clone().prepare(&refused));
        assert_eq!(finished.stderr, [""; 0]);
        let running = scenario.prepare(&refused).probe(&format!("orphans 50 {STOPPABLE}"));
        let running = running.start().ready();
        wait_until("no zombie", || running.init.zombies() == 0);
        running.stop();
    }
}

#[test]
fn where_nothing_can_be_waited_for_it_does_not_spin_and_says_so() {
    let refused = [libc::SYS_waitid, libc::SYS_wait4].map(|call| format!("refuse {call} -1 1"));
    let scenario = Scenario::container().prepare(&refused.join(" "));
    let running = scenario.probe(STOPPABLE).start().ready();
    assert!(running.stderr.next().contains("cannot wait for children: Operation not permitted"));
    assert_rests(&running);
    running.signal(libc::SIGKILL);
}

#[test]
fn a_wait_that_is_always_interrupted_or_finds_nothing_does_not_spin() {
    for call in [libc::SYS_ppoll, libc::SYS_read] {
        for error in [libc::EINTR, libc::EAGAIN] {
            // The descriptor of the signalfd, where there is a read; the pointer is never so low.
            let of = if call == libc::SYS_read { 3 } else { -1 };
            let refused = format!("refuse {call} {of} {error}");
            let scenario = Scenario::container().prepare(&refused).options("-t 30s");
            let running = scenario.probe(STOPPABLE).start().ready();
            assert_rests(&running);
            running.stop();
        }
    }
}

/// It takes less than a tenth of a processor.
fn assert_rests(running: &Running) {
    let ticks = || {
        let [user, system] = [11, 12]
            .map(|field| running.init.stat(field).and_then(|text| text.parse::<u64>().ok()));
        user.zip(system).map(|(user, system)| user + system).expect("two numbers")
    };
    let before = ticks();
    std::thread::sleep(Duration::from_secs(1));
    let used = ticks() - before;
    assert!(used < 10, "{used} ticks of 100");
}

#[test]
fn where_signals_cannot_be_blocked_or_a_group_not_be_made_nothing_is_started() {
    for (call, says) in [
        (libc::SYS_rt_sigprocmask, "cannot block signals: Operation not permitted"),
        (libc::SYS_setpgid, "in a process group of its own: Operation not permitted"),
    ] {
        let refused = format!("refuse {call} -1 {}", libc::EPERM);
        let finished = Scenario::container().prepare(&refused).probe("say started").run();
        assert_eq!((finished.status, finished.stdout.len()), (125, 0), "{finished:?}");
        assert!(finished.stderr.iter().any(|line| line.contains(says)), "{finished:?}");
        assert_eq!(finished.stderr.len(), 1, "{finished:?}");
    }
}

#[test]
fn a_child_that_was_there_before_it_is_killed_without_killing_firstmate_whose_group_it_shares() {
    for scenario in both() {
        // In a group that is not that of the tests.
        let inherited = "setpgid ignore 15 fork [ forever ] default 15";
        let finished = scenario.prepare(inherited).options("--drain 100ms").probe("exit 7").run();
        assert_eq!(finished.status, 7, "{finished:?}");
        assert!(finished.stderr[0].contains("and killed: "), "{finished:?}");
    }
}

#[test]
fn a_zombie_that_was_there_before_it_is_reaped_and_not_taken_for_the_command() {
    for scenario in both() {
        let running = scenario
            .prepare("fork [ exit 3 ] await-zombie")
            .options("-w")
            .probe(STOPPABLE)
            .start()
            .ready();
        let line = running.stderr.next();
        assert!(
            line.contains("Reaped zombie process with pid=") && line.contains("exited with 3"),
            "{line}"
        );
        wait_until("no zombie", || running.init.zombies() == 0);
        running.stop();
    }
}

#[test]
fn with_room_for_few_or_no_descriptors_it_works() {
    for limit in [3, 4] {
        for scenario in both() {
            assert_it_works(&scenario.prepare(&format!("nofile {limit}")));
        }
    }
}

#[test]
fn with_room_for_few_or_no_descriptors_what_is_left_is_drained() {
    for limit in [3, 4] {
        for scenario in both() {
            let leftover = "block-all fork [ await 15 say drained ] exit 7";
            let scenario = scenario.prepare(&format!("nofile {limit}")).options("--drain never");
            let finished = scenario.probe(leftover).run();
            assert_eq!(
                (finished.status, finished.stdout),
                (7, vec!["drained".to_owned()]),
                "{limit}"
            );
        }
    }
}

#[test]
fn without_proc_or_dev_it_works() {
    for hidden in ["hide /proc", "hide /dev", "hide /proc hide /dev"] {
        let finished = assert_it_works(&Scenario::container().prepare(hidden));
        assert_eq!(finished.stderr, [""; 0]);
        let leftover = "block-all fork [ await 15 say drained ] exit 7";
        let finished =
            Scenario::container().prepare(hidden).options("--drain never").probe(leftover).run();
        assert_eq!((finished.status, finished.stdout), (7, vec!["drained".to_owned()]), "{hidden}");
    }
}

#[test]
fn without_proc_and_not_as_pid_1_the_group_of_the_command_is_drained() {
    // The probe itself is PID 1 there.
    let scenario = Scenario::container().prepare("hide /proc as-child").options("--drain never");
    let finished = scenario.probe("block-all fork [ await 15 say drained ] exit 7").run();
    assert_eq!((finished.status, finished.stdout), (7, vec!["drained".to_owned()]));
}

#[test]
fn a_child_of_another_user_that_cannot_be_signalled_does_not_end_it() {
    if !is_root() {
        return skip("only root can become another user");
    }
    let directory = Directory::new();
    for scenario in both() {
        let scenario =
            scenario.programs_in(&directory).prepare(&format!("lose-capability {CAP_KILL}"));
        let running =
            scenario.probe("setuid 54321 block-all say ready read-to-end 0 exit 7").start().ready();
        for signal in [libc::SIGUSR1, libc::SIGUSR2, TERM] {
            running.signal(signal);
        }
        assert_told_once(running, "cannot send SIGUSR1");
    }
}

#[test]
fn a_signal_that_cannot_be_sent_does_not_end_it() {
    let refused = format!("refuse {} -1 {}", libc::SYS_kill, libc::EPERM);
    for scenario in both() {
        let running = scenario
            .prepare(&refused)
            .probe("block-all say ready read-to-end 0 exit 7")
            .start()
            .ready();
        for signal in [libc::SIGUSR1, libc::SIGUSR2, TERM] {
            running.signal(signal);
        }
        assert_told_once(running, "cannot send SIGUSR1");
    }
}

/// The command ends by itself when its stdin does.
fn assert_told_once(running: Running, part: &str) {
    let line = running.stderr.expect_part(part);
    assert!(line.contains("Operation not permitted"), "{line}");
    let finished = running.finish();
    assert_eq!((finished.status, finished.stderr.len()), (7, 0), "{finished:?}");
}

#[test]
fn a_child_that_even_sigkill_cannot_reach_does_not_hold_the_container() {
    let refused = format!("refuse {} -1 {}", libc::SYS_kill, libc::EPERM);
    let running = Scenario::container()
        .prepare(&refused)
        .options("-t 10ms --drain 10ms")
        .probe("say ready forever")
        .start()
        .ready();
    running.signal(TERM);
    let finished = running.finish();
    assert_eq!(finished.status, 137, "{finished:?}");
}

#[test]
fn a_failed_read_of_the_signalfd_is_told_once_and_signals_are_taken_another_way() {
    for scenario in both() {
        // 3 is the first that is free.
        let scenario = scenario.prepare(&format!("refuse {} 3 {}", libc::SYS_read, libc::EIO));
        let finished = assert_it_works(&scenario);
        assert_eq!(finished.stderr.len(), 1, "{finished:?}");
        // The words are the C library's.
        let line = &finished.stderr[0];
        assert!(
            line.contains("cannot read signals: ")
                && line.contains(&format!("(os error {})", libc::EIO)),
            "{line}"
        );
    }
}

#[test]
fn where_no_signal_can_be_read_at_all_it_does_not_spin_and_still_tells_the_status() {
    let [read, wait] = [(libc::SYS_read, 3), (libc::SYS_rt_sigtimedwait, -1)]
        .map(|(syscall, descriptor)| format!("refuse {syscall} {descriptor} {} ", libc::EIO));
    for scenario in both() {
        let running = scenario
            .prepare(&read)
            .prepare(&wait)
            .probe("say ready read-to-end 0 exit 7")
            .start()
            .ready();
        let asleep = || {
            let call = std::fs::read_to_string(format!("/proc/{}/syscall", running.init.0))
                .expect("/proc");
            call.starts_with(&format!("{} ", libc::SYS_clock_nanosleep))
                || call.starts_with(&format!("{} ", libc::SYS_nanosleep))
        };
        wait_until("firstmate asleep", asleep);
        assert_eq!(running.finish().status, 7);
    }
}

#[test]
fn newer_system_calls_are_no_need() {
    let newer = [
        libc::SYS_signalfd4,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_send_signal,
        libc::SYS_close_range,
        libc::SYS_pwritev2,
    ];
    // An old kernel says the one, an old seccomp profile the other.
    for error in [libc::ENOSYS, libc::EPERM] {
        let refused = newer.map(|syscall| format!("refuse {syscall} -1 {error}")).join(" ");
        for scenario in both() {
            let finished = assert_it_works(&scenario.clone().prepare(&refused).options("-v"));
            assert!(!finished.stderr.is_empty());
            let killed = scenario
                .prepare(&refused)
                .options("--drain 10ms")
                .probe("ignore 15 fork [ forever ] exit 7")
                .run();
            assert_eq!(killed.status, 7, "{killed:?}");
        }
    }
}

#[test]
fn a_child_that_asks_to_be_traced_runs_on() {
    for scenario in both() {
        let raises = scenario.clone().probe("traceme ignore 10 kill-self 10 exit 7").run();
        assert_eq!((raises.status, raises.stderr.len()), (7, 0), "{raises:?}");
        let dies = scenario.clone().probe("traceme kill-self 15 exit 7").run();
        assert_eq!(dies.status, 128 + TERM, "{dies:?}");
        let probe = crate::support::probe();
        let executes =
            scenario.clone().probe(&format!("traceme exec {} exit 7", probe.display())).run();
        assert_eq!((executes.status, executes.stderr.len()), (7, 0), "{executes:?}");
        let stoppable = scenario
            .probe(&format!("block-all traceme exec {} {STOPPABLE}", probe.display()))
            .start()
            .ready();
        stoppable.stop();
    }
}

#[test]
fn a_child_that_asks_to_be_traced_and_stops_can_be_continued() {
    for scenario in both() {
        let running = scenario.probe("say ready traceme kill-self 19 exit 7").start().ready();
        let child = only_child(&running);
        wait_until("a stopped child", || child.state() == Some('T'));
        running.signal(libc::SIGCONT);
        assert_eq!(running.finish().status, 7);
    }
}

#[test]
fn a_child_that_was_there_before_it_and_asks_to_be_traced_runs_on() {
    for scenario in both() {
        let inherited = "block-all fork [ await 15 traceme ignore 10 unblock-all kill-self 10 say \
                         untraced ] unblock-all";
        let finished = scenario.prepare(inherited).options("--drain never").probe("exit 7").run();
        assert_eq!((finished.status, finished.stdout), (7, vec!["untraced".to_owned()]));
    }
}

#[test]
fn a_child_stopped_by_somebody_else_stays_so_until_it_is_continued() {
    for scenario in both() {
        let running = scenario.probe(STOPPABLE).start().ready();
        let child = only_child(&running);
        child.signal(libc::SIGSTOP);
        wait_until("a stopped child", || child.state() == Some('T'));
        running.signal(libc::SIGUSR1);
        running.signal(libc::SIGCONT);
        wait_until("a continued child", || child.state() == Some('S'));
        running.stop();
    }
}

#[test]
fn a_child_that_is_stopped_again_and_again_does_not_disturb_it() {
    for scenario in both() {
        let running = scenario.probe(STOPPABLE).start().ready();
        let child = only_child(&running);
        for _ in 0..20 {
            child.signal(libc::SIGSTOP);
            wait_until("a stopped child", || child.state() == Some('T'));
            child.signal(libc::SIGCONT);
            wait_until("a continued child", || child.state() == Some('S'));
        }
        running.stop();
    }
}
