//! dumb-init's command line: <https://github.com/Yelp/dumb-init>.

use std::ffi::OsString;
use std::time::Duration;

use log::LevelFilter;

use super::given::{PeerOptions, Takes, letter, peer_parser};
use super::{BadInput, PEERS_FAILURE, Request, Stream, VERSION, Variables, values};
use crate::config::{Config, FailureStatuses, ForwardTo, Placement, Policy, Subreaper};
use crate::signal::{RewriteMap, Signal};
use crate::status::ExitStatus;

const ABOUT: &str = "Runs a command under an init. This is firstmate, called as dumb-init.";

const EXEC_FAILURE: ExitStatus = ExitStatus::from_code(2);

#[inline(never)]
pub(super) fn parse(arguments: &[OsString], variable: Variables) -> Result<Request, BadInput> {
    let parser = || {
        peer_parser(
            "dumb-init",
            ABOUT,
            [
                letter(
                    "c",
                    Some("single-child"),
                    Takes::Flag,
                    "Forward signals to the child alone, in our process group (DUMB_INIT_SETSID=0)",
                ),
                letter(
                    "r",
                    Some("rewrite"),
                    Takes::Values("FROM:TO"),
                    "Forward signal TO instead of FROM, and nothing if TO is 0; repeats",
                ),
                letter("v", Some("verbose"), Takes::Count, "Log each signal (DUMB_INIT_DEBUG=1)"),
                letter("h", Some("help"), Takes::Flag, "Print help"),
                letter("V", Some("version"), Takes::Flag, "Print the version"),
            ],
        )
    };
    let options = PeerOptions::read(parser, arguments)?;
    if options.flag("h") {
        return Ok(Request::print(parser().render_help().to_string(), Stream::Stderr));
    }
    if options.flag("V") {
        return Ok(Request::print(format!("dumb-init v{VERSION}\n"), Stream::Stderr));
    }
    let is = |name, value: &str| variable(name).is_some_and(|text| text == value);
    let single_child = options.flag("c") || is("DUMB_INIT_SETSID", "0");
    let verbose = options.count("v") > 0 || is("DUMB_INIT_DEBUG", "1");
    let terminal_stops = [Signal::TSTP, Signal::TTIN, Signal::TTOU];
    // In a session of its own nobody does job control: what the terminal would stop is stopped for
    // good.
    let defaults = terminal_stops
        .map(|signal| (signal, Some(Signal::STOP)))
        .into_iter()
        .filter(|_| !single_child);
    let rewrite: RewriteMap = defaults.chain(options.values("r", values::any_rewrite)?).collect();
    let config = Config {
        policy: Policy {
            placement: if single_child { Placement::SharedGroup } else { Placement::OwnSession },
            forward_to: if single_child { ForwardTo::Child } else { ForwardTo::Group },
            rewrite,
            suspend_on: terminal_stops.into_iter().collect(),
            drain: Some(Duration::ZERO),
            farewell: !single_child,
            ..Policy::default()
        },
        subreaper: Subreaper::Off,
        failures: FailureStatuses {
            not_found: EXEC_FAILURE,
            not_executable: EXEC_FAILURE,
            other: PEERS_FAILURE,
        },
        log_level: if verbose { LevelFilter::Debug } else { LevelFilter::Warn },
        ..Config::new(options.command()?)
    };
    Ok(Request::Run(Box::new(config)))
}
