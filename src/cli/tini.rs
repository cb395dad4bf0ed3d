//! tini's command line: <https://github.com/krallin/tini>.

use std::ffi::OsString;
use std::time::Duration;

use log::LevelFilter;

use super::given::{PeerOptions, Takes, letter, peer_parser};
use super::{BadInput, LICENCE, PEERS_FAILURE, Request, Stream, VERSION, Variables, values};
use crate::config::{Config, FailureStatuses, ForwardTo, Policy, Subreaper};

const ABOUT: &str = "Runs a command under an init. This is firstmate, called as tini.";

#[inline(never)]
pub(super) fn parse(arguments: &[OsString], variable: Variables) -> Result<Request, BadInput> {
    if matches!(arguments, [_, option] if option == "--version") {
        return Ok(Request::print(format!("tini version {VERSION}\n"), Stream::Stdout));
    }
    let parser = || {
        peer_parser(
            "tini",
            ABOUT,
            [
                letter("h", None, Takes::Flag, "Print help; --version alone prints the version"),
                letter("s", None, Takes::Flag, "Become a child subreaper (TINI_SUBREAPER)"),
                letter(
                    "p",
                    None,
                    Takes::Values("SIGNAL"),
                    "The signal that we get when our own parent dies",
                ),
                letter(
                    "v",
                    None,
                    Takes::Count,
                    "Log more; repeats (TINI_VERBOSITY=0 to 3, default 1)",
                ),
                letter("w", None, Takes::Flag, "Log a line for every orphan reaped"),
                letter(
                    "g",
                    None,
                    Takes::Flag,
                    "Forward signals to the process group (TINI_KILL_PROCESS_GROUP)",
                ),
                letter("e", None, Takes::Values("CODE"), "Exit 0 when the command exits with CODE"),
                letter("l", None, Takes::Flag, "Print the licence"),
            ],
        )
    };
    let options = PeerOptions::read(parser, &without_separator(parser, arguments))?;
    if options.flag("h") {
        return Ok(Request::print(parser().render_help().to_string(), Stream::Stdout));
    }
    if options.flag("l") {
        return Ok(Request::print(LICENCE, Stream::Stdout));
    }
    let set = |name| variable(name).is_some();
    let group = options.flag("g") || set("TINI_KILL_PROCESS_GROUP");
    let level = level(options.count("v").saturating_add(1));
    let config = Config {
        policy: Policy {
            forward_to: if group { ForwardTo::Group } else { ForwardTo::Child },
            drain: Some(Duration::ZERO),
            remap_exit: options.values("e", values::exit_code)?,
            ..Policy::default()
        },
        subreaper: if options.flag("s") || set("TINI_SUBREAPER") {
            Subreaper::On
        } else {
            Subreaper::Off
        },
        parent_death_signal: options.values("p", values::death_signal)?.pop(),
        user: None,
        warn_without_orphans: true,
        failures: FailureStatuses { other: PEERS_FAILURE, ..FailureStatuses::default() },
        log_level: verbosity(variable)?.unwrap_or(level),
        warn_on_reap: options.flag("w"),
        ..Config::new(options.command()?)
    };
    Ok(Request::Run(Box::new(config)))
}

/// tini's usage is `tini [OPTIONS] PROGRAM -- [ARGS]`: a `--` after the program, where none was
/// before, is not the program's.
fn without_separator(
    parser: impl FnOnce() -> clap::Command,
    arguments: &[OsString],
) -> Vec<OsString> {
    let mut arguments = arguments.to_vec();
    if let Some(at) = arguments.iter().position(|word| word == "--") {
        let before = PeerOptions::read(parser, arguments.get(..at).unwrap_or_default());
        if before.is_ok_and(|options| options.command().is_ok()) {
            arguments.remove(at);
        }
    }
    arguments
}

/// What TINI_VERBOSITY asks for; it goes before `-v`.
pub(super) fn verbosity(variable: Variables) -> Result<Option<LevelFilter>, BadInput> {
    let Some(text) = variable("TINI_VERBOSITY").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let number = text.to_str().and_then(|text| values::count(text).ok());
    let refused = || {
        BadInput::new(format!(
            "TINI_VERBOSITY: {text:?} is not accepted: give a number from 0 to 3"
        ))
    };
    number.map(level).map(Some).ok_or_else(refused)
}

/// tini's levels, of which 1 is the default.
fn level(verbosity: u8) -> LevelFilter {
    match verbosity {
        0 => LevelFilter::Error,
        1 => LevelFilter::Warn,
        2 => LevelFilter::Info,
        3.. => LevelFilter::Debug,
    }
}
