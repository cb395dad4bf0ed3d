//! firstmate's own command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::given::{CommandLine, Words};
use super::options::{EXPLAIN, HELP, INSTALL, NOTES, OPTIONS, PAUSE, VERSION};
use super::table::Opt;
use super::table::Takes::Print;
use super::{BadInput, Request, Stream, Variables, explain, tini, values};
use crate::config::{Config, Role, spare_of};

pub(super) const FIRSTMATE: CommandLine = CommandLine {
    name: "firstmate",
    about: "Runs COMMAND as the init of a container: forwards signals to it, reaps orphans, stops \
            everything in good order, and exits with its status.",
    options: &OPTIONS,
    notes: NOTES,
    help_to: Stream::Stdout,
};

/// Behind `docker run --init` we are called `docker-init`: firstmate with tini's options and
/// variables too.
const DOCKER_INIT: CommandLine = CommandLine {
    name: "docker-init",
    options: &{
        let version = VERSION.takes(Print(tini::version, Stream::Stdout));
        let [a, b, c, d, e, _] = OPTIONS;
        [a, b, c, d, e, ("Other", &[PAUSE, EXPLAIN, INSTALL, HELP, version, tini::LICENCE])]
    },
    ..FIRSTMATE
};

pub(super) fn parse(arguments: &[OsString], variable: Variables) -> Result<Request, BadInput> {
    FIRSTMATE.parse(arguments, |words| {
        let mut config = defaults(&words);
        words.apply(&mut config, variable)?;
        request(&words, config, variable)
    })
}

/// A command that is firstmate itself is executed in our place: two of them would obey the same
/// variables, and run each hook twice. Not where somebody has told this one what to do.
#[inline(never)]
pub(super) fn parse_as_docker_init(
    arguments: &[OsString],
    variable: Variables,
) -> Result<Request, BadInput> {
    DOCKER_INIT.parse(arguments, |words| {
        let program = words.command.first().and_then(|word| Path::new(word).file_name());
        let is_told = !words.options.is_empty() || tini::has_variables(variable);
        if program.is_some_and(|name| name == "firstmate") && !is_told {
            return Ok(Request::Execute(words.command.to_vec()));
        }
        let mut config = defaults(&words);
        tini::apply_variables(&mut config, variable);
        words.apply(&mut config, variable)?;
        tini::apply_verbosity(&mut config, variable)?;
        request(&words, config, variable)
    })
}

fn defaults(words: &Words) -> Config {
    match words.given(&PAUSE) {
        Some(_) => Config::hold(),
        None => Config::new(words.command.to_vec()),
    }
}

fn request(words: &Words, mut config: Config, variable: Variables) -> Result<Request, BadInput> {
    if let Some(file) = words.given(&INSTALL) {
        refuse_all_but(words, &file.source, |option| option.usage == INSTALL.usage)?;
        let files: Vec<PathBuf> = file.all_raw(values::file)?;
        return Ok(Request::Install(files.into_iter().collect()));
    }
    if let Some(pause) = words.given(&PAUSE) {
        refuse_all_but(words, &pause.source, |option| option.goes_with_pause)?;
    } else if words.given(&EXPLAIN).is_none() {
        words.some_command()?;
    }
    if let Some(total) = config.stop_timeout {
        fit_into(&mut config, total)?;
    }
    if words.given(&EXPLAIN).is_some() {
        return Ok(Request::Explain(explain::explain(words, &config, variable)));
    }
    Ok(Request::Run(Box::new(config)))
}

/// The times follow from the engine's grace period. Without a command that is the time of what came
/// in from outside.
fn fit_into(config: &mut Config, total: Duration) -> Result<(), BadInput> {
    if config.commands.is_empty() {
        config.policy.kill_after = Some(Duration::ZERO);
        config.policy.kill_after_is_given = true;
        if !config.policy.drain_is_given {
            config.policy.drain = Some(total.saturating_sub(spare_of(total)));
            config.policy.drain_is_given = true;
        }
    }
    let after = config.commands.iter().any(|command| command.role == Role::After);
    let fits = config.policy.fit_into(total, after);
    fits.map_err(|why| BadInput::new(format!("--stop-timeout: {why}")))
}

/// Nothing that is meant for a command goes with the option `source`.
fn refuse_all_but(
    words: &Words,
    source: &str,
    is_useful: impl Fn(&Opt) -> bool,
) -> Result<(), BadInput> {
    let command = words.command.first().map(|word| format!("command {word:?}"));
    let options = words.options.iter().filter(|(option, _)| !is_useful(option));
    match command.or(options.map(|(_, useless)| useless.source.clone()).next()) {
        Some(useless) => {
            Err(BadInput::new(format!("{useless}: not accepted with {source}: no command is run")))
        }
        None => Ok(()),
    }
}
