//! The command line of an OCI runtime, as far as it matters here.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::Log;

/// Options before the command that take the next word as their value (runc(8), crun(1), and runsc's
/// `help`); with `=` any option has its own.
const GLOBAL: [&str; 7] =
    ["log", "log-format", "root", "criu", "rootless", "cgroup-manager", "debug-log"];

/// Options of `create` and `run` that do.
const OF_COMMAND: [&str; 8] =
    ["bundle", "b", "console-socket", "pid-file", "preserve-fds", "config", "f", "user-log"];

/// What a command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    /// The config.json of the container that is to be made.
    pub(super) config: Option<PathBuf>,
    pub(super) log: Log,
}

impl Arguments {
    /// Of all words, the program's name first.
    pub(super) fn parse(words: &[OsString]) -> Self {
        let mut words = words.iter().skip(1).map(OsString::as_os_str);
        let mut arguments = Self::default();
        let (mut bundle, mut config) = (None, None);
        let mut command = None;
        while let Some(word) = words.next() {
            let takes = if command.is_some() { &OF_COMMAND[..] } else { &GLOBAL[..] };
            let Some((name, value)) = option(word) else {
                if command.is_some() {
                    // The container's id: what follows is nobody's option.
                    break;
                }
                command = Some(word);
                if word != "create" && word != "run" {
                    break;
                }
                continue;
            };
            let value = match value {
                Some(value) => Some(value),
                None if takes.contains(&name) => words.next(),
                None => None,
            };
            match (name, value) {
                ("log", Some(file)) if command.is_none() => {
                    arguments.log.file = Some(file.into());
                }
                ("log-format", Some(format)) if command.is_none() => {
                    arguments.log.is_json = format == "json";
                }
                ("bundle" | "b", Some(place)) => bundle = Some(PathBuf::from(place)),
                ("config" | "f", Some(file)) => config = Some(PathBuf::from(file)),
                _ => {}
            }
        }
        if command.is_some_and(|command| command == "create" || command == "run") {
            let bundle = bundle.unwrap_or_default();
            arguments.config = Some(bundle.join(config.unwrap_or_else(|| "config.json".into())));
        }
        arguments
    }
}

/// An option's name, without its dashes, and its value after a `=`; `None` for any other word.
fn option(word: &OsStr) -> Option<(&str, Option<&OsStr>)> {
    let bytes = word.as_bytes();
    let bare = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-"))?;
    let mut parts = bare.splitn(2, |byte| *byte == b'=');
    let name = std::str::from_utf8(parts.next()?).ok().filter(|name| !name.is_empty())?;
    Some((name, parts.next().map(OsStr::from_bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Arguments {
        Arguments::parse(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_bundle_is_found_as_each_engine_writes_it() {
        for (line, config) in [
            ("runc create c", Some("config.json")),
            ("runc run c", Some("config.json")),
            // containerd's shim.
            (
                "runc --root /run/containerd/runc/k8s.io --log /b/log.json --log-format json create \
                 --bundle /b --pid-file /b/init.pid c",
                Some("/b/config.json"),
            ),
            // Podman's and CRI-O's conmon.
            (
                "crun --systemd-cgroup --root=/run/crun create --bundle /b --pid-file /p/pid c",
                Some("/b/config.json"),
            ),
            (
                "runsc --root=/r --log=/l create --bundle=/b --user-log /u --pid-file /p c",
                Some("/b/config.json"),
            ),
            ("runc create -b /b --console-socket /s c", Some("/b/config.json")),
            ("crun run -f other.json -b /b c", Some("/b/other.json")),
            ("crun run --config /elsewhere.json c", Some("/elsewhere.json")),
            ("runc run c --bundle /after", Some("config.json")),
            ("runc start c", None),
            ("runc exec --cwd /create c create", None),
            ("runc --log create delete c", None),
            ("runc --version", None),
            ("runc", None),
        ] {
            assert_eq!(parse(line).config, config.map(PathBuf::from), "{line}");
        }
    }

    #[test]
    fn the_log_is_where_the_caller_wants_it() {
        let log = |file: &str, is_json| Log { file: Some(file.into()), is_json };
        assert_eq!(parse("runc --log /l --log-format json create c").log, log("/l", true));
        assert_eq!(parse("runc --log=/l --log-format=text create c").log, log("/l", false));
        assert_eq!(parse("runc create c").log, Log::default());
    }
}
