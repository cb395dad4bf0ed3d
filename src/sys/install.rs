//! Copying the running binary: out of an image that may hold nothing else, into a directory that
//! another container sees too.

use std::ffi::{CStr, OsStr, OsString};
use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::mkstemp;

use super::entry::Arguments;
use super::program::ELF;

/// Copies the running binary to `target`, with mode 0755 whatever the umask is.
///
/// It is written to another file in the same directory, which then takes the place of `target`: at
/// no time is there half a binary, and what runs from `target` meanwhile goes on (a write to it
/// would be `ETXTBSY`).
///
/// # Errors
/// When the binary cannot be found or the directory cannot be written to. Nothing is left behind
/// then.
pub fn install(arguments: &Arguments, target: &Path) -> Result<(), NotInstalled> {
    let failed = |cause| NotInstalled { target: target.to_owned(), cause };
    let binary = own_binary(arguments).map_err(|error| failed(Cause::Source(error)))?;
    if target.as_os_str().as_bytes().ends_with(b"/") || target.is_dir() {
        return Err(failed(Cause::Directory));
    }
    // A device or a FIFO has its place for somebody else.
    if fs::metadata(target).is_ok_and(|there| !there.is_file()) {
        return Err(failed(Cause::Special));
    }
    replace(target, &binary).map_err(|error| failed(Cause::Target(error)))
}

fn replace(target: &Path, content: &[u8]) -> io::Result<()> {
    let (file, path) = mkstemp(&target.with_file_name(".firstmate.XXXXXX"))?;
    let replaced = fill(file.into(), content).and_then(|()| fs::rename(&path, target));
    replaced.inspect_err(|_| drop(fs::remove_file(&path)))
}

fn fill(mut file: File, content: &[u8]) -> io::Result<()> {
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(0o755))?;
    // Some file systems tell only now that there is no space. And after a crash an empty file must
    // not have the name.
    file.sync_all()
}

/// Its content. Without /proc it is where the kernel has found it (getauxval(3), `AT_EXECFN`), or
/// where `argv[0]` says: the former is the script if the binary is its interpreter.
fn own_binary(arguments: &Arguments) -> io::Result<Vec<u8>> {
    let names =
        [Some("/proc/self/exe".into()), executed_name(), arguments.to_vec().into_iter().next()];
    let mut error = io::Error::from(io::ErrorKind::NotFound);
    for name in names.into_iter().flatten() {
        match fs::read(name) {
            Ok(content) if content.starts_with(ELF) => return Ok(content),
            Ok(_) => {}
            Err(why) => error = why,
        }
    }
    Err(error)
}

fn executed_name() -> Option<OsString> {
    // SAFETY: it takes a number.
    let address = unsafe { libc::getauxval(libc::AT_EXECFN) };
    let name = std::ptr::with_exposed_provenance(
        usize::try_from(address).ok().filter(|address| *address != 0)?,
    );
    // SAFETY: the kernel has put a C string there, above the stack, for as long as the process
    // lives.
    let name = unsafe { CStr::from_ptr(name) };
    Some(OsStr::from_bytes(name.to_bytes()).to_owned())
}

/// Why the binary could not be copied.
#[derive(Debug)]
pub struct NotInstalled {
    target: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// The running binary cannot be read.
    Source(io::Error),
    /// That is what the target is.
    Directory,
    /// The target is neither a file nor free.
    Special,
    /// The target cannot be written.
    Target(io::Error),
}

impl fmt::Display for NotInstalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot install to {:?}: ", self.target)?;
        match &self.cause {
            Cause::Source(error) => write!(f, "the running binary cannot be read: {error}"),
            Cause::Directory => f.write_str("it is a directory: give the name of the file too"),
            Cause::Special => f.write_str("it is there, and is no regular file"),
            Cause::Target(error) => error.fmt(f),
        }
    }
}
