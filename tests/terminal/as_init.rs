//! firstmate is PID 1 and leads the terminal's session, as under `docker run -it`.

use std::fs::File;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::{BASH, DASH, expect_job};
use crate::support::{CTRL_C, CTRL_D, CTRL_Z, Lines, Pty, Scenario, wait_until};

fn interactive(shell: &[&str]) -> Pty {
    let mut pty = Pty::init(Scenario::container().command(shell));
    // Neither says that it has no job control.
    assert_eq!(pty.expect("$ "), "");
    pty
}

#[test]
fn ctrl_c_ends_the_foreground_job_and_not_the_shell() {
    for shell in [BASH, DASH] {
        let mut pty = interactive(shell);
        pty.line("\"$P\" say ready forever");
        pty.expect("\r\nready");
        pty.write(CTRL_C);
        pty.expect("$ ");
        pty.line("echo status $?");
        pty.expect("status 130\r\n$ ");
        pty.write(CTRL_C);
        pty.expect("$ ");
        pty.line("echo still \"here\"");
        pty.expect("still here");
        pty.write(CTRL_D);
        pty.finish();
    }
}

#[test]
fn ctrl_z_stops_a_job_and_fg_and_bg_continue_it() {
    for shell in [BASH, DASH] {
        let mut pty = interactive(shell);
        pty.line("\"$P\" say ready read-line say finished");
        pty.expect("\r\nready");
        pty.write(CTRL_Z);
        pty.expect("Stopped");
        pty.expect("$ ");
        // In the background it may not read.
        pty.line("bg");
        pty.expect("$ ");
        expect_job(&mut pty, "Stopped (tty input)");
        pty.line("fg");
        pty.line("typed");
        pty.expect("line \"typed\"\r\nfinished");
        pty.expect("$ ");
        pty.line("exit 7");
        assert_eq!(pty.finish().0, 7);
    }
}

#[test]
fn each_key_and_each_new_size_is_one_signal_to_the_foreground_job() {
    let mut pty = Pty::init(Scenario::container().probe("block-all say ready until 3"));
    pty.expect("ready\r\n");
    for (key, signal) in [(CTRL_C, 2), (CTRL_Z, 20)] {
        pty.write(key);
        pty.expect(&format!("signal {signal} code 128 from 0 value 0\r\n"));
        // It comes by firstmate, behind anything that firstmate has before.
        pty.leader.signal(libc::SIGUSR1);
        assert!(!pty.expect("signal 10 code 0").contains("signal"));
    }
    pty.resize(100);
    pty.expect("signal 28 code 128");
    pty.leader.signal(libc::SIGUSR2);
    assert!(!pty.expect("signal 12 code 0").contains("signal"));
    pty.write("\x1c");
    assert_eq!(pty.finish().0, 0);
}

#[test]
fn a_hang_up_is_one_signal_to_the_command_and_ends_everything() {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
    let command = Scenario::container().probe("block-all say ready until 18 until 10");
    let mut pty = Pty::init_with_stdout(command, writer);
    let lines = Lines::read(File::from(reader));
    lines.expect("ready");
    let init = pty.leader;
    let end = std::thread::spawn(move || pty.hang_up());
    // The kernel tells the session leader alone, which is firstmate.
    let parts = [lines.next(), lines.next()];
    assert!(parts[0].starts_with("signal 1 code 0"), "{parts:?}");
    assert!(parts[1].starts_with("signal 18 code 0"), "{parts:?}");
    init.signal(libc::SIGUSR1);
    assert!(lines.next().starts_with("signal 10 "));
    assert_eq!(end.join().expect("no panic"), 0);
}

#[test]
fn a_hang_up_ends_an_interactive_shell_and_its_jobs() {
    for shell in [BASH, DASH] {
        let mut pty = interactive(shell);
        pty.line("\"$P\" say ready forever");
        pty.expect("\r\nready");
        pty.hang_up();
    }
}

#[test]
fn a_typed_stop_of_a_plain_command_is_undone() {
    let mut pty = Pty::init(Scenario::container().probe("say ready read-line"));
    pty.expect("ready\r\n");
    for _ in 0..3 {
        pty.write(CTRL_Z);
        pty.expect("^Z");
    }
    pty.line("typed");
    pty.expect("line \"typed\"");
    assert_eq!(pty.finish().0, 0);
}

#[test]
fn a_stop_that_a_process_sent_is_left_alone() {
    let mut pty = Pty::init(Scenario::container().probe("say ready forever"));
    pty.expect("ready\r\n");
    let command = pty.leader.child();
    let stopped = || command.state() == Some('T');
    for (send, to) in
        [(libc::SIGTSTP, pty.leader), (libc::SIGTTIN, pty.leader), (libc::SIGSTOP, command)]
    {
        to.signal(send);
        wait_until("the stop", stopped);
        wait_until("firstmate to have seen it", || pty.leader.is_idle());
        assert!(stopped(), "{send}");
        pty.leader.signal(libc::SIGCONT);
        wait_until("the end of the stop", || !stopped());
    }
    pty.leader.signal(libc::SIGTERM);
    assert_eq!(pty.finish().0, 143);
}

#[test]
fn a_firstmate_under_firstmate_passes_the_terminal_on() {
    let mut pty = Pty::init(Scenario::container().command([
        "sh",
        "-c",
        "exec \"$F\" \"$F\" \"$P\" say ready foreground read-line",
    ]));
    pty.expect("ready\r\nforeground ours\r\n");
    pty.write(CTRL_Z);
    pty.expect("^Z");
    pty.line("typed");
    pty.expect("line \"typed\"");
    assert_eq!(pty.finish().0, 0);
}

#[test]
fn ctrl_z_does_not_stop_for_good_what_runs_before_the_command() {
    let mut pty = Pty::init(
        Scenario::container()
            .options("-vv")
            .hook("--before", "say ready forever")
            .probe("say main"),
    );
    pty.expect("ready\r\n");
    pty.write(CTRL_Z);
    pty.expect("sending SIGCONT to process group 2");
    let before = pty.leader.child();
    wait_until("the end of the stop", || before.state() == Some('S'));
    pty.write(CTRL_C);
    assert_eq!(pty.finish().0, 130);
}

#[test]
fn an_interrupt_that_every_command_survives_is_no_stop() {
    let scenario = Scenario::container()
        .options("-v")
        .hook("--with", "ignore 2 block 10 say ready await 10 exit 6")
        .probe("catch 2 catch 15 say ready until-caught 2 until-caught 15 exit 5");
    let mut pty = Pty::init(scenario);
    pty.expect("ready\r\n");
    pty.expect("ready\r\n");
    pty.leader.signal(libc::SIGINT);
    pty.expect("signal 2 ");
    pty.expect("the command has survived SIGINT");
    // Nobody has asked for the end: the first command to exit decides, and the other is asked.
    let mut children = pty.leader.children();
    children.sort_by_key(|child| child.inner_pid());
    children[1].signal(libc::SIGUSR1);
    pty.expect("that ends the container");
    pty.expect("signal 15 ");
    assert_eq!(pty.finish().0, 6);
}

#[test]
fn who_has_survived_a_forgotten_interrupt_is_asked_like_anybody_else() {
    let member = "fork [ catch 2 catch 15 say ready until-caught 15 ]";
    let main = format!("{member} catch 2 say ready until-caught 2 await-caught 2 exit 3");
    let mut pty = Pty::init(Scenario::container().options("-v -g").probe(&main));
    pty.expect("ready\r\n");
    pty.expect("ready\r\n");
    pty.leader.signal(libc::SIGINT);
    pty.expect("the command has survived SIGINT");
    pty.leader.child().signal(libc::SIGINT);
    pty.expect("signal 15 ");
    assert_eq!(pty.finish().0, 3);
}
