//! What most programs are like: a handler for the signal, and a main thread that waits for it.

use std::ffi::OsString;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use super::{mask, perform, say};

/// Where the handler writes to, and the main thread reads from: each signal, and who sent it.
static PIPE: [AtomicI32; 2] = [AtomicI32::new(-1), AtomicI32::new(-1)];

type Caught = [i32; 3];

/// From now on this signal is caught; if `once`, the first one puts the default back.
pub fn catch(signal: i32, once: bool) {
    if PIPE[0].load(Ordering::Relaxed) < 0 {
        let mut ends = [0; 2];
        assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
        PIPE.iter().zip(ends).for_each(|(place, end)| place.store(end, Ordering::Relaxed));
    }
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = note;
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    if once {
        action.sa_flags |= libc::SA_RESETHAND;
    }
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }, 0);
}

/// In a new child: what it catches is not its parent's.
pub fn forget() {
    for place in &PIPE {
        place.store(-1, Ordering::Relaxed);
    }
}

extern "C" fn note(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let caught: Caught = unsafe { [signal, (*info).si_code, (*info).si_pid()] };
    let end = PIPE[1].load(Ordering::Relaxed);
    unsafe { libc::write(end, caught.as_ptr().cast(), size_of::<Caught>()) };
}

/// The next signal that the handler has noted, if one comes in this time. A program with a timer
/// wakes up that often.
fn next(within: Option<Duration>, timer: Option<Duration>) -> Option<Caught> {
    let end = within.map(|within| Instant::now() + within);
    let mut poll =
        libc::pollfd { fd: PIPE[0].load(Ordering::Relaxed), events: libc::POLLIN, revents: 0 };
    loop {
        let rest = end.map(|end| end.saturating_duration_since(Instant::now()));
        let wait = rest.into_iter().chain(timer).min();
        let wait = wait.map_or(-1, |wait| i32::try_from(wait.as_millis()).unwrap());
        if unsafe { libc::poll(&raw mut poll, 1, wait) } > 0 {
            let mut caught: Caught = [0; 3];
            let length = size_of::<Caught>();
            let got = unsafe { libc::read(poll.fd, caught.as_mut_ptr().cast(), length) };
            assert_eq!(usize::try_from(got), Ok(length));
            return Some(caught);
        }
        if rest.is_some_and(|rest| rest.is_zero()) {
            return None;
        }
    }
}

pub fn await_caught(wanted: i32, timer: Option<Duration>) {
    while next(None, timer).is_some_and(|[signal, ..]| signal != wanted) {}
}

/// Tells each, as the step `until` does.
pub fn tell_caught(last: i32) {
    while next(None, None).is_some_and(|caught| tell(caught) != last) {}
}

pub fn tell_caught_for(time: Duration) {
    let end = Instant::now() + time;
    while let Some(caught) = next(Some(end.saturating_duration_since(Instant::now())), None) {
        tell(caught);
    }
}

fn tell([signal, code, pid]: Caught) -> i32 {
    say(format_args!("signal {signal} code {code} from {pid} value 0"));
    signal
}

/// Other steps in a thread of their own, while the main thread goes on.
pub fn in_thread(steps: Vec<OsString>) {
    std::thread::spawn(|| perform(steps));
}

/// As deep as this, each the parent of the next one, in a session of its own, and none ends by
/// itself.
pub fn chain(depth: i32) -> ! {
    for _ in 1..depth {
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
        if child > 0 {
            break;
        }
        unsafe { libc::setsid() };
    }
    loop {
        unsafe { libc::pause() };
    }
}

/// Waits, held by the kernel (state D), for a child that executes nothing and sleeps for ever.
#[expect(deprecated, reason = "there is no other way into that state")]
pub fn vfork() -> ! {
    if unsafe { libc::vfork() } == 0 {
        loop {
            unsafe { libc::pause() };
        }
    }
    panic!("the child is gone");
}

/// Each child catches SIGTERM from its first moment on.
pub fn storm(count: i32) {
    catch(libc::SIGTERM, false);
    for number in 0..count {
        mask(libc::SIGTERM, libc::SIG_BLOCK);
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
        if child == 0 {
            forget();
            catch(libc::SIGTERM, true);
            mask(libc::SIGTERM, libc::SIG_UNBLOCK);
            await_caught(libc::SIGTERM, None);
            std::thread::sleep(Duration::from_millis(200));
            say("saved");
            std::process::exit(0);
        }
        mask(libc::SIGTERM, libc::SIG_UNBLOCK);
        if number == count / 4 {
            say("ready");
        }
    }
}
