//! `--stop-timeout`: all that a stop does fits into the engine's grace period.

use std::time::{Duration, Instant};

use super::{Programs, both, stopped};
use crate::support::Scenario;

#[test]
fn a_program_in_the_foreground_of_a_script_with_a_trap_is_saved() {
    // The trap waits for it; when the script is killed, it is asked.
    let prog = "catch 15 say ready await-caught-with-timer 15 say saving sleep-ms 1800 say saved";
    let programs = Programs::new(&[("prog", prog)]);
    for (scenario, trap) in both().into_iter().zip(["exit 0", "echo asked"]) {
        let text = format!("trap '{trap}' TERM; prog; true");
        let scenario = programs.script(scenario.options("--stop-timeout 10s"), "bash", &text);
        let (running, asked) = stopped(&scenario, 1);
        let finished = running.finish();
        assert_eq!(finished.stdout, ["saving", "saved"], "{finished:?}");
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    }
}

#[test]
fn a_helper_that_may_have_been_told_is_asked_after_five_seconds_at_most() {
    let helper = "catch 15 say ready await-caught-with-timer 15 say saved";
    let programs = Programs::new(&[
        ("helper", helper),
        ("prog", "catch 15 say ready await-caught 15 sleep-ms 200"),
    ]);
    for scenario in both() {
        let scenario = scenario.options("--stop-timeout 30s");
        let scenario = programs.script(scenario, "sh", "helper & exec prog");
        let (running, asked) = stopped(&scenario, 2);
        let finished = running.finish();
        assert_eq!(finished.stdout, ["saved"], "{finished:?}");
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    }
}

#[test]
fn whoever_ignores_all_is_gone_within_that_time() {
    for (main, after) in [
        // A command; what it leaves too; and with something to run after them.
        ("block-all say ready forever", false),
        ("block-all daemon [ forever ] say ready await 15", false),
        ("block-all daemon [ forever ] say ready forever", false),
        ("block-all daemon [ forever ] say ready forever", true),
    ] {
        for scenario in both() {
            let scenario = scenario.options("--stop-timeout 5s");
            let scenario = if after { scenario.hook("--after", "say after") } else { scenario };
            let running = scenario.probe(main).start().ready();
            let asked = Instant::now();
            running.signal(libc::SIGTERM);
            let finished = running.finish();
            assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
            assert_eq!(finished.stdout.len(), usize::from(after), "{finished:?}");
        }
    }
}

#[test]
fn the_drain_may_last_to_its_end_however_early_the_command_has_exited() {
    // Far beyond the part of it that would be the drain's.
    let left = "daemon [ catch 15 say ready await-caught 15 sleep-ms 3500 say saved ]";
    for scenario in both() {
        let main = format!("{left} catch 15 say ready await-caught 15 exit 4");
        let running = scenario.options("--stop-timeout 5s").probe(&main).start().ready().ready();
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!((finished.status, finished.stdout), (4, vec!["saved".to_owned()]));
    }
}

#[test]
fn after_an_end_that_nobody_asked_for_the_drain_is_its_own_value() {
    let left = "daemon [ block-all forever ]";
    let scenario = Scenario::container().options("--stop-timeout 10m --drain 500ms");
    let started = Instant::now();
    let finished = scenario.probe(&format!("{left} exit 4")).run();
    assert!(started.elapsed() >= Duration::from_millis(500), "{:?}", started.elapsed());
    assert_eq!((finished.status, finished.stderr.len()), (4, 1), "{finished:?}");
}

#[test]
fn values_that_do_not_fit_are_bad_input_with_the_sum() {
    for (options, parts) in [
        ("--stop-timeout 3s -t 5s", &["3s", "5s"][..]),
        ("--stop-timeout 3s --drain 5s", &["3s", "5s"]),
        ("--stop-timeout 3s -t 2s --drain 2s", &["3s", "2s"]),
        ("--stop-timeout 3s --stop-delay 3s", &["3s"]),
        ("--stop-timeout 3s -t never", &["never"]),
        ("--stop-timeout 3s --drain never", &["never"]),
    ] {
        let finished = Scenario::container().options(options).probe("say main").run();
        let counts = (finished.status, finished.stdout.len(), finished.stderr.len());
        assert_eq!(counts, (125, 0, 1), "{options}: {finished:?}");
        let line = &finished.stderr[0];
        assert!(parts.iter().all(|part| line.contains(part)), "{options}: {line}");
        assert!(line.contains("--stop-timeout"), "{line}");
    }
}
