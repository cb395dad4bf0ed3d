//! What the other commands see, and that the main one sees no difference.

use std::fs;

use super::{both, commands};
use crate::support::{Directory, Process, Scenario, is_root, skip, wait_until};

/// What a hook says. One beside the main command ends the container, and so does the failure of a
/// stop command.
fn run(scenario: &Scenario, hook: &str, steps: &str) -> Vec<String> {
    let (main, end) = match hook {
        "--with" => ("forever", ""),
        "--stop-command" => ("say ready forever", "exit 1"),
        _ => ("exit 0", ""),
    };
    let mut running = scenario.clone().hook(hook, &format!("{steps} {end}")).probe(main).start();
    if hook == "--stop-command" {
        running = running.ready();
        running.signal(libc::SIGTERM);
    }
    running.finish().stdout
}

const ALL: [&str; 4] = ["--before", "--with", "--after", "--stop-command"];

#[test]
fn they_have_dev_null_and_the_output_but_no_other_descriptor() {
    for scenario in both() {
        for hook in ALL {
            let report = run(
                &scenario.clone().prepare("open 3 open 7 open 200"),
                hook,
                "read-to-end 0 report",
            );
            assert!(report.contains(&"descriptors [0, 1, 2]".to_owned()), "{hook}: {report:?}");
            let null = format!(
                "descriptor 0 mode {:o} device {} flags 0 ",
                libc::S_IFCHR | 0o666,
                libc::makedev(1, 3)
            );
            assert!(report.iter().any(|line| line.starts_with(&null)), "{hook}: {report:?}");
        }
    }
}

#[test]
fn they_write_to_stderr_too() {
    let finished = Scenario::container()
        .hook("--before", "say-err one")
        .hook("--after", "say-err two")
        .probe("exit 0")
        .run();
    assert_eq!(finished.stderr, ["one", "two"]);
}

#[test]
fn all_else_is_as_it_was_inherited() {
    let directory = Directory::new();
    let cd = format!("cd {}", directory.path().display());
    let preparation = format!("{cd} ignore 13 ignore 17 block 10 block 64 umask 27 nofile 99");
    let same = |lines: Vec<String>| -> Vec<String> {
        let own = ["pid ", "descriptor", "env MAINPID="];
        lines.into_iter().filter(|line| !own.iter().any(|own| line.starts_with(own))).collect()
    };
    for scenario in both() {
        let scenario = scenario.prepare(&preparation).env("KEPT", "value");
        let expected = same(scenario.clone().probe("report").start_without_init().finish().stdout);
        assert!(expected.contains(&"ignored [13, 17]".to_owned()));
        for hook in ALL {
            assert_eq!(same(run(&scenario, hook, "report")), expected, "{hook}");
        }
    }
}

#[test]
fn the_main_command_has_its_stdin_and_descriptors_after_another_one_ran() {
    for scenario in both() {
        let scenario = scenario.prepare("open 3 open 7 ignore 13 block 10").probe("report");
        let without_pid = |lines: Vec<String>| -> Vec<String> {
            lines.into_iter().filter(|line| !line.starts_with("pid ")).collect()
        };
        let bare = without_pid(scenario.start_without_init().finish().stdout);
        let others =
            scenario.hook("--before", "read-to-end 0").hook("--with", "block-all await 15");
        assert_eq!(without_pid(others.run().stdout), bare);
    }
}

#[test]
fn what_is_written_to_stdin_is_the_main_commands() {
    let directory = Directory::new();
    let input = directory.file("input", "for the main command\n");
    let mut command =
        Scenario::container().hook("--before", "read-to-end 0").command(["cat"]).to_command();
    let output =
        command.stdin(fs::File::open(input).expect("it is there")).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "for the main command\n");
}

#[test]
fn variables_that_name_firstmates_pid_name_the_main_child_for_it_alone() {
    let scenario = Scenario::container().env("LISTEN_PID", "1").env("WATCHDOG_PID", "1");
    for hook in ALL {
        let report = run(&scenario, hook, "report");
        assert!(
            ["env LISTEN_PID=1", "env WATCHDOG_PID=1"]
                .iter()
                .all(|line| report.contains(&(*line).to_owned())),
            "{hook}: {report:?}"
        );
    }
    let report = scenario.hook("--before", "exit 0").probe("report").run().stdout;
    let pid = report[0].split(' ').nth(1).expect("a pid").to_owned();
    assert_ne!(pid, "2", "that was the other command's");
    assert!(
        report.contains(&format!("env LISTEN_PID={pid}"))
            && report.contains(&format!("env WATCHDOG_PID={pid}")),
        "{report:?}"
    );
}

#[test]
fn while_the_main_command_runs_they_know_its_pid() {
    for hook in ALL {
        let report = run(&Scenario::container(), hook, "report");
        let known = report.iter().find_map(|line| line.strip_prefix("env MAINPID="));
        assert_eq!(known, ["--with", "--stop-command"].contains(&hook).then_some("2"), "{hook}");
    }
}

#[test]
fn words_are_split_as_a_shell_does() {
    let scenario = Scenario::container()
        .hook("--before", r#"arguments 'a  "b"' "c 'd'" e\ f '' "$HOME" * '\n'"#);
    let arguments = scenario.probe("exit 0").run().stdout;
    let texts: Vec<_> =
        arguments.iter().skip(2).map(|line| line.rsplit_once(' ').expect("a hash").0).collect();
    let expected = [
        r#"argument 6 a  \"b\""#,
        r"argument 5 c \'d\'",
        "argument 3 e f",
        "argument 0 ",
        "argument 5 $HOME",
        "argument 1 *",
        r"argument 2 \\n",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn a_broken_quote_is_bad_input_and_starts_nothing() {
    for hook in ALL {
        let finished = Scenario::container().option(hook, "sh -c 'echo").probe("say main").run();
        assert_eq!(
            (finished.status, finished.stdout.len(), finished.stderr.len()),
            (125, 0, 1),
            "{finished:?}"
        );
        assert!(finished.stderr[0].contains(hook), "{finished:?}");
    }
}

#[test]
fn a_program_is_looked_for_where_firstmate_was_started() {
    let directory = Directory::new();
    directory.file("greet", "echo found");
    directory.file("broken", "#!/no/such/interpreter\n");
    let scenario = Scenario::container()
        .prepare(&format!("cd {}", directory.path().display()))
        .env("PATH", ".:/usr/bin:/bin");
    for hook in ["--before", "--with", "--after"] {
        let main = if hook == "--with" { "forever" } else { "exit 0" };
        for name in ["greet", "./greet"] {
            assert_eq!(
                scenario.clone().option(hook, name).probe(main).run().stdout,
                ["found"],
                "{hook} {name}"
            );
        }
        let finished = scenario.clone().option(hook, "./broken").probe(main).run();
        let line = r#"cannot run "./broken": its interpreter "/no/such/interpreter" is missing"#;
        assert!(finished.stderr[0].ends_with(line), "{hook}: {finished:?}");
    }
}

#[test]
fn the_user_is_for_the_main_command_and_those_beside_it_alone() {
    if !is_root() {
        return skip("it takes root to become another user");
    }
    let directory = Directory::new();
    let scenario = Scenario::container().programs_in(&directory).options("--user 54321:54322");
    let other = "user 54321 54321 54321 54321 group 54322 54322 54322 54322";
    for hook in ALL {
        let identity = run(&scenario, hook, "identity");
        assert_eq!(identity[0].starts_with(other), hook == "--with", "{hook}: {identity:?}");
        assert!(
            hook == "--with" || identity[0].starts_with("user 0 0 0 0 "),
            "{hook}: {identity:?}"
        );
    }
    assert!(
        scenario.hook("--before", "exit 0").probe("identity").run().stdout[0].starts_with(other)
    );
}

/// What firstmate's descriptors lead to, once it is in `/`.
fn held(init: Process) -> Vec<String> {
    wait_until("firstmate in /", || {
        fs::read_link(format!("/proc/{}/cwd", init.0)).expect("a directory").as_os_str() == "/"
    });
    let counters = ["/memory.oom_control", "/memory.events"];
    let targets = init
        .descriptors()
        .into_iter()
        .map(|(_, target)| if target.starts_with("pipe:") { "pipe".into() } else { target });
    // Those hold nothing: they name the groups of its children.
    let targets = targets.filter(|target| !target.ends_with("[pidfd]"));
    targets.filter(|target| !counters.iter().any(|counter| target.ends_with(counter))).collect()
}

#[test]
fn firstmate_holds_nothing_more_than_the_directory_and_that_only_while_a_command_may_start_there() {
    let directory = Directory::new();
    let place = directory.path().display().to_string();
    let own = ["/dev/null", "pipe", "pipe", "anon_inode:[signalfd]"];
    for scenario in both() {
        let scenario = scenario
            .prepare(&format!("open 3 open 7 cd {place}"))
            .probe("block-all say ready until 10");
        let scenario =
            scenario.hook("--before", "exit 0").hook("--with", "block-all say ready until 10");
        let running = scenario.start().ready().ready();
        wait_until("all commands", || commands(&running).len() == 2);
        wait_until("the directory let go", || held(running.init) == own);
        drop(running);
        for hook in ["--after", "--stop-command"] {
            let running = scenario.clone().hook(hook, "exit 0").start().ready().ready();
            let mut expected: Vec<_> = own.map(Into::into).to_vec();
            expected.push(place.clone());
            expected.sort_unstable();
            wait_until("the directory alone", || {
                let mut held = held(running.init);
                held.sort_unstable();
                held == expected
            });
        }
    }
}
