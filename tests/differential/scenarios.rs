//! What is looked at in every init.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::{Init, Seen, run, seen, start, with_probe};
use crate::support::{
    CTRL_C, Directory, Finished, Process, Pty, Scenario, is_root, probe, skip, wait_until,
};

/// The exit status, and which streams had something.
pub fn outcome(finished: &Finished) -> String {
    let streams = [(&finished.stdout, " out"), (&finished.stderr, " err")];
    let streams: String =
        streams.iter().filter(|(lines, _)| !lines.is_empty()).map(|(_, name)| *name).collect();
    format!("{}{streams}", finished.status)
}

pub fn statuses(init: &Init) -> Seen {
    let codes = [0, 1, 2, 7, 125, 126, 127, 128, 143, 255].map(|code| format!("exit {code}"));
    // The default action of the others is not to die.
    let deadly = (1..=64).filter(|signal| ![17, 18, 19, 20, 21, 22, 23, 28].contains(signal));
    let deaths = deadly.map(|signal| format!("die {signal}"));
    let status = |steps: String| (steps.clone(), run(&init.probe("", &steps)).status.to_string());
    codes.into_iter().chain(deaths).map(status).collect()
}

/// Each set of words: how it ends. `;` stands for the command, a probe that says nothing.
pub fn command_lines(init: &Init, lines: &[&str]) -> Seen {
    let probe = probe();
    let one = |line: &&str| {
        let words = line
            .split_whitespace()
            .map(|word| if word == ";" { probe.to_str().expect("a path") } else { word });
        seen(*line, outcome(&run(&init.with(words))))
    };
    lines.iter().map(one).collect()
}

/// Each of these values of a variable, with `steps` as the command.
pub fn variables(
    init: &Init,
    options: &str,
    variables: &[(&str, &str)],
    look: impl Fn(&Scenario) -> String,
    steps: &str,
) -> Seen {
    let one = |(name, value): &(&str, &str)| {
        seen(
            format!("{name}={value} {options}"),
            look(&init.probe(options, steps).env(name, value)),
        )
    };
    variables.iter().map(one).collect()
}

/// The exit status, and how much is said.
pub fn exec_failures(init: &Init, options: &str) -> Seen {
    let directory = Directory::new();
    let (plain, unmarked) =
        (directory.file("plain", "exit 4"), directory.file("unmarked", "exit 4"));
    fs::set_permissions(&plain, Permissions::from_mode(0o644)).expect("it is ours");
    let commands = [
        ("not found in PATH", "no-such-command".into()),
        ("not found", "/no/such/command".into()),
        ("empty", "".into()),
        ("a directory", directory.path().to_owned()),
        ("not executable", plain.clone()),
        ("below a file", plain.join("x")),
        ("no interpreter", directory.file("interpreter", "#!/no/such/shell\n")),
        ("no first line", unmarked),
        ("a damaged ELF file", directory.file("damaged", b"\x7fELF\nexit 4\n")),
    ];
    let one = |(what, path): &(&str, PathBuf)| {
        let options = options.split_whitespace().map(OsStr::new);
        let words = options.chain(["--".as_ref(), path.as_os_str()]);
        let finished = run(&init.with(words).env("PATH", "/usr/bin:/bin"));
        seen(
            format!("exec of {what}"),
            format!("{}, {} lines", finished.status, finished.stderr.len()),
        )
    };
    commands.iter().map(one).collect()
}

/// The child's surroundings, and the directory of the init.
pub fn inheritance(init: &Init, options: &str) -> Seen {
    let preparation = "cd /usr umask 27 block 10 block 40 ignore 1 ignore 13 ignore 50 open 7";
    let running = start(
        &init
            .probe(options, "report say ready await 10")
            .prepare(preparation)
            .prepare("nofile 200"),
    );
    let mut lines = BTreeMap::<String, Vec<String>>::new();
    let mut pids = vec![];
    loop {
        match running.stdout.next().split_once(' ') {
            None => break,
            Some(("pid", ids)) => pids = ids.split_whitespace().map(str::to_owned).collect(),
            Some((what, value)) => lines.entry(what.to_owned()).or_default().push(value.to_owned()),
        }
    }
    let name = |pid: &String| match pid {
        _ if *pid == pids[0] => "the child",
        _ if *pid == pids[2] => "the init",
        _ => "others",
    };
    let mut all: Seen =
        lines.into_iter().map(|(what, values)| seen(what, values.join(", "))).collect();
    all.extend([seen("group", name(&pids[4])), seen("session", name(&pids[6]))]);
    wait_until("the init to wait", || running.init.is_idle());
    let directory = fs::read_link(format!("/proc/{}/cwd", running.init.0)).expect("a directory");
    all.push(seen("directory of the init", directory.to_str().expect("a path")));
    all.into_iter().map(|(what, value)| seen(format!("{what} {options}"), value)).collect()
}

/// What becomes of each signal but those in `but`, by exception.
pub fn forwarding(init: &Init, options: &str, but: &[i32]) -> Seen {
    let running = start(&init.probe(options, "block-all say ready until 64")).ready();
    let child = running.init.child();
    let mut exceptions = Vec::new();
    for signal in (1..=63).filter(|signal| ![9, 19].contains(signal) && !but.contains(signal)) {
        let mark = if signal == 12 { 10 } else { 12 };
        running.signal(signal);
        settle(running.init, child);
        running.signal(mark);
        let next = || {
            running
                .stdout
                .next()
                .split(' ')
                .nth(1)
                .expect("a signal")
                .parse::<i32>()
                .expect("a number")
        };
        let got: Vec<_> = std::iter::from_fn(|| Some(next()).filter(|got| *got != mark)).collect();
        if got != [signal] {
            exceptions.push(format!("{signal}->{got:?}"));
        }
    }
    running.signal(64);
    assert_eq!(running.finish().status, 0);
    vec![seen(format!("forwarding {options}"), exceptions.join(" "))]
}

/// Waits until both have nothing to do, or are stopped.
fn settle(init: Process, child: Process) {
    let rests = |process: Process| process.state() == Some('T') || process.is_idle();
    wait_until("the init to forward it", || rests(init));
    wait_until("the child to take it", || rests(child));
}

/// What a child that waits for all signals is told when the init is sent these.
pub fn arrivals(init: &Init, options: &str, signals: &[i32]) -> Seen {
    let running = start(&init.probe(options, "block-all say ready until 64")).ready();
    let child = running.init.child();
    let mut states = String::new();
    for signal in signals {
        running.signal(*signal);
        settle(running.init, child);
        states.extend(
            [running.init, child]
                .map(|process| if process.state() == Some('T') { 'T' } else { 'S' }),
        );
    }
    running.signal(64);
    let lines = running.finish().stdout;
    let numbers: Vec<_> = lines.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    vec![seen(format!("{signals:?} {options}"), format!("{} {states}", numbers.join(" ")))]
}

/// Whether a signal goes to the child alone.
pub fn target(scenario: &Scenario) -> String {
    let running = start(scenario).ready();
    let child = running.init.child();
    running.signal(10);
    settle(running.init, child);
    child.child().signal(12);
    match running.finish().stdout[..] {
        [_] => "the child".to_owned(),
        [_, _] => "the group".to_owned(),
        ref lines => panic!("{lines:?}"),
    }
}

/// The command for [`target`].
pub const WITH_A_MEMBER: &str = "block-all fork [ say ready until 12 ] await 10 wait-all";

/// What becomes of a process that is there when the child ends with 3.
pub fn leftovers(init: &Init, options: &str) -> Seen {
    let mut all = Vec::new();
    for (what, fork) in [("a member of the group", "fork"), ("another session", "session")] {
        let value = if init.is_pid_1 {
            left_in_a_container(init, options, fork)
        } else {
            left_outside(init, options, fork)
        };
        all.push(seen(format!("{what} at the end {options}"), value));
    }
    all
}

/// It dies with PID 1, unless that waits for it.
fn left_in_a_container(init: &Init, options: &str, fork: &str) -> String {
    let steps = format!(
        "block-all {fork} [ say ready await 15 sleep-ms 3000 say finished ] await 10 exit 3"
    );
    let running = start(&init.probe(options, &steps)).ready();
    running.signal(10);
    let finished = running.finish();
    format!(
        "{}, {}",
        finished.status,
        if finished.stdout.is_empty() { "killed" } else { "waited for" }
    )
}

/// It lives on, under a PID 1 that waits for both.
fn left_outside(init: &Init, options: &str, fork: &str) -> String {
    let steps = format!("block-all {fork} [ say ready until 64 ] await 10 exit 3");
    let above = Scenario::inside("", "wait-last wait-all");
    let running = start(&init.inside(above, with_probe(options, &steps))).ready();
    let peer = running.init.child();
    let left = peer.child().child();
    peer.signal(10);
    wait_until("its end", || peer.state().is_none());
    left.signal(64);
    let lines = running.finish().stdout;
    let told: Vec<_> =
        lines.iter().filter_map(|line| line.strip_prefix("signal ")?.split(' ').next()).collect();
    let status = lines.iter().find_map(|line| line.strip_prefix("ended ")).expect("an end");
    format!("{status}, told {}", told.join(" "))
}

/// Whether an orphan comes to the init.
pub fn adoption(init: &Init, options: &str, variables: &[(&str, &str)]) -> Seen {
    let scenario =
        init.probe(options, "block-all report daemon [ await-orphan report say ready ] await 10");
    let scenario =
        variables.iter().fold(scenario, |scenario, (name, value)| scenario.env(name, value));
    let running = start(&scenario);
    let parent = || running.stdout.expect_part("pid ").split(' ').nth(3).map(str::to_owned);
    let (of_child, of_orphan) = (parent(), parent());
    running.stdout.expect("ready");
    running.signal(10);
    vec![seen(format!("adopts {options} {variables:?}"), (of_child == of_orphan).to_string())]
}

/// On the terminal that the init was started on, as PID 1 or as a shell's job: who has the
/// foreground, what the child reads, and is told of a ^C and of signals sent to the init.
pub fn terminal(init: &Init, options: &str) -> Seen {
    let words = with_probe(options, "block-all foreground read-line say ready until 64 exit 6");
    let mut all = vec![init.path.to_str().expect("a path")];
    if !init.is_pid_1 {
        // A job of its own: in the group of a script that leads the session, firstmate leaves the
        // terminal until it is asked for.
        all.splice(0..0, ["sh", "-mc", "\"$0\" \"$@\"; exit $?"]);
    }
    all.extend(words.iter().map(String::as_str));
    let mut pty = Pty::under(&all);
    pty.expect("foreground ");
    let whose = pty.expect("\r\n");
    pty.line("typed");
    pty.expect("line \"typed\"\r\nready\r\n");
    let process = if init.is_pid_1 { pty.leader } else { pty.leader.child() };
    let child = process.child();
    // Without the foreground it goes to the shell above; in a group that is shared with the init,
    // to both.
    if whose == "ours" && options != "-c" {
        pty.write(CTRL_C);
        pty.expect("signal 2 ");
    }
    for signal in [1, 18, 28] {
        process.signal(signal);
        settle(process, child);
    }
    process.signal(64);
    let (status, screen) = pty.finish();
    let count = |number: i32| screen.matches(&format!("signal {number} ")).count();
    let counts = [1, 2, 18, 28, 64].map(count);
    vec![seen(format!("terminal {options}"), format!("foreground {whose}, {counts:?}, {status}"))]
}

/// What the peers hang or fail at: SIGCHLD ignored at the start, a closed stdin, signals that kill
/// some of them, a child that may not be signalled.
pub fn survives(init: &Init) {
    assert_eq!(run(&init.probe("", "exit 7").prepare("ignore 17 close 0")).status, 7);
    let (_, exceptions) = forwarding(init, "", &[17, 20, 21, 22]).remove(0);
    assert_eq!(exceptions, "");
    if !is_root() {
        return skip("only root can become another user, whom firstmate may not signal");
    }
    let running = start(
        &init
            .probe("", "setuid 54321 block-all say ready await 12 exit 5")
            .prepare("lose-capability 5"),
    )
    .ready();
    running.signal(10);
    settle(running.init, running.init.child());
    running.init.child().signal(12);
    assert_eq!(running.finish().status, 5);
}
