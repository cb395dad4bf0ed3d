//! `--explain`: what is in force, where it comes from, and how long a stop can take.

use std::fmt::Write;
use std::time::Duration;

use super::given::{Given, Words};
use super::table::{Opt, Takes};
use super::{NUMBER, Variables, values};
use crate::config::{Config, ExitWhen, Role, spare_of};

/// What a drain of no time, or of no end, leaves to those that come after it.
const TIME_OF_THE_LAST: Duration = Duration::from_secs(5);

/// The source of what neither an option nor a variable of ours has set.
const BY_TINIS: &str = "follows from TINI_*";

/// How long the effect of a SIGKILL is waited for.
const KILL_EFFECT: Duration = Duration::from_secs(1);

pub(super) fn explain(words: &Words, config: &Config, variable: Variables) -> String {
    let mut text = format!("firstmate {NUMBER}\n\n");
    for command in &config.commands {
        let shown: Vec<_> = command.words.iter().map(|word| format!("{word:?}")).collect();
        let shown = if shown.is_empty() { "none".to_owned() } else { shown.join(" ") };
        let _ = writeln!(text, "{}: {shown}", command.label);
    }
    let holds = config.commands.is_empty();
    text.push_str(if holds { "No command: --pause\n\n" } else { "\n" });
    let mut rows = String::new();
    for option in words.all_options() {
        let Some(name) = option.long().filter(|_| option.variable().is_some()) else { continue };
        if holds && !option.goes_with_pause {
            continue;
        }
        let given = words.source(option, variable);
        let (value, source) = match &given {
            Some(given) => (shown(option, given), given.source.as_str()),
            None => in_force(option, config),
        };
        let _ = writeln!(rows, "{:<26} {value:<20} {source}", format!("--{name}"));
    }
    let _ = writeln!(rows, "{:<26} {}", "log level", config.log_level.to_string().to_lowercase());
    text + &rows + "\n" + &longest_stop(config) + "\n"
}

fn shown(option: &Opt, given: &Given) -> String {
    let values: Vec<_> = given.values.iter().map(|value| value.to_string_lossy()).collect();
    let is_on = given.one(values::flag);
    match (option.takes, is_on) {
        (Takes::Flag(_), Ok(is_on)) => if is_on { "on" } else { "off" }.to_owned(),
        (Takes::Count(_), _) if values.len() > 1 => values.len().to_string(),
        _ => values.join(", "),
    }
}

/// The value of an option that was not given, and why it is that.
fn in_force(option: &Opt, config: &Config) -> (String, &'static str) {
    if let Takes::Flag(set) = option.takes {
        let mut with_it = config.clone();
        set(&mut with_it);
        let is_set = with_it == *config;
        return if is_set { ("on".to_owned(), BY_TINIS) } else { ("off".to_owned(), "default") };
    }
    let value = option.shown_in(config);
    if value.is_empty() {
        return ("-".to_owned(), "default");
    }
    let is_default = value == option.default_shown();
    let source = match (is_default, config.commands.is_empty()) {
        (true, _) => "default",
        (false, _) if config.stop_timeout.is_some() => "follows from --stop-timeout",
        (false, true) => "follows from --pause",
        (false, false) => BY_TINIS,
    };
    (value, source)
}

/// The longest time from the stop signal to the exit, and what it is made of.
fn longest_stop(config: &Config) -> String {
    let policy = &config.policy;
    if let Some(total) = config.stop_timeout {
        let spare = spare_of(total);
        return format!(
            "A stop takes at most {}: --stop-timeout {} less {} to spare.",
            values::shown_duration(total.saturating_sub(spare)),
            values::shown_duration(total),
            values::shown_duration(spare),
        );
    }
    let endless = |option| {
        format!(
            "A stop takes as long as it takes: {option} is never, and the engine's SIGKILL is what \
             ends it. --stop-timeout sets an end before that."
        )
    };
    let holds = config.commands.is_empty();
    let mut parts = vec![(policy.stop_delay, "--stop-delay")];
    match policy.kill_after {
        _ if holds => parts.clear(),
        None => return endless("--kill-after"),
        Some(kill_after) => parts.push((kill_after, "--kill-after")),
    }
    let Some(drain) = policy.drain else { return endless("--drain") };
    parts.push((drain, "--drain"));
    let again = if drain.is_zero() { TIME_OF_THE_LAST } else { drain };
    let beside = config.commands.iter().any(|command| matches!(command.role, Role::With { .. }));
    if policy.exit_when == ExitWhen::Main && beside {
        parts.push((again, "for the others after the main command"));
    }
    if config.commands.iter().any(|command| command.role == Role::After) {
        parts.push((again, "--after"));
    }
    parts.push((KILL_EFFECT, "for SIGKILL to take effect"));
    let total = parts.iter().map(|(time, _)| *time).sum();
    let sum: Vec<_> = parts
        .iter()
        .map(|(time, what)| format!("{} {what}", values::shown_duration(*time)))
        .collect();
    let (total, sum) = (values::shown_duration(total), sum.join(" + "));
    format!("A stop takes at most {total}: {sum}. A command that the kernel holds adds 1s.")
}
