//! Promise 10: an exec that hangs, until a signal kills the process, holds up nothing: no
//! signal, no deadline, no other command's end. (A virus scanner, a network file system.)

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::{
    Directory, Finished, HeldExec, Process, Running, Scenario, probe, skip, wait_until,
};

/// A copy of the probe whose exec hangs.
struct Slow {
    hold: HeldExec,
    program: PathBuf,
    _directory: Directory,
}

impl Slow {
    fn new() -> Option<Self> {
        let directory = Directory::new();
        let program = directory.copy(&probe(), "slow");
        let Some(hold) = HeldExec::hold(&program) else {
            skip("fanotify(7) needs CAP_SYS_ADMIN in the first user namespace");
            return None;
        };
        Some(Self { hold, program, _directory: directory })
    }

    fn command(&self, steps: &str) -> String {
        format!("{} {steps}", self.program.display())
    }

    fn stop(&self, running: Running) -> (Finished, Duration) {
        self.hold.wait_for_the_exec();
        let asked = Instant::now();
        running.signal(libc::SIGTERM);
        (running.finish(), asked.elapsed())
    }
}

/// More than a busy machine adds, and less than what a hang would take.
const IN_TIME: Duration = Duration::from_secs(20);

fn both() -> [Scenario; 2] {
    [Scenario::container(), Scenario::plain()]
}

#[test]
fn of_the_main_command() {
    for scenario in both() {
        let Some(slow) = Slow::new() else { return };
        let scenario = scenario.options("-t 300ms").prepare("block-all");
        let command = slow.command("say started forever");
        let running = scenario.command(command.split(' ')).start();
        let (finished, time) = slow.stop(running);
        assert_eq!((finished.status, finished.stdout.len()), (137, 0), "{finished:?}");
        assert!(time >= Duration::from_millis(300) && time < IN_TIME, "{time:?}");
    }
}

#[test]
fn of_a_main_command_that_does_not_hold_back_the_signal() {
    for scenario in both() {
        let Some(slow) = Slow::new() else { return };
        let command = slow.command("say started forever");
        let running = scenario.command(command.split(' ')).start();
        let (finished, time) = slow.stop(running);
        assert_eq!((finished.status, finished.stdout.len()), (143, 0), "{finished:?}");
        assert!(time < IN_TIME, "{time:?}");
    }
}

#[test]
fn a_signal_of_that_time_is_the_commands_when_it_has_come() {
    for scenario in both() {
        let Some(slow) = Slow::new() else { return };
        let command = slow.command("until 10 say never");
        let scenario = scenario.prepare("block-all");
        let running = scenario.command(command.split(' ')).start();
        slow.hold.wait_for_the_exec();
        running.signal(libc::SIGUSR1);
        running.init.wait_until_idle();
        drop(slow.hold);
        running.stdout.expect_part("signal 10");
        assert_eq!(running.finish().status, 0);
    }
}

#[test]
fn of_a_command_beside_it() {
    for scenario in both() {
        let Some(slow) = Slow::new() else { return };
        let scenario = scenario.options("-t 300ms").option("--with", slow.command("forever"));
        let running = scenario.probe("block-all say ready await 15 exit 7").start().ready();
        let (finished, time) = slow.stop(running);
        assert_eq!(finished.status, 7, "{finished:?}");
        assert!(time < IN_TIME, "{time:?}");
    }
}

/// Whoever has the command's user can stop it before its exec.
#[test]
fn of_a_command_that_is_stopped_before_its_exec() {
    for scenario in both() {
        let Some(slow) = Slow::new() else { return };
        let scenario = scenario.options("-t 300ms").option("--with", slow.command("forever"));
        let running = scenario.probe("block-all say ready await 15 exit 7").start().ready();
        slow.hold.wait_for_the_exec();
        let program = |process: Process| fs::read_link(format!("/proc/{}/exe", process.0)).ok();
        let is_before_its_exec = |child: &Process| program(*child) == program(running.init);
        let beside = running.init.children().into_iter().find(is_before_its_exec);
        let beside = beside.expect("a child before its exec");
        beside.signal(libc::SIGSTOP);
        drop(slow.hold);
        wait_until("a stopped child", || beside.state() == Some('T'));
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!(finished.status, 7, "{finished:?}");
    }
}

#[test]
fn the_end_of_the_main_command_is_seen_while_another_hangs() {
    for scenario in both() {
        let Some(slow) = Slow::new() else { return };
        let scenario = scenario.options("-t 300ms").option("--with", slow.command("forever"));
        let running = scenario.probe("block-all say ready await 10 exit 7").start().ready();
        slow.hold.wait_for_the_exec();
        let ended = Instant::now();
        running.signal(libc::SIGUSR1);
        let finished = running.finish();
        assert_eq!(finished.status, 7, "{finished:?}");
        assert!(ended.elapsed() < IN_TIME, "{:?}", ended.elapsed());
    }
}

#[test]
fn of_the_command_that_asks_it_to_stop() {
    for scenario in both() {
        let Some(slow) = Slow::new() else { return };
        let scenario =
            scenario.options("-t 300ms").option("--stop-command", slow.command("exit 0"));
        let running = scenario.probe("block-all say ready forever").start().ready();
        let asked = Instant::now();
        running.signal(libc::SIGTERM);
        slow.hold.wait_for_the_exec();
        let finished = running.finish();
        assert_eq!(finished.status, 137, "{finished:?}");
        assert!(asked.elapsed() < IN_TIME, "{:?}", asked.elapsed());
    }
}

#[test]
fn of_a_command_after_it() {
    for scenario in both() {
        let Some(slow) = Slow::new() else { return };
        let scenario = scenario.options("--drain 300ms").option("--after", slow.command("exit 0"));
        let running = scenario.probe("exit 7").start();
        let began = Instant::now();
        slow.hold.wait_for_the_exec();
        let finished = running.finish();
        assert_eq!(finished.status, 7, "{finished:?}");
        assert!(began.elapsed() < IN_TIME, "{:?}", began.elapsed());
    }
}

#[test]
fn of_a_command_before_it() {
    for scenario in both() {
        let Some(slow) = Slow::new() else { return };
        let scenario = scenario
            .options("-t 300ms")
            .prepare("block-all")
            .option("--before", slow.command("exit 0"));
        let (finished, time) = slow.stop(scenario.probe("say started").start());
        assert_eq!((finished.status, finished.stdout.len()), (137, 0), "{finished:?}");
        assert!(time < IN_TIME, "{time:?}");
    }
}
