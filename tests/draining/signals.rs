//! With what the drain asks.

use super::{Programs, both, leaving, stop};
use crate::support::Scenario;

#[test]
fn what_a_wrapper_leaves_gets_the_signal_that_was_meant_for_it() {
    // dash dies of it, bash ignores it.
    let programs = Programs::new(&[("prog", "catch 3 catch 15 say ready until-caught 3")]);
    for scenario in both() {
        let scenario = programs.script(scenario.options("-r TERM:QUIT"), "dash", "prog; true");
        let finished = stop(&scenario, 1);
        assert_eq!((finished.status, finished.stdout.len()), (131, 1), "{finished:?}");
        assert!(finished.stdout[0].starts_with("signal 3 "), "{finished:?}");
    }
}

#[test]
fn a_helper_that_knows_sigterm_only_gets_that_whatever_the_program_gets() {
    let programs = Programs::new(&[
        ("helper", "catch 15 say ready until-caught 15 say helper"),
        ("prog", "catch 3 say ready until-caught 3 say prog"),
    ]);
    for scenario in both() {
        let scenario = scenario.options("-r TERM:QUIT");
        let scenario = programs.script(scenario, "dash", "helper & exec prog");
        let finished = stop(&scenario, 2);
        let [quit, prog, term, helper] = &finished.stdout[..] else { panic!("{finished:?}") };
        assert!(quit.starts_with("signal 3 ") && prog == "prog", "{finished:?}");
        assert!(term.starts_with("signal 15 ") && helper == "helper", "{finished:?}");
    }
}

#[test]
fn of_those_that_a_wrapper_leaves_each_gets_what_it_knows() {
    let programs = Programs::new(&[
        ("helper", "catch 15 say ready until-caught 15 sleep-ms 300"),
        ("prog", "catch 3 say ready until-caught 3 sleep-ms 300"),
    ]);
    let scenario = Scenario::container().options("-r TERM:QUIT");
    let scenario = programs.script(scenario, "dash", "helper & prog; true");
    let finished = stop(&scenario, 2);
    let mut told = finished.stdout.clone();
    told.sort_unstable();
    assert!(told.len() == 2 && told[0].starts_with("signal 15 "), "{finished:?}");
    assert!(told[1].starts_with("signal 3 "), "{finished:?}");
}

#[test]
fn after_an_end_that_nobody_asked_for_it_is_sigterm_and_not_rewritten() {
    let finished = leaving("daemon [ until 15 ]").options("-r TERM:QUIT").run();
    assert!(finished.stdout[0].starts_with("signal 15 "), "{finished:?}");
}

#[test]
fn a_shell_on_a_terminal_of_its_own_that_ignores_sigterm_is_hung_up() {
    let shell = "session [ ignore 15 own-terminal catch 1 say ready until-caught 1 ]";
    let main = format!("{shell} catch 10 say ready await-caught 10 exit 3");
    let running = Scenario::container().probe(&main).start().ready().ready();
    running.signal(libc::SIGUSR1);
    let finished = running.finish();
    assert_eq!((finished.status, finished.stdout.len()), (3, 1), "{finished:?}");
    assert!(finished.stdout[0].starts_with("signal 1 code 0 from 1 "), "{finished:?}");
}

#[test]
fn a_signal_that_the_user_gives_holds_for_all() {
    let programs =
        Programs::new(&[("prog", "catch 3 catch 15 catch 10 say ready until-caught 10")]);
    for (scenario, shell) in both().into_iter().zip(["dash", "bash"]) {
        let scenario = scenario.options("-r TERM:QUIT --drain-signal USR1 -t 1s");
        let scenario = programs.script(scenario, shell, "prog; true");
        let finished = stop(&scenario, 1);
        assert_eq!(finished.stdout.len(), 1, "{finished:?}");
        assert!(finished.stdout[0].starts_with("signal 10 "), "{finished:?}");
    }
}

#[test]
fn nobody_is_asked_with_none_until_sigkill() {
    let programs = Programs::new(&[
        ("helper", "catch 15 say ready until-caught 15 say helper"),
        ("prog", "catch 3 say ready until-caught 3 say prog"),
    ]);
    for scenario in both() {
        let scenario = scenario.options("-r TERM:QUIT --drain-signal none --drain 1s");
        let scenario = programs.script(scenario, "dash", "helper & exec prog");
        let finished = stop(&scenario, 2);
        assert_eq!(finished.stdout.len(), 2, "{finished:?}");
        assert_eq!(finished.stdout[1], "prog");
        assert_eq!(finished.stderr.len(), 1, "{finished:?}");
        assert!(finished.stderr[0].contains("killed"), "{finished:?}");
    }
}
