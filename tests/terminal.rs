//! Job control on a terminal: as PID 1 of its session, and under a shell.

mod as_init;
mod new_session;
mod under_a_shell;

use crate::support::{Pty, wait_until};

const BASH: &[&str] = &["bash", "--norc", "--noprofile", "--noediting", "-i"];
const DASH: &[&str] = &["dash", "-i"];

/// Asks the shell until it says that the job is in this state.
fn expect_job(pty: &mut Pty, state: &str) {
    wait_until(state, || {
        pty.line("jobs -l; echo \"done\"");
        pty.expect("\ndone").contains(state)
    });
}
