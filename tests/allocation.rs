//! The path of signals and reaping allocates nothing, so that it works when there is no memory
//! left.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use firstmate::config::{ForwardTo, Policy, Role};
use firstmate::pid::Pid;
use firstmate::signal::{Payload, Received, Signal};
use firstmate::status::Termination;
use firstmate::supervisor::{Action, Event, JobControl, MAIN, Supervisor, Target};
use firstmate::sys::kill;
use firstmate::sys::reap::{self, Reap};
use firstmate::sys::signals::{self, Beside, SignalReceiver};

/// Counts what each thread allocates.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
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
            Event::CheckDeadline,
            exited(Pid::from_raw(8).expect("a pid")),
            exited(main),
            Event::ChildrenLeft,
            Event::CheckDeadline,
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
