//! The table of options: its defaults, its help, and the parts of the README and of the man page
//! that are written from it, by `WRITE_DOCS=1 cargo test --lib options`.

use std::fmt::Write;
use std::fs;

use super::given::Given;
use super::native::FIRSTMATE;
use super::options::{SYNTAX, VARIABLES};
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
        let mut config = config_with(option, &values);
        // That it was given is a difference of its own.
        (config.policy.drain_is_given, config.policy.kill_after_is_given) = (false, false);
        assert_eq!(config, config_with(option, &[]), "{}", option.usage);
    }
}

#[test]
fn each_option_with_a_variable_sets_something() {
    for option in options().filter(|option| option.variable().is_some()) {
        let value = match option.usage.rsplit([' ', '=']).next() {
            Some("SIGNAL" | "SIGNAL|none") => "QUIT",
            Some("FROM:TO") => "TERM:QUIT",
            Some("DURATION" | "DURATION|never") => "7s",
            Some("any|main|all|empty") => "all",
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

/// Compares what stands between the two marks in the file with what the table says, or writes it.
fn compare_or_write(file: &str, mark: fn(&str) -> String, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(&path).unwrap();
    let begin = mark("Written by WRITE_DOCS=1 cargo test --lib options");
    let end = mark("End of what is written by it");
    let (before, rest) = text.split_once(&begin).expect(&begin);
    let (written, after) = rest.split_once(&end).expect(&end);
    if std::env::var_os("WRITE_DOCS").is_some() {
        fs::write(path, [before, &begin, expected, &end, after].concat()).unwrap();
    } else {
        assert_eq!(written, expected, "{file}: {begin}");
    }
}

/// In lines of at most 100 columns.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().unwrap();
        if !line.is_empty() && line.len() + 1 + word.len() > 100 {
            lines.push(word.to_owned());
        } else {
            let space = if line.is_empty() { "" } else { " " };
            write!(line, "{space}{word}").unwrap();
        }
    }
    lines.join("\n")
}

#[test]
fn the_readme_has_the_table_of_options() {
    let mut text =
        format!("\n{}\n\n| option | meaning | default |\n|---|---|---|\n", wrapped(SYNTAX));
    for (heading, options) in FIRSTMATE.options {
        writeln!(text, "| **{heading}** | | |").unwrap();
        for option in *options {
            let usage = option.usage.replace(", ", "`, `").replace('|', "\\|");
            let default = match option.default_shown() {
                default if default.is_empty() => default,
                default => format!("`{}` ", default.replace(", ", "`, `")),
            };
            writeln!(text, "| `{usage}` | {} | {default}|", option.description()).unwrap();
        }
    }
    writeln!(text, "\n{}", wrapped(VARIABLES)).unwrap();
    compare_or_write("README.md", |mark| format!("<!-- {mark} -->"), &text);
}

#[test]
fn the_shells_complete_the_options() {
    use clap_complete::Shell::{Bash, Fish, Zsh};
    let files = [(Bash, "firstmate.bash"), (Zsh, "_firstmate"), (Fish, "firstmate.fish")];
    for (shell, file) in files {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut FIRSTMATE.parser_with_help(), "firstmate", &mut text);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/completions").join(file);
        if std::env::var_os("WRITE_DOCS").is_some() {
            fs::write(path, text).unwrap();
        } else {
            assert!(fs::read(&path).unwrap() == text, "{file} is not what the options say");
        }
    }
}

/// Sentences in roff, each on lines of its own.
fn roff(text: &str) -> String {
    let bold = |(i, part): (usize, &str)| match i % 2 {
        0 => part.to_owned(),
        _ => format!("\\fB{part}\\fR"),
    };
    let text: String = text.split('`').enumerate().map(bold).collect();
    let sentences: Vec<_> = text.replace('-', "\\-").split(". ").map(wrapped).collect();
    sentences.join(".\n")
}

/// Names and words in bold, placeholders in italics.
fn roff_usage(usage: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphabetic() || c == '-';
    let words = usage.split_inclusive(|c| !is_word(c));
    let marked = words.map(|word| {
        let (word, rest) = word.split_at(word.find(|c| !is_word(c)).unwrap_or(word.len()));
        match word.chars().next() {
            None => rest.to_owned(),
            Some('A'..='Z') => format!("\\fI{word}\\fR{rest}"),
            Some(_) => format!("\\fB{word}\\fR{rest}"),
        }
    });
    marked.collect::<String>().replace('-', "\\-")
}

#[test]
fn the_man_page_has_the_options_and_the_variables() {
    let mut text = format!("\n.SH OPTIONS\n{}\n", roff(SYNTAX));
    for (heading, options) in FIRSTMATE.options {
        writeln!(text, ".SS {heading}").unwrap();
        for option in *options {
            let (usage, description) = (roff_usage(option.usage), roff(&option.description()));
            writeln!(text, ".TP\n{usage}\n{description}").unwrap();
            let default = option.default_shown();
            if !default.is_empty() {
                writeln!(text, "Default: \\fB{default}\\fR.").unwrap();
            }
        }
    }
    writeln!(text, ".SH ENVIRONMENT\n{}", roff(VARIABLES)).unwrap();
    compare_or_write("docs/firstmate.1", |mark| format!(".\\\" {mark}"), &text);
}
