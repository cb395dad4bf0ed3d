//! No command: hold the namespaces of a pod, and reap what its containers leave behind.

use log::Level;

use crate::config::Pause;
use crate::signal::Signal;
use crate::status::ExitStatus;
use crate::sys::descriptors;
use crate::sys::reap::{self, Reap};
use crate::sys::signals::Queue;

/// Reaps until SIGTERM or SIGINT arrives. Nobody is asked to end: the processes here are those of
/// other containers.
#[must_use]
pub(super) fn pause(pause: &Pause, queue: &mut Queue) -> ExitStatus {
    descriptors::let_go([queue.descriptor()]);
    loop {
        while let Some(received) = queue.next_received() {
            if [Signal::TERM, Signal::INT].contains(&received.signal) {
                return ExitStatus::SUCCESS;
            }
        }
        reap_all(pause);
        queue.wait(None, None);
    }
}

fn reap_all(pause: &Pause) {
    loop {
        match reap::next() {
            Ok(Reap::Ended(pid, termination)) => {
                let level = if pause.warn_on_reap { Level::Warn } else { Level::Debug };
                log::log!(level, "reaped zombie process with pid={pid}, {termination}");
            }
            Ok(Reap::Stopped(..) | Reap::Trapped(..) | Reap::Continued(_)) => {}
            Ok(Reap::Nothing | Reap::NoChildren) | Err(_) => return,
        }
    }
}
