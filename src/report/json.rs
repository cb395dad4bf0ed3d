//! The log as JSON: one object a line.

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use log::Record;
use log::kv::{self, Key, Value, VisitSource};
use serde::ser::{SerializeMap, Serializer};

use super::level_name;

/// Writes an entry: `time`, `level`, `program`, `own_pid`, `message`, `event`, and the other fields
/// of the record.
pub(super) fn write(line: &mut impl Write, record: &Record) -> io::Result<()> {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    write_object(&mut *line, &Timestamp(time), std::process::id(), record)?;
    line.write_all(b"\n")
}

fn write_object(
    line: impl Write,
    time: &dyn Display,
    own_pid: u32,
    record: &Record,
) -> io::Result<()> {
    let mut json = serde_json::Serializer::new(line);
    let mut object = json.serialize_map(None)?;
    object.serialize_entry("time", &format_args!("{time}"))?;
    object.serialize_entry("level", level_name(record.level()))?;
    object.serialize_entry("program", "firstmate")?;
    object.serialize_entry("own_pid", &own_pid)?;
    object.serialize_entry("message", &format_args!("{}", Cut(record.args())))?;
    let fields = record.key_values();
    if fields.get(Key::from("event")).is_none() {
        object.serialize_entry("event", "message")?;
    }
    fields.visit(&mut Fields(&mut object)).map_err(io::Error::other)?;
    object.end()?;
    Ok(())
}

/// An error of an OCI runtime, in one of the two forms of runc's log.
pub(super) fn runtime_error(message: &str, as_json: bool) -> String {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let time = Timestamp(time).to_string();
    // It cannot fail for text.
    let quoted = serde_json::to_string(message).unwrap_or_default();
    if as_json {
        format!("{{\"level\":\"error\",\"msg\":{quoted},\"time\":\"{time}\"}}\n")
    } else {
        format!("time=\"{time}\" level=error msg={quoted}\n")
    }
}

/// A message that is too long for a line of the log is cut here, where the line stays an object.
struct Cut<'a>(&'a fmt::Arguments<'a>);

impl Cut<'_> {
    /// As JSON, in bytes. With it, and the longest of fields, a line is still written in one piece.
    const LONGEST: usize = 3584;
}

impl Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bounded = Bounded { text: f, room: Self::LONGEST };
        // The error is only that it is full.
        let _ = write!(bounded, "{}", self.0);
        Ok(())
    }
}

struct Bounded<'a, 'f> {
    text: &'a mut fmt::Formatter<'f>,
    room: usize,
}

impl fmt::Write for Bounded<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let size = |letter: char| match letter {
            '"' | '\\' => 2,
            letter if letter.is_ascii_control() => 6,
            letter => letter.len_utf8(),
        };
        for (at, letter) in text.char_indices() {
            let Some(room) = self.room.checked_sub(size(letter)) else {
                self.text.write_str(text.get(..at).unwrap_or_default())?;
                return Err(fmt::Error);
            };
            self.room = room;
        }
        self.text.write_str(text)
    }
}

struct Fields<'a, M>(&'a mut M);

impl<'kvs, M: SerializeMap> VisitSource<'kvs> for Fields<'_, M> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let written = match value.to_i64() {
            Some(number) => self.0.serialize_entry(key.as_str(), &number),
            None => self.0.serialize_entry(key.as_str(), &format_args!("{value}")),
        };
        written.map_err(|_| kv::Error::msg("cannot write"))
    }
}

/// A time since 1970 by RFC 3339, in UTC, to the millisecond.
struct Timestamp(Duration);

impl Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, seconds) = (self.0.as_secs() / 86_400, self.0.as_secs() % 86_400);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let millisecond = self.0.subsec_millis();
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z"
        )
    }
}

/// The Gregorian date of a day after 1970-01-01. The year begins in March here, so that a leap day
/// is its last.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days_since_1970 + DAYS_TO_1970;
    let (era, day) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next_year, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (789, (1972, 2, 29)),
            (10_956, (1999, 12, 31)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_779, (2026, 11, 22)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(days), expected, "day {days}");
        }
        let mut previous = (1969, 12, 31);
        for days in 0..200_000 {
            let next = date(days);
            assert!(next > previous, "{next:?} after {previous:?}");
            previous = next;
        }
    }

    #[test]
    fn a_time_of_day() {
        let time = Timestamp(Duration::from_millis(1_795_369_199_042));
        assert_eq!(time.to_string(), "2026-11-22T17:39:59.042Z");
    }

    #[test]
    fn an_entry_with_a_long_message_is_still_an_object() {
        for letter in ["x", "\"", "\n", "é"] {
            let mut line = Vec::new();
            let text = letter.repeat(9000);
            write(&mut line, &Record::builder().args(format_args!("{text}")).build()).unwrap();
            assert!((1000..4096).contains(&line.len()), "{}", line.len());
            let object: serde_json::Value = serde_json::from_slice(&line).unwrap();
            assert!(text.starts_with(object["message"].as_str().unwrap()));
        }
    }

    #[test]
    fn an_entry_is_one_line_whatever_is_in_it() {
        let fields: &[(&str, Value)] =
            &[("pid", Value::from(7)), ("signal", Value::from("SIGTERM"))];
        let mut line = Vec::new();
        let args = format_args!("a \"b\"\n{}", '\u{1}');
        let record =
            Record::builder().level(log::Level::Warn).args(args).key_values(&fields).build();
        write_object(&mut line, &"now", 1, &record).unwrap();
        let expected = concat!(
            r#"{"time":"now","level":"warning","program":"firstmate","own_pid":1,"#,
            r#""message":"a \"b\"\n\u0001","event":"message","pid":7,"signal":"SIGTERM"}"#
        );
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }
}
