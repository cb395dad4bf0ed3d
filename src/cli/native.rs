//! firstmate's own command line.

use std::ffi::OsString;
use std::time::Duration;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction};
use log::LevelFilter;

use super::given::{Given, parser};
use super::options::OPTIONS;
use super::{BadInput, LICENCE, Request, Stream, VERSION, Variables, tini, values};
use crate::config::{
    Command, Config, ForwardTo, LogFormat, Placement, Policy, Role, Subreaper, TerminationMessage,
};

const ABOUT: &str = "Runs COMMAND as the init of a container: forwards signals to it, reaps \
                     orphans, stops everything in good order, and exits with its status.";

const AFTER_HELP: &str = "\
Options end at -- or at the first word that is no option. A COMMAND of an option is one string; it \
                          is split into words as a shell
splits them, and run without a shell. Signals: TERM, SIGTERM, 15, RTMIN+3. Durations: 10s, 500ms, \
                          1h30m, or seconds.
Each option can be given as a variable FIRSTMATE_<LONG_NAME>, such as FIRSTMATE_KILL_AFTER=10s or \
                          FIRSTMATE_ALL=1; one value a line
where it repeats. The command line goes before it.

Exit status: the command's own, or 128+n if signal n killed it; 127 it was not found, 126 it \
                          cannot be executed, 125 firstmate failed.";

pub(super) fn parse(arguments: &[OsString], variable: Variables) -> Result<Request, BadInput> {
    let parser = || {
        parser("firstmate", ABOUT, VERSION, OPTIONS)
            .after_help(AFTER_HELP)
            .args([pause_option(), install_option()])
    };
    let given = match Given::read(parser, OPTIONS, arguments, variable) {
        Ok(given) => given,
        Err(answer) => return answer,
    };
    run(&given, config(&given)?)
}

/// Behind `docker run --init` we are called `docker-init`: firstmate with tini's options and
/// variables too.
#[inline(never)]
pub(super) fn parse_as_docker_init(
    arguments: &[OsString],
    variable: Variables,
) -> Result<Request, BadInput> {
    let licence =
        || Arg::new(LICENCE_OPTION).short('l').action(ArgAction::SetTrue).help("Print the licence");
    let parser = || {
        parser("docker-init", ABOUT, VERSION, OPTIONS).after_help(AFTER_HELP).args([
            pause_option(),
            install_option(),
            licence(),
        ])
    };
    let given = match Given::read(parser, OPTIONS, arguments, variable) {
        Ok(given) => given,
        // Docker looks for these words.
        Err(Ok(Request::Print { text, stream })) if text == format!("docker-init {VERSION}\n") => {
            return Ok(Request::print(format!("tini version {VERSION}\n"), stream));
        }
        Err(answer) => return answer,
    };
    if given.is_on_command_line(LICENCE_OPTION) {
        return Ok(Request::print(LICENCE, Stream::Stdout));
    }
    let mut config = config(&given)?;
    if variable("TINI_SUBREAPER").is_some() && config.subreaper == Subreaper::Auto {
        config.subreaper = Subreaper::On;
    }
    if variable("TINI_KILL_PROCESS_GROUP").is_some() {
        config.policy.forward_to = ForwardTo::Group;
    }
    if let Some(level) = tini::verbosity(variable)? {
        config.log_level = level;
    }
    run(&given, config)
}

const LICENCE_OPTION: &str = "licence";
const PAUSE: &str = "pause";
const INSTALL: &str = "install";

/// Not in the table: it has no variable.
fn pause_option() -> Arg {
    let help = "Run no command: hold the namespaces, reap, exit 0 on TERM or INT";
    Arg::new(PAUSE).short('P').long(PAUSE).action(ArgAction::SetTrue).help(help)
}

/// This one neither.
fn install_option() -> Arg {
    let help = "Copy this very binary to FILE, for a pod whose image does not have it";
    Arg::new(INSTALL)
        .long(INSTALL)
        .value_name("FILE")
        .value_parser(ValueParser::os_string())
        .help(help)
}

fn run(given: &Given, config: Config) -> Result<Request, BadInput> {
    if let Some(file) = given.text(INSTALL) {
        return install(given, &given.command(), file);
    }
    if given.is_on_command_line(PAUSE) {
        return pause(given, &config);
    }
    if given.command().is_empty() {
        return Err(BadInput::new("no command given: firstmate [OPTIONS] [--] COMMAND [ARG]..."));
    }
    Ok(Request::Run(Box::new(config)))
}

fn install(given: &Given, command: &[OsString], file: OsString) -> Result<Request, BadInput> {
    refuse_command(given, INSTALL, command, &[])?;
    if given.is_on_command_line(PAUSE) {
        return Err(BadInput::new("--install: --pause is not accepted: give one of them"));
    }
    if file.is_empty() {
        return Err(BadInput::new("--install: \"\" is not accepted: give the name of a file"));
    }
    Ok(Request::Install(file.into()))
}

fn pause(given: &Given, config: &Config) -> Result<Request, BadInput> {
    refuse_command(
        given,
        PAUSE,
        &given.command(),
        &["subreaper", "log-format", "verbose", "quiet", "warn-on-reap"],
    )?;
    Ok(Request::Run(Box::new(Config {
        subreaper: config.subreaper,
        log_format: config.log_format,
        log_level: config.log_level,
        warn_on_reap: config.warn_on_reap,
        ..Config::hold()
    })))
}

/// What is meant for a command has no meaning with this option; `useful` has.
fn refuse_command(
    given: &Given,
    option: &str,
    command: &[OsString],
    useful: &[&str],
) -> Result<(), BadInput> {
    if let Some(word) = command.first() {
        return Err(BadInput::new(format!(
            "--{option}: the command {word:?} is not accepted: there is none with it"
        )));
    }
    let useless = OPTIONS
        .iter()
        .find(|option| given.is_on_command_line(option.long) && !useful.contains(&option.long));
    useless.map_or(Ok(()), |useless| {
        Err(BadInput::new(format!(
            "--{option}: --{} is not accepted: there is no command with it",
            useless.long
        )))
    })
}

fn config(given: &Given) -> Result<Config, BadInput> {
    let default = Policy::default();
    let stop_on = given.values("stop-on", values::forwardable_signal)?;
    let (exit_when, watched) =
        given.value("exit-when", values::exit_when)?.unwrap_or((default.exit_when, false));
    let policy = Policy {
        placement: if given.flag("new-session")? {
            Placement::OwnSession
        } else {
            default.placement
        },
        forward_to: if given.flag("kill-process-group")? {
            ForwardTo::Group
        } else {
            default.forward_to
        },
        stop_everyone: given.flag("all")?,
        rewrite: given.values("rewrite", values::rewrite)?.into_iter().collect(),
        stop_on: if stop_on.is_empty() { default.stop_on } else { stop_on.into_iter().collect() },
        stop_delay: given.value("stop-delay", values::duration)?.unwrap_or(default.stop_delay),
        kill_after: given.value("kill-after", values::limit)?.unwrap_or(default.kill_after),
        drain: given.value("drain", values::limit)?.unwrap_or(default.drain),
        remap_exit: given.values("remap-exit", values::exit_code)?,
        exit_when,
        exit_on_oom: given.flag("exit-on-oom")?,
        ..default
    };
    let termination_message =
        given.text("termination-message").and_then(|file| match file.to_str() {
            // The variable may be used like that of a flag.
            Some("0" | "false") => None,
            Some("1" | "true") => {
                Some(TerminationMessage::in_file(TerminationMessage::OF_KUBERNETES.into()))
            }
            Some(_) | None => Some(TerminationMessage::in_file(file.into())),
        });
    let mut config = Config::new(given.command());
    config.commands.extend(others(given, watched, &policy)?);
    Ok(Config {
        policy,
        subreaper: match given.value("subreaper", values::switch)? {
            None => Subreaper::Auto,
            Some(true) => Subreaper::On,
            Some(false) => Subreaper::Off,
        },
        parent_death_signal: given.value("parent-death-signal", values::death_signal)?,
        user: given.value("user", values::user)?,
        log_level: log_level(given.count("verbose")?, given.count("quiet")?),
        log_format: given.value("log-format", values::log_format)?.unwrap_or(LogFormat::Text),
        warn_on_reap: given.flag("warn-on-reap")?,
        termination_message,
        ..config
    })
}

fn others(given: &Given, watched: bool, policy: &Policy) -> Result<Vec<Command>, BadInput> {
    let mut all = Vec::new();
    for (long, role, label) in [
        ("before", Role::Before, "the --before command"),
        ("with", Role::With { watched }, "the --with command"),
        ("stop-command", Role::Stop, "the --stop-command"),
        ("after", Role::After, "the --after command"),
    ] {
        let commands = given.commands(long)?;
        if role == Role::After && !commands.is_empty() && policy.drain == Some(Duration::ZERO) {
            return Err(BadInput::new(
                "--after: not accepted with --drain 0: its commands have the time of --drain",
            ));
        }
        all.extend(commands.into_iter().map(|words| Command { role, words, label }));
    }
    Ok(all)
}

/// Warnings by default; each `-v` is one step up, each `-q` one down.
fn log_level(verbose: u8, quiet: u8) -> LevelFilter {
    match i16::from(verbose) - i16::from(quiet) {
        ..=-2 => LevelFilter::Off,
        -1 => LevelFilter::Error,
        0 => LevelFilter::Warn,
        1 => LevelFilter::Info,
        2.. => LevelFilter::Debug,
    }
}
