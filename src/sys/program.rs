//! Finding the program of a command, executing it, and telling why that cannot be done.
//!
//! All of this may hang on a file system that does: it is for a child, not for us.

use std::borrow::Cow;
use std::env;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access, execve};

use super::users::Credentials;
use crate::config::FailureStatuses;
use crate::status::ExitStatus;

/// What execvp(3) of glibc runs a script without `#!` by. musl's does not.
const SHELL: &CStr = c"/bin/sh";

/// Where glibc's execvp(3) looks when there is no `PATH`.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// The files that a command's first word may mean, in the order in which execvp(3) tries them,
/// without those that do not exist: the fewer there are to try, the shorter the time between the
/// child's mask and its exec.
#[must_use]
fn candidates(word: &OsStr) -> Vec<CString> {
    let word = word.as_bytes();
    if word.contains(&b'/') || word.is_empty() {
        return CString::new(word).into_iter().collect();
    }
    let path = search_path();
    let directories = path.split(|byte| *byte == b':');
    let joined = directories.map(|directory| match directory {
        [] => word.to_vec(),
        directory => [directory, b"/", word].concat(),
    });
    let absent = |error| matches!(error, Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG);
    let may_exist = |file: &CString| !access(file.as_c_str(), AccessFlags::F_OK).is_err_and(absent);
    joined.filter_map(|file| CString::new(file).ok()).filter(may_exist).collect()
}

fn search_path() -> Vec<u8> {
    env::var_os("PATH").map_or_else(|| DEFAULT_PATH.to_vec(), OsString::into_vec)
}

/// Why a command could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotStarted {
    /// What it means for the exit status.
    pub kind: Kind,
    /// The whole line.
    pub line: String,
}

/// What a failed start means for the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The program was not found.
    NotFound,
    /// It was found but cannot be executed.
    NotExecutable,
    /// It did not come to that.
    Other,
}

impl Kind {
    /// The exit status for it.
    #[must_use]
    pub fn exit_status(self, statuses: FailureStatuses) -> ExitStatus {
        match self {
            Self::NotFound => statuses.not_found,
            Self::NotExecutable => statuses.not_executable,
            Self::Other => statuses.other,
        }
    }
}

impl NotStarted {
    /// There was no process for it.
    pub(super) fn fork(command: &OsStr, error: Errno) -> Self {
        let line = format!("cannot fork to run {}: {}", shown(command), io::Error::from(error));
        Self { kind: Kind::Other, line }
    }

    /// It cannot have the process group or the session that it is to have.
    pub(super) fn place(command: &OsStr, error: Errno) -> Self {
        let error = io::Error::from(error);
        let command = shown(command);
        let line = format!("cannot run {command} in a process group of its own: {error}");
        Self { kind: Kind::Other, line }
    }

    /// It would have all signals blocked.
    pub(super) fn mask(command: &OsStr, error: Errno) -> Self {
        let error = io::Error::from(error);
        let line = format!("cannot run {} with its signal mask: {error}", shown(command));
        Self { kind: Kind::Other, line }
    }

    /// It cannot run as this user.
    pub(super) fn user(command: &OsStr, user: &Credentials, error: Errno) -> Self {
        let hint = match error {
            Errno::EPERM => ": this needs CAP_SETUID and CAP_SETGID",
            Errno::EINVAL if user.has_too_many_groups() => ": it has more than 65536 groups",
            Errno::EINVAL => ": the user namespace does not have it",
            _ => "",
        };
        let error = io::Error::from(error);
        let line = format!("cannot run {} as {user}: {error}{hint}", shown(command));
        Self { kind: Kind::Other, line }
    }

    /// Looks at the files that were tried, to say more than execve(2) does.
    fn exec(words: &[OsString], error: Errno, tried: &[CString]) -> Self {
        let command = words.first().map_or(OsStr::new(""), OsString::as_os_str);
        let not_found = |why: String| (Kind::NotFound, why + hint(command, words.get(1)));
        let (kind, why) = match error {
            Errno::ENOENT => match tried.iter().find_map(missing_interpreter) {
                Some(interpreter) => {
                    let hint = loader_hint(interpreter.as_bytes());
                    (Kind::NotFound, format!("its interpreter {interpreter:?} is missing{hint}"))
                }
                None if !command.as_bytes().contains(&b'/') => {
                    let path = OsString::from_vec(search_path());
                    not_found(format!("not found in PATH ({})", shown_to(&path, 300)))
                }
                None => not_found(text(error)),
            },
            Errno::ENOEXEC => {
                match tried.iter().filter_map(head).find(|head| head.starts_with(ELF)) {
                    Some(head) => (Kind::NotExecutable, why_not_loaded(&head)),
                    None => (Kind::NotExecutable, text(error)),
                }
            }
            Errno::EACCES => {
                let why = tried.iter().find_map(why_denied);
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                (Kind::NotExecutable, text(error) + &why)
            }
            error => (Kind::NotExecutable, text(error)),
        };
        Self { kind, line: format!("cannot run {}: {why}", shown(command)) }
    }
}

/// The C library's words.
fn text(error: Errno) -> String {
    let text = io::Error::from(error).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Quoted, and so short that the reason after it has room in a message of the child.
fn shown(command: &OsStr) -> String {
    shown_to(command, 700)
}

fn shown_to(text: &OsStr, most: usize) -> String {
    let bytes = text.as_bytes();
    // Of a letter all bytes or none (utf-8(7)).
    let ends = |at: &usize| bytes.get(*at).is_none_or(|byte| byte & 0xc0 != 0x80);
    let cut = (0..=most).rev().find(ends).unwrap_or(most);
    match bytes.get(..cut) {
        Some(start) if start.len() < bytes.len() => format!("{:?}...", OsStr::from_bytes(start)),
        _ => format!("{text:?}"),
    }
}

/// What a word that names no program was probably meant for.
fn hint(word: &OsStr, next: Option<&OsString>) -> &'static str {
    const BUILT_IN: [&str; 13] = [
        ".", "cd", "eval", "exec", "exit", "export", "set", "source", "trap", "ulimit", "umask",
        "unset", "wait",
    ];
    let word = word.to_string_lossy();
    let is_assignment = word.split_once('=').is_some_and(|(name, _)| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        name.starts_with(|c: char| is_letter(c) && !c.is_ascii_digit())
            && name.chars().all(is_letter)
    });
    let needs_a_shell = BUILT_IN.contains(&&*word)
        || is_assignment
        || word.starts_with('$')
        || word.contains(['&', '|', ';', '`', '<', '>']);
    if next.is_some_and(|next| next == "--") {
        ": if it is the value of the option before it, that needs a = between them"
    } else if word.starts_with('-') {
        ": options go before the --"
    } else if needs_a_shell {
        ": only a shell understands that: give sh -c '...'"
    } else if word.contains(' ') {
        ": give the program and its arguments as separate words"
    } else {
        ""
    }
}

/// Why an interpreter may be missing, by its name.
fn loader_hint(interpreter: &[u8]) -> &'static str {
    let name = interpreter.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    if interpreter.ends_with(b"\r") {
        " (the file has CRLF line ends)"
    } else if name.starts_with(b"ld-musl-") {
        " (it was built for musl, the C library of Alpine)"
    } else if [&b"ld-linux"[..], b"ld64.so"].iter().any(|loader| name.starts_with(loader)) {
        " (it was built for glibc, the C library of Debian, Fedora and others)"
    } else {
        ""
    }
}

/// Why the kernel refuses to load an ELF file (elf(5)).
fn why_not_loaded(head: &[u8]) -> String {
    const NAMES: [(u16, &str); 10] = [
        (3, "x86"),
        (8, "mips"),
        (20, "powerpc"),
        (21, "powerpc64"),
        (22, "s390x"),
        (40, "arm"),
        (62, "x86_64"),
        (183, "aarch64"),
        (243, "riscv64"),
        (258, "loongarch64"),
    ];
    let machine = match (head.get(5), head.get(18..20)) {
        (Some(1), Some(&[low, high])) => u16::from_le_bytes([low, high]),
        (Some(2), Some(&[high, low])) => u16::from_be_bytes([high, low]),
        _ => return "a damaged ELF file".to_owned(),
    };
    let ours = env::consts::ARCH;
    match NAMES.iter().find(|(number, _)| *number == machine) {
        Some((_, name)) if *name == ours => "a damaged ELF file".to_owned(),
        Some((_, name)) => format!("it was built for {name}, and this is {ours}"),
        None => format!("it was built for ELF machine {machine}, and this is {ours}"),
    }
}

/// Why a file that is there may not be executed.
fn why_denied(file: &CString) -> Option<&'static str> {
    let path = Path::new(OsStr::from_bytes(file.as_bytes()));
    let there = path.metadata().ok()?;
    if there.is_dir() {
        Some("it is a directory")
    } else if there.permissions().mode() & 0o111 == 0 {
        Some("it has no permission for that: chmod +x")
    } else if statvfs(path).is_ok_and(|system| system.flags().contains(FsFlags::ST_NOEXEC)) {
        Some("its file system is mounted noexec")
    } else {
        None
    }
}

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// A program about to be executed, with all that takes time before it.
pub(super) struct Program<'a> {
    words: &'a [OsString],
    /// To be tried in this order.
    files: Vec<CString>,
    arguments: Vec<CString>,
}

impl<'a> Program<'a> {
    /// Looks for what the first of the words means.
    pub(super) fn find(words: &'a [OsString]) -> Self {
        let word = words.first().map_or(OsStr::new(""), OsString::as_os_str);
        let arguments =
            words.iter().filter_map(|word| CString::new(word.as_bytes()).ok()).collect();
        Self { words, files: candidates(word), arguments }
    }

    /// Executes it. Returns only if that fails.
    pub(super) fn execute(mut self, environment: &[Cow<CStr>]) -> NotStarted {
        let searching = self.files.len() > 1;
        let mut failure = Errno::ENOENT;
        for file in &self.files {
            let Err(error) = execve(file, &self.arguments, environment);
            match error {
                // Another directory of PATH may have it, and one that may be executed.
                Errno::ENOENT
                | Errno::ENOTDIR
                | Errno::ESTALE
                | Errno::ENODEV
                | Errno::ETIMEDOUT
                    if searching => {}
                Errno::EACCES => failure = Errno::EACCES,
                Errno::ENOEXEC if is_plain_script(file) => {
                    if head(file).is_some_and(|head| head.starts_with(MARKED)) {
                        log::warn!(
                            "{} begins with a byte order mark, so its #! does not count: /bin/sh \
                             runs it",
                            shown(OsStr::from_bytes(file.as_bytes()))
                        );
                    }
                    self.arguments.splice(..1, [SHELL.into(), file.clone()]);
                    let Err(error) = execve(SHELL, &self.arguments, environment);
                    return NotStarted::exec(self.words, error, &[SHELL.into(), file.clone()]);
                }
                other => {
                    failure = other;
                    break;
                }
            }
        }
        NotStarted::exec(self.words, failure, &self.files)
    }
}

/// Whether execvp(3) would hand this file to /bin/sh: a text without `#!`.
#[must_use]
fn is_plain_script(file: &CString) -> bool {
    head(file).is_none_or(|head| !head.starts_with(ELF))
}

/// How a script begins whose editor has put U+FEFF before it.
const MARKED: &[u8] = b"\xef\xbb\xbf#!";

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
