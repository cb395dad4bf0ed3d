//! dumb-init's command line: <https://github.com/Yelp/dumb-init>.

use std::ffi::OsString;
use std::time::Duration;

use log::LevelFilter;

use super::given::CommandLine;
use super::table::Opt;
use super::table::Takes::{Flag, Help, Print, Values};
use super::{BadInput, NUMBER, PEERS_FAILURE, Request, Stream, Variables, values};
use crate::config::{Config, FailureStatuses, ForwardTo, Placement, Policy, Subreaper};
use crate::signal::{RewriteMap, Signal};
use crate::status::ExitStatus;

const DUMB_INIT: CommandLine = CommandLine {
    name: "dumb-init",
    about: "Runs a command under an init. This is firstmate, called as dumb-init.",
    options: &[(
        "Options",
        &[
            // Above `--rewrite`, whose rules stay.
            Opt::new("-c, --single-child").takes(Flag(share_our_group)).help(
                "Forward signals to the child alone, in our process group (`DUMB_INIT_SETSID=0`).",
            ),
            Opt::new("-r, --rewrite FROM:TO")
                .takes(Values(|c, g| {
                    let rules: Vec<_> = g.all(values::any_rewrite)?;
                    c.policy.rewrite.extend(rules);
                    Ok(())
                }))
                .help("Forward signal TO instead of FROM; nothing if TO is `0`."),
            Opt::new("-v, --verbose")
                .takes(Flag(log_signals))
                .help("Log each signal (`DUMB_INIT_DEBUG=1`)."),
            Opt::new("-h, --help").takes(Help).help("Print help."),
            Opt::new("-V, --version")
                .takes(Print(|| format!("dumb-init v{NUMBER}\n"), Stream::Stderr))
                .help("Print the version."),
        ],
    )],
    notes: &[],
    help_to: Stream::Stderr,
};

const TERMINAL_STOPS: [Signal; 3] = [Signal::TSTP, Signal::TTIN, Signal::TTOU];
const EXEC_FAILURE: ExitStatus = ExitStatus::from_code(2);

#[inline(never)]
pub(super) fn parse(arguments: &[OsString], variable: Variables) -> Result<Request, BadInput> {
    DUMB_INIT.parse(arguments, |words| {
        let mut config = Config {
            policy: Policy {
                placement: Placement::OwnSession,
                forward_to: ForwardTo::Group,
                // In a session of its own nobody does job control: what the terminal would stop
                // is stopped for good.
                rewrite: TERMINAL_STOPS
                    .map(|signal| (signal, Some(Signal::STOP)))
                    .into_iter()
                    .collect(),
                suspend_on: TERMINAL_STOPS.into_iter().collect(),
                drain: Some(Duration::ZERO),
                term_group_at_exit: true,
                ..Policy::default()
            },
            subreaper: Subreaper::Off,
            failures: FailureStatuses {
                not_found: EXEC_FAILURE,
                not_executable: EXEC_FAILURE,
                other: PEERS_FAILURE,
            },
            ..Config::new(words.some_command()?)
        };
        let is = |name, value: &str| variable(name).is_some_and(|text| text == value);
        if is("DUMB_INIT_SETSID", "0") {
            share_our_group(&mut config);
        }
        if is("DUMB_INIT_DEBUG", "1") {
            log_signals(&mut config);
        }
        words.apply(&mut config, &|_| None)?;
        Ok(Request::Run(Box::new(config)))
    })
}

fn share_our_group(config: &mut Config) {
    config.policy.placement = Placement::SharedGroup;
    config.policy.forward_to = ForwardTo::Child;
    config.policy.rewrite = RewriteMap::default();
    config.policy.term_group_at_exit = false;
}

fn log_signals(config: &mut Config) {
    config.log_level = LevelFilter::Debug;
}
