//! What is given: on the command line, and in variables.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind, KindFormatter};
use clap::{Arg, ArgMatches, Command};

use super::table::{Group, Opt, Takes};
use super::values::Accepted;
use super::{BadInput, Request, Stream, Variables};
use crate::config::Config;

/// The command line under one name of the program.
pub(super) struct CommandLine {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) options: &'static [Group],
    /// Paragraphs at the end of the long help.
    pub(super) notes: &'static [&'static str],
    pub(super) help_to: Stream,
}

/// The words of a command line, their options not yet understood.
pub(super) struct Words<'a> {
    line: &'a CommandLine,
    pub(super) options: Vec<(&'a Opt, Given)>,
    /// The command and its arguments; empty if none was given.
    pub(super) command: &'a [OsString],
}

/// What was given for one option.
#[derive(Clone)]
pub(super) struct Given {
    /// The option as it was written, or its variable.
    pub(super) source: String,
    /// Never none, and only one unless the option repeats.
    pub(super) values: Vec<OsString>,
}

type ClapError = Error<KindFormatter>;

const TEMPLATE: &str = "{about-with-newline}
Usage: {name} [OPTIONS] [--] COMMAND [ARG]...

{all-args}{after-help}";

const COMMAND: &str = "COMMAND";

impl CommandLine {
    /// Reads the arguments, answers what asks for an answer, and leaves all else to `then`.
    pub(super) fn parse(
        &self,
        arguments: &[OsString],
        then: impl FnOnce(Words) -> Result<Request, BadInput>,
    ) -> Result<Request, BadInput> {
        if let Some(bad_input) = self.with_one_dash(arguments) {
            return Err(bad_input);
        }
        let words = match self.read(arguments) {
            Ok(words) => words,
            Err(error) if error.kind() == ErrorKind::DisplayHelp => {
                let help = read_with(self.parser_with_help(), arguments).err();
                let help = help.map_or_else(String::new, |help| help.render().to_string());
                return Ok(Request::print(help, self.help_to));
            }
            Err(error) => return Err(self.bad_input(&error, arguments)),
        };
        let print = words.options.iter().find_map(|(option, _)| match option.takes {
            Takes::Print(text, stream) => Some(Request::print(text(), stream)),
            _ => None,
        });
        print.map_or_else(|| then(words), Ok)
    }

    /// clap is asked only where there is an option: its parser takes longer to build than all else
    /// that a start does.
    pub(super) fn read<'a>(&'a self, arguments: &'a [OsString]) -> Result<Words<'a>, ClapError> {
        let command = match arguments {
            [_, dashes, command @ ..] if dashes == "--" => command,
            [_, command @ ..] if !command.first().is_some_and(is_option) => command,
            _ => return self.read_with_clap(arguments),
        };
        Ok(Words { line: self, options: Vec::new(), command })
    }

    /// Out of line, for its frame takes pages of the stack that are never given back.
    #[inline(never)]
    pub(super) fn read_with_clap<'a>(
        &'a self,
        arguments: &'a [OsString],
    ) -> Result<Words<'a>, ClapError> {
        let matches = read_with(self.parser(|option, _| option.argument()), arguments)?;
        let length = matches.get_raw(COMMAND).map_or(0, Iterator::count);
        let (before, command) = arguments.split_at(arguments.len().saturating_sub(length));
        let given = |option: &'a Opt| {
            let values = matches.get_raw(option.usage)?;
            let repeats = matches!(option.takes, Takes::Values(_) | Takes::Count(_));
            let unused = if repeats { 0 } else { values.len().saturating_sub(1) };
            let values = values.skip(unused).map(OsStr::to_owned).collect();
            Some((option, Given { source: written(option, before), values }))
        };
        Ok(Words { line: self, options: self.options().filter_map(given).collect(), command })
    }

    /// Options end at `--` or at the first word that isn't an option.
    fn parser(&self, argument: fn(&Opt, &'static str) -> Arg) -> Command {
        let command = Arg::new(COMMAND)
            .num_args(0..)
            .trailing_var_arg(true)
            .value_parser(ValueParser::os_string())
            .hide(true);
        let options = self.options.iter().flat_map(|(heading, options)| {
            options.iter().map(move |option| argument(option, heading))
        });
        Command::new(self.name).disable_help_flag(true).args(options).arg(command)
    }

    /// The parser with the texts of the help, which take longer to make than to parse.
    pub(super) fn parser_with_help(&self) -> Command {
        self.parser(Opt::described_argument)
            .about(self.about)
            .help_template(TEMPLATE)
            .after_long_help(self.notes.join("\n\n").replace('`', ""))
            .max_term_width(100)
    }

    pub(super) fn options(&self) -> impl Iterator<Item = &Opt> {
        self.options.iter().flat_map(|(_, options)| *options)
    }

    /// clap's error as one line that names the option and the value.
    fn bad_input(&self, error: &ClapError, arguments: &[OsString]) -> BadInput {
        let context = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => text.as_str(),
            _ => "",
        };
        let (option, value) =
            (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue));
        if error.kind() == ErrorKind::UnknownArgument {
            if let Some(line) = self.misplaced(option, arguments) {
                return BadInput::new(line);
            }
        }
        BadInput::new(match (error.kind(), context(ContextKind::SuggestedArg)) {
            // Hardly anybody mistypes the first letter: without it a name is alike by chance.
            (ErrorKind::UnknownArgument, near)
                if option.get(..3).is_some_and(|start| near.starts_with(start)) =>
            {
                format!("unknown option {option:?}: did you mean {near}?")
            }
            (ErrorKind::UnknownArgument, _) => format!("unknown option {option:?}: see -h"),
            (ErrorKind::InvalidValue, _) => return self.missing_value(option, arguments),
            (ErrorKind::TooManyValues, _) => {
                format!("{option}: {value:?} is not accepted: it takes no value")
            }
            _ => error.to_string().trim().to_owned(),
        })
    }

    /// An option that nobody knows because of what stands around it.
    fn misplaced(&self, option: &str, arguments: &[OsString]) -> Option<String> {
        if option == "-=" {
            let word =
                arguments.iter().find_map(|word| word.to_str().filter(|it| it.contains('=')));
            return word.map(|word| {
                let (option, value) = word.split_once('=').unwrap_or((word, ""));
                format!("{option}: {value:?} is not accepted: it takes no value")
            });
        }
        let at = arguments.iter().position(|word| word == option)?;
        let before = arguments.get(at.checked_sub(2)?)?;
        let hook = self.options().find(|row| {
            row.usage.ends_with(" COMMAND")
                && *before == *written(row, std::slice::from_ref(before)).as_str()
        })?;
        let name = written(hook, arguments);
        Some(format!(
            "unknown option {option:?}: if it belongs to {name}, quote all of that: {name} \
             'sh -c ...'"
        ))
    }

    /// A long option with one dash would be read as letters: `-version` as `-v -e rsion`.
    fn with_one_dash(&self, arguments: &[OsString]) -> Option<BadInput> {
        let words = arguments.iter().skip(1);
        let mut words = words.take_while(|word| is_option(word) && *word != "--");
        words.find_map(|word| {
            let word = word.to_str()?;
            let name = word.strip_prefix('-')?;
            let long = self.options().find_map(|row| row.long().filter(|long| *long == name))?;
            let is_meant = long.len() > 2 && matches!(self.name, "firstmate" | "docker-init");
            is_meant
                .then(|| BadInput::new(format!("unknown option {word:?}: did you mean --{long}?")))
        })
    }

    /// The option's own word on an empty value; `option` is how clap shows it.
    fn missing_value(&self, option: &str, arguments: &[OsString]) -> BadInput {
        let name = option.split(' ').next();
        let row = self.options().find(|row| row.usage.split([' ', ',']).any(|it| Some(it) == name));
        let source = row.map_or_else(|| option.to_owned(), |row| written(row, arguments));
        let given = Given { source, values: vec![OsString::new()] };
        let refused = row.and_then(|row| row.set(&mut Config::new(Vec::new()), &given).err());
        refused.unwrap_or_else(|| BadInput::new(format!("{}: a value is missing", given.source)))
    }
}

fn read_with(parser: Command, arguments: &[OsString]) -> Result<ArgMatches, ClapError> {
    parser.try_get_matches_from(arguments).map_err(Error::apply)
}

pub(super) fn is_option(word: &OsString) -> bool {
    word.as_bytes().starts_with(b"-")
}

/// The name by which `option` was written: its long one, if that is there at all.
fn written(option: &Opt, words: &[OsString]) -> String {
    let long = option.long().map(|long| format!("--{long}"));
    let letter = option.letter().map(|letter| format!("-{letter}"));
    let is_there = |long: &str| {
        let mut rests =
            words.iter().filter_map(|word| word.as_bytes().strip_prefix(long.as_bytes()));
        rests.any(|rest| matches!(rest, [] | [b'=', ..]))
    };
    long.filter(|long| letter.is_none() || is_there(long)).or(letter).unwrap_or_default()
}

impl Words<'_> {
    /// The command and its arguments, which must be there.
    pub(super) fn some_command(&self) -> Result<Vec<OsString>, BadInput> {
        if self.command.is_empty() {
            let name = self.line.name;
            return Err(BadInput::new(format!(
                "no command given: {name} [OPTIONS] [--] COMMAND [ARG]..."
            )));
        }
        Ok(self.command.to_vec())
    }

    /// Sets what the options ask for, each by the command line or else by its variable. Without a
    /// command, only those that have a meaning then.
    pub(super) fn apply(&self, config: &mut Config, variable: Variables) -> Result<(), BadInput> {
        let has_command = !config.commands.is_empty();
        for option in self.line.options().filter(|option| has_command || option.goes_with_pause) {
            if let Some(given) = self.source(option, variable) {
                option.set(config, &given)?;
            }
        }
        Ok(())
    }

    /// What `option` is set by: the command line, or else its variable.
    pub(super) fn source(&self, option: &Opt, variable: Variables) -> Option<Given> {
        let in_variable = || {
            let given = Given::in_variable(option.variable()?, variable)?;
            if matches!(option.takes, Takes::Values(_)) { given.in_lines() } else { Some(given) }
        };
        self.given(option).cloned().or_else(in_variable)
    }

    /// All that might have been given.
    pub(super) fn all_options(&self) -> impl Iterator<Item = &Opt> {
        self.line.options()
    }

    /// What stands on the command line for `option`.
    pub(super) fn given(&self, option: &Opt) -> Option<&Given> {
        self.options.iter().find(|(given, _)| given.usage == option.usage).map(|(_, given)| given)
    }
}

impl Given {
    #[cfg(test)]
    pub(super) fn new(source: &str, values: &[&str]) -> Self {
        Self { source: source.to_owned(), values: values.iter().map(OsString::from).collect() }
    }

    /// What stands in a variable; empty is unset.
    pub(super) fn in_variable(source: String, variable: Variables) -> Option<Self> {
        let text = variable(&source).filter(|text| !text.is_empty())?;
        Some(Self { source, values: vec![text] })
    }

    /// Each line is a value; an empty one is none.
    fn in_lines(self) -> Option<Self> {
        let text = self.values.iter();
        let lines = text.flat_map(|text| text.as_bytes().split(|byte| *byte == b'\n'));
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let lines = lines.filter(|line| !line.is_empty()).map(OsStr::from_bytes);
        let values: Vec<_> = lines.map(OsStr::to_owned).collect();
        (!values.is_empty()).then_some(Self { values, ..self })
    }

    /// What the last value means, of an option that does not repeat.
    pub(super) fn one<T>(
        &self,
        parse: impl Fn(&str) -> Result<T, Accepted>,
    ) -> Result<T, BadInput> {
        let last = self.values.last().map_or(OsStr::new(""), OsString::as_os_str);
        self.parse_value(last, |value| parse(text(value)))
    }

    /// What all values mean; each may hold several, with commas.
    pub(super) fn all<T, C: FromIterator<T>>(
        &self,
        parse: impl Fn(&str) -> Result<T, Accepted>,
    ) -> Result<C, BadInput> {
        let each = self.values.iter().flat_map(|value| text(value).split(','));
        each.map(|part| self.parse_value(OsStr::new(part), |value| parse(text(value)))).collect()
    }

    /// What all values mean where they need not be UTF-8.
    pub(super) fn all_raw<T, C: FromIterator<T>>(
        &self,
        parse: impl Fn(&OsStr) -> Result<T, Accepted>,
    ) -> Result<C, BadInput> {
        self.values.iter().map(|value| self.parse_value(value, &parse)).collect()
    }

    fn parse_value<T>(
        &self,
        value: &OsStr,
        parse: impl Fn(&OsStr) -> Result<T, Accepted>,
    ) -> Result<T, BadInput> {
        parse(value).map_err(|accepted| self.refused(value, accepted))
    }

    fn refused(&self, value: &OsStr, accepted: Accepted) -> BadInput {
        let source = &self.source;
        BadInput::new(if value.is_empty() {
            format!("{source}: a value is missing: give {accepted}")
        } else {
            format!("{source}: {value:?} is not accepted: give {accepted}")
        })
    }
}

/// What is not UTF-8 is none of the values that most options take.
fn text(value: &OsStr) -> &str {
    value.to_str().unwrap_or("\u{fffd}")
}
