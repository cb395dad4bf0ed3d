//! The deciding end: the commands that still run are stopped as the user said that they are to be
//! stopped, and have a limited time.

use std::time::{Duration, Instant};

use super::both;
use crate::support::Scenario;

#[test]
fn a_helper_that_ends_by_itself_gives_the_main_command_its_own_signal_and_time() {
    // More than the drain's.
    let main = "block-all say ready until 3 sleep-ms 7000 say saved";
    for options in ["-r TERM:QUIT -t 20s", "-r TERM:QUIT"] {
        let all = both().map(|scenario| {
            let scenario = scenario.options(options).option("--with", "sh -c 'sleep 1; exit 1'");
            scenario.probe(main).start()
        });
        for running in all {
            let finished = running.finish();
            let [ready, quit, saved] = &finished.stdout[..] else { panic!("{finished:?}") };
            assert_eq!((finished.status, &**ready, &**saved), (1, "ready", "saved"));
            assert!(quit.starts_with("signal 3 "), "{finished:?}");
        }
    }
}

#[test]
fn a_helper_that_ends_by_itself_runs_the_stop_command() {
    for scenario in both() {
        let scenario = scenario
            .option("--with", "sh -c 'sleep 1; exit 1'")
            .option("--stop-command", "sh -c 'echo asked $MAINPID; kill -USR1 $MAINPID'");
        let running = scenario.probe("block-all say ready until 64").start().ready();
        let main = running.init.children().into_iter().min_by_key(|child| child.inner_pid());
        let main = main.expect("the main command");
        assert_eq!(running.stdout.next(), format!("asked {}", main.inner_pid()));
        running.stdout.expect_part("signal 10 ");
        main.signal(64);
        let finished = running.finish();
        // SIGTERM, it has never seen.
        assert_eq!((finished.status, finished.stdout.len()), (1, 1), "{finished:?}");
    }
}

#[test]
fn with_the_group_as_target_all_of_the_main_commands_group_is_asked() {
    let member = "fork [ say ready until 15 say member ]";
    for scenario in both() {
        let main = format!("block-all {member} say ready until 15 say main wait-all");
        let scenario = scenario.options("-g").hook("--with", "block 10 say ready await 10 exit 1");
        let running = scenario.probe(&main).start().ready().ready().ready();
        super::commands(&running)[1].signal(libc::SIGUSR1);
        let finished = running.finish();
        assert_eq!((finished.status, finished.stdout.len()), (1, 4), "{finished:?}");
        for said in ["main", "member"] {
            assert!(finished.stdout.iter().any(|line| line == said), "{finished:?}");
        }
    }
}

#[test]
fn a_helper_that_ignores_the_stop_does_not_hold_the_container() {
    for scenario in both() {
        let scenario = scenario
            .options("--drain 2s")
            .hook("--with", "ignore 15 say ready forever")
            .hook("--after", "say after")
            .probe("block-all say ready await 15 exit 7");
        let running = scenario.start().ready().ready();
        let asked = Instant::now();
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        let elapsed = asked.elapsed();
        assert_eq!((finished.status, finished.stdout), (7, vec!["after".to_owned()]));
        assert!((2..6).contains(&elapsed.as_secs()), "{elapsed:?}");
    }
}

#[test]
fn where_no_drain_is_given_it_has_ten_seconds_after_the_stop() {
    // Enough for a service beside a quick main command: more than the drain's five.
    for scenario in both() {
        let other = "block-all say ready until 15 sleep-ms 7000 say saved";
        let scenario = scenario.hook("--with", other).probe("say ready forever");
        let running = scenario.start().ready().ready();
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!((finished.status, &*finished.stdout[1]), (143, "saved"), "{finished:?}");
    }
}

#[test]
fn a_stop_command_that_still_runs_at_the_end_of_the_main_one_is_not_asked_and_has_its_time() {
    for scenario in both() {
        let ask = "sh -c 'kill -USR1 $MAINPID; trap \"echo interrupted\" TERM; sleep 1; echo done'";
        let scenario = scenario.option("--stop-command", ask);
        let running = scenario.probe("block-all say ready await 10 exit 4").start().ready();
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!((finished.status, finished.stdout), (4, vec!["done".to_owned()]));
    }
}

#[test]
fn one_that_hangs_does_not_hold_the_container() {
    let ask = "sh -c 'trap \"\" TERM; kill -USR1 $MAINPID; sleep 1h'";
    let scenario = Scenario::container().options("--drain 1s").option("--stop-command", ask);
    let running = scenario.probe("block-all say ready await 10 exit 4").start().ready();
    let asked = Instant::now();
    running.signal(libc::SIGTERM);
    assert_eq!(running.finish().status, 4);
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}
