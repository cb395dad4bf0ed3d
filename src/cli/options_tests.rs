//! The table of options: its defaults and its help, and the way round clap.

use super::given::Given;
use super::native::FIRSTMATE;
use super::table::Opt;
use super::*;
use crate::config::{Command, Role};

fn options() -> impl Iterator<Item = &'static Opt> {
    FIRSTMATE.options.iter().flat_map(|(_, options)| *options)
}

/// What the configuration is after this value of the option.
fn config_with(option: &Opt, values: &[&str]) -> Config {
    let mut config = Config::new(vec!["x".into()]);
    config.commands.push(Command { role: Role::With { watched: false }, words: vec![], label: "" });
    if !values.is_empty() {
        option.set(&mut config, &Given::new(option.usage, values)).expect(option.usage);
    }
    config
}

#[test]
fn each_default_in_the_help_is_the_one_of_the_configuration() {
    let defaults = options().map(|option| (option, option.default_shown()));
    let defaults: Vec<_> = defaults.filter(|(_, default)| !default.is_empty()).collect();
    assert!(defaults.len() > 5);
    for (option, default) in defaults {
        let values: Vec<_> = default.split(", ").collect();
        assert_eq!(config_with(option, &values), config_with(option, &[]), "{}", option.usage);
    }
}

#[test]
fn each_option_with_a_variable_sets_something() {
    for option in options().filter(|option| option.variable().is_some()) {
        let value = match option.usage.rsplit([' ', '=']).next() {
            Some("SIGNAL") => "QUIT",
            Some("FROM:TO") => "TERM:QUIT",
            Some("DURATION" | "DURATION|never") => "7s",
            Some("any|main|all") => "all",
            Some("text|json") => "json",
            _ => "1",
        };
        assert_ne!(config_with(option, &[value]), config_with(option, &[]), "{}", option.usage);
    }
}

#[test]
fn without_an_option_clap_reads_the_same_command() {
    for line in ["", "x", "x -g", "--", "-- x", "-- -- x", "-- -g x", "x -- y", "x --help"] {
        let words = std::iter::once("firstmate").chain(line.split_whitespace());
        let arguments: Vec<_> = words.map(OsString::from).collect();
        let with_clap = FIRSTMATE.read_with_clap(&arguments).unwrap();
        let without = FIRSTMATE.read(&arguments).unwrap();
        assert_eq!(without.command, with_clap.command, "{line}");
        assert_eq!((without.options.len(), with_clap.options.len()), (0, 0), "{line}");
    }
}

#[test]
fn the_short_help_has_a_line_for_each_option_and_none_is_too_long() {
    let mut parser = FIRSTMATE.parser_with_help().term_width(100);
    let short = parser.render_help().to_string();
    let lines = short.lines().filter(|line| line.starts_with("  "));
    assert_eq!(lines.count(), options().count(), "{short}");
    let long = parser.render_long_help().to_string();
    for line in short.lines().chain(long.lines()) {
        assert!(line.len() <= 100 && !line.contains('`'), "{line}");
    }
}
