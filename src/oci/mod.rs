//! `firstmate-oci`: an OCI runtime that puts firstmate before the command of each container, and
//! leaves all else to runc, crun or runsc.
//!
//! At `create` and `run` the bundle's config.json is rewritten (`bundle.rs`); then the real runtime
//! takes our place, with the same arguments, descriptors and signals.
#![forbid(unsafe_code)]

mod arguments;
mod bundle;

use std::env;
use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use arguments::Arguments;
use nix::unistd::{AccessFlags, access, execv, mkstemp};

use crate::report;
use crate::status::ExitStatus;
use crate::sys::entry;

/// The runtimes that are looked for, in this order.
const RUNTIMES: [&str; 3] = ["runc", "crun", "runsc"];

/// What runc's callers expect of a failure.
const FAILED: ExitStatus = ExitStatus::from_code(1);

/// Rewrites the bundle if a container is to be made, and becomes the real runtime.
#[must_use]
pub fn run(arguments: &entry::Arguments) -> ExitStatus {
    let words = arguments.to_vec();
    let arguments = Arguments::parse(&words);
    let Err(why) = prepare(&arguments).and_then(|()| become_runtime(&words)) else { return FAILED };
    arguments.log.tell(&why);
    FAILED
}

/// Why the container is not made.
struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "firstmate-oci: {}", self.0)
    }
}

fn failed(what: impl fmt::Display, error: impl fmt::Display) -> Failure {
    Failure(format!("{what}: {error}"))
}

/// Gives the container an init, if one is to be made.
fn prepare(arguments: &Arguments) -> Result<(), Failure> {
    let Some(config) = &arguments.config else { return Ok(()) };
    let cannot = |error: &dyn fmt::Display| failed(format_args!("cannot read {config:?}"), error);
    let text = match fs::read(config) {
        Ok(text) => text,
        // The real one has its own words for it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot(&error)),
    };
    let init = init()?;
    let init = init.to_str().ok_or_else(|| failed(format_args!("{init:?}"), "no UTF-8"))?;
    let Some(rewritten) = bundle::with_init(&text, init).map_err(|error| cannot(&error))? else {
        return Ok(());
    };
    replace(config, &rewritten)
        .map_err(|error| failed(format_args!("cannot write {config:?}"), error))
}

/// Replaces a file as a whole: nobody finds half of one, and on a failure the old one stays.
fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let old = fs::metadata(file)?;
    let name = file.file_name().unwrap_or_default();
    let pattern = [b".", name.as_bytes(), b".XXXXXX"].concat();
    let (descriptor, new) = mkstemp(&file.with_file_name(OsStr::from_bytes(&pattern)))?;
    let mut written = File::from(descriptor);
    let filled = written
        .write_all(content)
        .and_then(|()| {
            let (user, group) = (Some(old.uid()), Some(old.gid()));
            // Its owner is the one that it had, where that can be.
            let _ = std::os::unix::fs::fchown(&written, user, group);
            written.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))
        })
        .and_then(|()| fs::rename(&new, file));
    filled.inspect_err(|_| drop(fs::remove_file(&new)))
}

/// The firstmate to give to containers.
fn init() -> Result<PathBuf, Failure> {
    let named = env::var_os("FIRSTMATE_OCI_INIT").filter(|name| !name.is_empty());
    let (init, from) = if let Some(named) = named {
        (PathBuf::from(named), "FIRSTMATE_OCI_INIT")
    } else {
        let own = fs::read_link("/proc/self/exe").map_err(|error| failed("/proc", error))?;
        (own.with_file_name("firstmate"), "beside firstmate-oci")
    };
    let usable = fs::metadata(&init)
        .map_err(|error| error.to_string())
        .and_then(|file| {
            let is_program = file.is_file() && file.mode() & 0o111 != 0;
            is_program.then_some(()).ok_or_else(|| "it is no program".to_owned())
        })
        .and_then(
            |()| if init.is_absolute() { Ok(()) } else { Err("give a full path".to_owned()) },
        );
    match usable {
        Ok(()) => Ok(init),
        Err(why) => Err(failed(format_args!("no init: {init:?} ({from})"), why)),
    }
}

/// Executes the real runtime; returns only on failure.
fn become_runtime(words: &[OsString]) -> Result<(), Failure> {
    let runtime = runtime(words.first().map_or(OsStr::new(""), OsString::as_os_str))?;
    let text =
        |text: &OsStr| CString::new(text.as_bytes()).map_err(|error| failed("a word", error));
    let program = text(runtime.as_os_str())?;
    let rest = words.iter().skip(1).map(|word| text(word));
    let arguments =
        [text(runtime.as_os_str())].into_iter().chain(rest).collect::<Result<Vec<_>, _>>()?;
    match execv(&program, &arguments) {
        Err(error) => Err(failed(format_args!("cannot run {runtime:?}"), io::Error::from(error))),
        Ok(never) => match never {},
    }
}

/// The one that is named by the variable or by our own name, or the first that there is.
fn runtime(called_as: &OsStr) -> Result<PathBuf, Failure> {
    if let Some(named) = env::var_os("FIRSTMATE_OCI_RUNTIME").filter(|name| !name.is_empty()) {
        let found = find(&named);
        return found.ok_or_else(|| {
            failed("FIRSTMATE_OCI_RUNTIME", format_args!("{named:?} is not found"))
        });
    }
    let name = Path::new(called_as).file_name().unwrap_or_default().to_string_lossy();
    let wanted = name.strip_prefix("firstmate-").filter(|name| RUNTIMES.contains(name));
    let found = match wanted {
        Some(wanted) => find(OsStr::new(wanted)),
        None => RUNTIMES.into_iter().find_map(|name| find(OsStr::new(name))),
    };
    let what = wanted
        .map_or_else(|| "none of runc, crun and runsc".to_owned(), |name| format!("no {name}"));
    found.ok_or_else(|| failed("no runtime", format_args!("{what} is in PATH")))
}

/// A program in `PATH`, or where its name with a slash says; but never ourselves.
fn find(name: &OsStr) -> Option<PathBuf> {
    let id = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    let own = id(Path::new("/proc/self/exe"));
    let is_other = |path: &PathBuf| {
        path.is_file() && id(path) != own && access(path.as_path(), AccessFlags::X_OK).is_ok()
    };
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name)).filter(is_other);
    }
    let default = || OsString::from("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    let path = env::var_os("PATH").unwrap_or_else(default).into_vec();
    let mut directories = path.split(|byte| *byte == b':').map(OsStr::from_bytes);
    directories.find_map(|directory| Some(Path::new(directory).join(name)).filter(is_other))
}

/// Where runc's callers look for the reason of a failure.
#[derive(Debug, Default, PartialEq, Eq)]
struct Log {
    file: Option<PathBuf>,
    is_json: bool,
}

impl Log {
    /// One line on stderr, and one in the log file, in the form that was asked for.
    fn tell(&self, why: &Failure) {
        let line = report::runtime_error(&why.to_string(), self.is_json);
        let _ = io::stderr().write_all(line.as_bytes());
        if let Some(file) = &self.file {
            let opened = File::options().append(true).create(true).open(file);
            let _ = opened.and_then(|mut file| file.write_all(line.as_bytes()));
        }
    }
}
