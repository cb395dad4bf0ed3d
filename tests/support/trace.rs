//! Stopping firstmate at each system call of its start, its own and its new child's, with
//! ptrace(2).

use std::io::Error;

use super::{Process, wait_until};

const OPTIONS: i32 = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_EXITKILL;

/// A process that will exec firstmate, and what it starts. To be used by the thread that made it.
pub struct Tracer {
    init: Process,
    child: Option<Process>,
    traced: Vec<Process>,
    /// The one that stands still now, and the signal that it is about to get.
    stopped: Option<(Process, i32)>,
}

impl Tracer {
    pub fn seize(init: Process) -> Self {
        trace(libc::PTRACE_SEIZE, init, OPTIONS);
        Self { init, child: None, traced: vec![init], stopped: None }
    }

    /// Goes on to the next stop: an exec, a signal, or a system call's beginning or end. `false`
    /// where firstmate waits, and its child has executed its program, or has died.
    pub fn step(&mut self) -> bool {
        if let Some((process, signal)) = self.stopped.take() {
            trace(libc::PTRACE_SYSCALL, process, signal);
        }
        match self.wait() {
            Some((process, libc::PTRACE_EVENT_EXEC)) if process != self.init => {
                self.detach(process, 0);
            }
            _ => {}
        }
        let waits = [Some(libc::SYS_read), Some(libc::SYS_ppoll)];
        let is_alone = self.child.is_some() && self.traced == [self.init];
        !(is_alone && waits.contains(&self.init.system_call()))
    }

    /// Lets all of them run, and go.
    pub fn let_go(mut self) {
        if let Some((process, signal)) = self.stopped {
            self.detach(process, signal);
        }
        while !self.traced.is_empty() {
            if let (Some(_), Some((process, signal))) = (self.wait(), self.stopped) {
                self.detach(process, signal);
            }
        }
    }

    fn detach(&mut self, process: Process, signal: i32) {
        trace(libc::PTRACE_DETACH, process, signal);
        self.traced.retain(|traced| *traced != process);
        self.stopped = None;
    }

    /// Which one stopped, and its `PTRACE_EVENT_*`, if any; `None` if one has exited.
    fn wait(&mut self) -> Option<(Process, i32)> {
        let (mut pid, mut status) = (0, 0);
        wait_until("a stop of a traced process", || {
            let flags = libc::__WALL | libc::__WNOTHREAD | libc::WNOHANG;
            // SAFETY: it writes one int. The processes of other threads are left alone.
            pid = unsafe { libc::waitpid(-1, &raw mut status, flags) };
            // There are thousands of stops, each of them near.
            for _ in 0..1000 {
                if pid != 0 {
                    break;
                }
                std::thread::yield_now();
                // SAFETY: as above.
                pid = unsafe { libc::waitpid(-1, &raw mut status, flags) };
            }
            pid != 0
        });
        assert!(pid > 0, "{}", Error::last_os_error());
        let (process, event) = (Process(pid), status >> 16);
        if !libc::WIFSTOPPED(status) {
            assert!(process != self.init, "{pid} ended with {status:x}");
            self.traced.retain(|traced| *traced != process);
            return None;
        }
        if event == libc::PTRACE_EVENT_FORK {
            let mut child: libc::c_ulong = 0;
            // SAFETY: it writes one long.
            let got = unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, pid, 0, &raw mut child) };
            assert_eq!(got, 0);
            self.met(Process(child.try_into().expect("a pid")));
        }
        self.met(process);
        let signal = libc::WSTOPSIG(status);
        let is_delivery = event == 0 && signal != libc::SIGTRAP | 0x80;
        self.stopped = Some((process, if is_delivery { signal } else { 0 }));
        Some((process, event))
    }

    /// The child may stop before its parent's stop tells of it.
    fn met(&mut self, process: Process) {
        if process != self.init && self.child.replace(process).is_none() {
            self.traced.push(process);
        }
    }
}

fn trace(request: libc::c_uint, process: Process, data: i32) {
    // SAFETY: none of the requests used here reads or writes our memory.
    let result = unsafe { libc::ptrace(request, process.0, 0, libc::c_long::from(data)) };
    assert_eq!(result, 0, "ptrace {request:x} of {process:?}: {}", Error::last_os_error());
}
