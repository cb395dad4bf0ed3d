//! The values that options take. Each function says in its error what is accepted; one named
//! `shown_...` writes a value as the other would read it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{
    AskWith, ExitWhen, LogFormat, NameOrId, Subreaper, TerminationMessage, UserSpec,
};
use crate::signal::{Signal, SignalSet};

/// What would have been accepted.
pub(super) type Accepted = &'static str;

const SIGNAL: Accepted = "a signal such as TERM, SIGTERM, 15 or RTMIN+3";
const FORWARDABLE: Accepted =
    "a signal such as TERM, SIGTERM, 15 or RTMIN+3, but not KILL, STOP or CHLD";
const DEATH: Accepted = "a signal such as TERM, SIGTERM, 15 or RTMIN+3, but not STOP or CHLD";
const REWRITE: Accepted = "FROM:TO, two signals such as TERM:QUIT, or 0 or none as TO";
const REWRITE_FROM: Accepted = "as FROM, before the colon, a signal such as TERM, SIGTERM, 15 or \
                                RTMIN+3, but not KILL, STOP or CHLD";
const REWRITE_TO: Accepted = "as TO, after the colon, a signal such as TERM, SIGTERM, 15 or \
                              RTMIN+3, but not KILL or CHLD; or 0 or none";
const DURATION: Accepted = "a duration such as 10s, 500ms, 1.5s, 1h30m, 1d or a number of seconds";
const LIMIT: Accepted =
    "a duration such as 10s, 500ms, 1.5s, 1h30m, 1d or a number of seconds, or never";
const USER: Accepted = "a user or user:group, each by its name or its number from 0 to 4294967294";
const COMMAND: Accepted = "a command with its arguments, quoted as for a shell";
const UNCLOSED: Accepted = "the quote that closes the one that is open";
const SHELL_SYNTAX: Accepted = "sh -c '...' for what only a shell understands, or quote it: no \
                                shell reads this, and && || ; | & < > # $ ` mean nothing";
const CODE: Accepted = "an exit status from 0 to 255";
const SWITCH: Accepted = "on, off, auto, yes, no, true, false, 1 or 0";
const FLAG: Accepted = "yes, no, on, off, true, false, 1 or 0";
const COUNT: Accepted = "yes, no, on, off, true, false, or how many times the option is meant";

pub(super) fn signal(text: &str) -> Result<Signal, Accepted> {
    text.parse().map_err(|_| SIGNAL)
}

/// For our own death: SIGKILL too.
pub(super) fn death_signal(text: &str) -> Result<Signal, Accepted> {
    text.parse()
        .ok()
        .filter(|signal: &Signal| signal.is_forwardable() || *signal == Signal::KILL)
        .ok_or(DEATH)
}

pub(super) fn shown_signals(signals: SignalSet) -> String {
    let all = (1..=64).filter_map(Signal::from_raw).filter(|signal| signals.contains(*signal));
    let names: Vec<_> = all.map(|signal| signal.to_string().replacen("SIG", "", 1)).collect();
    names.join(", ")
}

pub(super) fn forwardable_signal(text: &str) -> Result<Signal, Accepted> {
    text.parse().ok().filter(|signal: &Signal| signal.is_forwardable()).ok_or(FORWARDABLE)
}

/// A signal, and the one that is forwarded instead, if any.
pub(super) fn rewrite(text: &str) -> Result<(Signal, Option<Signal>), Accepted> {
    let (from, to) = text.split_once(':').ok_or(REWRITE)?;
    let from = forwardable_signal(from).map_err(|_| REWRITE_FROM)?;
    if to == "0" || to.eq_ignore_ascii_case("none") {
        return Ok((from, None));
    }
    let to = signal(to)
        .ok()
        .filter(|to| to.is_forwardable() || *to == Signal::STOP)
        .ok_or(REWRITE_TO)?;
    Ok((from, Some(to)))
}

/// The same with any signals at all.
pub(super) fn any_rewrite(text: &str) -> Result<(Signal, Option<Signal>), Accepted> {
    const ACCEPTED: Accepted = "FROM:TO, two signals such as 15:3, or 0 as TO";
    let (from, to) = text.split_once(':').ok_or(ACCEPTED)?;
    let to = if to == "0" { None } else { Some(signal(to).map_err(|_| ACCEPTED)?) };
    Ok((signal(from).map_err(|_| ACCEPTED)?, to))
}

pub(super) fn duration(text: &str) -> Result<Duration, Accepted> {
    parse_duration(text).ok_or(DURATION)
}

/// A duration, or `None` for `never`.
pub(super) fn limit(text: &str) -> Result<Option<Duration>, Accepted> {
    if text.eq_ignore_ascii_case("never") {
        Ok(None)
    } else {
        parse_duration(text).map(Some).ok_or(LIMIT)
    }
}

pub(super) fn shown_limit(limit: Option<Duration>) -> String {
    limit.map_or_else(|| "never".to_owned(), shown_duration)
}

pub(super) fn shown_duration(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}

/// Digits are a number, anything else is a name.
pub(super) fn user(text: &str) -> Result<UserSpec, Accepted> {
    let (user, group) =
        text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let user = name_or_id(user).ok_or(USER)?;
    Ok(UserSpec { user, group: group.map(|group| name_or_id(group).ok_or(USER)).transpose()? })
}

fn name_or_id(text: &str) -> Option<NameOrId> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return number(text).filter(|id| *id != u32::MAX).map(NameOrId::Id);
    }
    let is_name = !text.starts_with(['-', '+']) && !text.contains([':', '\n']);
    is_name.then(|| NameOrId::Name(text.to_owned()))
}

pub(super) fn exit_code(text: &str) -> Result<u8, Accepted> {
    number(text).ok_or(CODE)
}

pub(super) fn subreaper(text: &str) -> Result<Subreaper, Accepted> {
    match flag(text) {
        Ok(true) => Ok(Subreaper::On),
        Ok(false) => Ok(Subreaper::Off),
        Err(_) if text.eq_ignore_ascii_case("auto") => Ok(Subreaper::Auto),
        Err(_) => Err(SWITCH),
    }
}

/// A value that is called here as it is there.
pub(super) fn shown_name(value: impl fmt::Debug) -> String {
    format!("{value:?}").to_ascii_lowercase()
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, Accepted> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("text or json"),
    }
}

/// Which exit ends the container, and whether the commands beside the main one are waited for.
pub(super) fn exit_when(text: &str) -> Result<(ExitWhen, bool), Accepted> {
    match text {
        "any" => Ok((ExitWhen::Any, false)),
        "main" => Ok((ExitWhen::Main, false)),
        "all" => Ok((ExitWhen::Watched, true)),
        "empty" => Ok((ExitWhen::Empty, false)),
        _ => Err("any, main, all or empty"),
    }
}

/// What the drain asks with.
pub(super) fn ask_with(text: &str) -> Result<AskWith, Accepted> {
    const ACCEPTED: Accepted = "a signal such as TERM, SIGTERM, 15 or RTMIN+3, or none";
    if text.eq_ignore_ascii_case("none") {
        return Ok(AskWith::Nothing);
    }
    let signal = text.parse().ok().filter(|signal: &Signal| signal.is_forwardable());
    signal.map(AskWith::Signal).ok_or(ACCEPTED)
}

/// One string, split into words as a shell splits them.
pub(super) fn command(text: &OsStr) -> Result<Vec<OsString>, Accepted> {
    let mut words = shlex::bytes::Shlex::new(text.as_bytes());
    let command: Vec<_> = words.by_ref().map(OsString::from_vec).collect();
    if words.had_error {
        return Err(UNCLOSED);
    }
    if needs_a_shell(text.as_bytes()) {
        return Err(SHELL_SYNTAX);
    }
    if command.first().is_none_or(|program| program.is_empty()) {
        return Err(COMMAND);
    }
    Ok(command)
}

/// Whether there is an operator of the shell outside of all quotes: without a shell half of the
/// command would pass for all of it.
fn needs_a_shell(text: &[u8]) -> bool {
    let (mut quote, mut begins_word) = (None, true);
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (None | Some(b'"'), b'\\') => {
                bytes.next();
            }
            (Some(open), _) => quote = Some(open).filter(|open| *open != byte),
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b';' | b'|' | b'&' | b'<' | b'>' | b'$' | b'`') => return true,
            (None, b'#') if begins_word => return true,
            (None, _) => {}
        }
        begins_word = quote.is_none() && matches!(byte, b' ' | b'\t' | b'\n');
    }
    false
}

pub(super) fn file(text: &OsStr) -> Result<PathBuf, Accepted> {
    if text.is_empty() { Err("the name of a file") } else { Ok(text.into()) }
}

/// A file, or as in the variable of a flag whether to write the one of Kubernetes.
pub(super) fn termination_message(text: &OsStr) -> Result<Option<TerminationMessage>, Accepted> {
    let path = match text.to_str().map(flag) {
        Some(Ok(false)) => return Ok(None),
        Some(Ok(true)) => TerminationMessage::OF_KUBERNETES.into(),
        Some(Err(_)) | None if text.as_bytes().contains(&b'/') => text.into(),
        Some(Err(_)) | None => {
            return Err("the path of a file, with a /, or yes, no, on, off, true, false, 1 or 0");
        }
    };
    let create = path != Path::new(TerminationMessage::OF_KUBERNETES);
    Ok(Some(TerminationMessage { path, create }))
}

/// A flag in an environment variable.
pub(super) fn flag(text: &str) -> Result<bool, Accepted> {
    let is = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match (is(["1", "true", "yes", "on"]), is(["0", "false", "no", "off"])) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        (false, false) => Err(FLAG),
    }
}

/// A flag that counts, in an environment variable.
pub(super) fn count(text: &str) -> Result<u8, Accepted> {
    flag(text).map(u8::from).or_else(|_| number(text).ok_or(COUNT))
}

/// Digits only: no sign, no space.
pub(super) fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn parse_duration(text: &str) -> Option<Duration> {
    let is_digit = |c: char| c.is_ascii_digit() || c == '.';
    if !text.is_empty() && text.chars().all(is_digit) {
        return quantity(text, 1);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (digits, tail) = rest.split_at(rest.find(|c: char| !is_digit(c))?);
        let (unit, tail) = tail.split_at(tail.find(is_digit).unwrap_or(tail.len()));
        let part = match unit.trim_matches(' ') {
            "ms" => quantity(digits, 1)? / 1000,
            "s" | "sec" => quantity(digits, 1)?,
            "m" | "min" => quantity(digits, 60)?,
            "h" => quantity(digits, 60 * 60)?,
            "d" => quantity(digits, 24 * 60 * 60)?,
            _ => return None,
        };
        total = total.checked_add(part)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

/// So many times a unit of so many seconds, with a fraction or without: `1.5`, not `1.` or `.5`.
fn quantity(digits: &str, unit: u32) -> Option<Duration> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let whole = Duration::from_secs(number(Some(whole).filter(|text| !text.is_empty())?)?);
    let fraction = Some(fraction).filter(|text| (1..=9).contains(&text.len()))?;
    let nanoseconds = number::<u32>(&format!("{fraction:0<9}"))?;
    whole.checked_add(Duration::from_nanos(nanoseconds.into()))?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let accepted = [
            ("0", 0),
            ("10", 10_000),
            ("10s", 10_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h30m", 5_400_000),
            ("1m1s1ms", 61_001),
            ("0s", 0),
            ("1.5s", 1500),
            ("0.5", 500),
            ("1d", 86_400_000),
            ("10 s", 10_000),
            ("10sec", 10_000),
            ("1min 30 sec", 90_000),
            ("1.5h0.5s", 5_400_500),
        ];
        for (text, milliseconds) in accepted {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in [
            "",
            "s",
            "1x",
            "-1",
            "+1",
            ".5s",
            "1 x",
            " 1s",
            "1 0",
            "1h30",
            "1w",
            "99999999999999999999",
            "5124095576030432h",
            "never",
            "١s",
        ] {
            assert_eq!(duration(text), Err(DURATION), "{text}");
        }
    }

    #[test]
    fn a_limit_may_be_never() {
        assert_eq!(limit("never"), Ok(None));
        assert_eq!(limit("0"), Ok(Some(Duration::ZERO)));
        assert_eq!(limit("Never"), Ok(None));
        assert_eq!(limit("nev"), Err(LIMIT));
    }

    #[test]
    fn signals_that_no_init_can_forward_do_not_start_a_stop() {
        assert_eq!(forwardable_signal("quit"), Ok(Signal::from_raw(3).unwrap()));
        for name in ["KILL", "STOP", "CHLD", "9", "0", ""] {
            assert_eq!(forwardable_signal(name), Err(FORWARDABLE), "{name}");
        }
        assert_eq!(signal("KILL"), Ok(Signal::KILL));
    }

    #[test]
    fn rewriting_rules() {
        assert_eq!(rewrite("term:QUIT"), Ok((Signal::TERM, Signal::from_raw(3))));
        assert_eq!(rewrite("15:0"), Ok((Signal::TERM, None)));
        assert_eq!(rewrite("RTMIN+1:none"), Ok((Signal::from_raw(35).unwrap(), None)));
        assert_eq!(rewrite("TSTP:STOP"), Ok((Signal::TSTP, Some(Signal::STOP))));
        for text in ["", "TERM"] {
            assert_eq!(rewrite(text), Err(REWRITE), "{text}");
        }
        for text in [":", ":TERM", "KILL:TERM", "STOP:TERM", "CHLD:TERM", "0:TERM"] {
            assert_eq!(rewrite(text), Err(REWRITE_FROM), "{text}");
        }
        for text in ["TERM:", "TERM:X", "TERM:KILL", "TERM:CHLD"] {
            assert_eq!(rewrite(text), Err(REWRITE_TO), "{text}");
        }
    }

    #[test]
    fn users_and_groups() {
        let spec = |user, group| Ok(UserSpec { user, group });
        let name = |name: &str| NameOrId::Name(name.to_owned());
        assert_eq!(user("app"), spec(name("app"), None));
        assert_eq!(user("7up:www-data"), spec(name("7up"), Some(name("www-data"))));
        assert_eq!(user("1000:staff"), spec(NameOrId::Id(1000), Some(name("staff"))));
        assert_eq!(user("0:4294967294"), spec(NameOrId::Id(0), Some(NameOrId::Id(u32::MAX - 1))));
        for text in [
            "",
            ":",
            "app:",
            ":app",
            "a:b:c",
            "-1",
            "+1",
            "4294967295",
            "4294967296",
            "app:4294967295",
            "a\nb",
        ] {
            assert_eq!(user(text), Err(USER), "{text}");
        }
    }

    #[test]
    fn codes_flags_and_counts() {
        assert_eq!(exit_code("255"), Ok(255));
        for text in ["256", "-1", "", "x", "+1"] {
            assert_eq!(exit_code(text), Err(CODE), "{text}");
        }
        for (yes, no) in [("1", "0"), ("true", "FALSE"), ("Yes", "no"), ("ON", "off")] {
            assert_eq!((flag(yes), flag(no)), (Ok(true), Ok(false)), "{yes}");
            assert_eq!((count(yes), count(no)), (Ok(1), Ok(0)), "{yes}");
            let switch = (subreaper(yes), subreaper(no));
            assert_eq!(switch, (Ok(Subreaper::On), Ok(Subreaper::Off)), "{yes}");
        }
        assert_eq!(flag("ja"), Err(FLAG));
        assert_eq!((count("2"), count("true"), count("0")), (Ok(2), Ok(1), Ok(0)));
        assert_eq!(count("-1"), Err(COUNT));
        assert_eq!((subreaper("on"), subreaper("0")), (Ok(Subreaper::On), Ok(Subreaper::Off)));
        assert_eq!(subreaper("ja"), Err(SWITCH));
    }

    #[test]
    fn an_operator_of_the_shell_counts_only_outside_of_quotes() {
        for text in ["true && false", "a||b", "a;b", "a|b", "a&", "a<b", "a>b", "a #b", "#a"] {
            assert_eq!(command(OsStr::new(text)), Err(SHELL_SYNTAX), "{text}");
        }
        for text in ["a $B", "a `b`", "a\t#b", "a 'b' #c", "a \"b\"$C"] {
            assert_eq!(command(OsStr::new(text)), Err(SHELL_SYNTAX), "{text}");
        }
        for text in
            [r"sh -c 'a && b; $C'", r#"sh -c "a | $B #c""#, r"a \; b\&", "a#b", r#"a "\"&""#]
        {
            assert!(command(OsStr::new(text)).is_ok(), "{text}");
        }
        for text in ["sh -c 'x", "a \"b"] {
            assert_eq!(command(OsStr::new(text)), Err(UNCLOSED), "{text}");
        }
    }
}
