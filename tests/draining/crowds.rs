//! Many processes, and such that become more: the container ends, and in time.

use std::time::{Duration, Instant};

use super::{firstmate, leaving};
use crate::support::{Directory, Scenario, is_root};

/// As PID 1, and below it in a container of its own, whose PID 1 waits until nobody is left.
fn contained() -> [Scenario; 2] {
    [Scenario::container(), Scenario::inside("", "wait-last wait-all exit 3")]
}

#[test]
fn a_crowd_that_ignores_sigterm_is_killed() {
    let finished = leaving("crowd 300").options("--drain 200ms").run();
    assert_eq!((finished.status, finished.stderr.len()), (3, 1), "{finished:?}");
}

#[test]
fn two_thousand_processes_do_not_stretch_the_time_of_the_drain() {
    for scenario in contained() {
        let main = "block-all crowd 2000 say ready await 10 exit 3";
        let running = scenario.options("--drain 2s").probe(main).start().ready();
        let firstmate = firstmate(&running);
        let ended = Instant::now();
        firstmate.signal(libc::SIGUSR1);
        let finished = running.finish();
        let elapsed = ended.elapsed();
        assert_eq!((finished.status, finished.stderr.len()), (3, 1), "{finished:?}");
        assert!(elapsed >= Duration::from_secs(2), "{elapsed:?}");
        assert!(elapsed < Duration::from_secs(6), "{elapsed:?}");
    }
}

#[test]
fn two_thousand_processes_are_all_asked() {
    for scenario in contained() {
        let main = "block-all crowd-that-dies 2000 say ready await 10 exit 3";
        let running = scenario.options("--drain never").probe(main).start().ready();
        firstmate(&running).signal(libc::SIGUSR1);
        let finished = running.finish();
        assert_eq!((finished.status, finished.stderr.len()), (3, 0), "{finished:?}");
    }
}

#[test]
fn a_chain_of_a_thousand_sessions_that_ignore_sigterm_ends() {
    for scenario in contained() {
        // Their pids do not grow with their depth.
        let scenario = scenario.options("--drain 500ms").prepare("wrap-pids 500");
        let finished = scenario.probe("ignore 15 fork [ chain 1000 ] exit 3").run();
        assert_eq!((finished.status, finished.stderr.len()), (3, 1), "{finished:?}");
    }
}

/// As many as an ordinary user may have.
fn limited(scenario: Scenario, directory: &Directory, user: u32, processes: u32) -> Scenario {
    let user = if is_root() { format!("setuid {user}") } else { String::new() };
    scenario.programs_in(directory).prepare(&format!("nproc {processes} {user}"))
}

#[test]
fn a_fork_bomb_that_is_left_ends() {
    let directory = Directory::new();
    let scenario = leaving("daemon [ bomb 16 ]").options("--drain 300ms");
    let mut running = limited(scenario, &directory, 54323, 40).start();
    assert_eq!(running.exit_status(), 3);
    let stderr = running.finish().stderr;
    assert_eq!(stderr.len(), 1, "{stderr:?}");
    assert!(stderr[0].contains("after SIGTERM, and killed"), "{stderr:?}");
}

#[test]
fn a_fork_bomb_in_sessions_of_their_own_ends() {
    for (scenario, user) in contained().into_iter().zip([54324, 54325]) {
        let directory = Directory::new();
        let main = "ignore 15 daemon [ bomb-of-sessions 16 ] exit 3";
        let scenario = scenario.options("--drain 300ms").probe(main);
        let mut running = limited(scenario, &directory, user, 40).start();
        assert_eq!(running.exit_status(), 3);
        let stderr = running.finish().stderr;
        assert_eq!(stderr.len(), 1, "{stderr:?}");
        // Names, if any was there for as long as it takes to read one.
        assert!(stderr[0].contains("after SIGTERM, and killed"), "{stderr:?}");
    }
}

#[test]
fn deaths_without_end_keep_nobody_from_a_signal() {
    for (scenario, user) in contained().into_iter().zip([54326, 54327]) {
        let directory = Directory::new();
        let main = "block-all daemon [ bomb 50 ] say ready await 15 exit 3";
        let scenario = scenario.options("--drain 300ms").probe(main);
        let mut running = limited(scenario, &directory, user, 1500).start().ready();
        firstmate(&running).signal(libc::SIGTERM);
        assert_eq!(running.exit_status(), 3);
        assert_eq!(running.finish().stderr.len(), 1);
    }
}

#[test]
fn who_is_forked_while_its_group_is_asked_is_asked_too_and_once() {
    for options in ["-g", "-a"] {
        for scenario in contained() {
            let scenario = scenario.options(options).options("--drain 4s").probe("storm 200");
            let running = scenario.start().ready();
            firstmate(&running).signal(libc::SIGTERM);
            let finished = running.finish();
            let saved = finished.stdout.iter().filter(|line| *line == "saved").count();
            assert_eq!((saved, &*finished.stderr), (200, &[][..]), "{options}");
        }
    }
}
