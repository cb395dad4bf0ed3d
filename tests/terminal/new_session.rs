//! The command in a session of its own, with the terminal.

use super::BASH;
use crate::support::{CTRL_C, Pty, Scenario, wait_until};

#[test]
fn the_command_leads_a_session_and_has_the_terminal() {
    let pty = Pty::init(
        Scenario::container().options("-S").probe("block-all say ready foreground until 15"),
    );
    let mut pty = pty;
    pty.expect("ready\r\nforeground ours\r\n");
    let command = pty.leader.child();
    assert_eq!(pty.foreground(), command.0);
    assert_eq!((command.session(), command.group()), (command.0, command.0));
    // The SIGHUP and SIGCONT of the hand-over would have come before it.
    pty.write(CTRL_C);
    assert_eq!(pty.expect("signal 2 code 128 from 0 value 0\r\n").matches("signal").count(), 0);
    pty.leader.signal(libc::SIGTERM);
    assert_eq!(pty.expect("signal 15 code 0 from 1").matches("signal").count(), 0);
}

#[test]
fn a_shell_has_job_control_there() {
    let mut pty = Pty::init(Scenario::container().options("--new-session").command(BASH));
    assert_eq!(pty.expect("$ "), "");
    pty.line("\"$P\" say ready forever");
    pty.expect("\r\nready");
    pty.write(CTRL_C);
    pty.expect("$ ");
    pty.line("exit 7");
    assert_eq!(pty.finish().0, 7);
}

#[test]
fn under_a_shell_the_terminal_stays_with_its_session() {
    let mut pty = Pty::under(BASH);
    pty.expect("$ ");
    pty.line("\"$F\" -S \"$P\" block-all say ready until 2");
    pty.expect("\r\nready\r\n");
    let firstmate = pty.leader.child();
    wait_until("the foreground", || pty.foreground() == firstmate.0);
    // Typed for firstmate's group, and forwarded.
    pty.write(CTRL_C);
    pty.expect("signal 2 code 0");
    pty.expect("$ ");
    pty.line("echo still \"here\"");
    pty.expect("still here");
}
