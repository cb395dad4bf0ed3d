//! catatonit's command line: <https://github.com/openSUSE/catatonit>.

use std::ffi::OsString;
use std::time::Duration;

use log::LevelFilter;

use super::given::{PeerOptions, Takes, letter, peer_parser};
use super::{BadInput, LICENCE, PEERS_FAILURE, Request, Stream, VERSION, Variables};
use crate::config::{Config, FailureStatuses, ForwardTo, Policy};
use crate::signal::Signal;

const ABOUT: &str = "Runs a command under an init. This is firstmate, called as catatonit.";

#[inline(never)]
pub(super) fn parse(arguments: &[OsString], variable: Variables) -> Result<Request, BadInput> {
    if variable("CATATONIT_LOG").is_some() {
        return Err(BadInput::new(
            "CATATONIT_LOG is not accepted: unset it, the log goes to stderr",
        ));
    }
    let parser = || {
        peer_parser(
            "catatonit",
            ABOUT,
            [
                letter("g", None, Takes::Flag, "Forward signals to the process group"),
                letter("h", None, Takes::Flag, "Print help"),
                letter("L", None, Takes::Flag, "Print the licence"),
                letter(
                    "P",
                    None,
                    Takes::Flag,
                    "Run no command; reap, and exit on SIGTERM or SIGINT",
                ),
                letter("V", Some("version"), Takes::Flag, "Print the version"),
            ],
        )
    };
    let options = PeerOptions::read(parser, arguments)?;
    if options.flag("h") {
        return Ok(Request::print(parser().render_help().to_string(), Stream::Stderr));
    }
    if options.flag("L") {
        return Ok(Request::print(LICENCE, Stream::Stdout));
    }
    if options.flag("V") {
        return Ok(Request::print(format!("tini version {VERSION}_catatonit\n"), Stream::Stdout));
    }
    let log_level =
        if variable("CATATONIT_DEBUG").is_some() { LevelFilter::Debug } else { LevelFilter::Warn };
    if options.flag("P") {
        return Ok(Request::Run(Box::new(Config { log_level, ..Config::hold() })));
    }
    let config = Config {
        policy: Policy {
            forward_to: if options.flag("g") { ForwardTo::Group } else { ForwardTo::Child },
            rewrite: [Signal::TSTP, Signal::TTIN, Signal::TTOU]
                .map(|signal| (signal, None))
                .into_iter()
                .collect(),
            drain: Some(Duration::ZERO),
            ..Policy::default()
        },
        failures: FailureStatuses {
            not_found: PEERS_FAILURE,
            not_executable: PEERS_FAILURE,
            other: PEERS_FAILURE,
        },
        log_level,
        ..Config::new(options.command()?)
    };
    Ok(Request::Run(Box::new(config)))
}
