//! A table of options. The parser, the variables, the help, the README's table and the man page
//! follow from its rows.

use clap::builder::ValueParser;
use clap::{Arg, ArgAction};

use super::given::Given;
use super::{BadInput, Stream, values};
use crate::config::Config;

/// Options under one heading.
pub(super) type Group = (&'static str, &'static [Opt]);

/// One option.
#[derive(Clone, Copy)]
pub(super) struct Opt {
    /// As the help shows it: `-t, --kill-after DURATION|never`, or `-s, --subreaper[=on|off]`.
    pub(super) usage: &'static str,
    pub(super) takes: Takes,
    help: &'static str,
    default: fn(&Config) -> String,
    has_variable: bool,
    pub(super) goes_with_pause: bool,
}

/// What an option takes, and what that sets.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    /// No value.
    Flag(fn(&mut Config)),
    /// No value, but it counts how often it is given.
    Count(fn(&mut Config, u8)),
    /// A value; the last one holds.
    Value(Setter),
    /// Values; all of them hold.
    Values(Setter),
    /// A value after a `=`; without one it is this.
    Optional(&'static str, Setter),
    /// No value: this text is the answer.
    Print(fn() -> String, Stream),
    /// No value: the help is.
    Help,
}

type Setter = fn(&mut Config, &Given) -> Result<(), BadInput>;

impl Opt {
    pub(super) const fn new(usage: &'static str) -> Self {
        Self {
            usage,
            takes: Takes::Flag(|_| {}),
            help: "",
            default: |_| String::new(),
            has_variable: true,
            goes_with_pause: false,
        }
    }

    pub(super) const fn takes(self, takes: Takes) -> Self {
        Self { takes, ..self }
    }

    /// What it does, in sentences; the first is the line of `-h`. What is typed stands between
    /// backquotes.
    pub(super) const fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }

    /// How the help shows the value that the configuration has without the option.
    pub(super) const fn default(self, default: fn(&Config) -> String) -> Self {
        Self { default, ..self }
    }

    pub(super) const fn without_variable(self) -> Self {
        Self { has_variable: false, ..self }
    }

    /// It has a meaning where there is no command.
    pub(super) const fn with_pause(self) -> Self {
        Self { goes_with_pause: true, ..self }
    }

    pub(super) fn long(&self) -> Option<&'static str> {
        self.usage.split_once("--")?.1.split([' ', '[']).next()
    }

    pub(super) fn letter(&self) -> Option<char> {
        self.usage.chars().nth(1).filter(|letter| *letter != '-')
    }

    fn value_name(&self) -> &'static str {
        self.usage.rsplit([' ', '=']).next().unwrap_or_default()
    }

    pub(super) fn variable(&self) -> Option<String> {
        let long = self.long().filter(|_| self.has_variable)?;
        Some(format!("FIRSTMATE_{}", long.to_ascii_uppercase().replace('-', "_")))
    }

    /// Sets what was given for it.
    pub(super) fn set(&self, config: &mut Config, given: &Given) -> Result<(), BadInput> {
        match self.takes {
            Takes::Flag(set) => {
                if given.one(values::flag)? {
                    set(config);
                }
            }
            Takes::Count(set) => {
                let counts: Vec<_> = given.all(values::count)?;
                set(config, counts.into_iter().fold(0, u8::saturating_add));
            }
            Takes::Value(set) | Takes::Values(set) | Takes::Optional(_, set) => {
                return set(config, given);
            }
            Takes::Print(..) | Takes::Help => {}
        }
        Ok(())
    }

    /// All that is to be said but for the default.
    pub(super) fn description(&self) -> String {
        let more = match self.takes {
            Takes::Values(_) => " Repeats.",
            Takes::Optional(value, _) => &format!(" Without a value: `{value}`."),
            _ => "",
        };
        let variable = if self.has_variable { "" } else { " No variable." };
        format!("{}{more}{variable}", self.help)
    }

    pub(super) fn default_shown(&self) -> String {
        self.shown_in(&Config::new(Vec::new()))
    }

    /// Its value in this configuration; empty where there is nothing to show.
    pub(super) fn shown_in(&self, config: &Config) -> String {
        (self.default)(config)
    }

    /// The option as clap parses it. Its values are only collected: `set` is what reads them.
    pub(super) fn argument(&self) -> Arg {
        let argument = Arg::new(self.usage)
            .long(self.long())
            .short(self.letter())
            .value_parser(ValueParser::os_string())
            .action(ArgAction::Append);
        match self.takes {
            Takes::Flag(_) | Takes::Count(_) | Takes::Print(..) => {
                argument.num_args(0).default_missing_value("1")
            }
            // So that `-t -1` is told of as a bad value, not as an unknown option.
            Takes::Value(_) | Takes::Values(_) => {
                argument.value_name(self.value_name()).allow_negative_numbers(true)
            }
            Takes::Optional(value, _) => argument
                .value_name(self.value_name().trim_end_matches(']'))
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value(value),
            Takes::Help => argument.num_args(0).action(ArgAction::Help),
        }
    }

    /// The same with what the help shows.
    pub(super) fn described_argument(&self, heading: &'static str) -> Arg {
        let summary = self.help.split(". ").next().unwrap_or_default();
        let summary = summary.trim_end_matches('.').to_owned();
        let default = self.default_shown();
        let default = if default.is_empty() { default } else { format!(" [default: {default}]") };
        self.argument()
            .help_heading(heading)
            .help((summary + &default).replace('`', ""))
            .long_help((self.description() + &default).replace('`', ""))
    }
}
