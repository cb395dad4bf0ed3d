//! The path of signals and reaping allocates nothing, so that it works when there is no memory
//! left.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
// The oldest Rust builds the program, not its tests.
#![allow(clippy::incompatible_msrv)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::CString;
use std::io::{BufRead, BufReader, PipeWriter, Read};
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::time::Duration;

use firstmate::config::{ForwardTo, Policy, Role};
use firstmate::process::Pid;
use firstmate::signal::{Payload, Received, Signal};
use firstmate::status::Termination;
use firstmate::supervisor::{Action, Event, JobControl, MAIN, Supervisor, Target};
use firstmate::sys::entry::Arguments;
use firstmate::sys::kill;
use firstmate::sys::reap::{self, Reap};
use firstmate::sys::signals::{self, Beside, SignalReceiver};

/// Counts what each thread allocates, and refuses it where there shall be no more.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// In a process that is firstmate: shared with the test, which says when it gets no more memory.
static NO_MORE: AtomicPtr<AtomicBool> = AtomicPtr::new(ptr::null_mut());

// SAFETY: everything is left to the system's allocator, or refused.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: null, or never unmapped.
        if unsafe { NO_MORE.load(Ordering::Relaxed).as_ref() }
            .is_some_and(|no_more| no_more.load(Ordering::Relaxed))
        {
            return ptr::null_mut();
        }
        COUNT.set(COUNT.get() + 1);
        // SAFETY: our caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: our caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations(act: impl FnOnce()) -> usize {
    let before = COUNT.get();
    act();
    COUNT.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn every_decision_is_made_without_allocating() {
    let main = Pid::from_raw(7).expect("a pid");
    let exited = |pid| Event::Reaped(pid, Termination::Exited(0));
    for stop_everyone in [false, true] {
        let policy = Policy {
            stop_everyone,
            stop_delay: Duration::from_secs(1),
            kill_after: Some(Duration::from_secs(1)),
            ..Policy::default()
        };
        let mut supervisor = Supervisor::new(policy, JobControl::Above, [Role::Main]);
        let mut out = Vec::with_capacity(supervisor.most_actions());
        supervisor.handle(Event::Begun, Duration::ZERO, &mut out);
        supervisor.handle(Event::Started(MAIN, main), Duration::ZERO, &mut out);
        out.clear();
        let signals =
            (1..=64).filter_map(Signal::from_raw).map(|signal| Event::Signaled(signal.into()));
        let rest = [
            Event::Suspended(main, Signal::TSTP),
            Event::Continued(main),
            Event::CheckDeadline(Duration::ZERO),
            exited(Pid::from_raw(8).expect("a pid")),
            exited(main),
            Event::ChildrenLeft { died: false },
            Event::CheckDeadline(Duration::ZERO),
            Event::NoChildren,
        ];
        let (mut now, mut actions) = (Duration::ZERO, 0);
        let count = allocations(|| {
            for event in signals.chain(rest) {
                now += Duration::from_secs(2);
                supervisor.handle(event, now, &mut out);
                actions += out.drain(..).count();
            }
        });
        assert_eq!(count, 0);
        assert!(actions > 60, "{actions}");
    }
}

#[test]
fn signals_are_received_forwarded_and_orphans_reaped_without_allocating() {
    let _ = signals::block_all();
    let mut receiver = SignalReceiver::open();
    // SAFETY: the child only makes system calls.
    let child = match unsafe { libc::fork() } {
        // SAFETY: plain numbers, and no return.
        0 => unsafe {
            libc::setpgid(0, 0);
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            loop {
                libc::pause();
            }
        },
        pid => Pid::from_raw(pid).expect("a child"),
    };
    // SAFETY: plain numbers.
    unsafe { libc::setpgid(child.as_raw(), child.as_raw()) };
    let policy = Policy { forward_to: ForwardTo::Group, ..Policy::default() };
    let mut supervisor = Supervisor::new(policy, JobControl::Absent, [Role::Main]);
    let mut actions = Vec::with_capacity(supervisor.most_actions());
    supervisor.handle(Event::Begun, Duration::ZERO, &mut actions);
    supervisor.handle(Event::Started(MAIN, child), Duration::ZERO, &mut actions);
    actions.clear();
    // SAFETY: this thread lives, and it alone has blocked the signals: another one would die of
    // them.
    let send = |signal| assert_eq!(unsafe { libc::pthread_kill(libc::pthread_self(), signal) }, 0);
    let mut forwarded = 0;
    let mut turn = |receiver: &mut SignalReceiver| {
        receiver.wait(Some(Duration::from_millis(100)), Beside::default());
        while let Some(received) = receiver.next_received() {
            supervisor.handle(Event::Signaled(received), Duration::ZERO, &mut actions);
            for action in actions.drain(..) {
                match action {
                    Action::Tell(_) => continue,
                    Action::Send(Target::Group(pid), what) => {
                        let with_payload = Received {
                            payload: Some(Payload { value: 1, pid: 0, uid: 0 }),
                            ..what
                        };
                        for what in [what, with_payload] {
                            kill::group(pid, what)
                                .and_then(|()| kill::process(pid, what))
                                .expect("it lives");
                        }
                    }
                    other => panic!("{other:?}"),
                }
                forwarded += 1;
            }
        }
    };
    let mut reaped = false;
    let count = allocations(|| {
        (0..50).for_each(|_| send(40));
        send(libc::SIGUSR1);
        (0..3).for_each(|_| turn(&mut receiver));
        kill::group(child, Received::from(Signal::KILL)).expect("it lives");
        while !reaped {
            reaped = matches!(reap::next(), Ok(Reap::Ended(pid, _)) if pid == child);
        }
    });
    assert_eq!((count, forwarded), (0, 51));
}

/// Says `ready`, and `one` at SIGUSR1; makes an orphan at SIGUSR2, and is killed then. Ends when its
/// parent has.
const COMMAND: &str = "trap 'echo one' USR1
    trap '(sleep 0 & exit 0); kill -9 $$' USR2
    echo ready
    while read -r _ _ _ parent _ </proc/$$/stat; [ $parent = $PPID ]; do sleep 0.1; done";

#[test]
fn once_the_command_runs_firstmate_needs_no_memory_not_even_for_its_log() {
    for options in ["-w", "-gvv", "-wvv --log-format json"] {
        // SAFETY: a new page, of zeros, which the child shares.
        let no_more = unsafe {
            let (protection, flags) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
            let page = libc::mmap(ptr::null_mut(), 4096, protection, flags, -1, 0);
            assert_ne!(page, libc::MAP_FAILED);
            page.cast::<AtomicBool>()
        };
        let (stdout, its_stdout) = std::io::pipe().expect("a pipe");
        let (mut stderr, its_stderr) = std::io::pipe().expect("a pipe");
        let words = ["firstmate"].into_iter().chain(options.split(' '));
        let words = words.chain(["--", "sh", "-c", COMMAND]);
        // SAFETY: the child never returns.
        let firstmate = match unsafe { libc::fork() } {
            0 => be_firstmate(words, no_more, &[its_stdout, its_stderr]),
            pid => pid,
        };
        drop((its_stdout, its_stderr));
        let mut stdout = BufReader::new(stdout).lines().map(|line| line.expect("text"));
        assert_eq!(stdout.next().as_deref(), Some("ready"), "{options}");
        // SAFETY: plain numbers, and it is not reaped yet.
        let send = |signal| assert_eq!(unsafe { libc::kill(firstmate, signal) }, 0);
        // Once this is forwarded, it is past its start.
        send(libc::SIGUSR1);
        assert_eq!(stdout.next().as_deref(), Some("one"), "{options}");
        // SAFETY: the page is never unmapped.
        unsafe { &*no_more }.store(true, Ordering::Relaxed);
        send(libc::SIGUSR1);
        assert_eq!(stdout.next().as_deref(), Some("one"), "{options}");
        send(libc::SIGUSR2);
        let mut status = 0;
        // SAFETY: it writes one int.
        assert_eq!(unsafe { libc::waitpid(firstmate, &raw mut status, 0) }, firstmate);
        let mut log = String::new();
        stderr.read_to_string(&mut log).expect("text");
        assert!(libc::WIFEXITED(status), "{options}: {status:x} {log}");
        assert_eq!(libc::WEXITSTATUS(status), 128 + libc::SIGKILL, "{options}: {log}");
        assert!(log.contains("the command was killed by SIGKILL"), "{options}: {log}");
    }
}

fn be_firstmate<'a>(
    words: impl Iterator<Item = &'a str>,
    no_more: *mut AtomicBool,
    streams: &[PipeWriter; 2],
) -> ! {
    // SAFETY: plain numbers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    for (stream, standard) in streams.iter().zip(1..) {
        // SAFETY: plain numbers; nothing of ours owns the second.
        assert_eq!(unsafe { libc::dup2(stream.as_raw_fd(), standard) }, standard);
    }
    let words: Vec<_> = words.map(|word| CString::new(word).expect("no zero byte")).collect();
    let pointers: Vec<_> = words.iter().map(|word| word.as_ptr()).collect();
    let count = pointers.len().try_into().expect("few words");
    // SAFETY: they live as long as this process.
    let arguments = unsafe { Arguments::new(count, pointers.as_ptr()) };
    NO_MORE.store(no_more, Ordering::Relaxed);
    let status = firstmate::run::run(&arguments);
    // SAFETY: a plain number.
    unsafe { libc::_exit(status.code().into()) }
}
