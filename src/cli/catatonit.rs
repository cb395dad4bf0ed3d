//! catatonit's command line: <https://github.com/openSUSE/catatonit>.

use std::ffi::OsString;
use std::time::Duration;

use log::LevelFilter;

use super::given::CommandLine;
use super::table::Opt;
use super::table::Takes::{Flag, Help, Print};
use super::{BadInput, NUMBER, PEERS_FAILURE, Request, Stream, Variables, licence};
use crate::config::{Config, FailureStatuses, ForwardTo, Policy};
use crate::signal::Signal;

const CATATONIT: CommandLine = CommandLine {
    name: "catatonit",
    about: "Runs a command under an init. This is firstmate, called as catatonit.",
    options: &[(
        "Options",
        &[
            Opt::new("-g")
                .takes(Flag(|c| c.policy.forward_to = ForwardTo::Group))
                .help("Forward signals to the process group."),
            Opt::new("-h, --help").takes(Help).help("Print help."),
            Opt::new("-L").takes(Print(licence, Stream::Stdout)).help("Print the licence."),
            PAUSE,
            Opt::new("-V, --version")
                .takes(Print(|| format!("tini version {NUMBER}_catatonit\n"), Stream::Stdout))
                .help("Print the version."),
        ],
    )],
    notes: &[],
    help_to: Stream::Stderr,
};

const PAUSE: Opt = Opt::new("-P").help("Run no command; reap, and exit on SIGTERM or SIGINT.");

#[inline(never)]
pub(super) fn parse(arguments: &[OsString], variable: Variables) -> Result<Request, BadInput> {
    if variable("CATATONIT_LOG").is_some() {
        return Err(BadInput::new(
            "CATATONIT_LOG is not accepted: unset it, the log goes to stderr",
        ));
    }
    CATATONIT.parse(arguments, |words| {
        let log_level = match variable("CATATONIT_DEBUG") {
            Some(_) => LevelFilter::Debug,
            None => LevelFilter::Warn,
        };
        if words.given(&PAUSE).is_some() {
            return Ok(Request::Run(Box::new(Config { log_level, ..Config::hold() })));
        }
        let mut config = Config {
            policy: Policy {
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
            ..Config::new(words.some_command()?)
        };
        words.apply(&mut config, &|_| None)?;
        Ok(Request::Run(Box::new(config)))
    })
}
