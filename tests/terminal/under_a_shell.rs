//! firstmate is a job of a shell, or one command of a script.

use std::process::Command;

use super::{BASH, DASH, expect_job};
use crate::support::{CTRL_C, CTRL_Z, Process, Pty, Scenario, skip, wait_until};

fn interactive(shell: &[&str]) -> Pty {
    let mut pty = Pty::under(shell);
    pty.expect("$ ");
    pty
}

fn script(text: &str) -> Pty {
    Pty::under(&["sh", "-c", text])
}

#[test]
fn ctrl_z_stops_the_job_and_fg_gives_it_the_terminal_again() {
    for (shell, firstmates) in [(BASH, "\"$F\""), (DASH, "\"$F\""), (BASH, "\"$F\" \"$F\"")] {
        let mut pty = interactive(shell);
        pty.line(&format!("{firstmates} \"$P\" foreground say ready read-line foreground"));
        pty.expect("foreground ours\r\nready");
        let command = Process(pty.foreground());
        for _ in 0..2 {
            pty.write(CTRL_Z);
            pty.expect("Stopped");
            pty.expect("$ ");
            pty.line("fg");
            // A stop that is typed before its SIGCONT would be taken back by that.
            wait_until("the foreground", || {
                pty.foreground() == command.0 && command.state() == Some('S')
            });
        }
        pty.line("typed");
        pty.expect("line \"typed\"\r\nforeground ours\r\n$ ");
    }
}

#[test]
fn ctrl_z_stops_the_job_while_what_runs_before_the_command_does() {
    let mut pty = interactive(BASH);
    pty.line("\"$F\" --before \"$P say ready forever\" \"$P\" say main");
    pty.expect("\r\nready");
    let before = pty.leader.child().child();
    pty.write(CTRL_Z);
    pty.expect("Stopped");
    pty.line("fg");
    wait_until("its way back", || before.state() == Some('S'));
    pty.write(CTRL_C);
    pty.expect("$ ");
    pty.line("echo status $?");
    pty.expect("status 130");
}

#[test]
fn ctrl_z_stops_the_whole_job_of_which_it_is_a_part() {
    let mut pty = interactive(BASH);
    pty.line("\"$F\" \"$P\" say-err ready forever | cat");
    pty.expect("\r\nready");
    pty.write(CTRL_Z);
    pty.expect("Stopped");
    pty.line("kill -9 %1; wait; echo ov\"er\"");
    pty.expect("over");
}

#[test]
fn a_job_in_the_background_stops_when_it_reads() {
    let mut pty = interactive(BASH);
    pty.line("\"$F\" \"$P\" say ready read-line");
    pty.expect("\r\nready");
    pty.write(CTRL_Z);
    pty.expect("Stopped");
    pty.line("bg");
    expect_job(&mut pty, "Stopped (tty input)");
    pty.line("fg");
    pty.line("typed");
    pty.expect("line \"typed\"\r\n$ ");
}

#[test]
fn a_start_in_the_background_leaves_the_terminal_to_the_shell() {
    let mut pty = interactive(BASH);
    pty.line("\"$F\" \"$P\" foreground say ready forever &");
    pty.expect("foreground others\r\n");
    pty.expect("ready\r\n");
    pty.line("echo still \"here\"");
    pty.expect("still here");
    pty.line("kill %1; wait %1; echo status $?");
    pty.expect("status 143");
}

#[test]
fn a_running_job_that_is_brought_to_the_foreground_reads_the_terminal() {
    let mut pty = interactive(BASH);
    pty.line("\"$F\" \"$P\" block-all say ready until 10 unblock-all read-line foreground &");
    pty.expect("ready\r\n");
    pty.line("fg");
    let firstmate = pty.leader.child();
    wait_until("the foreground", || pty.foreground() == firstmate.0);
    pty.write(CTRL_C);
    pty.expect("signal 2 code 0");
    firstmate.signal(libc::SIGUSR1);
    assert!(!pty.expect("signal 10 ").contains("signal"));
    pty.line("typed");
    pty.expect("line \"typed\"\r\nforeground ours");
    pty.expect("$ ");
}

#[test]
fn the_foreground_is_given_back_when_the_command_stops() {
    let mut pty = Pty::init(Scenario::container().command([
        "sh",
        "-c",
        "exec \"$F\" \"$P\" foreground say ready forever",
    ]));
    pty.expect("foreground ours\r\nready");
    let inner = pty.leader.child();
    let command = inner.child();
    assert_eq!(pty.foreground(), command.0);
    command.signal(libc::SIGSTOP);
    wait_until("the stop of the firstmate above it", || inner.state() == Some('T'));
    assert_eq!(pty.foreground(), inner.0);
    inner.signal(libc::SIGCONT);
    wait_until("its way back", || command.state() == Some('S') && pty.foreground() == command.0);
}

#[test]
fn a_job_that_is_brought_to_the_foreground_writes_where_only_that_may() {
    let mut pty = interactive(BASH);
    pty.line("stty tostop");
    pty.expect("$ ");
    // What blocks SIGTTOU may write at any time.
    pty.line("\"$F\" \"$P\" block-all say ready until 10 unblock-all say written foreground &");
    pty.expect("ready\r\n");
    pty.line("fg");
    let firstmate = pty.leader.child();
    wait_until("the foreground", || pty.foreground() == firstmate.0);
    firstmate.signal(libc::SIGUSR1);
    pty.expect("written\r\nforeground ours\r\n");
    pty.expect("$ ");
}

#[test]
fn a_stop_of_the_command_alone_does_not_stop_firstmate_in_a_script() {
    let mut pty = interactive(BASH);
    pty.line("sh -c '\"$F\" \"$P\" block-all say ready until 10; echo status $?'");
    pty.expect("ready\r\n");
    let command = Process(pty.foreground());
    let firstmate = pty.leader.child().child();
    command.signal(libc::SIGSTOP);
    wait_until("the stop", || command.state() == Some('T'));
    // The second one is forwarded after firstmate has heard of the stop.
    for signal in [libc::SIGURG, libc::SIGUSR2] {
        firstmate.signal(signal);
        wait_until("a forwarded signal", || command.has_pending(signal));
    }
    command.signal(libc::SIGCONT);
    firstmate.signal(libc::SIGUSR1);
    pty.expect("status 0");
}

#[test]
fn a_disposition_that_a_stop_needs_is_the_inherited_one_again_afterwards() {
    let mut pty = interactive(BASH);
    // What is started later tells.
    pty.line(
        "\"$P\" ignore 20 exec \"$F\" --after \"$P report\" \"$P\" default 20 say ready read-line",
    );
    pty.expect("\r\nready");
    let command = Process(pty.foreground());
    pty.write(CTRL_Z);
    pty.expect("Stopped");
    pty.line("fg");
    wait_until("the foreground", || pty.foreground() == command.0 && command.state() == Some('S'));
    pty.line("typed");
    pty.expect("line \"typed\"");
    pty.expect("ignored [20]\r\n");
}

#[test]
fn a_script_reads_the_terminal_after_its_command() {
    let mut pty = script("\"$F\" \"$P\" read-line </dev/tty; read x; echo got $x");
    pty.line("one");
    pty.expect("line \"one\"\r\n");
    pty.line("two");
    pty.expect("got two");
    assert_eq!(pty.finish().0, 0);
}

#[test]
fn in_the_session_leaders_group_the_others_can_read_the_terminal_and_so_can_the_command() {
    // As `ssh -t host '...'` runs it: their group is orphaned, and in the background of another one
    // they would read errors.
    let mut pty =
        script("\"$F\" \"$P\" say ready forever | { read ready; read x </dev/tty; echo got $x; }");
    pty.line("one");
    pty.expect("got one");
    let mut pty = script("\"$F\" \"$P\" read-line foreground </dev/tty; read x; echo got $x");
    pty.line("one");
    pty.expect("line \"one\"\r\nforeground ours");
    pty.line("two");
    pty.expect("got two");
}

#[test]
fn a_command_that_was_sent_a_sigttin_does_not_keep_the_terminal() {
    let mut pty = interactive(BASH);
    pty.line("sh -c '\"$F\" \"$P\" say ready sleep-ms 300; read x; echo got $x'");
    pty.expect("\r\nready");
    Process(pty.foreground()).signal(libc::SIGTTIN);
    pty.expect("Stopped");
    pty.line("fg");
    pty.line("typed");
    pty.expect("got typed");
}

#[test]
fn a_script_reads_the_terminal_after_a_command_that_could_not_be_executed() {
    let mut pty = interactive(BASH);
    pty.line("sh -c '\"$F\" /etc; read x; echo got $x'");
    pty.expect("cannot run \"/etc\"");
    pty.line("one");
    pty.expect("got one");
}

#[test]
fn a_start_in_the_background_of_another_pid_namespace_leaves_the_terminal_to_the_shell() {
    let mut pty = interactive(BASH);
    pty.line("\"$P\" container exec \"$F\" \"$P\" foreground say ready read-line &");
    pty.expect("foreground others\r\n");
    pty.expect("ready\r\n");
    pty.line("echo still \"here\"");
    pty.expect("still here");
    pty.line("kill -9 %1; wait %1; echo status $?");
    pty.expect("status 137");
}

#[test]
fn where_no_shell_could_continue_it_a_ctrl_z_is_undone() {
    // In a group of its own whose parent has gone: orphaned, but still with the session's terminal.
    // Only script(1) makes a session in which PID 1, the new parent, is not.
    if Command::new("script").arg("--version").output().is_err() {
        return skip("script(1) is not installed");
    }
    let orphan = "fork [ fork [ await-orphan setpgid take-foreground exec \"$F\" \"$P\" say ready \
                  read-line exit 7 ] ] forever";
    // Not as PID 1: script(1) is confused by the end of a child that it has not made.
    let mut pty = script(&format!("script -qc 'exec \"$P\" {orphan}' /dev/null; :"));
    pty.expect("ready");
    pty.write(CTRL_Z);
    pty.expect("^Z");
    pty.line("typed");
    pty.expect("line \"typed\"");
}

#[test]
fn a_job_of_a_killed_shell_does_not_keep_the_terminal() {
    let mut pty =
        script("\"$F\" bash --norc -ic '\"$P\" say ready forever; :'; read x; echo got $x");
    pty.expect("ready");
    let shell = pty.leader.child().child();
    assert_eq!(pty.foreground(), shell.child().0);
    shell.signal(libc::SIGKILL);
    pty.line("typed");
    pty.expect("got typed");
}

#[test]
fn the_terminal_is_found_behind_redirections() {
    let mut pty = interactive(BASH);
    pty.line("sh -c '\"$F\" \"$P\" foreground </dev/null 2>/dev/null | cat; read x; echo got $x'");
    pty.expect("foreground ours");
    pty.line("typed");
    pty.expect("got typed");
}

#[test]
fn four_descriptors_are_enough() {
    let mut pty = interactive(BASH);
    pty.line(
        "sh -c '\"$P\" nofile 4 exec \"$F\" \"$P\" foreground read-line; read x; echo got $x'",
    );
    pty.expect("foreground ours");
    pty.line("one");
    pty.expect("line \"one\"");
    pty.line("two");
    pty.expect("got two");
}

#[test]
fn log_lines_from_the_background_do_not_stop_firstmate() {
    let mut pty = interactive(BASH);
    pty.line("stty tostop");
    pty.expect("$ ");
    pty.line("\"$F\" -v \"$P\" exit 3 & wait %1; echo status $?");
    pty.expect("info: the command exited with 3");
    pty.expect("status 3");
}

#[test]
fn another_process_of_the_job_that_wants_the_terminal_does_not_stop_the_command() {
    let mut pty = interactive(BASH);
    pty.line(
        "\"$F\" \"$P\" block-all say ready until 10 | { read line; echo \"$line\" >&2; \"$P\" \
         read-line </dev/tty; cat; }",
    );
    pty.expect("\r\nready");
    pty.line("typed");
    pty.expect("line \"typed\"");
    pty.leader.children()[0].signal(libc::SIGUSR1);
    pty.expect("\r\nsignal 10 code 0");
    pty.expect("$ ");
}

#[test]
fn a_typed_stop_is_undone_where_no_shell_could_continue_it() {
    if Command::new("script").arg("--version").output().is_err() {
        return skip("script(1) is not installed");
    }
    // firstmate leads the session, or a shell does that waits for it.
    for (command, foreground) in
        [("exec \"$F\" \"$P\"", "ours"), ("trap : USR1; \"$F\" \"$P\"", "others")]
    {
        let mut pty = Pty::under(&[
            "script",
            "-qc",
            &format!("{command} say ready foreground read-line"),
            "/dev/null",
        ]);
        pty.expect(&format!("ready\r\nforeground {foreground}"));
        pty.write(CTRL_Z);
        pty.expect("^Z");
        pty.line("typed");
        pty.expect("line \"typed\"");
        assert_eq!(pty.finish().0, 0, "{command}");
    }
}

#[test]
fn without_a_terminal_firstmate_does_not_stop_with_its_command() {
    let running = Scenario::plain().prepare("setsid").probe("say ready forever").start().ready();
    let command = running.init.child();
    for signal in [libc::SIGSTOP, libc::SIGTSTP] {
        command.signal(signal);
        wait_until("the stop", || command.state() == Some('T'));
        wait_until("firstmate to have seen it", || running.init.is_idle());
        command.signal(libc::SIGCONT);
    }
    running.signal(libc::SIGTERM);
    assert_eq!(running.finish().status, 143);
}

#[test]
fn ctrl_c_during_the_drain_kills_those_left_at_once() {
    let mut pty = interactive(BASH);
    pty.line("\"$F\" --drain 1h \"$P\" block-all daemon [ until 18 forever ] say main");
    pty.expect("signal 18 ");
    pty.write(CTRL_C);
    pty.expect("1 process was left ");
    pty.expect("$ ");
}

#[test]
fn an_end_by_a_key_is_no_news() {
    for (key, status) in [(CTRL_C, 130), ("\x1c", 131)] {
        let mut pty = interactive(BASH);
        pty.line("ulimit -c 0; \"$F\" \"$P\" say rea\"\"dy forever; echo st\"\"atus $?");
        pty.expect("ready\r\n");
        pty.write(key);
        let shown = pty.expect(&format!("status {status}"));
        assert!(!shown.contains("firstmate"), "{shown:?}");
    }
    // Where nobody typed it, it is.
    let finished = Scenario::container().probe("die 2").run();
    assert_eq!(finished.stderr.len(), 1, "{finished:?}");
}
