//! Why the container ended: the same sentence in the log and in the termination message.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{
    Directory, Finished, Scenario, become_lonely_user, is_root, probe, skip, untimed,
};

const LONGEST: usize = 4096;

/// As PID 1, and as an ordinary process.
fn both() -> [Scenario; 2] {
    [Scenario::container(), Scenario::plain()]
}

/// The lines of the log, without who says it, how much it matters, and after what time.
fn told(finished: &Finished) -> Vec<String> {
    let told = finished
        .stderr
        .iter()
        .map(|line| line.split_once("]: ").and_then(|(_, rest)| rest.split_once(": ")));
    told.map(|parts| untimed(parts.expect("a line of firstmate").1)).collect()
}

/// With a termination message in a file of this directory.
fn with_message(scenario: Scenario, directory: &Directory) -> (Scenario, PathBuf) {
    let file = directory.path().join("message");
    (scenario.options(&format!("--termination-message={}", file.display())), file)
}

fn text(file: &Path) -> String {
    fs::read_to_string(file).expect("it is there")
}

/// Runs it, with a SIGTERM once it is ready.
fn stop(scenario: &Scenario) -> Finished {
    let running = scenario.start().ready();
    running.signal(libc::SIGTERM);
    running.finish()
}

/// Not as PID 1, the test itself has sent it.
fn without_sender(line: &str) -> String {
    match line.split_once(" from process ").zip(line.split_once(" asks ")) {
        Some(((signal, _), (_, rest))) => {
            format!("{signal} from outside the container asks {rest}")
        }
        None => line.to_owned(),
    }
}

/// The message holds these sentences, and the log has each of them too.
fn assert_reasons(
    scenario: impl Fn(Scenario) -> Scenario,
    run: impl Fn(&Scenario) -> Finished,
    status: i32,
    reasons: &[&str],
) {
    for each in both() {
        let directory = Directory::new();
        let (each, file) = with_message(scenario(each), &directory);
        let finished = run(&each.options("-v"));
        assert_eq!(finished.status, status, "{finished:?}");
        let of_sender = |line: String| without_sender(&line);
        let written: Vec<_> = text(&file).lines().map(untimed).map(of_sender).collect();
        assert_eq!(written, reasons, "{finished:?}");
        let told: Vec<_> = told(&finished).into_iter().map(of_sender).collect();
        let is_told = |reason: &&str| told.iter().any(|line| line == reason);
        assert!(reasons.iter().all(is_told), "{told:?} without {reasons:?}");
    }
}

const STOPPED: &str = "SIGTERM from outside the container asks the container to stop";

#[test]
fn a_stop_is_one() {
    let stopped = |steps: &'static str| move |scenario: Scenario| scenario.probe(steps);
    assert_reasons(stopped("say ready forever"), stop, 143, &[STOPPED]);
    assert_reasons(stopped("block-all say ready until 15 exit 0"), stop, 0, &[]);
    assert_reasons(stopped("block-all say ready until 15 exit 7"), stop, 7, &[STOPPED]);
}

#[test]
fn our_escalation_is_one_with_its_time() {
    let reason = "the command was killed by SIGKILL: it had not ended N.Ns after SIGTERM";
    assert_reasons(
        |scenario| scenario.options("-t 200ms").probe("block-all say ready forever"),
        stop,
        137,
        &[STOPPED, "the command has not ended N.Ns after SIGTERM: it blocks SIGTERM", reason],
    );
    let before = format!("the --before command {:?}", probe());
    let blocks = format!("{before} has not ended N.Ns after SIGTERM: it blocks SIGTERM");
    let before = format!("{before} was killed by SIGKILL: it had not ended N.Ns after SIGTERM");
    let preparing = |scenario: Scenario| {
        scenario.options("-t 200ms").hook("--before", "block-all say ready forever").probe("exit 0")
    };
    assert_reasons(preparing, stop, 137, &[STOPPED, &blocks, &before]);
    let [blocks, with] = [blocks, before].map(|line| line.replace("--before", "--with"));
    let beside = |scenario: Scenario| {
        let scenario = scenario.prepare("block-all").options("-t 1s --exit-when all");
        scenario.hook("--with", "say ready forever").probe("await 15 exit 0")
    };
    assert_reasons(beside, stop, 137, &[STOPPED, &blocks, &with]);
}

#[test]
fn a_signal_from_elsewhere_is_one() {
    assert_reasons(
        |scenario| scenario.probe("die 9"),
        Scenario::run,
        137,
        &["the command was killed by SIGKILL"],
    );
    assert_reasons(
        |scenario| scenario.probe("die 34"),
        Scenario::run,
        162,
        &["the command was killed by SIGRTMIN"],
    );
    // Another signal than the one that asks it to stop.
    let dies = |scenario: Scenario| scenario.probe("block-all say ready await 15 die 10");
    assert_reasons(dies, stop, 138, &[STOPPED, "the command was killed by SIGUSR1"]);
}

#[test]
fn a_command_that_does_not_run_is_one() {
    let command = |program: &'static str| move |scenario: Scenario| scenario.command([program]);
    assert_reasons(
        command("/nothing/here"),
        Scenario::run,
        127,
        &[r#"cannot run "/nothing/here": No such file or directory"#],
    );
    assert_reasons(
        command("/nothing\nhere"),
        Scenario::run,
        127,
        &[r#"cannot run "/nothing\nhere": No such file or directory"#],
    );
    assert_reasons(
        command("/"),
        Scenario::run,
        126,
        &[r#"cannot run "/": Permission denied: it is a directory"#],
    );
}

#[test]
fn another_command_that_ends_the_container_is_one() {
    let missing = [r#"cannot run "/nothing/here": No such file or directory"#];
    let without = |option: &'static str| {
        move |scenario: Scenario| scenario.option(option, "/nothing/here").probe("forever")
    };
    assert_reasons(without("--before"), Scenario::run, 127, &missing);
    assert_reasons(without("--with"), Scenario::run, 127, &missing);
    let all = |scenario: Scenario| {
        scenario.options("--exit-when all").option("--with", "/nothing/here").probe("exit 0")
    };
    assert_reasons(all, Scenario::run, 127, &missing);
    let killed = format!("the --with command {:?} was killed by SIGUSR1", probe());
    let all = |scenario: Scenario| {
        scenario.options("--exit-when all").hook("--with", "die 10").probe("exit 0")
    };
    assert_reasons(all, Scenario::run, 138, &[&killed]);
    let failed =
        format!("the --before command {:?} exited with 3: nothing else is started", probe());
    assert_reasons(
        |scenario| scenario.hook("--before", "exit 3").probe("exit 0"),
        Scenario::run,
        3,
        &[&failed],
    );
    let failed = format!("the --with command {:?} exited with 0: that ends the container", probe());
    assert_reasons(
        |scenario| scenario.hook("--with", "exit 0").probe("forever"),
        Scenario::run,
        0,
        &[&failed],
    );
}

#[test]
fn our_own_failure_is_one() {
    let reason = [r#"--user: there is no user "nobody-of-that-name" in /etc/passwd"#];
    assert_reasons(
        |scenario| scenario.options("--user nobody-of-that-name").probe("exit 0"),
        Scenario::run,
        125,
        &reason,
    );
    if !is_root() {
        return skip("a limit of processes needs a user without any, which only root can become");
    }
    let programs = Directory::new();
    let directory = Directory::new();
    let file = directory.file("message", "");
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .expect("it is ours");
    let scenario = Scenario::plain()
        .programs_in(&programs)
        .prepare(&format!("nproc 1 {}", become_lonely_user()));
    let finished = scenario
        .options(&format!("--termination-message={}", file.display()))
        .probe("exit 0")
        .run();
    assert_eq!(finished.status, 125, "{finished:?}");
    assert!(text(&file).starts_with("cannot fork to run "), "{}", text(&file));
    assert_eq!(told(&finished), [text(&file)]);
}

#[test]
fn killed_leftovers_are_one_with_their_number_and_names_of_ten_at_most() {
    let kill = |steps: &'static str| {
        move |scenario: Scenario| scenario.options("--drain 100ms").probe(steps)
    };
    let one = r#"1 process was left N.Ns after SIGTERM, and killed: "probe""#;
    assert_reasons(kill("block-all daemon [ forever ] exit 3"), Scenario::run, 3, &[one]);
    let names = [r#""probe""#; 10].join(", ");
    let many = format!("12 processes were left N.Ns after SIGTERM, and killed: {names} and 2 more");
    assert_reasons(kill("block-all crowd 12 exit 0"), Scenario::run, 0, &[&many]);
}

#[test]
fn an_ordinary_exit_is_none() {
    for each in both() {
        for (steps, status) in
            [("exit 0", 0), ("exit 7", 7), ("block-all daemon [ await 15 ] exit 137", 137)]
        {
            let directory = Directory::new();
            let (scenario, file) = with_message(each.clone(), &directory);
            // What happens on the way is no reason.
            let finished = scenario.option("--after", "/nothing/here").probe(steps).run();
            assert_eq!((finished.status, finished.stderr.len()), (status, 1), "{finished:?}");
            assert_eq!(text(&file), "");
        }
    }
}

#[test]
fn the_level_of_the_log_is_not_that_of_the_message() {
    for options in ["", "-q", "-qq"] {
        let directory = Directory::new();
        let (scenario, file) = with_message(Scenario::container().options(options), &directory);
        let finished = scenario.probe("die 9").run();
        assert_eq!(
            (finished.status, text(&file).as_str()),
            (137, "the command was killed by SIGKILL"),
            "{options}"
        );
        assert_eq!(finished.stderr.is_empty(), !options.is_empty(), "{finished:?}");
    }
}

#[test]
fn a_file_is_made_at_the_start_and_what_an_earlier_run_has_left_does_not_stay() {
    let directory = Directory::new();
    let (scenario, file) = with_message(Scenario::container(), &directory);
    let show = scenario.clone().command([Path::new("cat"), &file]);
    assert_eq!(show.run().status, 0, "there is none");
    for (run, expected) in
        [(show, ""), (scenario.probe("die 9"), "the command was killed by SIGKILL")]
    {
        directory.file("message", "of an earlier run, and longer than what follows it now");
        run.run();
        assert_eq!(text(&file), expected);
    }
}

#[test]
fn whoever_may_write_to_its_folder_cannot_lead_us_to_another_file() {
    type Link = fn(&Path, &Path) -> std::io::Result<()>;
    let links: [(Link, &str); 2] = [
        (|other, file| std::os::unix::fs::symlink(other, file), "it is a symbolic link"),
        (|other, file| fs::hard_link(other, file), "it has another name as well (a hard link)"),
    ];
    for (link, says) in links {
        let directory = Directory::new();
        let other = directory.file("other", "precious");
        let (scenario, file) = with_message(Scenario::container(), &directory);
        link(&other, &file).expect("a link");
        let finished = scenario.probe("die 9").run();
        assert_eq!((finished.status, text(&other).as_str()), (137, "precious"));
        assert!(finished.stderr[0].ends_with(says), "{finished:?}");
    }
}

#[test]
fn the_commands_own_message_is_kept() {
    let directory = Directory::new();
    let (scenario, file) = with_message(Scenario::container(), &directory);
    let finished = scenario
        .command(["sh", "-c", &format!("echo mine > {}; kill -9 $$", file.display())])
        .run();
    assert_eq!((finished.status, text(&file).as_str()), (137, "mine\n"));
}

/// `content` is what the default file holds, if it is there, before and after the run.
fn default_file(content: Option<&str>) -> (Finished, Option<String>) {
    let directory = Directory::new();
    let file = directory.path().join("termination-log");
    if let Some(content) = content {
        fs::write(&file, content).expect("a new file");
    }
    let scenario =
        Scenario::container().prepare(&format!("bind {} /dev", directory.path().display()));
    let finished = scenario.options("--termination-message").probe("die 9").run();
    (finished, fs::read_to_string(&file).ok())
}

#[test]
fn the_default_file_is_written_only_if_it_is_there_and_empty() {
    let (finished, content) = default_file(Some(""));
    assert_eq!(
        (finished.stderr.len(), content.as_deref()),
        (1, Some("the command was killed by SIGKILL"))
    );
    let (finished, content) = default_file(Some("mine"));
    assert_eq!((finished.stderr.len(), content.as_deref()), (1, Some("mine")));
    let (finished, content) = default_file(None);
    assert_eq!((finished.status, content), (137, None));
    assert!(
        told(&finished)[0].starts_with(
            r#"cannot open "/dev/termination-log" for the termination message: No such file"#
        ),
        "{finished:?}"
    );
}

#[test]
fn what_becomes_of_its_place_does_not_matter_once_it_is_open() {
    let directory = Directory::new();
    let (scenario, file) = with_message(Scenario::container(), &directory);
    let place = directory.path().display();
    assert_eq!(scenario.probe(&format!("hide {place} die 9")).run().status, 137);
    assert_eq!(text(&file), "the command was killed by SIGKILL");
}

#[test]
fn a_file_that_cannot_be_opened_or_written_is_one_warning_and_changes_nothing_else() {
    let directory = Directory::new();
    let place = directory.path();
    let fifo = place.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    for (file, reason) in [
        (place.join("none/message"), "No such file or directory"),
        (place.to_owned(), "Is a directory"),
        (fifo, "No such device or address"),
        ("/dev/full".into(), "No space left on device"),
    ] {
        for scenario in both() {
            let scenario = scenario.options(&format!("--termination-message={}", file.display()));
            let finished = scenario.probe("die 9").run();
            assert_eq!((finished.status, finished.stderr.len()), (137, 2), "{finished:?}");
            let warning = finished
                .stderr
                .iter()
                .find(|line| line.contains("termination message: "))
                .expect("a warning");
            assert!(
                warning.contains(": warning: cannot ") && warning.contains(reason),
                "{warning}"
            );
        }
    }
}

#[test]
fn a_full_disk_changes_nothing_else() {
    let directory = Directory::new();
    let place = directory.path().display();
    let scenario = Scenario::container().prepare(&format!("small-disk {place} 4096"));
    let scenario = scenario.options(&format!("--termination-message={place}/message"));
    let finished = scenario
        .command(["sh", "-c", &format!("cat /dev/zero > {place}/filling 2> /dev/null; kill -9 $$")])
        .run();
    assert_eq!((finished.status, finished.stderr.len()), (137, 2), "{finished:?}");
    assert!(
        told(&finished)[1]
            .starts_with("cannot write the termination message: No space left on device"),
        "{finished:?}"
    );
}

#[test]
fn no_message_is_longer_than_kubernetes_reads() {
    let directory = Directory::new();
    let (scenario, file) = with_message(Scenario::container(), &directory);
    let finished = scenario.command([format!("/{}", "é".repeat(LONGEST))]).run();
    assert_eq!(finished.status, 126, "ENAMETOOLONG");
    let text = text(&file);
    assert!(text.len() < LONGEST, "{}", text.len());
    assert!(text.starts_with("cannot run \"/éé"), "{text}");
    assert!(text.ends_with("too long"), "{text}");
}
