//! Stopping firstmate at each system call of its start, its own and its new child's, with
//! ptrace(2).

use std::io::Error;

use super::{Process, wait_until};

const OPTIONS: i32 = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_EXITKILL;

/// A process that will exec firstmate, and what it starts. To be used by the thread that made it.
pub struct Tracer {
    init: Process,
    child: Option<Process>,
    traced: Vec<Process>,
    /// The one that stands still now.
    stopped: Option<Process>,
}

impl Tracer {
    pub fn seize(init: Process) -> Self {
        trace(libc::PTRACE_SEIZE, init, OPTIONS);
        Self { init, child: None, traced: vec![init], stopped: None }
    }

    /// Goes on to the next stop: an exec, or a system call's beginning or end. `false` at the first
    /// read(2) of firstmate after it has made its child: it waits for signals.
    pub fn step(&mut self) -> bool {
        if let Some(process) = self.stopped.take() {
            trace(libc::PTRACE_SYSCALL, process, 0);
        }
        let (process, event) = self.wait();
        self.stopped = Some(process);
        if event == libc::PTRACE_EVENT_EXEC && process != self.init {
            self.detach(process);
        }
        !(self.child.is_some()
            && process == self.init
            && process.system_call() == Some(libc::SYS_read))
    }

    /// Lets all of them run, and go.
    pub fn let_go(mut self) {
        if let Some(process) = self.stopped {
            self.detach(process);
        }
        while !self.traced.is_empty() {
            let (process, _) = self.wait();
            self.detach(process);
        }
    }

    fn detach(&mut self, process: Process) {
        trace(libc::PTRACE_DETACH, process, 0);
        self.traced.retain(|traced| *traced != process);
        self.stopped = None;
    }

    /// Which one stopped, and its `PTRACE_EVENT_*`, if any.
    fn wait(&mut self) -> (Process, i32) {
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
        assert!(
            pid > 0 && libc::WIFSTOPPED(status),
            "{pid} ended with {status:x} ({})",
            Error::last_os_error()
        );
        let (process, event) = (Process(pid), status >> 16);
        if event == libc::PTRACE_EVENT_VFORK {
            let mut child: libc::c_ulong = 0;
            // SAFETY: it writes one long.
            let got = unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, pid, 0, &raw mut child) };
            assert_eq!(got, 0);
            self.met(Process(child.try_into().expect("a pid")));
        } else if process != self.init {
            self.met(process);
        }
        (process, event)
    }

    /// The child may stop before its parent's stop tells of it.
    fn met(&mut self, child: Process) {
        if self.child.replace(child).is_none() {
            self.traced.push(child);
        }
    }
}

fn trace(request: libc::c_uint, process: Process, data: i32) {
    // SAFETY: none of the requests used here reads or writes our memory.
    let result = unsafe { libc::ptrace(request, process.0, 0, libc::c_long::from(data)) };
    assert_eq!(result, 0, "ptrace {request:x} of {process:?}: {}", Error::last_os_error());
}
