//! The command lines of the peers, and what is made of them. The suite compares them with the peers
//! themselves.

use std::time::Duration;

use log::LevelFilter;

use super::*;
use crate::config::{ExitWhen, ForwardTo, Placement, Preparation, Role, Subreaper};
use crate::signal::Signal;

/// Splits the line at spaces, the name first; the variables are `NAME=value`.
fn parsed(line: &str, variables: &[&str]) -> Result<Request, BadInput> {
    let variable = |name: &str| {
        variables
            .iter()
            .find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
            .map(OsString::from)
    };
    parse(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>(), variable)
}

fn config(line: &str, variables: &[&str]) -> Config {
    match parsed(line, variables) {
        Ok(Request::Run(config)) => *config,
        other => panic!("{line} {variables:?}: {other:?}"),
    }
}

fn answer(line: &str) -> (String, Stream) {
    match parsed(line, &[]) {
        Ok(Request::Print { text, stream }) => (text, stream),
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_last_part_of_the_name_decides() {
    for name in ["tini", "/sbin/tini", "./tini", "/usr/bin/tini-static"] {
        assert_eq!(config(&format!("{name} x"), &[]).policy.drain, Some(Duration::ZERO), "{name}");
    }
    for name in ["firstmate", "/sbin/docker-init", "tini2", "init"] {
        assert_eq!(
            config(&format!("{name} x"), &[]).policy.drain,
            Some(Duration::from_secs(5)),
            "{name}"
        );
    }
}

#[test]
fn tini_takes_its_options_and_variables() {
    let plain = config("tini -- x", &["FIRSTMATE_ALL=1"]);
    assert_eq!(
        (plain.subreaper, plain.warn_without_orphans, plain.policy.stop_everyone),
        (Subreaper::Off, true, false)
    );
    assert_eq!(
        (
            plain.failures.other.code(),
            plain.failures.not_found.code(),
            plain.failures.not_executable.code()
        ),
        (1, 127, 126)
    );
    let given = config("tini -gswvv -p SIGTERM -e 143 -e 7 x -v", &[]);
    assert_eq!(
        (given.policy.forward_to, given.subreaper, given.warn_on_reap),
        (ForwardTo::Group, Subreaper::On, true)
    );
    assert_eq!(
        (given.parent_death_signal, given.log_level),
        (Some(Signal::TERM), LevelFilter::Debug)
    );
    assert_eq!(
        (given.policy.remap_exit, given.commands[0].words.clone()),
        (vec![143, 7], vec!["x".into(), "-v".into()])
    );
    let set =
        config("tini -vv x", &["TINI_SUBREAPER=", "TINI_KILL_PROCESS_GROUP=0", "TINI_VERBOSITY=0"]);
    assert_eq!(
        (set.policy.forward_to, set.subreaper, set.log_level),
        (ForwardTo::Group, Subreaper::On, LevelFilter::Error)
    );
}

#[test]
fn a_separator_after_tinis_program_is_not_the_programs() {
    for (line, command) in [
        ("tini x -- a -- b", "x a -- b"),
        ("tini -s -e 3 x -- a", "x a"),
        ("tini -- x -- a", "x -- a"),
        ("tini -s -- x a", "x a"),
        ("tini x", "x"),
    ] {
        let words: Vec<_> = command.split(' ').map(OsString::from).collect();
        assert_eq!(config(line, &[]).commands[0].words, words, "{line}");
    }
}

#[test]
fn dumb_init_takes_its_options_and_variables() {
    let plain = config("dumb-init x", &["DUMB_INIT_SETSID=00", "DUMB_INIT_DEBUG=true"]);
    assert_eq!(
        (plain.policy.placement, plain.policy.forward_to),
        (Placement::OwnSession, ForwardTo::Group)
    );
    assert_eq!(
        (plain.policy.term_group_at_exit, plain.log_level, plain.failures.not_found.code()),
        (true, LevelFilter::Warn, 2)
    );
    assert_eq!(plain.policy.rewrite.apply(Signal::TSTP.into()), Some(Signal::STOP.into()));
    for (line, variable) in [
        ("dumb-init -c x", ""),
        ("dumb-init --single-child x", ""),
        ("dumb-init x", "DUMB_INIT_SETSID=0"),
    ] {
        let single = config(line, &[variable]).policy;
        assert_eq!(
            (single.placement, single.forward_to, single.term_group_at_exit),
            (Placement::SharedGroup, ForwardTo::Child, false),
            "{line}"
        );
        assert_eq!(single.rewrite.apply(Signal::TSTP.into()), Some(Signal::TSTP.into()));
    }
    let rewrite =
        config("dumb-init -v -r 15:3 --rewrite 20:10 -r 1:0 -r 2:9 x", &[]).policy.rewrite;
    for (from, to) in [(15, Some(3)), (20, Some(10)), (1, None), (2, Some(9))] {
        let from = Signal::from_raw(from).unwrap();
        assert_eq!(rewrite.apply(from.into()).map(|to| to.signal.as_raw()), to, "{from}");
    }
    assert_eq!(answer("dumb-init --help").1, Stream::Stderr);
    assert!(answer("dumb-init -V").0.starts_with("dumb-init v"));
}

#[test]
fn catatonit_takes_its_options_and_variables() {
    let plain = config("catatonit -- x", &[]);
    assert_eq!(
        (plain.subreaper, plain.policy.forward_to, plain.log_level),
        (Subreaper::Auto, ForwardTo::Child, LevelFilter::Warn)
    );
    assert_eq!(plain.policy.rewrite.apply(Signal::TSTP.into()), None);
    assert_eq!(config("catatonit -g x", &["CATATONIT_DEBUG="]).log_level, LevelFilter::Debug);
    assert!(config("catatonit -P x", &[]).commands.is_empty());
    assert_eq!(
        parsed("catatonit x", &["CATATONIT_LOG=debug"]).unwrap_err().exit_status().code(),
        1
    );
}

#[test]
fn docker_init_is_firstmate_with_what_tini_has_more() {
    let set = config(
        "docker-init -- x",
        &[
            "TINI_SUBREAPER=",
            "TINI_KILL_PROCESS_GROUP=",
            "TINI_VERBOSITY=3",
            "FIRSTMATE_KILL_AFTER=3s",
        ],
    );
    assert_eq!(
        (set.policy.forward_to, set.subreaper, set.log_level),
        (ForwardTo::Group, Subreaper::On, LevelFilter::Debug)
    );
    assert_eq!(
        (set.policy.kill_after, set.failures.other.code()),
        (Some(Duration::from_secs(3)), 125)
    );
    for (line, variable, expected) in [
        ("docker-init --subreaper=off x", "", Subreaper::Off),
        ("docker-init x", "FIRSTMATE_SUBREAPER=off", Subreaper::Off),
        ("docker-init -s x", "", Subreaper::On),
    ] {
        let set = config(line, &["TINI_SUBREAPER=1", variable]);
        assert_eq!(set.subreaper, expected, "{line} {variable}");
    }
    assert_eq!(
        config("docker-init -s -g -w -v -e 3 -p TERM --drain 0 -- x", &[]).policy.drain,
        Some(Duration::ZERO)
    );
    assert_eq!(answer("docker-init -l").0, licence());
}

#[test]
fn each_name_tells_its_version_as_scripts_and_engines_look_for_it() {
    for (line, start, stream) in [
        ("tini --version", "tini version ", Stream::Stdout),
        ("docker-init --version", "tini version ", Stream::Stdout),
        ("catatonit --version", "tini version ", Stream::Stdout),
        ("dumb-init --version", "dumb-init v", Stream::Stderr),
        ("firstmate --version", "firstmate ", Stream::Stdout),
    ] {
        let (text, where_to) = answer(line);
        assert!(text.starts_with(start) && text.contains(" - git."), "{text}");
        assert_eq!(where_to, stream, "{line}");
    }
}

#[test]
fn a_bad_command_line_of_a_peer_is_its_failure() {
    for line in [
        "tini",
        "tini -z x",
        "tini -s --version",
        "tini -e 256 x",
        "dumb-init",
        "dumb-init -r 15 x",
        "catatonit -z x",
        "catatonit",
    ] {
        assert_eq!(parsed(line, &[]).expect_err(line).exit_status().code(), 1, "{line}");
    }
    assert_eq!(parsed("docker-init", &[]).unwrap_err().exit_status().code(), 125);
}

#[test]
fn smell_baron_runs_what_stands_between_its_separators() {
    let (with, watched) = (Role::With { watched: false }, Role::With { watched: true });
    for (line, main, others) in [
        ("smell-baron x", "x", vec![]),
        ("smell-baron x -f --- y -c", "x -f", vec![(watched, "y -c")]),
        (
            "smell-baron x --- -f y --- z --- -f w",
            "y",
            vec![(with, "x"), (with, "z"), (watched, "w")],
        ),
        (
            "smell-baron -c a --- x --- -c b 1",
            "x",
            vec![(Role::Before, "a"), (Role::Before, "b 1")],
        ),
    ] {
        let config = config(line, &[]);
        let others: Vec<_> =
            others.into_iter().map(|(role, words)| (role, words.to_owned())).collect();
        let joined = |words: &[OsString]| words.join(" ".as_ref()).into_string().unwrap();
        let auxiliaries: Vec<_> =
            config.commands[1..].iter().map(|other| (other.role, joined(&other.words))).collect();
        assert_eq!(
            (joined(&config.commands[0].words).as_str(), auxiliaries),
            (main, others),
            "{line}"
        );
        let policy = config.policy;
        assert_eq!(
            (policy.exit_when, policy.preparation),
            (ExitWhen::Watched, Preparation::Together),
            "{line}"
        );
        assert_eq!(
            (policy.placement, policy.drain),
            (Placement::SharedGroup, Some(Duration::from_secs(10))),
            "{line}"
        );
        assert!(!config.only_as_pid_1, "{line}");
    }
    let all = config("smell-baron -a -f x --- y", &[]);
    assert!(all.policy.stop_everyone && all.only_as_pid_1);
    assert!(answer("smell-baron -h").0.contains("---"));
    for line in [
        "smell-baron",
        "smell-baron -f",
        "smell-baron x ---",
        "smell-baron -z x",
        "smell-baron x --- -a y",
        "smell-baron -c x",
        "smell-baron -cf x",
    ] {
        assert_eq!(parsed(line, &[]).expect_err(line).exit_status().code(), 1, "{line}");
    }
}
