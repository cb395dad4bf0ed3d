//! Why a stop takes long, who has asked for it, and what is there to read when SIGKILL ends
//! firstmate: with real programs.

use std::fs;
use std::time::Duration;

use crate::support::{CTRL_C, Directory, Pty, Running, Scenario, probe, untimed, wait_until};

/// The line that says why the command has not ended.
fn told_why(running: &Running) -> String {
    let line = running.stderr.expect_part(" has not ended ");
    let (_, line) = line.split_once("]: ").expect("a line of firstmate");
    untimed(line)
}

/// With bash as the command, or another program; and what it says when it is ready.
fn stopped(options: &str, command: &[&str]) -> String {
    let scenario = Scenario::container().options("-t 1s").options(options).command(command);
    let running = scenario.start().ready();
    if command.iter().any(|word| word.contains("sleep")) {
        wait_for_sleep(&running);
    }
    running.signal(libc::SIGTERM);
    let line = told_why(&running);
    assert_eq!(running.finish().status, 137);
    line
}

/// The command waits for its child.
fn wait_for_sleep(running: &Running) {
    let main = running.init.child();
    wait_until("its child", || main.children().iter().any(|child| child.status("Name") == "sleep"));
}

const NOT_ENDED: &str = "warning: the command has not ended N.Ns after SIGTERM";

#[test]
fn a_shell_that_waits_for_its_child_is_said_to_do_so_and_the_child_is_named() {
    let script = "trap 'exit 0' TERM; echo ready; sleep 60; true";
    for shell in ["bash", "sh"] {
        let line = stopped("", &[shell, "-c", script]);
        let (line, rest) = line.split_once('(').expect("a pid");
        assert_eq!(
            line,
            format!(
                "{NOT_ENDED}: a shell runs its trap only when its child has ended; it waits for \
                 \"sleep\" "
            )
        );
        assert!(rest.ends_with("), which gets the signal only with -g"), "{rest}");
    }
    // As most images have it: /proc calls a script by its own name.
    let directory = Directory::new();
    let entrypoint = directory.file("entrypoint", format!("#!/bin/bash\n{script}\n"));
    let line = stopped("", &[&*entrypoint.display().to_string(), "sleep"]);
    assert!(line.contains("it waits for \"sleep\" "), "{line}");
    // What is said to help does.
    let scenario = Scenario::container().options("-g -t 50s").command(["bash", "-c", script]);
    let running = scenario.start().ready();
    wait_for_sleep(&running);
    running.signal(libc::SIGTERM);
    assert_eq!(running.finish().status, 0);
}

#[test]
fn a_command_that_ignores_or_blocks_the_signal_or_works_on_is_said_to_do_so() {
    for (script, why) in [
        ("trap '' TERM; echo ready; while :; do :; done", "it ignores SIGTERM"),
        (
            "trap '' TERM; trap exit INT; echo ready; while :; do :; done",
            "it ignores SIGTERM, but handles SIGINT (-r TERM:INT sends that instead)",
        ),
        (
            "trap 'x=1' TERM; echo ready; while :; do :; done",
            "it handles SIGTERM, and is still at work (-t gives it more time, or less)",
        ),
    ] {
        assert_eq!(stopped("", &["bash", "-c", script]), format!("{NOT_ENDED}: {why}"), "{script}");
    }
    let probe = probe().display().to_string();
    let blocks = [&*probe, "block-all", "say", "ready", "forever"];
    assert_eq!(stopped("", &blocks), format!("{NOT_ENDED}: it blocks SIGTERM"));
    // It waits for it in sigwait(3), and has taken it.
    let waits = [&*probe, "block-all", "say", "ready", "await", "15", "forever"];
    assert!(stopped("", &waits).contains("it handles SIGTERM"));
}

#[test]
fn the_signal_that_is_sent_in_place_of_another_is_the_one_that_is_named() {
    let script = "trap '' QUIT; echo ready; while :; do :; done";
    let line = stopped("-r TERM:QUIT", &["bash", "-c", script]);
    assert_eq!(line, "warning: the command has not ended N.Ns after SIGQUIT: it ignores SIGQUIT");
}

#[test]
fn a_stopped_and_a_traced_command_are_said_to_be_so() {
    let start = || Scenario::container().options("-t 3s").probe("block-all say ready forever");
    let running = start().start().ready();
    let main = running.init.child();
    running.signal(libc::SIGTERM);
    wait_until("the signal", || main.has_pending(libc::SIGTERM));
    // The first one is undone.
    main.signal(libc::SIGSTOP);
    wait_until("the undone stop", || main.state() == Some('S') && running.init.is_idle());
    main.signal(libc::SIGSTOP);
    assert_eq!(told_why(&running), format!("{NOT_ENDED}: it is stopped, until it gets a SIGCONT"));
    assert_eq!(running.finish().status, 137);
    // By a process that it sees.
    let running = Scenario::plain().options("-t 1s --drain 0").probe("block-all say ready forever");
    let running = running.start().ready();
    let main = running.init.child();
    for request in [libc::PTRACE_SEIZE, libc::PTRACE_INTERRUPT] {
        // SAFETY: neither reads or writes our memory.
        assert_eq!(unsafe { libc::ptrace(request, main.0, 0, 0) }, 0, "ptrace {request:x}");
    }
    wait_until("the tracer", || main.state() == Some('t'));
    running.signal(libc::SIGTERM);
    let line = told_why(&running);
    assert!(line.ends_with(") traces it, and has stopped it"), "{line}");
    // SAFETY: it writes one int.
    unsafe { libc::waitpid(main.0, std::ptr::null_mut(), libc::__WALL) };
    let _ = running.finish();
}

#[test]
fn the_init_of_a_nested_namespace_is_said_to_be_one() {
    let scenario = Scenario::container().options("-t 1s").prepare("namespace-for-children");
    let running = scenario.probe("say ready forever").start().ready();
    running.signal(libc::SIGTERM);
    let line = told_why(&running);
    assert!(line.contains("it is the init of a PID namespace"), "{line}");
    assert_eq!(running.finish().status, 137);
}

#[test]
fn without_proc_it_is_said_that_it_has_not_ended() {
    let scenario = Scenario::container().options("-t 1s").prepare("hide /proc");
    let running = scenario.probe("block-all say ready forever").start().ready();
    running.signal(libc::SIGTERM);
    assert_eq!(told_why(&running), NOT_ENDED);
    assert_eq!(running.finish().status, 137);
}

#[test]
fn an_interactive_shell_is_told_how_it_ends() {
    let command = ["bash", "--norc", "-i"];
    let mut pty = Pty::init(Scenario::container().options("-t 2s").command(command));
    pty.expect("$ ");
    pty.leader.signal(libc::SIGTERM);
    pty.expect("an interactive shell ignores SIGTERM (-r TERM:HUP sends SIGHUP instead)");
    assert_eq!(pty.finish().0, 137);
}

#[test]
fn who_asks_for_a_stop_is_named() {
    let scenario = || Scenario::container().options("-v");
    // The engine.
    let running = scenario().probe("say ready forever").start().ready();
    running.signal(libc::SIGTERM);
    running.stderr.expect_part("SIGTERM from outside the container asks the container to stop");
    assert_eq!(running.finish().status, 143);
    // A process of the container, as `docker exec app kill 1` is one.
    let running = scenario().command(["sh", "-c", "sh -c 'kill 1; sleep 60; :'; :"]).start();
    let line = running.stderr.expect_part(" asks the container to stop");
    let (_, sender) = line.split_once("SIGTERM from process ").expect("a process");
    let (pid, name) = sender.split_once(' ').expect("a name");
    assert!(pid.parse::<u32>().is_ok() && name.starts_with("\"sh\" asks"), "{line}");
    assert_eq!(running.finish().status, 143);
}

#[test]
fn a_terminal_that_asks_for_a_stop_is_named() {
    let main = "ignore 2 fork [ block-all say ready forever ] await-caught 10";
    let main = main.replace("await-caught 10", "block-all await 10 exit 3");
    let mut pty = Pty::init(Scenario::container().options("-v --drain 40s").probe(&main));
    pty.expect("ready");
    pty.leader.children()[0].signal(libc::SIGUSR1);
    pty.expect("1 process is left: \"probe\"; 40s to end");
    pty.write(CTRL_C);
    pty.expect("SIGINT from the terminal asks the container to stop");
    assert_eq!(pty.finish().0, 3);
}

#[test]
fn whatever_the_moment_of_sigkill_the_message_names_the_step() {
    let directory = Directory::new();
    let file = directory.path().join("message");
    let scenario = Scenario::container()
        .options(&format!("--termination-message={} -t 200ms --drain 400ms", file.display()))
        .probe("block-all fork [ forever ] say ready forever");
    // Spread over the stop and the drain.
    let moments = std::env::var("LAST_WORDS").ok().and_then(|number| number.parse().ok());
    let moments: u64 = moments.unwrap_or(16);
    for moment in (0..moments).map(|number| Duration::from_micros(640_000 * number / moments)) {
        let running = scenario.start().ready();
        running.signal(libc::SIGTERM);
        wait_until("the first word", || {
            fs::read_to_string(&file).is_ok_and(|text| text.contains("asks the container to stop"))
        });
        std::thread::sleep(moment);
        running.signal(libc::SIGKILL);
        let _ = running.finish();
        let text = fs::read_to_string(&file).expect("it is there");
        let is_known = [
            "still running: the command",
            "processes are left: \"probe\"",
            "process is left",
            "and killed: \"probe\"",
        ]
        .iter()
        .any(|step| text.contains(step));
        assert!(is_known && text.starts_with("SIGTERM from outside"), "{moment:?}: {text:?}");
    }
}

#[test]
fn after_an_ordinary_end_or_the_commands_own_word_nothing_of_it_stays() {
    let directory = Directory::new();
    let file = directory.path().join("message");
    let option = format!("--termination-message={}", file.display());
    let text = || fs::read_to_string(&file).expect("it is there");
    let scenario = Scenario::container().options(&option);
    let running = scenario.clone().probe("block-all say ready await 15 say asked await 10 exit 0");
    let running = running.start().ready();
    running.signal(libc::SIGTERM);
    running.stdout.expect("asked");
    wait_until("the message", || text().contains("still running: the command"));
    running.init.child().signal(libc::SIGUSR1);
    assert_eq!((running.finish().status, text().as_str()), (0, ""));
    // The command writes during its stop.
    let script =
        format!("trap 'echo mine > {}; exit 3' TERM; echo ready; sleep 60 & wait", file.display());
    let running = scenario.command(["sh", "-c", &script]).start().ready();
    running.signal(libc::SIGTERM);
    assert_eq!((running.finish().status, text().as_str()), (3, "mine\n"));
}

#[test]
fn what_ends_as_usual_is_no_warning() {
    let finished = Scenario::container().probe("kill-self 13").run();
    assert_eq!((finished.status, finished.stderr), (141, vec![]));
}
