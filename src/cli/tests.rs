//! Command lines and environments, and what is made of them.

use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use log::LevelFilter;

use super::*;
use crate::config::{
    AskWith, Command, ExitWhen, FailureStatuses, ForwardTo, LogFormat, Placement, Policy,
    Preparation, Role, Subreaper, TerminationMessage,
};
use crate::signal::{RewriteMap, Signal, SignalSet};

/// Splits the line at spaces; the variables are `NAME=value`.
fn parsed(line: &str, variables: &[&str]) -> Result<Request, BadInput> {
    let arguments: Vec<_> =
        std::iter::once("firstmate").chain(line.split_whitespace()).map(OsString::from).collect();
    let variable = |name: &str| {
        variables
            .iter()
            .find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
            .map(OsString::from)
    };
    parse(&arguments, variable)
}

fn config(line: &str, variables: &[&str]) -> Config {
    match parsed(line, variables) {
        Ok(Request::Run(config)) => *config,
        other => panic!("{line} {variables:?}: {other:?}"),
    }
}

fn error(line: &str, variables: &[&str]) -> String {
    parsed(line, variables).expect_err(line).to_string()
}

#[expect(clippy::unnecessary_wraps, reason = "as the policy has it")]
fn seconds(n: u64) -> Option<Duration> {
    Some(Duration::from_secs(n))
}

#[test]
fn without_options_all_is_as_documented() {
    let expected = Config {
        commands: vec![Command {
            role: Role::Main,
            words: vec!["sh".into()],
            label: "the command",
        }],
        policy: Policy {
            forward_to: ForwardTo::Child,
            placement: Placement::OwnGroup,
            stop_everyone: false,
            suspend_on: SignalSet::default(),
            term_group_at_exit: false,
            rewrite: RewriteMap::default(),
            stop_on: [Signal::TERM, Signal::INT].into_iter().collect(),
            stop_delay: Duration::ZERO,
            kill_after: None,
            drain: seconds(5),
            exit_when: ExitWhen::Any,
            preparation: Preparation::InOrder,
            drain_is_given: false,
            kill_after_is_given: false,
            ask_with: AskWith::Default,
            stop_limit: None,
            exit_on_oom: false,
            remap_exit: vec![],
        },
        stop_timeout: None,
        log_format: LogFormat::Text,
        termination_message: None,
        subreaper: Subreaper::Auto,
        parent_death_signal: None,
        user: None,
        user_source: String::new(),
        only_as_pid_1: false,
        warn_without_orphans: false,
        failures: FailureStatuses::default(),
        log_level: LevelFilter::Warn,
        warn_on_reap: false,
    };
    assert_eq!(config("sh", &[]), expected);
    assert_eq!(config("-- sh", &[]), expected);
}

#[test]
fn options_end_at_the_first_word_that_is_none() {
    for (line, command) in [
        ("sh -c x", "sh -c x"),
        ("-- sh -c x", "sh -c x"),
        ("-g sh -g --all", "sh -g --all"),
        ("-g -- sh -- -g", "sh -- -g"),
        ("sh -- x", "sh -- x"),
        ("-- -- x", "-- x"),
        ("-- --version", "--version"),
        ("-v - x", "- x"),
    ] {
        let words: Vec<_> = command.split(' ').map(OsString::from).collect();
        assert_eq!(config(line, &[]).commands[0].words, words, "{line}");
    }
}

#[test]
fn a_command_need_not_be_utf_8() {
    let odd = OsString::from_vec(b"\xff\xfe".to_vec());
    let Ok(Request::Run(config)) = parse(&["firstmate".into(), odd.clone(), odd.clone()], |_| None)
    else {
        panic!()
    };
    assert_eq!(config.commands[0].words, [odd.clone(), odd]);
}

#[test]
fn each_option_in_each_of_its_forms() {
    for line in ["-g x", "--kill-process-group x", "-gv x", "-vg x"] {
        assert_eq!(config(line, &[]).policy.forward_to, ForwardTo::Group, "{line}");
    }
    assert!(config("-a x", &[]).policy.stop_everyone);
    let rewrite = config("-r TERM:QUIT -r hup:none --rewrite=TERM:INT x", &[]).policy.rewrite;
    assert_eq!(rewrite.apply(Signal::TERM.into()), Some(Signal::INT.into()));
    assert_eq!(rewrite.apply(Signal::HUP.into()), None);
    for line in [
        "-t 10 x",
        "-t10s x",
        "-t=10 x",
        "--kill-after 10 x",
        "--kill-after=10000ms x",
        "-t 1 -t 10 x",
        "-gt10 x",
    ] {
        assert_eq!(config(line, &[]).policy.kill_after, seconds(10), "{line}");
    }
    assert_eq!(config("-t 5 -t never x", &[]).policy.kill_after, None);
    assert_eq!(config("--drain never x", &[]).policy.drain, None);
    assert_eq!(config("--drain 0 x", &[]).policy.drain, seconds(0));
    assert_eq!(config("--stop-delay 1m x", &[]).policy.stop_delay, Duration::from_secs(60));
    let stop_on = config("--stop-on QUIT --stop-on rtmin+3 x", &[]).policy.stop_on;
    assert_eq!(stop_on, [3, 37].into_iter().filter_map(Signal::from_raw).collect());
    for (line, subreaper) in [
        ("-s x", Subreaper::On),
        ("--subreaper x", Subreaper::On),
        ("--subreaper=on x", Subreaper::On),
        ("--subreaper=off x", Subreaper::Off),
        ("-s=off x", Subreaper::Off),
        ("-sg x", Subreaper::On),
    ] {
        assert_eq!(
            (config(line, &[]).subreaper, config(line, &[]).commands[0].words.clone()),
            (subreaper, vec!["x".into()]),
            "{line}"
        );
    }
    let stop = config("--stop-command a --stop-command b x", &[]).commands;
    assert_eq!((stop.len(), &stop[1].words), (2, &vec!["b".into()]));
    assert_eq!(config("-p KILL x", &[]).parent_death_signal, Some(Signal::KILL));
    assert_eq!(config("-e 143 -e 0 --remap-exit=7 x", &[]).policy.remap_exit, [143, 0, 7]);
    assert!(config("-w x", &[]).warn_on_reap);
    for (line, level) in [
        ("-v x", LevelFilter::Info),
        ("-vv x", LevelFilter::Debug),
        ("-v -v -v x", LevelFilter::Trace),
        ("-q x", LevelFilter::Error),
        ("-qq x", LevelFilter::Off),
        ("-vq x", LevelFilter::Warn),
    ] {
        assert_eq!(config(line, &[]).log_level, level, "{line}");
    }
}

#[test]
fn each_option_has_a_variable_and_the_command_line_goes_before_it() {
    let variables = [
        "FIRSTMATE_KILL_PROCESS_GROUP=1",
        "FIRSTMATE_ALL=true",
        "FIRSTMATE_NEW_SESSION=1",
        "FIRSTMATE_REWRITE=TERM:QUIT\nHUP:0",
        "FIRSTMATE_KILL_AFTER=10",
        "FIRSTMATE_STOP_ON=QUIT\nHUP",
        "FIRSTMATE_STOP_DELAY=1s",
        "FIRSTMATE_DRAIN=never",
        "FIRSTMATE_SUBREAPER=0",
        "FIRSTMATE_PARENT_DEATH_SIGNAL=TERM",
        "FIRSTMATE_USER=app:5",
        "FIRSTMATE_REMAP_EXIT=143\n7\n",
        "FIRSTMATE_VERBOSE=2",
        "FIRSTMATE_QUIET=1",
        "FIRSTMATE_WARN_ON_REAP=1",
    ];
    let given = config("x", &variables);
    let written = config(
        "-gaS -r TERM:QUIT -rHUP:0 -t10 --stop-on QUIT --stop-on HUP --stop-delay 1s --drain \
         never -s=off -p TERM --user app:5 -e 143 -e 7 -vvqw x",
        &[],
    );
    let sources = (given.user_source.as_str(), written.user_source.as_str());
    assert_eq!(sources, ("FIRSTMATE_USER", "--user"));
    assert_eq!(given, Config { user_source: given.user_source.clone(), ..written });
    let replaced = config("-t never --stop-on USR1 --drain 1 -s -e 1 x", &variables);
    assert_eq!(replaced.policy.kill_after, None);
    assert_eq!(replaced.policy.stop_on, [Signal::from_raw(10)].into_iter().flatten().collect());
    assert_eq!(replaced.policy.drain, seconds(1));
    assert_eq!(replaced.subreaper, Subreaper::On);
    assert_eq!(replaced.policy.remap_exit, [1]);
}

#[test]
fn an_empty_variable_is_unset_and_an_unknown_one_is_not_ours() {
    let variables = [
        "FIRSTMATE_ALL=",
        "FIRSTMATE_KILL_AFTER=",
        "FIRSTMATE_PORT=tcp://10.0.0.1:80",
        "FIRSTMATE_VERBOSE=0",
    ];
    assert_eq!(config("x", &variables), config("x", &[]));
}

#[test]
fn bad_input_gets_one_line_that_names_option_value_and_what_is_accepted() {
    let signal = "give a signal such as TERM, SIGTERM, 15 or RTMIN+3";
    let limit =
        "give a duration such as 10s, 500ms, 1.5s, 1h30m, 1d or a number of seconds, or never";
    for (line, variable, expected) in [
        ("", "", "no command given: firstmate [OPTIONS] [--] COMMAND [ARG]...".into()),
        ("-g", "", "no command given: firstmate [OPTIONS] [--] COMMAND [ARG]...".into()),
        ("--", "", "no command given: firstmate [OPTIONS] [--] COMMAND [ARG]...".into()),
        ("--bogus x", "", "unknown option \"--bogus\": see -h".into()),
        ("--bogus=1 x", "", "unknown option \"--bogus\": see -h".into()),
        ("-gx y", "", "unknown option \"-x\": see -h".into()),
        ("-t soon x", "", format!("-t: \"soon\" is not accepted: {limit}")),
        ("--drain=-1 x", "", format!("--drain: \"-1\" is not accepted: {limit}")),
        ("-t -1 x", "", format!("-t: \"-1\" is not accepted: {limit}")),
        ("-t --drain 1 x", "", format!("-t: a value is missing: {limit}")),
        ("-p NOPE x", "", format!("-p: \"NOPE\" is not accepted: {signal}, but not STOP or CHLD")),
        (
            "--stop-on KILL x",
            "",
            format!("--stop-on: \"KILL\" is not accepted: {signal}, but not KILL, STOP or CHLD"),
        ),
        (
            "-r TERM x",
            "",
            "-r: \"TERM\" is not accepted: give FROM:TO, two signals such as TERM:QUIT, or \
                                0 or none as TO"
                .into(),
        ),
        (
            "-r KILL:TERM x",
            "",
            "-r: \"KILL:TERM\" is not accepted: give as FROM, before the colon, a signal such as \
             TERM, SIGTERM, 15 or RTMIN+3, but not KILL, STOP or CHLD"
                .into(),
        ),
        (
            "-r TERM:QIUT x",
            "",
            "-r: \"TERM:QIUT\" is not accepted: give as TO, after the colon, a signal such as \
             TERM, SIGTERM, 15 or RTMIN+3, but not KILL or CHLD; or 0 or none"
                .into(),
        ),
        ("-e 256 x", "", "-e: \"256\" is not accepted: give an exit status from 0 to 255".into()),
        (
            "--user app: x",
            "",
            "--user: \"app:\" is not accepted: give a user or user:group, each by its name or its \
                             number from 0 to 4294967294"
                .into(),
        ),
        (
            "-s=maybe x",
            "",
            "-s: \"maybe\" is not accepted: give on, off, auto, yes, no, true, false, 1 or 0"
                .into(),
        ),
        ("--all=yes x", "", "--all: \"yes\" is not accepted: it takes no value".into()),
        ("-v --drain", "", format!("--drain: a value is missing: {limit}")),
        (
            "x",
            "FIRSTMATE_ALL=ja",
            "FIRSTMATE_ALL: \"ja\" is not accepted: give yes, no, on, off, true, false, 1 or 0"
                .into(),
        ),
        ("x", "FIRSTMATE_DRAIN=5x", format!("FIRSTMATE_DRAIN: \"5x\" is not accepted: {limit}")),
        (
            "x",
            "FIRSTMATE_STOP_ON=TERM\nX",
            format!(
                "FIRSTMATE_STOP_ON: \"X\" is not accepted: {signal}, but not KILL, STOP or CHLD"
            ),
        ),
    ] {
        assert_eq!(error(line, &[variable]), expected, "{line} {variable}");
    }
}

#[test]
fn a_pause_takes_no_command_and_no_option_for_one() {
    let pause = Config {
        subreaper: Subreaper::Off,
        log_level: LevelFilter::Info,
        warn_on_reap: true,
        ..Config::hold()
    };
    for variable in ["FIRSTMATE_STOP_DELAY=1", "FIRSTMATE_USER=app", "FIRSTMATE_WITH=x"] {
        let expected = Ok(Request::Run(Box::new(pause.clone())));
        assert_eq!(parsed("-Pvw -s=off", &[variable]), expected, "{variable}");
    }
    assert_eq!(error("-P sh", &[]), "command \"sh\": not accepted with -P: no command is run");
    assert_eq!(error("-P --user app", &[]), "--user: not accepted with -P: no command is run");
    assert_eq!(error("--pause -t 1", &[]), "-t: not accepted with --pause: no command is run");
}

#[test]
fn an_installation_goes_alone() {
    assert_eq!(
        parsed("--install /shared/firstmate", &["FIRSTMATE_DRAIN=1"]),
        Ok(Request::Install("/shared/firstmate".into()))
    );
    assert_eq!(
        error("--install f sh", &[]),
        "command \"sh\": not accepted with --install: no command is run"
    );
    assert_eq!(error("--install f -v", &[]), "-v: not accepted with --install: no command is run");
    assert_eq!(error("--install f -P", &[]), "-P: not accepted with --install: no command is run");
    assert_eq!(error("--install=", &[]), "--install: a value is missing: give the name of a file");
    assert_eq!(error("--install", &[]), "--install: a value is missing");
    assert_eq!(error("", &["FIRSTMATE_INSTALL=f"]), error("", &[]));
    let odd = OsString::from_vec(b"\xff".to_vec());
    assert_eq!(
        parse(&["firstmate".into(), "--install".into(), odd.clone()], |_| None),
        Ok(Request::Install(odd.into()))
    );
}

#[test]
fn a_value_that_is_not_utf_8_is_named_and_refused() {
    let odd = OsString::from_vec(b"--drain=\xff5".to_vec());
    let error = parse(&["firstmate".into(), odd, "x".into()], |_| None).unwrap_err().to_string();
    assert!(error.starts_with("--drain: \"\\xFF5\" is not accepted: give a duration"), "{error}");
}

#[test]
fn help_and_version_are_answers_wherever_they_stand_before_the_command() {
    for line in ["-h", "--help", "-g --help x", "-gh"] {
        let Ok(Request::Print { text, .. }) = parsed(line, &[]) else { panic!("{line}") };
        assert!(text.contains("Usage: firstmate [OPTIONS] [--] COMMAND [ARG]..."), "{text}");
    }
    for line in ["-V", "--version", "-gV x"] {
        let Ok(Request::Print { text, .. }) = parsed(line, &[]) else { panic!("{line}") };
        let (version, hash) = text.trim_end().split_once(" - git.").unwrap();
        assert_eq!(version, concat!("firstmate ", env!("CARGO_PKG_VERSION")));
        assert!(!hash.is_empty() && hash.as_bytes().is_ascii());
    }
    assert_eq!(config("x --help", &[]).commands[0].words.len(), 2);
}

#[test]
fn several_commands_are_split_as_a_shell_splits_them() {
    let arguments = [
        "firstmate",
        "--before",
        "a 'b c'",
        "--with",
        "d",
        "--after",
        "e \"f\"",
        "--with",
        "g\\ h",
        "--stop-command",
        "i",
        "x",
    ];
    let parsed = |exit_when: &str| {
        let variable = |name: &str| (name == "FIRSTMATE_EXIT_WHEN").then(|| exit_when.into());
        match parse(&arguments.map(OsString::from), variable) {
            Ok(Request::Run(config)) => *config,
            other => panic!("{other:?}"),
        }
    };
    for (exit_when, expected, watched) in [
        ("", ExitWhen::Any, false),
        ("any", ExitWhen::Any, false),
        ("main", ExitWhen::Main, false),
        ("empty", ExitWhen::Empty, false),
        ("all", ExitWhen::Watched, true),
    ] {
        let config = parsed(exit_when);
        let auxiliary = |role, words: &[&str], label| Command {
            role,
            words: words.iter().map(OsString::from).collect(),
            label,
        };
        let with = Role::With { watched };
        let others = [
            auxiliary(Role::Stop, &["i"], "the --stop-command"),
            auxiliary(Role::Before, &["a", "b c"], "the --before command"),
            auxiliary(with, &["d"], "the --with command"),
            auxiliary(with, &["g h"], "the --with command"),
            auxiliary(Role::After, &["e", "f"], "the --after command"),
        ];
        assert_eq!(
            (config.policy.exit_when, config.commands[1..].to_vec()),
            (expected, others.to_vec()),
            "{exit_when}"
        );
    }
}

#[test]
fn a_command_that_is_none_is_refused() {
    let quote = "the quote that closes the one that is open";
    let command = "a command with its arguments, quoted as for a shell";
    let shell = "sh -c '...' for what only a shell understands, or quote it: no shell reads this, \
                 and && || ; | & < > # $ ` mean nothing";
    for (variable, value, accepted) in [
        ("FIRSTMATE_WITH", "\"a", quote),
        ("FIRSTMATE_BEFORE", "a 'b", quote),
        ("FIRSTMATE_AFTER", "''", command),
        ("FIRSTMATE_STOP_COMMAND", " ", command),
        ("FIRSTMATE_BEFORE", "true && false", shell),
        ("FIRSTMATE_AFTER", "echo notify #ops", shell),
    ] {
        let expected = format!("{variable}: {value:?} is not accepted: give {accepted}");
        assert_eq!(error("x", &[&format!("{variable}={value}")]), expected);
    }
    let expected = "--exit-when: \"both\" is not accepted: give any, main, all or empty";
    assert_eq!(error("--exit-when both x", &[]), expected);
}

#[test]
fn a_termination_message_goes_to_the_file_of_kubernetes_or_another() {
    let message = |line: &str, variables: &[&str]| config(line, variables).termination_message;
    let file = |path: &str, create| Some(TerminationMessage { path: path.into(), create });
    for (line, variables) in [
        ("--termination-message x", &[][..]),
        ("--termination-message=/dev/termination-log x", &[]),
        ("x", &["FIRSTMATE_TERMINATION_MESSAGE=1"]),
        ("x", &["FIRSTMATE_TERMINATION_MESSAGE=Yes"]),
    ] {
        let expected = file("/dev/termination-log", false);
        assert_eq!(message(line, variables), expected, "{line} {variables:?}");
    }
    assert_eq!(message("--termination-message=./why x", &[]), file("./why", true));
    assert_eq!(message("x", &["FIRSTMATE_TERMINATION_MESSAGE=0"]), None);
    let refused = error("x", &["FIRSTMATE_TERMINATION_MESSAGE=ja"]);
    let accepted = "give the path of a file, with a /, or yes, no, on, off, true, false, 1 or 0";
    let expected = format!("FIRSTMATE_TERMINATION_MESSAGE: \"ja\" is not accepted: {accepted}");
    assert_eq!(refused, expected);
}

#[test]
fn a_near_miss_is_told_with_the_right_name() {
    for (written, right) in [
        ("--killafter", "--kill-after"),
        ("--kill-afer", "--kill-after"),
        ("--kill_after=1", "--kill-after"),
        ("--draim", "--drain"),
        ("--stop-one", "--stop-on"),
    ] {
        let name = written.split('=').next().unwrap();
        let expected = format!("unknown option {name:?}: did you mean {right}?");
        assert_eq!(error(&format!("{written} x"), &[]), expected);
    }
    for far in ["--signal", "--timeout", "-u"] {
        assert_eq!(error(&format!("{far} x"), &[]), format!("unknown option {far:?}: see -h"));
    }
}

#[test]
fn an_option_is_called_as_it_was_written() {
    for (line, name) in [
        ("-t 3x x", "-t"),
        ("-gt3x x", "-t"),
        ("--kill-after 3x x", "--kill-after"),
        ("--kill-after=3x x", "--kill-after"),
        ("-t 1 --kill-after 3x x", "--kill-after"),
        ("-t 3x x --kill-after", "-t"),
        ("-t", "-t"),
        ("--kill-after", "--kill-after"),
    ] {
        let error = error(line, &[]);
        assert!(error.starts_with(&format!("{name}: ")), "{line}: {error}");
    }
}

#[test]
fn a_variable_that_was_written_on_windows_has_no_carriage_returns() {
    let lines = "FIRSTMATE_STOP_ON=QUIT\r\n\r\nHUP\r\n";
    assert_eq!(config("x", &[lines]), config("--stop-on QUIT --stop-on HUP x", &[]));
}

fn times(line: &str) -> (Option<Duration>, Option<Duration>, Option<Duration>) {
    let policy = config(line, &[]).policy;
    (policy.kill_after, policy.drain, policy.stop_limit)
}

#[test]
fn all_that_a_stop_does_fits_into_the_engines_grace_period() {
    let ms = |n| Some(Duration::from_millis(n));
    for (line, kill_after, drain, limit) in [
        ("--stop-timeout 10s x", 6750, 2250, 9000),
        ("--stop-timeout 30s x", 24_000, 5000, 29_000),
        ("--stop-timeout 5 x", 3375, 1125, 4500),
        ("--stop-timeout 1s x", 675, 225, 900),
        ("--stop-timeout 10s --stop-delay 5s x", 3000, 1000, 9000),
        ("--stop-timeout 10s --after a x", 4500, 2250, 6750),
        ("--stop-timeout 10s -t 8s x", 8000, 1000, 9000),
        ("--stop-timeout 10s --drain 1s x", 8000, 1000, 9000),
        ("--stop-timeout 10s -t 9s x", 9000, 0, 9000),
    ] {
        assert_eq!(times(line), (ms(kill_after), ms(drain), ms(limit)), "{line}");
    }
    let expected = "--stop-timeout: 3s is too short: --stop-delay 0s + --kill-after 5s + --drain \
                    0s + 0.3s to spare = 5.3s";
    assert_eq!(error("--stop-timeout 3s -t 5s x", &[]), expected);
    for line in [
        "--stop-timeout 3s --stop-delay 3s x",
        "--stop-timeout 3s -t never x",
        "--stop-timeout 3s --drain never x",
        "--stop-timeout 3s --drain 2s --after a x",
    ] {
        assert!(error(line, &[]).starts_with("--stop-timeout: "), "{line}");
    }
    // For what came in from outside.
    let pause = config("-P --stop-timeout 10s", &[]).policy;
    assert_eq!((pause.drain, pause.stop_limit), (ms(9000), ms(9000)));
    assert_eq!(config("-P --drain 4s", &[]).policy.drain, ms(4000));
}

#[test]
fn one_value_may_hold_several_with_commas() {
    let policy = config("--stop-on TERM,INT -e 1,2 -e 3 -r TERM:QUIT,INT:0 x", &[]).policy;
    assert_eq!(policy.remap_exit, [1, 2, 3]);
    assert_eq!(policy.stop_on, [Signal::TERM, Signal::INT].into_iter().collect());
    assert_eq!(policy.rewrite.apply(Signal::INT.into()), None);
    let expected = "-e: \"x\" is not accepted: give an exit status from 0 to 255";
    assert_eq!(error("-e 1,x y", &[]), expected);
}
