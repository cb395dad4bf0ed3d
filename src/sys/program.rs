//! Finding the program of a command, and telling why it cannot run.

use std::env;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::users::Credentials;
use crate::config::FailureStatuses;
use crate::status::ExitStatus;

/// What execvp(3) of glibc runs a script without `#!` by. musl's does not.
pub(super) const SHELL: &CStr = c"/bin/sh";

/// Where glibc's execvp(3) looks when there is no `PATH`.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// The files that a command's first word may mean, in the order in which execvp(3) tries them,
/// without those that do not exist: the fewer there are to try, the shorter the time between the
/// child's mask and its exec.
#[must_use]
pub(super) fn candidates(word: &OsStr) -> Vec<CString> {
    let word = word.as_bytes();
    if word.contains(&b'/') || word.is_empty() {
        return CString::new(word).into_iter().collect();
    }
    let path = env::var_os("PATH").map_or_else(|| DEFAULT_PATH.to_vec(), OsString::into_vec);
    let directories = path.split(|byte| *byte == b':');
    let joined = directories.map(|directory| match directory {
        [] => word.to_vec(),
        directory => [directory, b"/", word].concat(),
    });
    let absent = |error| matches!(error, Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG);
    let may_exist = |file: &CString| !access(file.as_c_str(), AccessFlags::F_OK).is_err_and(absent);
    joined.filter_map(|file| CString::new(file).ok()).filter(may_exist).collect()
}

/// Why a command could not be started.
#[derive(Debug, PartialEq, Eq)]
pub struct NotStarted {
    command: OsString,
    cause: Cause,
}

#[derive(Debug, PartialEq, Eq)]
enum Cause {
    /// There was no process for it.
    Fork(Errno),
    /// It cannot run as this user.
    User(String, Errno),
    /// A `user` or `group`, its name, and the file that does not have it.
    Unknown(&'static str, String, &'static str),
    UnreadableFile(&'static str, Errno),
    NotInPath,
    /// The file is there, but what it names to run it is not.
    NoInterpreter(OsString),
    /// An ELF file of another machine, or a damaged one.
    ForeignElf,
    Exec(Errno),
}

impl NotStarted {
    pub(super) fn fork(command: &OsStr, error: Errno) -> Self {
        Self { command: command.to_owned(), cause: Cause::Fork(error) }
    }

    pub(super) fn user(command: &OsStr, user: &Credentials, error: Errno) -> Self {
        Self { command: command.to_owned(), cause: Cause::User(user.to_string(), error) }
    }

    pub(super) fn unknown(what: &'static str, name: &str, file: &'static str) -> Self {
        Self { command: OsString::new(), cause: Cause::Unknown(what, name.to_owned(), file) }
    }

    pub(super) fn unreadable(file: &'static str, error: Errno) -> Self {
        Self { command: OsString::new(), cause: Cause::UnreadableFile(file, error) }
    }

    /// The shell that would have run a script without `#!` could not be executed.
    pub(super) fn shell(command: &OsStr, error: Errno) -> Self {
        let cause = if error == Errno::ENOENT {
            Cause::NoInterpreter(SHELL.to_string_lossy().into_owned().into())
        } else {
            Cause::Exec(error)
        };
        Self { command: command.to_owned(), cause }
    }

    /// Looks at the files that were tried, to say more than execve(2) does.
    pub(super) fn exec(command: &OsStr, error: Errno, tried: &[CString]) -> Self {
        let heads = || tried.iter().filter_map(head);
        let cause = match error {
            Errno::ENOENT => match tried.iter().find_map(missing_interpreter) {
                Some(interpreter) => Cause::NoInterpreter(interpreter),
                None if !command.as_bytes().contains(&b'/') => Cause::NotInPath,
                None => Cause::Exec(error),
            },
            Errno::ENOEXEC if heads().any(|head| head.starts_with(ELF)) => Cause::ForeignElf,
            error => Cause::Exec(error),
        };
        Self { command: command.to_owned(), cause }
    }

    /// The exit status for it.
    #[must_use]
    pub fn exit_status(&self, statuses: FailureStatuses) -> ExitStatus {
        match &self.cause {
            Cause::Fork(_) | Cause::User(..) | Cause::Unknown(..) | Cause::UnreadableFile(..) => {
                statuses.other
            }
            Cause::NotInPath | Cause::NoInterpreter(_) | Cause::Exec(Errno::ENOENT) => {
                statuses.not_found
            }
            Cause::ForeignElf | Cause::Exec(_) => statuses.not_executable,
        }
    }
}

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = &self.command;
        match &self.cause {
            Cause::Fork(error) => {
                write!(f, "cannot fork to run {command:?}: {}", io::Error::from(*error))
            }
            Cause::User(user, error) => {
                write!(f, "cannot run {command:?} as {user}: {}", io::Error::from(*error))?;
                f.write_str(match error {
                    Errno::EPERM => ": this needs CAP_SETUID and CAP_SETGID",
                    Errno::EINVAL => ": the user namespace does not have it",
                    _ => "",
                })
            }
            Cause::Unknown(what, name, file) => {
                write!(f, "--user: there is no {what} {name:?} in {file}")
            }
            Cause::UnreadableFile(file, error) => {
                write!(f, "--user: cannot read {file}: {}", io::Error::from(*error))
            }
            Cause::NotInPath => write!(f, "cannot run {command:?}: not found in PATH"),
            Cause::NoInterpreter(interpreter) => {
                write!(f, "cannot run {command:?}: its interpreter {interpreter:?} is missing")?;
                f.write_str(if interpreter.as_bytes().ends_with(b"\r") {
                    " (the file has CRLF line ends)"
                } else {
                    ""
                })
            }
            Cause::ForeignElf => write!(
                f,
                "cannot run {command:?}: an ELF file for another machine, or a damaged one"
            ),
            Cause::Exec(error) => write!(f, "cannot run {command:?}: {}", io::Error::from(*error)),
        }
    }
}

/// Whether execvp(3) would hand this file to /bin/sh: a text without `#!`.
#[must_use]
pub(super) fn is_plain_script(file: &CString) -> bool {
    head(file).is_none_or(|head| !head.starts_with(ELF))
}

/// How an ELF file begins.
pub(super) const ELF: &[u8] = b"\x7fELF";

/// The beginning of a file, as much as the kernel and the ELF header need.
fn head(file: &CString) -> Option<Vec<u8>> {
    let path = Path::new(OsStr::from_bytes(file.as_bytes()));
    // Reading a fifo would wait for a writer.
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut head = Vec::new();
    File::open(path).ok()?.take(4096).read_to_end(&mut head).ok()?;
    Some(head)
}

/// The interpreter of this file, or the interpreter of that, that does not exist.
fn missing_interpreter(file: &CString) -> Option<OsString> {
    let mut file = file.clone();
    // The kernel follows four scripts (execve(2)), and an ELF file has one loader.
    for _ in 0..=5 {
        let interpreter = CString::new(interpreter(&head(&file)?)?).ok()?;
        if access(interpreter.as_c_str(), AccessFlags::F_OK) == Err(Errno::ENOENT) {
            return Some(OsString::from_vec(interpreter.into_bytes()));
        }
        file = interpreter;
    }
    None
}

/// What the kernel starts to run this file: the path after `#!`, or the loader that an ELF file
/// names.
fn interpreter(head: &[u8]) -> Option<&[u8]> {
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next()?.trim_ascii_start();
        return line
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .next()
            .filter(|path| !path.is_empty());
    }
    elf_loader(head)
}

/// The path in the `PT_INTERP` segment of a 64-bit little-endian ELF file (elf(5)).
fn elf_loader(head: &[u8]) -> Option<&[u8]> {
    const CLASS_64_LITTLE_ENDIAN: &[u8] = &[2, 1];
    const PT_INTERP: usize = 3;
    let number = |at: usize, size: usize| {
        let bytes = head.get(at..at.checked_add(size)?)?;
        bytes
            .iter()
            .rev()
            .try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))
    };
    if !head.strip_prefix(ELF)?.starts_with(CLASS_64_LITTLE_ENDIAN) {
        return None;
    }
    let (table, entry_size, entries) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    (0..entries).find_map(|i| {
        let entry = table.checked_add(i.checked_mul(entry_size)?)?;
        if number(entry, 4)? != PT_INTERP {
            return None;
        }
        let (offset, size) =
            (number(entry.checked_add(8)?, 8)?, number(entry.checked_add(32)?, 8)?);
        head.get(offset..offset.checked_add(size)?)?.strip_suffix(b"\0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_of_a_script_is_the_first_word_after_the_mark() {
        assert_eq!(interpreter(b"#!/bin/sh -e\n"), Some(b"/bin/sh".as_slice()));
        assert_eq!(interpreter(b"#! /bin/bash\r\nls\n"), Some(b"/bin/bash\r".as_slice()));
        assert_eq!(interpreter(b"#!\n"), None);
        assert_eq!(interpreter(b"echo\n"), None);
    }

    #[test]
    fn the_loader_of_an_elf_file_is_found() {
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[32] = 64;
        file[54] = 56;
        file[56] = 2;
        let mut load = [0; 56];
        load[0] = 1;
        let mut interp = [0; 56];
        interp[0] = 3;
        interp[8] = 64 + 112;
        interp[32] = 8;
        file.extend(load);
        file.extend(interp);
        file.extend(b"/lib/ld\0");
        assert_eq!(interpreter(&file), Some(b"/lib/ld".as_slice()));
        for short in 0..file.len() {
            assert_eq!(interpreter(&file[..short]), None, "{short} bytes");
        }
    }
}
