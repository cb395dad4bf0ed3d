//! smell-baron's command line: <https://github.com/ohjames/smell-baron>.

use std::ffi::OsString;
use std::time::Duration;

use super::{BadInput, PEERS_FAILURE, Request, Stream};
use crate::config::{
    self, Config, ExitWhen, FailureStatuses, Placement, Policy, Preparation, Role, Subreaper,
};

const HELP: &str = "\
Runs commands under an init. This is firstmate, called as smell-baron.

Usage: smell-baron [-a] [-c|-f] COMMAND [ARG]... [--- [-c|-f] COMMAND [ARG]...]...

Options:
  -a  Send SIGTERM and SIGINT to every process in the container; only as PID 1
  -c  Run this command first, together with all others that have -c
  -f  Exit when the commands with -f have ended, not only when all have
  -h  Print help
";

/// What a command that ends is given, and the rest at the end.
const PATIENCE: Duration = Duration::from_secs(10);

#[inline(never)]
pub(super) fn parse(arguments: &[OsString]) -> Result<Request, BadInput> {
    let (mut commands, mut everyone) = (Vec::new(), false);
    let words: Vec<_> = arguments.iter().skip(1).cloned().collect();
    for (at, words) in words.split(|word| word == "---").enumerate() {
        let mut command = Command::default();
        for (i, word) in words.iter().enumerate() {
            match word.to_str() {
                Some("-h" | "--help") => return Ok(Request::print(HELP, Stream::Stdout)),
                Some("-a") if at == 0 => everyone = true,
                Some("-c") => command.first = true,
                Some("-f") => command.watched = true,
                Some(option) if option.starts_with('-') => {
                    return Err(BadInput::new(format!("unknown option {option:?}: see -h")));
                }
                _ => {
                    command.words = words.get(i..).unwrap_or_default().to_vec();
                    break;
                }
            }
        }
        if command.words.is_empty() {
            return Err(BadInput::new(
                "no command given: smell-baron [-a] [-c|-f] COMMAND [ARG]... [--- ...]: see -h",
            ));
        }
        if command.first && command.watched {
            return Err(BadInput::new(
                "-c and -f are not accepted together: a command that runs first has ended by then",
            ));
        }
        commands.push(command);
    }
    config(commands, everyone)
}

/// A command, with its options.
#[derive(Default)]
struct Command {
    words: Vec<OsString>,
    first: bool,
    watched: bool,
}

fn config(commands: Vec<Command>, everyone: bool) -> Result<Request, BadInput> {
    let (first, mut beside): (Vec<_>, Vec<_>) =
        commands.into_iter().partition(|command| command.first);
    let any_watched = beside.iter().any(|command| command.watched);
    for command in &mut beside {
        command.watched |= !any_watched;
    }
    let Some(main) = beside.iter().position(|command| command.watched) else {
        return Err(BadInput::new("no command given but those with -c: see -h"));
    };
    let main = beside.remove(main);
    let mut commands = Config::new(main.words).commands;
    commands.extend(first.into_iter().map(|command| config::Command {
        role: Role::Before,
        words: command.words,
        label: "the -c command",
    }));
    commands.extend(beside.into_iter().map(|command| config::Command {
        role: Role::With { watched: command.watched },
        words: command.words,
        label: "the command",
    }));
    let config = Config {
        commands,
        policy: Policy {
            placement: Placement::SharedGroup,
            stop_everyone: everyone,
            exit_when: ExitWhen::Watched,
            preparation: Preparation::Together,
            kill_after: Some(PATIENCE),
            drain: Some(PATIENCE),
            ..Policy::default()
        },
        only_as_pid_1: everyone,
        subreaper: Subreaper::Auto,
        failures: FailureStatuses { other: PEERS_FAILURE, ..FailureStatuses::default() },
        ..Config::new(Vec::new())
    };
    Ok(Request::Run(Box::new(config)))
}
