//! What was given on the command line and in the environment, by a table of options.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::values::{self, Accepted};
use super::{BadInput, Request, Stream, Variables};

/// One option: a line of `--help`, and a variable.
pub(super) struct Opt {
    /// Without the dashes. The variable is `FIRSTMATE_` and this in capitals, `_` for `-`.
    pub(super) long: &'static str,
    pub(super) short: Option<char>,
    pub(super) takes: Takes,
    pub(super) heading: &'static str,
    pub(super) help: &'static str,
}

/// What an option takes.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    /// Nothing.
    Flag,
    /// Nothing, but it counts how often it is given.
    Count,
    /// A value of this name; the last one holds.
    Value(&'static str),
    /// A value of this name, each time.
    Values(&'static str),
    /// A value of this name after a `=`; without one, the second.
    Optional(&'static str, &'static str),
}

impl Opt {
    pub(super) fn variable(&self) -> String {
        format!("FIRSTMATE_{}", self.long.to_uppercase().replace('-', "_"))
    }

    fn argument(&self) -> Arg {
        self.takes.apply(
            Arg::new(self.long)
                .long(self.long)
                .short(self.short)
                .help(self.help)
                .help_heading(self.heading),
        )
    }
}

impl Takes {
    fn apply(self, argument: Arg) -> Arg {
        // So that `-t -1` is told of as a bad value, not as an unknown option.
        let argument = argument.allow_negative_numbers(!matches!(self, Takes::Flag | Takes::Count));
        let raw = ValueParser::os_string();
        match self {
            Takes::Flag => argument.action(ArgAction::SetTrue),
            Takes::Count => argument.action(ArgAction::Count),
            Takes::Value(name) => {
                argument.action(ArgAction::Set).value_name(name).value_parser(raw)
            }
            Takes::Values(name) => {
                argument.action(ArgAction::Append).value_name(name).value_parser(raw)
            }
            Takes::Optional(name, default) => argument
                .action(ArgAction::Set)
                .value_name(name)
                .value_parser(raw)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value(default),
        }
    }
}

const COMMAND: &str = "COMMAND";

/// The parser for a table of options. They end at `--` or at the first word that is no option.
pub(super) fn parser(
    name: &'static str,
    about: &'static str,
    version: &'static str,
    options: &[Opt],
) -> Command {
    let command = Arg::new(COMMAND)
        .num_args(0..)
        .trailing_var_arg(true)
        .value_parser(ValueParser::os_string())
        .hide(true);
    Command::new(name)
        .about(about)
        .version(version)
        .override_usage(format!("{name} [OPTIONS] [--] COMMAND [ARG]..."))
        .args_override_self(true)
        .args(options.iter().map(Opt::argument))
        .arg(command)
        .next_help_heading("Other")
}

/// An option of a peer, by its letter; some have a long name too.
pub(super) fn letter(
    id: &'static str,
    long: Option<&'static str>,
    takes: Takes,
    help: &'static str,
) -> Arg {
    takes.apply(Arg::new(id).short(id.chars().next()).long(long).help(help))
}

/// The parser for a peer's options.
pub(super) fn peer_parser(
    name: &'static str,
    about: &'static str,
    options: impl IntoIterator<Item = Arg>,
) -> Command {
    parser(name, about, "", &[])
        .disable_help_flag(true)
        .disable_version_flag(true)
        .next_help_heading(None)
        .args(options)
}

/// What stands on a command line.
struct Words {
    /// `None`: no option.
    options: Option<ArgMatches>,
    /// The command and its arguments.
    command: Vec<OsString>,
}

impl Words {
    /// clap is asked only where there is an option: its parser takes longer to build than all else
    /// that a start does.
    fn read(parser: impl FnOnce() -> Command, arguments: &[OsString]) -> Result<Self, clap::Error> {
        let command = match arguments {
            [_, dashes, command @ ..] if dashes == "--" => command,
            [_, command @ ..]
                if command.first().is_none_or(|word| !word.as_bytes().starts_with(b"-")) =>
            {
                command
            }
            _ => return Self::parse(parser, arguments),
        };
        Ok(Self { options: None, command: command.to_vec() })
    }

    /// Out of line, for its frame takes pages of the stack that are never given back.
    #[inline(never)]
    fn parse(
        parser: impl FnOnce() -> Command,
        arguments: &[OsString],
    ) -> Result<Self, clap::Error> {
        let options = parser().try_get_matches_from(arguments)?;
        let command = options.get_many(COMMAND).into_iter().flatten().cloned().collect();
        Ok(Self { options: Some(options), command })
    }

    fn values(&self, id: &str) -> impl Iterator<Item = &OsString> {
        self.options.iter().filter_map(move |options| options.get_many::<OsString>(id)).flatten()
    }
}

/// What was given to a peer on its command line.
pub(super) struct PeerOptions(Words);

impl PeerOptions {
    pub(super) fn read(
        parser: impl FnOnce() -> Command,
        arguments: &[OsString],
    ) -> Result<Self, BadInput> {
        Words::read(parser, arguments).map(Self).map_err(|error| BadInput::new(in_one_line(&error)))
    }

    pub(super) fn flag(&self, id: &str) -> bool {
        self.0.options.as_ref().is_some_and(|options| options.get_flag(id))
    }

    pub(super) fn count(&self, id: &str) -> u8 {
        self.0.options.as_ref().map_or(0, |options| options.get_count(id))
    }

    pub(super) fn values<T>(
        &self,
        id: &str,
        parse: fn(&str) -> Result<T, Accepted>,
    ) -> Result<Vec<T>, BadInput> {
        self.0.values(id).map(|value| understand(&format!("-{id}"), value, parse)).collect()
    }

    /// The command and its arguments.
    pub(super) fn command(&self) -> Result<Vec<OsString>, BadInput> {
        if self.0.command.is_empty() {
            Err(BadInput::new("no command given: see -h"))
        } else {
            Ok(self.0.command.clone())
        }
    }
}

/// The options as they were given, not yet understood.
pub(super) struct Given<'a> {
    options: &'a [Opt],
    words: Words,
    variable: Variables<'a>,
}

impl<'a> Given<'a> {
    /// Reads the command line. The error is what to answer instead: help, the version, or that it
    /// is wrong.
    pub(super) fn read(
        parser: impl FnOnce() -> Command,
        options: &'a [Opt],
        arguments: &[OsString],
        variable: Variables<'a>,
    ) -> Result<Self, Result<Request, BadInput>> {
        match Words::read(parser, arguments) {
            Ok(words) => Ok(Self { options, words, variable }),
            Err(error) if !error.use_stderr() => {
                Err(Ok(Request::print(error.to_string(), Stream::Stdout)))
            }
            Err(error) => Err(Err(BadInput::new(in_one_line(&error)))),
        }
    }

    /// The command and its arguments; empty if none was given.
    pub(super) fn command(&self) -> Vec<OsString> {
        self.words.command.clone()
    }

    pub(super) fn flag(&self, long: &str) -> Result<bool, BadInput> {
        if let Some(options) = self.on_command_line(long) {
            return Ok(options.get_flag(long));
        }
        Ok(self.value(long, values::flag)?.unwrap_or(false))
    }

    pub(super) fn count(&self, long: &str) -> Result<u8, BadInput> {
        if let Some(options) = self.on_command_line(long) {
            return Ok(options.get_count(long));
        }
        Ok(self.value(long, values::count)?.unwrap_or(0))
    }

    /// The option's value, the last one if there are several; `None` if it was not given.
    pub(super) fn value<T>(
        &self,
        long: &str,
        parse: fn(&str) -> Result<T, Accepted>,
    ) -> Result<Option<T>, BadInput> {
        Ok(self.values(long, parse)?.pop())
    }

    /// All values of the option.
    pub(super) fn values<T>(
        &self,
        long: &str,
        parse: fn(&str) -> Result<T, Accepted>,
    ) -> Result<Vec<T>, BadInput> {
        self.raw(long).iter().map(|(source, value)| understand(source, value, parse)).collect()
    }

    /// All values of an option that takes a command: one string each, which is split into words as
    /// a shell splits them.
    pub(super) fn commands(&self, long: &str) -> Result<Vec<Vec<OsString>>, BadInput> {
        let accepted = "a command with its arguments, quoted as for a shell";
        let split = |(source, value): (String, OsString)| {
            let mut words = shlex::bytes::Shlex::new(value.as_bytes());
            let command: Vec<_> = words.by_ref().map(OsString::from_vec).collect();
            let refused =
                words.had_error || command.first().is_none_or(|program| program.is_empty());
            if refused {
                Err(BadInput::new(format!("{source}: {value:?} is not accepted: give {accepted}")))
            } else {
                Ok(command)
            }
        };
        self.raw(long).into_iter().map(split).collect()
    }

    /// The option's value as it is, the last one if there are several.
    pub(super) fn text(&self, long: &str) -> Option<OsString> {
        self.raw(long).pop().map(|(_, value)| value)
    }

    /// The option's values, each with the option or the variable that it comes from.
    fn raw(&self, long: &str) -> Vec<(String, OsString)> {
        if !self.is_on_command_line(long) {
            return self.in_environment(long);
        }
        self.words.values(long).map(|value| (format!("--{long}"), value.clone())).collect()
    }

    pub(super) fn is_on_command_line(&self, long: &str) -> bool {
        self.on_command_line(long).is_some()
    }

    fn on_command_line(&self, long: &str) -> Option<&ArgMatches> {
        self.words
            .options
            .as_ref()
            .filter(|options| options.value_source(long) == Some(ValueSource::CommandLine))
    }

    /// The values in the option's variable: one, or one a line if the option repeats. Empty means
    /// unset.
    fn in_environment(&self, long: &str) -> Vec<(String, OsString)> {
        let Some(option) = self.options.iter().find(|option| option.long == long) else {
            return Vec::new();
        };
        let name = option.variable();
        let Some(text) = (self.variable)(&name).filter(|text| !text.is_empty()) else {
            return Vec::new();
        };
        match option.takes {
            Takes::Values(_) => {
                let lines = text
                    .as_bytes()
                    .split(|byte| *byte == b'\n')
                    .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
                lines
                    .filter(|line| !line.is_empty())
                    .map(|line| (name.clone(), OsStr::from_bytes(line).to_owned()))
                    .collect()
            }
            Takes::Flag | Takes::Count | Takes::Value(_) | Takes::Optional(..) => {
                vec![(name, text)]
            }
        }
    }
}

fn understand<T>(
    source: &str,
    value: &OsStr,
    parse: fn(&str) -> Result<T, Accepted>,
) -> Result<T, BadInput> {
    // What is not UTF-8 is none of the values that any option takes.
    let parsed = parse(value.to_str().unwrap_or("\u{fffd}"));
    parsed.map_err(|accepted| {
        BadInput::new(format!("{source}: {value:?} is not accepted: give {accepted}"))
    })
}

/// clap's error as one line that names the option and the value.
fn in_one_line(error: &clap::Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(" "),
        _ => String::new(),
    };
    let (option, value) = (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue));
    match error.kind() {
        ErrorKind::UnknownArgument => {
            format!("unknown option {option:?}: see --help, or put -- before the command")
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("{option}: a value is missing"),
        ErrorKind::TooManyValues | ErrorKind::InvalidValue => {
            format!("{option}: {value:?} is not accepted: it takes no value")
        }
        _ => {
            let text = error.to_string();
            text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
        }
    }
}
