//! smell-baron's command line: <https://github.com/ohjames/smell-baron>.

use std::ffi::OsString;
use std::time::Duration;

use super::given::is_option;
use super::{BadInput, PEERS_FAILURE, Request, Stream};
use crate::config::{
    Command, Config, ExitWhen, FailureStatuses, Placement, Policy, Preparation, Role, Subreaper,
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
    let (mut commands, mut stop_everyone) = (Vec::new(), false);
    let words = arguments.get(1..).unwrap_or_default();
    for (at, mut words) in words.split(|word| word == "---").enumerate() {
        let mut role = None;
        while let Some((option, rest)) = words.split_first().filter(|(word, _)| is_option(word)) {
            let given = match option.to_str() {
                Some("-h" | "--help") => return Ok(Request::print(HELP, Stream::Stdout)),
                Some("-c") => Some(Role::Before),
                Some("-f") => Some(WATCHED),
                Some("-a") if at == 0 => {
                    stop_everyone = true;
                    role
                }
                _ => return Err(BadInput::new(format!("unknown option {option:?}: see -h"))),
            };
            if role.is_some() && role != given {
                return Err(BadInput::new(
                    "-c and -f are not accepted together: a command that runs first has ended by \
                     then",
                ));
            }
            (role, words) = (given, rest);
        }
        if words.is_empty() {
            return Err(BadInput::new(
                "no command given: smell-baron [-a] [-c|-f] COMMAND [ARG]... [--- ...]: see -h",
            ));
        }
        let role = role.unwrap_or(Role::With { watched: false });
        let label = if role == Role::Before { "the -c command" } else { "the command" };
        commands.push(Command { role, words: words.to_vec(), label });
    }
    config(commands, stop_everyone).map(|config| Request::Run(Box::new(config)))
}

const WATCHED: Role = Role::With { watched: true };

fn config(mut commands: Vec<Command>, stop_everyone: bool) -> Result<Config, BadInput> {
    if commands.iter().all(|command| command.role != WATCHED) {
        let beside = commands.iter_mut().filter(|command| command.role != Role::Before);
        beside.for_each(|command| command.role = WATCHED);
    }
    let Some(main) = commands.iter().position(|command| command.role == WATCHED) else {
        return Err(BadInput::new("no command given but those with -c: see -h"));
    };
    let main = Command { role: Role::Main, ..commands.remove(main) };
    commands.insert(0, main);
    Ok(Config {
        commands,
        policy: Policy {
            placement: Placement::SharedGroup,
            stop_everyone,
            exit_when: ExitWhen::Watched,
            preparation: Preparation::Together,
            kill_after: Some(PATIENCE),
            drain: Some(PATIENCE),
            ..Policy::default()
        },
        only_as_pid_1: stop_everyone,
        subreaper: Subreaper::Auto,
        failures: FailureStatuses { other: PEERS_FAILURE, ..FailureStatuses::default() },
        ..Config::new(Vec::new())
    })
}
