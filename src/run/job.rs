//! Job control: whether our own process group or the main child's has the terminal.

use std::os::fd::BorrowedFd;

use crate::config::Placement;
use crate::process::Pid;
use crate::signal::Signal;
use crate::supervisor::JobControl;
use crate::sys::spawn::Place;
use crate::sys::terminal::Terminal;
use crate::sys::{job_control, process};

/// The terminal, and the main child's process group.
#[derive(Default)]
pub(super) struct Job {
    terminal: Option<Terminal>,
    /// The main child, reaped or not, from when it was started.
    leader: Option<Pid>,
}

impl Job {
    /// Finds the terminal, and who does job control there.
    pub(super) fn find(placement: Placement) -> (Self, JobControl) {
        let terminal = Terminal::find();
        let job_control = match &terminal {
            Some(terminal) if placement == Placement::OwnGroup => {
                if terminal.is_under_a_shell() && !process::is_pid_1() {
                    JobControl::Above
                } else {
                    JobControl::NobodyAbove
                }
            }
            Some(_) | None => JobControl::Absent,
        };
        (Self { terminal, leader: None }, job_control)
    }

    /// The descriptor to keep open, if there is one.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.terminal.as_ref().and_then(Terminal::own_descriptor)
    }

    /// Where the main command starts: in the terminal's foreground, if that is ours to give.
    pub(super) fn place(&mut self, placement: Placement) -> Place<'_> {
        match placement {
            Placement::OwnGroup => {
                Place::OwnGroup(self.terminal.as_mut().and_then(Terminal::claim))
            }
            Placement::OwnSession => {
                Place::OwnSession(self.terminal.as_ref().map(Terminal::hand_over))
            }
            Placement::SharedGroup => Place::SharedGroup,
        }
    }

    /// The main command has been started there. Only the foreground is ours to take again.
    pub(super) fn started(&mut self, leader: Pid, placement: Placement) {
        self.leader = Some(leader);
        if placement != Placement::OwnGroup {
            self.terminal = None;
        }
    }

    /// The main command could not be started: it may have got as far as to take the foreground.
    pub(super) fn not_started(&mut self) {
        if let Some(terminal) = &mut self.terminal {
            terminal.release();
        }
    }

    /// Suspends us with the main child, so that the shell above sees its job stopped, until
    /// somebody continues us. Whether it did.
    pub(super) fn suspend(&mut self, signal: Signal) -> bool {
        self.give_back();
        let suspended = job_control::suspend_as(signal);
        // A SIGCONT is pending, and goes to the child like any other signal.
        self.lend();
        suspended
    }

    /// Gives the main child the foreground if we have it: after a stop of ours, or when it wants
    /// it; for bash sends no SIGCONT to a running job that it brings to the foreground. Whether it
    /// did.
    pub(super) fn lend(&mut self) -> bool {
        self.terminal
            .as_mut()
            .zip(self.leader)
            .is_some_and(|(terminal, leader)| terminal.take_again(leader))
    }

    /// Gives the foreground back to our own group. Whether it did.
    pub(super) fn give_back(&mut self) -> bool {
        self.terminal
            .as_mut()
            .zip(self.leader)
            .is_some_and(|(terminal, leader)| terminal.give_back(leader))
    }

    /// Lets the rest of our own group have the terminal, like the pager in `firstmate ... | less`,
    /// which that has stopped. The command can have it back when it reads.
    pub(super) fn share(&mut self) {
        if self.give_back() {
            job_control::continue_own_group();
        }
    }
}
