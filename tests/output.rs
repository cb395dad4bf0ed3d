//! Whatever becomes of stderr, signals are forwarded at once and the exit status is the command's.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::support::{Directory, FullPipe, Lines, Scenario, is_root, skip};

/// A stderr, and what must live as long as it.
struct Stderr {
    name: &'static str,
    end: OwnedFd,
    /// Another one of the same file description.
    same: File,
    #[expect(dead_code, reason = "it is held, not used")]
    other_end: Option<OwnedFd>,
}

impl Stderr {
    fn new(name: &'static str, end: impl Into<OwnedFd>, other_end: Option<OwnedFd>) -> Self {
        let end = end.into();
        let same = File::from(end.try_clone().expect("a descriptor"));
        Self { name, end, same, other_end }
    }

    fn flags(&self) -> OFlag {
        OFlag::from_bits_retain(fcntl(&self.same, FcntlArg::F_GETFL).expect("it is open"))
    }

    fn filled(mut self) -> Self {
        let flags = self.flags();
        fcntl(&self.same, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).expect("it is open");
        for piece in [4096, 1] {
            while let Err(ErrorKind::Interrupted) | Ok(()) =
                self.same.write_all(&vec![b'.'; piece]).map_err(|error| error.kind())
            {}
        }
        fcntl(&self.same, FcntlArg::F_SETFL(flags)).expect("it is open");
        self
    }
}

fn full_pipe() -> Stderr {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC).expect("a pipe");
    Stderr::new("a full pipe", writer, Some(reader)).filled()
}

fn broken_pipe() -> Stderr {
    Stderr::new("a broken pipe", nix::unistd::pipe2(OFlag::O_CLOEXEC).expect("a pipe").1, None)
}

fn full_fifo(directory: &Directory) -> Stderr {
    let path = directory.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    let both = File::options().read(true).write(true).open(&path).expect("a reader");
    let writer = File::options().write(true).open(&path).expect("a writer");
    Stderr::new("a full fifo", writer, Some(both.into())).filled()
}

fn full_socket() -> Stderr {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    Stderr::new("a full socket", ours, Some(theirs.into())).filled()
}

fn broken_socket() -> Stderr {
    Stderr::new("a broken socket", UnixStream::pair().expect("a pair").0, None)
}

fn full_terminal() -> Stderr {
    let pty = nix::pty::openpty(None, None).expect("a terminal");
    Stderr::new("a full terminal", pty.slave, Some(pty.master)).filled()
}

fn hung_up_terminal() -> Stderr {
    Stderr::new(
        "a hung up terminal",
        nix::pty::openpty(None, None).expect("a terminal").slave,
        None,
    )
}

fn full_device() -> Stderr {
    Stderr::new(
        "/dev/full",
        File::options().write(true).open("/dev/full").expect("it exists"),
        None,
    )
}

fn file(directory: &Directory) -> Stderr {
    Stderr::new(
        "a file at its size limit",
        File::create(directory.path().join("log")).expect("a new file"),
        None,
    )
}

const VERBOSITIES: [&str; 5] = ["", "-v", "-vv", "-w", "-wvv"];

/// The command sees the signals that were sent and no other, each before the next is sent.
fn check(scenario: &Scenario, name: &str) {
    for options in VERBOSITIES {
        let running = scenario
            .clone()
            .options(options)
            .probe("orphans 3 block-all say ready until 64 orphans 3 exit 7")
            .start()
            .ready();
        for signal in [1, 12, 12, 14, 64] {
            running.signal(signal);
            let line = running.stdout.next();
            assert!(line.starts_with(&format!("signal {signal} ")), "{name} {options}: {line}");
        }
        let finished = running.finish();
        assert_eq!((finished.status, finished.stdout), (7, vec![]), "{name} {options}");
    }
}

fn check_stderr(scenario: &Scenario, stderr: &Stderr) {
    let flags = stderr.flags();
    check(&scenario.clone().stderr(stderr.end.try_clone().expect("a descriptor")), stderr.name);
    assert_eq!(stderr.flags(), flags, "{}", stderr.name);
}

fn check_all(scenario: &Scenario) {
    let directory = Directory::new();
    for stderr in [
        full_pipe(),
        broken_pipe(),
        full_fifo(&directory),
        full_socket(),
        broken_socket(),
        full_terminal(),
        hung_up_terminal(),
        full_device(),
    ] {
        check_stderr(scenario, &stderr);
    }
}

#[test]
fn no_stderr_holds_up_a_signal_or_changes_the_status_of_pid_1() {
    check_all(&Scenario::container());
}

#[test]
fn no_stderr_holds_up_a_signal_or_changes_the_status_of_an_ordinary_process() {
    check_all(&Scenario::plain());
}

#[test]
fn no_stderr_holds_up_a_signal_or_changes_the_status_with_a_log_of_json() {
    check_all(&Scenario::container().options("--log-format json"));
}

#[test]
fn no_stderr_holds_up_a_signal_or_changes_the_status_without_proc() {
    let scenario = Scenario::container().prepare("hide /proc");
    check_all(&scenario);
    check_all(&scenario.options("--log-format json"));
}

#[test]
fn no_stderr_holds_up_a_signal_or_changes_the_status_of_a_user_who_cannot_reopen_it() {
    if !is_root() {
        return skip("a stderr of another user needs one to change to");
    }
    let directory = Directory::new();
    check_all(&Scenario::plain().programs_in(&directory).prepare("setuid 54321"));
}

#[test]
fn a_closed_stderr_holds_up_nothing() {
    for scenario in
        [Scenario::container(), Scenario::plain(), Scenario::container().prepare("hide /dev")]
    {
        check(&scenario.prepare("close 2"), "closed");
    }
}

#[test]
fn a_log_at_the_limit_of_file_sizes_sends_the_command_no_sigxfsz() {
    let directory = Directory::new();
    for limit in ["fsize 0", "fsize 10"] {
        for scenario in [Scenario::container(), Scenario::plain()] {
            check_stderr(&scenario.prepare(limit), &file(&directory));
        }
    }
}

#[test]
fn a_death_is_no_other_status_for_a_line_that_nobody_reads() {
    for stderr in [full_pipe(), broken_pipe(), full_terminal(), full_device()] {
        let scenario = Scenario::container().stderr(stderr.end.try_clone().expect("a descriptor"));
        assert_eq!(scenario.clone().probe("die 11").run().status, 128 + 11, "{}", stderr.name);
        assert_eq!(
            scenario.clone().command(["/nothing/here"]).run().status,
            127,
            "{}",
            stderr.name
        );
    }
}

#[test]
fn dropped_lines_are_counted_in_the_next_one_that_fits() {
    let scenario =
        Scenario::container().prepare("block-all").options("-vv").probe("say ready until 64");
    let signals = |running: &crate::support::Running| {
        for signal in [1, 2, 10] {
            running.signal(signal);
            running.stdout.expect_part(&format!("signal {signal} "));
        }
    };
    let running = scenario.start().ready();
    signals(&running);
    running.signal(64);
    let lines = running.finish().stderr;
    let before = lines
        .iter()
        .position(|line| line.ends_with("received SIGRTMIN+30"))
        .expect("the last one is logged");
    assert!(before >= 6, "{lines:?}");

    let (pipe, writer) = FullPipe::new();
    let running = scenario.stderr(writer).start().ready();
    signals(&running);
    let reader = pipe.emptied();
    running.signal(64);
    let log = Lines::read(reader);
    assert_eq!(
        log.next(),
        format!("firstmate[1]: warning: lines of this log that were dropped: {before}")
    );
    assert_eq!(log.next(), "firstmate[1]: debug: received SIGRTMIN+30");
    assert_eq!(running.finish().status, 0);
}
