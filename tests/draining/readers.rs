//! What reads the lines that others write loses none of them: it is asked last.

use std::time::{Duration, Instant};

use super::{Programs, both, leaving, printing};
use crate::support::{Process, Scenario, wait_until};

#[test]
fn a_program_that_prints_while_it_stops_loses_no_line_to_what_reads_them() {
    let programs = Programs::new(&[("prog", &printing())]);
    for pipeline in [
        "prog 2>&1 | tee log; true",
        "prog | cat | cat > log; true",
        "prog | while read line; do echo $line; done > log; true",
    ] {
        for scenario in both() {
            let log = programs.0.path().join("log");
            let cd = format!("cd {} && rm -f log", programs.0.path().display());
            let scenario = programs.script(scenario, "sh", &format!("{cd}; {pipeline}"));
            let running = scenario.start();
            let text = || std::fs::read_to_string(&log).unwrap_or_default();
            wait_until("its first line", || text() == "ready\n");
            running.signal(libc::SIGTERM);
            let finished = running.finish();
            assert_eq!(text().lines().last(), Some("line-20"), "{pipeline}: {finished:?}");
            assert_eq!(text().lines().count(), 21, "{pipeline}");
        }
    }
}

#[test]
fn the_last_lines_of_a_script_that_logs_through_a_reader_are_all_there() {
    let programs = Programs::new(&[]);
    for scenario in both() {
        let log = |number| programs.0.path().join(format!("log-{number}"));
        let all: Vec<_> = (0..20)
            .map(|number| {
                let reader = format!("tee {} > /dev/null", log(number).display());
                let text = format!("exec > >({reader}); for i in $(seq 2000); do echo $i; done");
                programs.script(scenario.clone(), "bash", &text).start()
            })
            .collect();
        for (number, running) in all.into_iter().enumerate() {
            assert_eq!(running.finish().status, 0);
            let text = std::fs::read_to_string(log(number)).expect("a log");
            assert_eq!(text.lines().count(), 2000, "the last one is {:?}", text.lines().last());
        }
    }
}

#[test]
fn nobody_is_asked_for_a_tenth_of_a_second_after_an_end_that_nobody_asked_for() {
    let left = "daemon [ catch 15 say ready until-caught 15 ]";
    for scenario in both() {
        let main = format!("{left} catch 10 say ready await-caught 10");
        let running = scenario.probe(&main).start().ready().ready();
        let ended = Instant::now();
        running.signal(libc::SIGUSR1);
        running.stdout.expect_part("signal 15 ");
        assert!(ended.elapsed() >= Duration::from_millis(100), "{:?}", ended.elapsed());
        assert_eq!(running.finish().status, 0);
    }
}

#[test]
fn a_reader_whose_writer_does_not_end_is_asked_at_three_quarters_of_the_time() {
    let programs = Programs::new(&[("prog", "catch 15 say ready forever")]);
    let scenario = Scenario::container().options("--drain 4s");
    let scenario = programs.script(scenario, "sh", "prog | cat; true");
    // What is ready has gone through the reader.
    let running = scenario.start().ready();
    let children = running.init.child().children();
    let is_cat = |child: &&Process| child.status("Name") == "cat";
    let cat = *children.iter().find(is_cat).expect("cat");
    let asked = Instant::now();
    running.signal(libc::SIGTERM);
    wait_until("the end of the reader", || cat.state().is_none());
    assert!(asked.elapsed() >= Duration::from_secs(3), "{:?}", asked.elapsed());
    // It was not SIGKILL, which is still to come.
    assert_eq!(running.init.children().len(), 1);
    assert_eq!(running.finish().stderr.len(), 1);
}

/// Nothing but a signal ends it: it holds the other end too.
const READER: &str = "unblock-all pipe 0 5 say ready forever";

#[test]
fn a_reader_is_asked_at_once_where_nobody_is_left_who_catches_the_signal() {
    let scenario = leaving(&format!("daemon [ {READER} ]")).options("--drain never");
    let finished = scenario.run();
    assert_eq!((finished.status, finished.stderr.len()), (3, 0), "{finished:?}");
}

#[test]
fn a_reader_is_asked_as_soon_as_the_last_one_who_catches_the_signal_has_ended() {
    // The second one ends after the time that others have to wait, where there is no limit.
    for (time, work) in [("1h", 800), ("never", 6500)] {
        let writer = format!("catch 15 say ready await-caught 15 sleep-ms {work} say saved");
        let steps = format!("daemon [ {READER} ] daemon [ {writer} ] exit 3");
        let scenario = Scenario::container().option("--drain", time).probe(&steps);
        let running = scenario.start();
        running.stdout.expect("saved");
        let saved = Instant::now();
        assert_eq!(running.finish().status, 3);
        assert!(saved.elapsed() < Duration::from_secs(3), "{time}: {:?}", saved.elapsed());
    }
}
