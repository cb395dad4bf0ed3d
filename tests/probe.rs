//! The program that the tests run: before firstmate, to give it a certain inheritance, and under
//! it, as the command.
//!
//! Its arguments are steps, done one after the other; a step's block of steps stands in `[` and
//! `]`. At their end it exits 0.
//!
//! It is the suite's own executable, called by another name: so it is never older than the tests.
// Each is one system call with arguments that stand beside it.
#![allow(clippy::undocumented_unsafe_blocks, clippy::print_stdout)]

mod identity;
mod memory;
mod namespace;
mod programs;
mod report;
mod restrict;
mod terminal;

use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Before Rust's own start-up, which would ignore SIGPIPE and open /dev/null on a closed 0, 1 or 2:
/// what the probe reports is what it was started with.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = perform_unless_suite;

extern "C" fn perform_unless_suite() {
    let mut arguments = std::env::args_os();
    if arguments.next().is_some_and(|name| !is_suite(&name)) {
        perform(arguments.collect());
    }
}

/// As cargo names it. The probe has many names: tests copy it, and link to it.
fn is_suite(name: &OsStr) -> bool {
    Path::new(name).file_name().is_some_and(|name| name.as_bytes().starts_with(b"suite"))
}

/// Where the suite's executable has the name of the probe. `TESTED_PROBE` names a place for those
/// who cannot write where it lies.
pub fn path() -> PathBuf {
    if let Some(path) = std::env::var_os("TESTED_PROBE") {
        return path.into();
    }
    let suite = std::env::current_exe().expect("/proc");
    let name = suite.file_name().expect("a file");
    let mut directory = OsString::from("probe-of-");
    directory.push(name);
    let directory = suite.with_file_name(directory);
    let path = directory.join("probe");
    let made =
        fs::create_dir_all(&directory).and_then(|()| symlink(Path::new("..").join(name), &path));
    if let Err(error) = made {
        assert!(path.exists(), "cannot make {}: {error}; set TESTED_PROBE", path.display());
    }
    path
}

fn perform(steps: Vec<OsString>) -> ! {
    Steps { words: steps.into_iter(), last_child: 0 }.perform_all();
    std::process::exit(0)
}

struct Steps {
    words: std::vec::IntoIter<OsString>,
    last_child: i32,
}

impl Steps {
    fn perform_all(&mut self) {
        while let Some(step) = self.words.next() {
            self.perform(step.to_str().expect("a step"));
        }
    }

    #[expect(clippy::too_many_lines, reason = "the list of steps")]
    fn perform(&mut self, step: &str) {
        match step {
            // Talking.
            "say" => say(self.word()),
            "say-err" => drop(writeln!(std::io::stderr(), "{}", self.word())),
            "report" => report::report(1),
            // FD: the same, where stdout may be closed.
            "report-on" => report::report(self.number()),
            // Tells its users, groups and capabilities.
            "identity" => identity::tell(),
            // Tries to become root by each of the system calls for it, and tells which of them
            // work.
            "become-root" => identity::become_root(),
            // Tells all arguments of this process; the rest of them are no steps.
            "arguments" => {
                report::arguments();
                self.words.by_ref().for_each(drop);
            }
            // Tells each signal that arrives, by sigwaitinfo(2), until this one.
            "until" => until(self.number()),
            // Waits for one of these without telling; all signals must be blocked.
            "await" => await_signal(self.number()),
            "sleep-ms" => std::thread::sleep(self.milliseconds()),
            "forever" => loop {
                unsafe { libc::pause() };
            },
            // Signals.
            "ignore" => disposition(self.number(), libc::SIG_IGN),
            "default" => disposition(self.number(), libc::SIG_DFL),
            "block" => mask(self.number(), libc::SIG_BLOCK),
            "block-all" => mask_all(u64::MAX),
            "unblock-all" => mask_all(0),
            "kill-self" => assert_eq!(unsafe { libc::kill(libc::getpid(), self.number()) }, 0),
            "kill-parent" => assert_eq!(unsafe { libc::kill(libc::getppid(), self.number()) }, 0),
            "kill-group" => assert_eq!(unsafe { libc::kill(0, self.number()) }, 0),
            // SIG VALUE: to the parent, with a payload.
            "queue-parent" => queue(unsafe { libc::getppid() }, self.number(), self.number()),
            // By a handler, as most programs do it; `catch-once`: the first puts the default back.
            "catch" => programs::catch(self.number(), false),
            "catch-once" => programs::catch(self.number(), true),
            // As `await` and `until`, for what is caught; or for so long; or with a timer that
            // wakes this process fifty times a second.
            "await-caught" => programs::await_caught(self.number(), None),
            "await-caught-with-timer" => {
                programs::await_caught(self.number(), Some(Duration::from_millis(20)));
            }
            "until-caught" => programs::tell_caught(self.number()),
            "tell-caught-ms" => programs::tell_caught_for(self.milliseconds()),
            // Processes.
            "fork" => self.fork(false, false),
            // SIG: a child whose end is told by that signal, or by none (0).
            "clone" => {
                let signal = self.number();
                self.clone(signal);
            }
            "session" => self.fork(true, false),
            "daemon" => self.fork(true, true),
            "orphans" => orphans(self.number()),
            // COUNT: children that never end by themselves.
            "crowd" => crowd(self.number()),
            // The same, of such that SIGTERM kills.
            "crowd-that-dies" => {
                mask_all(0);
                crowd(self.number());
                mask_all(u64::MAX);
            }
            // Such children, up to the limit of processes.
            "fill" => while child_that_waits() > 0 {},
            // COUNT times a child and an exit, and the child does the same, for ever: no pid is
            // there for long.
            "bomb" => bomb(self.number(), false),
            // The same, each in a session of its own.
            "bomb-of-sessions" => bomb(self.number(), true),
            // COUNT: children that take all of the processors, for a minute.
            "busy" => busy(self.number()),
            // Waits for the child that was made last and tells how it ended.
            "wait-last" => wait_for(self.last_child),
            // Waits until there is a process with this pid.
            "await-process" => {
                let pid = self.number();
                while unsafe { libc::kill(pid, 0) } < 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            "wait-all" => while unsafe { libc::wait(std::ptr::null_mut()) } > 0 {},
            "await-orphan" => await_orphan(),
            // Waits until a child has ended, and leaves it as a zombie.
            "await-zombie" => await_zombie(),
            // The rest of the steps in a child; this process waits for it, and exits with its code.
            "as-child" => as_child(),
            "setpgid" => assert_eq!(unsafe { libc::setpgid(0, 0) }, 0),
            "setsid" => assert!(unsafe { libc::setsid() } > 0),
            // The rest of the steps in a second thread, after the first has ended.
            "leave-main-thread" => self.leave_main_thread(),
            // Its block in another thread.
            "in-thread" => programs::in_thread(self.block()),
            // COUNT: children that are made one after the other, each of which saves something on
            // the first SIGTERM, and dies of a second one.
            "storm" => programs::storm(self.number()),
            // DEPTH: a chain of children, each in a session of its own.
            "chain" => programs::chain(self.number()),
            // Held by the kernel (state D) until its child is killed.
            "vfork" => programs::vfork(),
            "traceme" => assert_eq!(unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) }, 0),
            // COUNT GROUP...
            "setgroups" => {
                let groups: Vec<_> = (0..self.number()).map(|_| self.id()).collect();
                assert_eq!(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) }, 0);
            }
            "setuid" => assert_eq!(unsafe { libc::setuid(self.id()) }, 0),
            // UID, GID: these and no other groups, with all capabilities that this process has, for
            // those that it executes too.
            "privileged-user" => identity::become_privileged(self.number(), self.number()),
            // BITS of prctl(2), PR_SET_SECUREBITS.
            "securebits" => restrict::securebits(self.number()),
            // CAPABILITY: gone with the next exec, for root too.
            "lose-capability" => restrict::lose_capability(self.number()),
            // SYSCALL ARGUMENT ERRNO: fails with it from now on; if ARGUMENT is not -1, only where
            // the first argument is that.
            "refuse" => restrict::refuse(self.number(), self.number(), self.number()),
            // Descriptors, limits, places.
            "close" => assert_eq!(unsafe { libc::close(self.number()) }, 0),
            // FD: a copy of /dev/null there, not closed by exec.
            "open" => open_at(self.number()),
            // FROM TO
            "dup" => assert!(unsafe { libc::dup2(self.number(), self.number()) } >= 0),
            // READ WRITE: a new pipe there.
            "pipe" => pipe_at([self.number(), self.number()]),
            "read-to-end" => read_to_end(self.number()),
            "nofile" => limit(libc::RLIMIT_NOFILE, self.number()),
            "nproc" => limit(libc::RLIMIT_NPROC, self.number()),
            "fsize" => limit(libc::RLIMIT_FSIZE, self.number()),
            "as" => limit(libc::RLIMIT_AS, self.number()),
            "sigpending" => limit(libc::RLIMIT_SIGPENDING, self.number()),
            "umask" => drop(unsafe { libc::umask(libc::mode_t::try_from(self.number()).unwrap()) }),
            "chroot" => {
                std::os::unix::fs::chroot(self.word()).unwrap();
                std::env::set_current_dir("/").unwrap();
            }
            // Tells the names of a directory's entries.
            "list" => {
                let entries = std::fs::read_dir(self.word()).unwrap();
                entries
                    .for_each(|entry| say(format_args!("entry {:?}", entry.unwrap().file_name())));
            }
            "cd" => std::env::set_current_dir(self.word()).unwrap(),
            "rmdir" => std::fs::remove_dir(self.word()).unwrap(),
            // Exactly these entries, whatever they look like.
            "environment" => environment(self.block()),
            // A session of our own, with stdin as its terminal: what runc does.
            "terminal" => terminal::make_controlling(),
            // A session leader's, without anybody at it.
            "own-terminal" => terminal::make_own(),
            "take-foreground" => terminal::take_foreground(),
            "foreground" => say(terminal::foreground()),
            "read-line" => say(terminal::line()),
            // The rest of the steps in a new PID namespace, as PID 1.
            "container" => namespace::enter(),
            // For the children of this process: the first of them is PID 1.
            "namespace-for-children" => namespace::for_children(),
            // The same, but with the /proc that was there.
            "pid-namespace" => namespace::nest(),
            // The pids of this namespace begin again from the lowest after so many.
            "wrap-pids" => namespace::wrap_pids(self.number()),
            // PID: the rest of the steps in that process's PID namespace, as a child of a process
            // outside.
            "join" => namespace::join(self.number()),
            // OPTIONS of a new /proc (proc(5)).
            "proc" => namespace::mount_proc(&self.word()),
            "hide" => namespace::hide(&self.word()),
            // PLACE BYTES: the same, with room for that much.
            "small-disk" => namespace::mount_small(&self.word(), self.number()),
            // FROM TO
            "bind" => namespace::bind(&self.word(), &self.word()),
            "host-name-namespace" => namespace::enter_of_host_names(),
            // COUNT: the name of the host says so, as a counter of the memory controller would.
            "name-kills" => namespace::set_host_name(&format!("oom_kill {}", self.word())),
            // COUNT: the same, five hundred times within a second.
            "name-kills-often" => {
                let name = format!("oom_kill {}", self.word());
                for _ in 0..500 {
                    namespace::set_host_name(&name);
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            "cgroup-namespace" => namespace::enter_of_cgroups(),
            // CONTROLLER PLACE: its hierarchy of v1, or that of v2 for `unified`.
            "mount-cgroup" => namespace::mount_cgroup(&self.word(), &self.word()),
            "enter-cgroup" => memory::enter(&self.word()),
            "eat" => memory::eat(),
            // Ends.
            "exit" => std::process::exit(self.number()),
            "die" => die(self.number()),
            "exec" => exec(&self.words.by_ref().collect::<Vec<_>>()),
            other => panic!("no such step: {other}"),
        }
    }

    fn word(&mut self) -> String {
        self.words.next().and_then(|word| word.into_string().ok()).expect("a word")
    }

    fn number(&mut self) -> i32 {
        self.word().parse().expect("a number")
    }

    fn id(&mut self) -> u32 {
        self.word().parse().expect("a user or a group")
    }

    fn milliseconds(&mut self) -> Duration {
        Duration::from_millis(u64::try_from(self.number()).unwrap())
    }

    fn block(&mut self) -> Vec<OsString> {
        assert_eq!(self.word(), "[");
        let mut depth = 1;
        self.words
            .by_ref()
            .take_while(|word| {
                depth += match word.as_bytes() {
                    b"[" => 1,
                    b"]" => -1,
                    _ => 0,
                };
                depth > 0
            })
            .collect()
    }

    /// A child does the block and exits; as a daemon it is an orphan.
    fn fork(&mut self, own_session: bool, orphan: bool) {
        let block = self.block();
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
        if child == 0 {
            programs::forget();
            if own_session {
                unsafe { libc::setsid() };
            }
            if orphan && unsafe { libc::fork() } > 0 {
                unsafe { libc::_exit(0) };
            }
            perform(block);
        }
        self.last_child = child;
        if orphan {
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        }
    }

    fn clone(&mut self, signal: i32) {
        let block = self.block();
        // As fork(2) calls it, but for the signal.
        let flags = libc::c_long::from(signal);
        let child = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
        assert!(child >= 0, "clone: {}", std::io::Error::last_os_error());
        if child == 0 {
            programs::forget();
            perform(block);
        }
        self.last_child = i32::try_from(child).unwrap();
    }

    fn leave_main_thread(&mut self) {
        let mut rest = Self { words: std::mem::take(&mut self.words), last_child: self.last_child };
        std::thread::spawn(move || {
            rest.perform_all();
            std::process::exit(0);
        });
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}

fn say(text: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).expect("stdout");
}

fn until(last: i32) {
    loop {
        let (signal, code, pid, value) = wait_for_signal();
        say(format_args!("signal {signal} code {code} from {pid} value {value}"));
        if signal == last {
            return;
        }
    }
}

fn await_signal(wanted: i32) {
    while wait_for_signal().0 != wanted {}
}

fn wait_for_signal() -> (i32, i32, i32, i64) {
    let all = u64::MAX;
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    loop {
        let none = std::ptr::null::<libc::timespec>();
        let signal = unsafe {
            libc::syscall(libc::SYS_rt_sigtimedwait, &raw const all, &raw mut info, none, 8)
        };
        if signal > 0 {
            let value = unsafe { info.si_value() }.sival_ptr as i64;
            let value = if info.si_code == libc::SI_QUEUE { value } else { 0 };
            return (i32::try_from(signal).unwrap(), info.si_code, unsafe { info.si_pid() }, value);
        }
    }
}

/// The raw call, for the signals too that the C library keeps to itself.
fn disposition(signal: i32, handler: libc::sighandler_t) {
    let action: [usize; 4] = [handler, 0, 0, 0];
    let old = std::ptr::null_mut::<usize>();
    assert_eq!(
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), old, 8) },
        0
    );
}

fn mask(signal: i32, how: i32) {
    let set: u64 = 1 << (signal - 1);
    assert_eq!(
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const set, 0_usize, 8) },
        0
    );
}

fn mask_all(set: u64) {
    assert_eq!(
        unsafe {
            libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const set, 0_usize, 8)
        },
        0
    );
}

fn queue(pid: i32, signal: i32, value: i32) {
    let bits = u32::from_ne_bytes(value.to_ne_bytes());
    let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(bits as usize) };
    assert_eq!(
        unsafe { libc::sigqueue(pid, signal, value) },
        0,
        "{}",
        std::io::Error::last_os_error()
    );
}

/// In families of up to 500, some of whom outlive their parent.
fn orphans(count: i32) {
    const FAMILY: u16 = 500;
    for begun in (0..count).step_by(FAMILY.into()) {
        let middle = unsafe { libc::fork() };
        assert!(middle >= 0, "fork: {}", std::io::Error::last_os_error());
        if middle == 0 {
            for _ in begun..count.min(begun + i32::from(FAMILY)) {
                let orphan = unsafe { libc::fork() };
                if orphan <= 0 {
                    unsafe { libc::_exit(-orphan) };
                }
            }
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        unsafe { libc::waitpid(middle, &raw mut status, 0) };
        assert_eq!(status, 0, "a fork failed");
    }
}

/// Waits until the parent is one of another session: ours has ended.
fn await_orphan() {
    while unsafe { libc::getsid(libc::getppid()) == libc::getsid(0) } {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn await_zombie() {
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    assert_eq!(
        unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, libc::WEXITED | libc::WNOWAIT) },
        0
    );
}

fn as_child() {
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
    if child > 0 {
        let mut status = 0;
        while unsafe { libc::waitpid(child, &raw mut status, 0) } != child {}
        assert!(libc::WIFEXITED(status), "the child was killed");
        std::process::exit(libc::WEXITSTATUS(status));
    }
}

fn pipe_at(wanted: [i32; 2]) {
    let mut ends = [0; 2];
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    // Out of each other's way first.
    let ends = ends.map(|end| {
        let high = unsafe { libc::fcntl(end, libc::F_DUPFD, 50) };
        assert_eq!(unsafe { libc::close(end) }, 0);
        high
    });
    for (end, wanted) in ends.into_iter().zip(wanted) {
        assert_eq!(unsafe { libc::dup2(end, wanted) }, wanted);
        assert_eq!(unsafe { libc::close(end) }, 0);
    }
}

fn read_to_end(descriptor: i32) {
    let mut buffer = [0_u8; 64];
    while unsafe { libc::read(descriptor, buffer.as_mut_ptr().cast(), buffer.len()) } > 0 {}
}

fn environment(entries: Vec<OsString>) {
    let entries = entries
        .into_iter()
        .map(|entry| CString::new(entry.into_vec()).unwrap().into_raw().cast_const());
    let entries: Vec<_> = entries.chain([std::ptr::null()]).collect();
    unsafe { report::environ = entries.leak().as_ptr() };
}

fn crowd(count: i32) {
    for _ in 0..count {
        assert!(child_that_waits() > 0, "fork: {}", std::io::Error::last_os_error());
    }
}

fn child_that_waits() -> i32 {
    match unsafe { libc::fork() } {
        0 => loop {
            unsafe { libc::pause() };
        },
        child => child,
    }
}

fn busy(count: i32) {
    for _ in 0..count {
        if unsafe { libc::fork() } == 0 {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(60) {}
            unsafe { libc::_exit(0) };
        }
    }
}

fn bomb(count: i32, in_sessions: bool) {
    // Here, not in who starts it: once it has begun, the limit of processes is everybody's.
    for _ in 1..count {
        if unsafe { libc::fork() } <= 0 {
            break;
        }
    }
    loop {
        if in_sessions {
            unsafe { libc::setsid() };
        }
        match unsafe { libc::fork() } {
            0 => {}
            // At the limit of processes.
            -1 => std::thread::sleep(Duration::from_millis(1)),
            _ => unsafe { libc::_exit(0) },
        }
    }
}

fn wait_for(child: i32) {
    let mut status = 0;
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    say(format_args!("ended {}", namespace::exit_code(status)));
}

fn open_at(descriptor: i32) {
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
    assert!(null >= 0);
    if null != descriptor {
        assert_eq!(unsafe { libc::dup2(null, descriptor) }, descriptor);
        unsafe { libc::close(null) };
    }
}

fn limit(resource: libc::__rlimit_resource_t, value: i32) {
    let value = u64::try_from(value).unwrap();
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    assert_eq!(
        unsafe { libc::setrlimit(resource, &raw const limit) },
        0,
        "{}",
        std::io::Error::last_os_error()
    );
}

fn die(signal: i32) {
    if ![libc::SIGKILL, libc::SIGSTOP].contains(&signal) {
        disposition(signal, libc::SIG_DFL);
    }
    mask_all(0);
    unsafe { libc::kill(libc::getpid(), signal) };
    panic!("signal {signal} did not kill");
}

fn exec(words: &[OsString]) {
    let words: Vec<CString> =
        words.iter().map(|word| CString::new(word.clone().into_vec()).unwrap()).collect();
    let mut pointers: Vec<_> = words.iter().map(|word| word.as_ptr()).collect();
    pointers.push(std::ptr::null());
    unsafe { libc::execvp(pointers[0], pointers.as_ptr()) };
    panic!("cannot exec {:?}: {}", words[0], std::io::Error::last_os_error());
}
