//! The harness: runs the probe, firstmate on top of it, and the probe again as the command, and
//! waits for what they say.
//!
//! ```text
//! probe [container] PREPARATION... exec firstmate OPTIONS... -- probe STEPS...
//! ```

mod cgroup;
mod directory;
mod full_pipe;
mod held_exec;
mod hung_mount;
mod lease;
mod process;
mod pty;
mod trace;

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

pub use crate::probe::path as probe;
pub use cgroup::{Cgroup, Freezer};
pub use directory::Directory;
pub use full_pipe::FullPipe;
pub use held_exec::HeldExec;
pub use hung_mount::HungMount;
pub use lease::Lease;
pub use process::Process;
pub use pty::{CTRL_C, CTRL_D, CTRL_Z, Pty};
pub use trace::Tracer;

/// Nothing that a test waits for takes this long, unless it never comes: not even on a machine with
/// much else to do.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The firstmate under test: the one that cargo built, or the one that the variable names.
pub fn firstmate() -> PathBuf {
    std::env::var_os("TESTED_FIRSTMATE")
        .map_or_else(|| env!("CARGO_BIN_EXE_firstmate").into(), PathBuf::from)
}

pub fn is_root() -> bool {
    // SAFETY: it only reads.
    unsafe { libc::geteuid() == 0 }
}

/// A step of the probe that becomes a user who runs nothing else: a limit of processes counts all of
/// a user's, those of other tests and of suites beside this one too.
pub fn become_lonely_user() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id() * 8 + COUNT.fetch_add(1, Ordering::Relaxed);
    format!("setuid {}", 20_000 + number % 34_000)
}

/// Says loudly that a test cannot run here. With `REQUIRE_ALL_TESTS` set that is a failure.
pub fn skip(reason: &str) {
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    // Not eprintln!, which cargo hides while tests pass.
    let _ = writeln!(std::io::stderr(), "\n*** SKIPPED {name}: {reason} ***");
    assert!(std::env::var_os("REQUIRE_ALL_TESTS").is_none(), "skipped: {reason}");
}

/// A run to be: what happens before firstmate, its options, and what its command does.
#[derive(Clone, Default)]
pub struct Scenario {
    container: bool,
    /// Steps of the process above firstmate, before and after it makes firstmate its child.
    above: Option<(Vec<OsString>, Vec<OsString>)>,
    preparation: Vec<OsString>,
    options: Vec<OsString>,
    command: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    stderr: Option<Arc<OwnedFd>>,
    /// Where firstmate and the probe are, if not where cargo put them.
    programs: Option<PathBuf>,
}

/// Splits at spaces: the steps of the probe need no more.
fn words(text: &str) -> impl Iterator<Item = OsString> + '_ {
    text.split_whitespace().map(OsString::from)
}

impl Scenario {
    /// firstmate as PID 1 of a new PID namespace.
    pub fn container() -> Self {
        Self { container: true, ..Self::default() }
    }

    /// firstmate as a child of PID 1, which does these steps before and after it makes that child.
    pub fn inside(before: &str, after: &str) -> Self {
        Self { above: Some((words(before).collect(), words(after).collect())), ..Self::container() }
    }

    /// firstmate as an ordinary process.
    pub fn plain() -> Self {
        Self::default()
    }

    /// Steps of the probe before it becomes firstmate.
    pub fn prepare(mut self, steps: &str) -> Self {
        self.preparation.extend(words(steps));
        self
    }

    /// Options of firstmate.
    pub fn options(mut self, options: &str) -> Self {
        self.options.extend(words(options));
        self
    }

    /// An option of firstmate whose value may have spaces.
    pub fn option(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.options.extend([name.into(), value.as_ref().to_owned()]);
        self
    }

    /// An option whose value is a command: the probe with these steps.
    pub fn hook(self, option: &str, steps: &str) -> Self {
        let probe = self.program(probe());
        self.option(option, format!("'{}' {steps}", probe.display()))
    }

    /// The command: the probe with these steps.
    pub fn probe(mut self, steps: &str) -> Self {
        self.command = [OsString::from(probe())].into_iter().chain(words(steps)).collect();
        self
    }

    /// The command, word by word.
    pub fn command(mut self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Gives firstmate this stderr; nobody reads it.
    pub fn stderr(mut self, to: OwnedFd) -> Self {
        self.stderr = Some(Arc::new(to));
        self
    }

    /// Uses copies of firstmate and the probe in this directory, which every user can reach.
    pub fn programs_in(mut self, directory: &Directory) -> Self {
        for program in [firstmate(), probe()] {
            directory.copy(&program, program.file_name().expect("a name"));
        }
        self.programs = Some(directory.path().to_owned());
        self
    }

    fn program(&self, original: PathBuf) -> PathBuf {
        match &self.programs {
            Some(directory) => directory.join(original.file_name().expect("a name")),
            None => original,
        }
    }

    /// Starts it.
    pub fn start(&self) -> Running {
        self.spawn(self.under_firstmate())
    }

    fn under_firstmate(&self) -> Vec<OsString> {
        let firstmate = [self.program(firstmate()).into_os_string()]
            .into_iter()
            .chain(self.options.clone())
            .chain(["--".into()]);
        firstmate.chain(self.command.clone()).collect()
    }

    /// Starts the command in the same surroundings, but without an init.
    pub fn start_without_init(&self) -> Running {
        self.spawn(self.command.clone())
    }

    /// Runs it to its end.
    pub fn run(&self) -> Finished {
        self.start().finish()
    }

    /// The whole command line, for a test that needs streams of its own.
    pub fn to_command(&self) -> Command {
        self.assemble(self.under_firstmate())
    }

    fn assemble(&self, last: Vec<OsString>) -> Command {
        let mut command = clean(&self.program(probe()));
        command.args(self.container.then_some("container"));
        let (before, after) = self.above.clone().unwrap_or_default();
        let fork = self.above.is_some();
        command.args(before).args(fork.then_some(["fork", "["]).into_iter().flatten());
        command.args(&self.preparation).arg("exec").args(last);
        command.args(fork.then_some("]")).args(after);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn spawn(&self, last: Vec<OsString>) -> Running {
        let mut command = self.assemble(last);
        let stderr = self.stderr.as_ref().map(|to| to.try_clone().expect("a descriptor"));
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr.map_or_else(Stdio::piped, Stdio::from));
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("a pipe");
        let (channel, container) = (writer.as_raw_fd(), self.container);
        // SAFETY: dup2, fcntl and prctl are async-signal-safe.
        unsafe {
            command.pre_exec(move || {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                // dup2 leaves a descriptor that is there already as it is: closed by exec.
                if container
                    && (libc::dup2(channel, 100) < 0 || libc::fcntl(100, libc::F_SETFD, 0) < 0)
                {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let mut child = command.spawn().expect("the probe runs");
        drop(writer);
        let stdin = child.stdin.take();
        let outer = Process(child.id().try_into().expect("a pid"));
        let stdout = Lines::read(child.stdout.take().expect("a pipe"));
        let stderr = child.stderr.take().map_or_else(|| Lines::read(std::io::empty()), Lines::read);
        let init = if self.container {
            let mut text = String::new();
            BufReader::new(std::fs::File::from(reader))
                .read_line(&mut text)
                .expect("the container's pid");
            Process(
                text.trim().parse().unwrap_or_else(|_| panic!("no container: {:?}", stderr.rest())),
            )
        } else {
            outer
        };
        Running { child, init, stdin, stdout, stderr }
    }
}

/// A firstmate that runs. Killed on drop, and its whole namespace with it.
pub struct Running {
    child: Child,
    /// PID 1 of the container or, without one, firstmate, by its pid outside.
    pub init: Process,
    /// Open until the end.
    stdin: Option<std::process::ChildStdin>,
    pub stdout: Lines,
    pub stderr: Lines,
}

impl Running {
    /// Waits until the command says `ready`.
    pub fn ready(self) -> Self {
        self.stdout.expect("ready");
        self
    }

    /// Sends firstmate a signal.
    pub fn signal(&self, signal: i32) {
        self.init.signal(signal);
    }

    /// Waits for the end, and takes everything that was not read yet.
    pub fn finish(mut self) -> Finished {
        self.stdin.take();
        let status = wait(&mut self.child, &self.stderr);
        Finished { status, stdout: self.stdout.rest(), stderr: self.stderr.rest() }
    }

    /// Waits for the end, however long the streams stay open.
    pub fn exit_status(&mut self) -> i32 {
        wait(&mut self.child, &self.stderr)
    }
}

/// A program that inherits no descriptors and ignored signals of whoever runs the tests, as `nohup`
/// or a `&` leave them. (glibc's posix_spawn ignores 32 and 33.)
pub fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    // SAFETY: system calls only.
    unsafe {
        command.pre_exec(|| {
            start_clean();
            Ok(())
        });
    }
    command
}

fn start_clean() {
    let default = [0_usize; 4];
    for signal in 1..=64 {
        // SAFETY: the kernel reads a sigaction of its own layout; it refuses SIGKILL and SIGSTOP.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), 0_usize, 8) };
    }
    for descriptor in 3..1024 {
        // SAFETY: plain numbers.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

fn wait(child: &mut Child, stderr: &Lines) -> i32 {
    let mut status = None;
    wait_until("the end of firstmate", || {
        status = child.try_wait().expect("wait");
        status.is_some()
    });
    let status = status.expect("it has ended");
    status.code().unwrap_or_else(|| panic!("firstmate was killed: {status:?}; {:?}", stderr.rest()))
}

impl Drop for Running {
    fn drop(&mut self) {
        // PID 1 takes everybody with it, an ordinary firstmate nobody.
        if matches!(self.child.try_wait(), Ok(None))
            && u32::try_from(self.init.0) == Ok(self.child.id())
        {
            self.init.kill_descendants();
        }
        // A child that is not reaped yet cannot be mistaken for another; PID 1 dies with the
        // process outside.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is left of a run.
#[derive(Debug)]
pub struct Finished {
    pub status: i32,
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
}

/// The lines of a stream, as they come.
pub struct Lines(Receiver<String>);

impl Lines {
    pub fn read(stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
        Self(receiver)
    }

    /// The next line.
    pub fn next(&self) -> String {
        self.0.recv_timeout(DEADLINE).unwrap_or_else(|error| panic!("no line: {error}"))
    }

    /// Skips lines until this one.
    pub fn expect(&self, wanted: &str) {
        self.find(|line| line == wanted, wanted);
    }

    /// Whether this line comes before the stream ends.
    pub fn comes(&self, wanted: &str) -> bool {
        let end = Instant::now() + DEADLINE;
        loop {
            match self.0.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if line == wanted => return true,
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => panic!("no line {wanted:?}, and no end"),
            }
        }
    }

    /// Skips lines until one that contains this.
    pub fn expect_part(&self, part: &str) -> String {
        self.find(|line| line.contains(part), part)
    }

    fn find(&self, is_it: impl Fn(&str) -> bool, wanted: &str) -> String {
        let (mut seen, end) = (Vec::new(), Instant::now() + DEADLINE);
        loop {
            match self.0.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) if is_it(&line) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!("no line {wanted:?} ({error}), but {seen:?}"),
            }
        }
    }

    /// All lines to the end of the stream.
    pub fn rest(&self) -> Vec<String> {
        let (mut lines, end) = (Vec::new(), Instant::now() + DEADLINE);
        loop {
            match self.0.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Disconnected) => return lines,
                Err(RecvTimeoutError::Timeout) => panic!("the stream stays open after {lines:?}"),
            }
        }
    }
}

/// A line with `N.Ns` for the time that it says was measured: a busy machine makes it longer.
pub fn untimed(line: &str) -> String {
    let Some((before, signal)) = line.split_once("s after SIG") else { return line.to_owned() };
    let text = before.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    assert_ne!(text, before, "no number in {line:?}");
    format!("{text}N.Ns after SIG{signal}")
}

/// For what must be done before a short time of firstmate's is over: tries until it was. `attempt`
/// says `false` where the machine was too slow for it, and nothing was seen.
pub fn until_quick_enough(mut attempt: impl FnMut() -> bool) {
    for _ in 0..20 {
        if attempt() {
            return;
        }
        eprintln!("too slow, and tried again");
    }
    panic!("too slow each time");
}

/// Waits for a condition that nothing announces.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "still waiting for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
