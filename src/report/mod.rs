//! What the user reads: the log, and why the container ended.
#![forbid(unsafe_code)]

mod diagnosis;
mod json;
mod reasons;
mod sentence;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use env_logger::{Builder, Target};
use log::kv::{self, ToKey, VisitSource};
use log::{Level, LevelFilter, Record};

use crate::config::{LogFormat, Role};
use crate::signal::Sender;
use crate::supervisor::Phase;
pub use diagnosis::{Diagnosis, diagnose};
pub use reasons::{Reason, Reasons};
pub use sentence::{Seconds, Sentence};

/// The log has one writer, and a format that is known only after the command line is read.
static JSON: AtomicBool = AtomicBool::new(false);

/// Starts the log: one line an entry, each passed to `stderr` in one `write`.
///
/// Lines that come before are lost, so this is called before anything can go wrong. The level is
/// changed later by [`log::set_max_level`].
pub fn init(stderr: impl Write + Send + 'static) {
    let mut builder = Builder::new();
    builder.filter_level(LevelFilter::Trace).target(Target::Pipe(Box::new(stderr)));
    builder.format(
        |line, record| {
            if record.target() == RESERVE { fill(line) } else { write_line(line, record) }
        },
    );
    // It fails only if there is a log already.
    let _ = builder.try_init();
    log::set_max_level(LevelFilter::Warn);
}

/// The target of a record that only makes room.
const RESERVE: &str = "reserve";
/// Few lines are longer.
const LONG_LINE: usize = 1024;

/// Has env_logger make its buffer for lines, which it keeps, now that there is memory: later there
/// may be none, and Rust ends a process that gets none.
pub fn reserve() {
    log::logger().log(&Record::builder().target(RESERVE).build());
}

/// An error is not written.
fn fill(line: &mut dyn Write) -> io::Result<()> {
    line.write_all(&[b' '; LONG_LINE])?;
    Err(io::ErrorKind::Other.into())
}

/// Chooses between `firstmate[PID]: LEVEL: MESSAGE` and one JSON object a line.
pub fn set_format(format: LogFormat) {
    JSON.store(format == LogFormat::Json, Ordering::Relaxed);
}

/// The line that says how many lines of the log were dropped.
///
/// # Errors
/// Those of `line`.
pub fn dropped_line(line: &mut dyn Write, count: u64) -> io::Result<()> {
    let fields: &[(&str, u64)] = &[("dropped", count)];
    write_line(
        line,
        &Record::builder()
            .level(Level::Warn)
            .args(format_args!("lines of this log that were dropped: {count}"))
            .key_values(&fields)
            .build(),
    )
}

/// A line that an OCI runtime logs for its caller, as runc writes it.
#[must_use]
pub fn runtime_error(message: &str, as_json: bool) -> String {
    json::runtime_error(message, as_json)
}

/// Tells a notice of the supervisor, which is in this phase now.
pub fn tell(sentence: &Sentence, phase: Phase) {
    let level = sentence.level();
    if level <= log::max_level() {
        let fields = NoticeFields { phase, fields: sentence.fields() };
        log::logger().log(
            &Record::builder()
                .level(level)
                .args(format_args!("{sentence}"))
                .key_values(&fields)
                .build(),
        );
    }
}

struct NoticeFields<'a> {
    phase: Phase,
    fields: sentence::Fields<'a>,
}

impl kv::Source for NoticeFields<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        let sentence::Fields { event, command, pid, signal, status, sender, remaining, after } =
            &self.fields;
        visitor.visit_pair("event".to_key(), (*event).into())?;
        visitor.visit_pair("phase".to_key(), phase_name(self.phase).into())?;
        if let Some(command) = command {
            visitor.visit_pair("role".to_key(), role_name(command.role).into())?;
            // With the message, it must fit into a line.
            let program = command.program().to_str().unwrap_or_default();
            let end = (0..=128).rev().find(|end| program.is_char_boundary(*end));
            let short = end.and_then(|end| program.get(..end)).unwrap_or(program);
            visitor.visit_pair("command".to_key(), short.into())?;
        }
        if let Some(pid) = pid {
            visitor.visit_pair("pid".to_key(), pid.as_raw().into())?;
        }
        if let Some(signal) = signal {
            visitor.visit_pair("signal".to_key(), kv::Value::from_display(signal))?;
        }
        if let Some(status) = status {
            visitor.visit_pair("status".to_key(), status.code().into())?;
        }
        if let Some((received, name)) = sender {
            if let Sender::Process(pid) = received.from {
                visitor.visit_pair("sender_pid".to_key(), pid.as_raw().into())?;
            }
            let sender = match (received.from, name) {
                (Sender::Process(_), Some(name)) => kv::Value::from_display(name),
                (Sender::Process(_), None) => "process".into(),
                (Sender::Outside, _) => "outside".into(),
                (Sender::Kernel, _) => "kernel".into(),
                (Sender::Ourselves, _) => "firstmate".into(),
            };
            visitor.visit_pair("sender".to_key(), sender)?;
        }
        if let Some(remaining) = *remaining {
            visitor.visit_pair("remaining".to_key(), (remaining as u64).into())?;
        }
        if let Some(after) = after {
            let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            visitor.visit_pair("after_ms".to_key(), after.into())?;
        }
        Ok(())
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Main => "main",
        Role::Before => "before",
        Role::With { .. } => "with",
        Role::Stop => "stop",
        Role::After => "after",
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Preparing => "preparing",
        Phase::Running => "running",
        Phase::Delaying => "delaying",
        Phase::Stopping => "stopping",
        Phase::Draining => "draining",
        Phase::Finishing => "finishing",
        Phase::Done => "done",
    }
}

fn write_line(mut line: &mut dyn Write, record: &Record) -> io::Result<()> {
    if JSON.load(Ordering::Relaxed) {
        json::write(&mut line, record)
    } else {
        writeln!(
            line,
            "firstmate[{}]: {}: {}",
            std::process::id(),
            level_name(record.level()),
            record.args()
        )
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug | Level::Trace => "debug",
    }
}
