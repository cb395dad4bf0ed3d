//! tini's command line: <https://github.com/krallin/tini>.

use std::ffi::OsString;
use std::time::Duration;

use log::LevelFilter;

use super::given::{CommandLine, Given};
use super::options::louder;
use super::table::Opt;
use super::table::Takes::{Count, Flag, Help, Print, Value, Values};
use super::{BadInput, NUMBER, PEERS_FAILURE, Request, Stream, Variables, licence, values};
use crate::config::{Config, FailureStatuses, ForwardTo, Policy, Subreaper};

const TINI: CommandLine = CommandLine {
    name: "tini",
    about: "Runs a command under an init. This is firstmate, called as tini.",
    options: &[(
        "Options",
        &[
            Opt::new("-h, --help")
                .takes(Help)
                .help("Print help; `--version` alone prints the version."),
            Opt::new("-s")
                .takes(Flag(|c| c.subreaper = Subreaper::On))
                .help("Become a child subreaper (`TINI_SUBREAPER`)."),
            Opt::new("-p SIGNAL")
                .takes(Value(|c, g| {
                    g.one(values::death_signal).map(|signal| c.parent_death_signal = Some(signal))
                }))
                .help("The signal that we get when our own parent dies."),
            Opt::new("-v")
                .takes(Count(|c, steps| c.log_level = level(steps.saturating_add(1))))
                .help("Log more; repeats (`TINI_VERBOSITY=0` to `3`, default `1`)."),
            Opt::new("-w")
                .takes(Flag(|c| c.warn_on_reap = true))
                .help("Log a line for every orphan reaped."),
            Opt::new("-g")
                .takes(Flag(|c| c.policy.forward_to = ForwardTo::Group))
                .help("Forward signals to the process group (`TINI_KILL_PROCESS_GROUP`)."),
            Opt::new("-e CODE")
                .takes(Values(|c, g| {
                    g.all(values::exit_code).map(|codes| c.policy.remap_exit = codes)
                }))
                .help("Exit 0 when the command exits with CODE."),
            LICENCE,
        ],
    )],
    notes: &[],
    help_to: Stream::Stdout,
};

#[inline(never)]
pub(super) fn parse(arguments: &[OsString], variable: Variables) -> Result<Request, BadInput> {
    if matches!(arguments, [_, option] if option == "--version") {
        return Ok(Request::print(version(), Stream::Stdout));
    }
    TINI.parse(&without_separator(arguments), |words| {
        let mut config = Config {
            policy: Policy { drain: Some(Duration::ZERO), ..Policy::default() },
            subreaper: Subreaper::Off,
            warn_without_orphans: true,
            failures: FailureStatuses { other: PEERS_FAILURE, ..FailureStatuses::default() },
            ..Config::new(words.some_command()?)
        };
        apply_variables(&mut config, variable);
        words.apply(&mut config, &|_| None)?;
        apply_verbosity(&mut config, variable)?;
        Ok(Request::Run(Box::new(config)))
    })
}

pub(super) const LICENCE: Opt =
    Opt::new("-l").takes(Print(licence, Stream::Stdout)).help("Print the licence.");

/// Docker looks for these words.
pub(super) fn version() -> String {
    format!("tini version {NUMBER}\n")
}

/// Whether there is any.
pub(super) fn has_variables(variable: Variables) -> bool {
    let names = ["TINI_SUBREAPER", "TINI_KILL_PROCESS_GROUP", "TINI_VERBOSITY"];
    names.iter().any(|name| variable(name).is_some())
}

/// For before the options are applied.
pub(super) fn apply_variables(config: &mut Config, variable: Variables) {
    if variable("TINI_SUBREAPER").is_some() {
        config.subreaper = Subreaper::On;
    }
    if variable("TINI_KILL_PROCESS_GROUP").is_some() {
        config.policy.forward_to = ForwardTo::Group;
    }
}

/// For after that: this one overrides `-v`.
pub(super) fn apply_verbosity(config: &mut Config, variable: Variables) -> Result<(), BadInput> {
    let Some(given) = Given::in_variable("TINI_VERBOSITY".to_owned(), variable) else {
        return Ok(());
    };
    let parse = |text: &str| values::number(text).map(level).ok_or("a number from 0 to 3");
    config.log_level = given.one(parse)?;
    Ok(())
}

/// tini's levels, of which 1 is the default.
fn level(verbosity: u8) -> LevelFilter {
    louder(LevelFilter::Error, verbosity.into())
}

/// tini's usage is `tini [OPTIONS] PROGRAM -- [ARGS]`: a `--` after the program, where none was
/// before, is not the program's.
fn without_separator(arguments: &[OsString]) -> Vec<OsString> {
    let mut arguments = arguments.to_vec();
    let separator = arguments.iter().position(|word| word == "--").filter(|at| {
        let before = arguments.get(..*at).unwrap_or_default();
        TINI.read(before).is_ok_and(|words| !words.command.is_empty())
    });
    if let Some(at) = separator {
        arguments.remove(at);
    }
    arguments
}
