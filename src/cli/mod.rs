//! argv and environment → [`Config`].
//!
//! Which command line it is depends on the last part of `argv[0]`: under the name of a peer,
//! firstmate takes the peer's options and variables. A personality only fills the same [`Config`]
//! with other values.
//!
//! `options.rs` has a row for each option of firstmate's own, `native.rs` and the peers' files what
//! a row cannot say. `table.rs` is what a row is, `values.rs` reads and shows values, `given.rs`
//! has clap read the words and says what is wrong with them.
#![forbid(unsafe_code)]

mod catatonit;
mod dumb_init;
mod explain;
mod given;
mod native;
mod near;
mod options;
#[cfg(test)]
mod options_tests;
#[cfg(test)]
mod peer_tests;
mod smell_baron;
mod table;
#[cfg(test)]
mod tests;
mod tini;
mod values;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::status::ExitStatus;

/// What the user wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// Be an init.
    Run(Box<Config>),
    /// Execute this in our place.
    Execute(Vec<OsString>),
    /// Print this, and what is said of variables besides, and exit 0.
    Explain(String),
    /// Copy the running binary to this file.
    Install(PathBuf),
    /// Print help, the version or the licence, and exit 0.
    Print {
        /// What to print.
        text: String,
        /// Where.
        stream: Stream,
    },
}

impl Request {
    fn print(text: impl Into<String>, stream: Stream) -> Self {
        Self::Print { text: text.into(), stream }
    }
}

/// Where an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One line that names the option, the value and what is accepted.
#[derive(Debug, PartialEq, Eq)]
pub struct BadInput {
    line: String,
    status: ExitStatus,
}

impl BadInput {
    fn new(line: impl Into<String>) -> Self {
        Self { line: line.into(), status: ExitStatus::OWN_FAILURE }
    }

    /// The exit status for it.
    #[must_use]
    pub fn exit_status(&self) -> ExitStatus {
        self.status
    }
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

// Each personality but our own is kept out of line: a frame for all of them at once would take
// pages of the stack that are never given back.

/// Reads the arguments, `argv[0]` included, and the variables of the personality as `variable`
/// gives them.
///
/// # Errors
/// When anything is wrong with them. Nothing may be started then.
pub fn parse(
    arguments: &[OsString],
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Request, BadInput> {
    let name = name(arguments);
    match peer(name) {
        // All of them exit with 1 on a bad command line.
        Some(peer) => peer(arguments, &variable)
            .map_err(|bad_input| BadInput { status: PEERS_FAILURE, ..bad_input }),
        None if name == "docker-init" => native::parse_as_docker_init(arguments, &variable),
        None => native::parse(arguments, &variable),
    }
}

fn name(arguments: &[OsString]) -> &str {
    let path = arguments.first();
    path.and_then(|path| Path::new(path).file_name()?.to_str()).unwrap_or_default()
}

type Parser = fn(&[OsString], Variables) -> Result<Request, BadInput>;

/// What reads the command line of the peer of this name.
fn peer(name: &str) -> Option<Parser> {
    match name {
        "tini" | "tini-static" => Some(tini::parse),
        "dumb-init" => Some(dumb_init::parse),
        "catatonit" => Some(catatonit::parse),
        "smell-baron" => Some(|arguments, _| smell_baron::parse(arguments)),
        _ => None,
    }
}

/// What is to be said of variables whose names are almost those of our options.
#[must_use]
pub fn near_variables<'a>(
    arguments: &[OsString],
    environment: impl Iterator<Item = &'a [u8]>,
) -> Vec<String> {
    if peer(name(arguments)).is_some() { Vec::new() } else { near::misses(environment) }
}

/// Whether the log is to be JSON, for a command line that is wrong as a whole.
#[must_use]
pub fn wants_json(arguments: &[OsString], variable: impl Fn(&str) -> Option<OsString>) -> bool {
    if peer(name(arguments)).is_some() {
        return false;
    }
    let option = arguments.iter().position(|word| word == "--log-format");
    if let Some(value) = option.and_then(|at| arguments.get(at + 1)) {
        return value == "json";
    }
    let with_value = arguments.iter().find_map(|word| word.to_str()?.strip_prefix("--log-format="));
    with_value.map_or_else(
        || variable("FIRSTMATE_LOG_FORMAT").is_some_and(|value| value == "json"),
        |value| value == "json",
    )
}

const PEERS_FAILURE: ExitStatus = ExitStatus::from_code(1);

/// firstmate's own licence, which is the answer of the peers' options too.
fn licence() -> String {
    include_str!("../../LICENSE").to_owned()
}

/// What `docker info` takes a hash from.
const NUMBER: &str = concat!(env!("CARGO_PKG_VERSION"), " - git.", env!("FIRSTMATE_GIT_HASH"));
