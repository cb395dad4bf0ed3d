//! `--user`: the command runs as another user, and firstmate does not.

use std::fs;

use crate::support::{
    Directory, Finished, Process, Scenario, clean, is_root, probe, skip, wait_until,
};

const PASSWD: &str = "root:x:0:0::/root:/bin/sh\napp:x:54321:54322::/srv/app:/bin/false\n";
const GROUP: &str = "root:x:0:\nstaff:x:54330:other,app\nwheel:x:54331:app\nguests:x:54332:other\n";

/// capabilities(7)
const CAP_KILL: i32 = 5;
const CAP_SETGID: i32 = 6;
const CAP_SETUID: i32 = 7;
const CAP_SYS_PTRACE: i32 = 19;
/// securebits.h
const SECBIT_NO_SETUID_FIXUP: i32 = 4;

/// Only root can become another user; an ordinary one is root in a user namespace, but of nobody
/// else.
fn cannot_switch() -> bool {
    if !is_root() {
        skip("it takes root to become another user");
    }
    !is_root()
}

/// A container with users of its own, and copies of the programs that they may execute.
fn container(directory: &Directory) -> Scenario {
    let (passwd, group) = (directory.file("passwd", PASSWD), directory.file("group", GROUP));
    let files =
        format!("bind {} /etc/passwd bind {} /etc/group", passwd.display(), group.display());
    Scenario::container().programs_in(directory).prepare(&files)
}

/// The copy of the probe.
fn copied(directory: &Directory) -> String {
    directory.path().join(probe().file_name().expect("a name")).display().to_string()
}

impl Scenario {
    /// The command: the copy of the probe, which every user may execute.
    fn copied_probe(self, directory: &Directory, steps: &str) -> Self {
        let program = copied(directory);
        self.command([program.as_str()].into_iter().chain(steps.split_whitespace()))
    }
}

fn run_as(user: &str, steps: &str) -> Finished {
    let directory = Directory::new();
    container(&directory).options(&format!("--user {user}")).copied_probe(&directory, steps).run()
}

/// Real, effective, saved and that of the file system, of the user and the group; and the
/// supplementary groups.
fn identity(uid: u32, gid: u32, groups: &str) -> Vec<String> {
    let four = |id: u32| [id; 4].map(|id| id.to_string()).join(" ");
    vec![
        format!("user {} group {} groups {groups}", four(uid), four(gid)),
        "no capabilities".to_owned(),
    ]
}

fn assert_refused(finished: &Finished, reason: &str) {
    assert_eq!(
        (finished.status, finished.stdout.len(), finished.stderr.len()),
        (125, 0, 1),
        "{finished:?}"
    );
    assert!(finished.stderr[0].contains(reason), "{:?} is not {reason:?}", finished.stderr[0]);
}

#[test]
fn a_user_by_name_has_the_groups_of_the_files() {
    if cannot_switch() {
        return;
    }
    assert_eq!(run_as("app", "identity").stdout, identity(54321, 54322, "54322 54330 54331"));
}

#[test]
fn a_user_by_number_has_one_group() {
    if cannot_switch() {
        return;
    }
    assert_eq!(run_as("54321", "identity").stdout, identity(54321, 54322, "54322"));
    assert_eq!(run_as("54399", "identity").stdout, identity(54399, 54399, "54399"));
}

#[test]
fn a_group_that_is_given_is_the_only_one() {
    if cannot_switch() {
        return;
    }
    assert_eq!(run_as("app:guests", "identity").stdout, identity(54321, 54332, "54332"));
    assert_eq!(run_as("app:7", "identity").stdout, identity(54321, 7, "7"));
    assert_eq!(run_as("54399:staff", "identity").stdout, identity(54399, 54330, "54330"));
    assert_eq!(run_as("54399:7", "identity").stdout, identity(54399, 7, "7"));
}

#[test]
fn numbers_need_no_files() {
    if cannot_switch() {
        return;
    }
    let directory = Directory::new();
    let scenario = Scenario::container()
        .programs_in(&directory)
        .prepare("hide /etc")
        .copied_probe(&directory, "identity");
    assert_eq!(scenario.clone().options("--user 54399:7").run().stdout, identity(54399, 7, "7"));
    assert_eq!(
        scenario.clone().options("--user 54399").run().stdout,
        identity(54399, 54399, "54399")
    );
    assert_refused(
        &scenario.options("--user app").run(),
        r#"--user: there is no user "app" in /etc/passwd"#,
    );
}

#[test]
fn the_variable_works_like_the_option() {
    if cannot_switch() {
        return;
    }
    let directory = Directory::new();
    let finished = container(&directory)
        .env("FIRSTMATE_USER", "54399:7")
        .copied_probe(&directory, "identity")
        .run();
    assert_eq!(finished.stdout, identity(54399, 7, "7"));
}

#[test]
fn a_name_sets_home_user_and_logname_and_nothing_else() {
    if cannot_switch() {
        return;
    }
    let variables = |user: &str| {
        let directory = Directory::new();
        let inherited =
            "environment [ HOME=/root A=1 USER=root HOMER=x HOME=/again B=2 LISTEN_PID=1 ]";
        let scenario = container(&directory)
            .prepare(inherited)
            .options(user)
            .copied_probe(&directory, "report");
        let told = scenario.run().stdout;
        let pid = told[0].split(' ').nth(1).expect("a pid").to_owned();
        let variables = told.iter().filter_map(|line| line.strip_prefix("env "));
        variables
            .map(|line| line.replace(&format!("PID={pid}"), "PID=ours"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        variables("--user app"),
        "A=1 HOMER=x B=2 LISTEN_PID=ours HOME=/srv/app USER=app LOGNAME=app"
    );
    assert_eq!(
        variables("--user 54321"),
        "HOME=/root A=1 USER=root HOMER=x HOME=/again B=2 LISTEN_PID=ours"
    );
}

#[test]
fn there_is_no_way_back_to_root() {
    if cannot_switch() {
        return;
    }
    assert_eq!(run_as("app", "become-root").stdout, ["ways []"]);
    assert_eq!(run_as("54321:54322", "become-root").stdout, ["ways []"]);
}

#[test]
fn capabilities_that_the_kernel_would_leave_are_dropped() {
    if cannot_switch() {
        return;
    }
    let directory = Directory::new();
    let scenario = container(&directory)
        .options("--user app")
        .copied_probe(&directory, "identity become-root");
    for surroundings in
        [format!("securebits {SECBIT_NO_SETUID_FIXUP}"), "privileged-user 54340 54341".to_owned()]
    {
        let finished = scenario.clone().prepare(&surroundings).run();
        let expected =
            [identity(54321, 54322, "54322 54330 54331"), vec!["ways []".to_owned()]].concat();
        assert_eq!(finished.stdout, expected, "{surroundings}: {finished:?}");
    }
}

#[test]
fn root_may_be_named_too_and_keeps_its_capabilities() {
    let may_keep = |group: &nix::unistd::Gid| *group == nix::unistd::getgid();
    if !is_root() && !nix::unistd::getgroups().expect("the groups").iter().all(may_keep) {
        return skip("the groups that a user has outside cannot be given up in a user namespace");
    }
    let directory = Directory::new();
    let finished = container(&directory)
        .options("--user root")
        .copied_probe(&directory, "identity report")
        .run();
    assert!(finished.stdout[0].starts_with("user 0 0 0 0 group 0 0 0 0 groups"), "{finished:?}");
    assert!(finished.stdout[1].starts_with("capabilities "), "{finished:?}");
    assert!(finished.stdout.contains(&"env HOME=/root".to_owned()), "{finished:?}");
}

#[test]
fn firstmate_stays_root_and_can_signal_and_drain_the_other_user() {
    if cannot_switch() {
        return;
    }
    let directory = Directory::new();
    let leftover = "block-all daemon [ forever ] say ready until 15 exit 7";
    let running = container(&directory)
        .options("--user app --drain 100ms")
        .copied_probe(&directory, leftover)
        .start();
    running.stdout.expect("ready");
    assert_eq!(running.init.status("Uid"), "0\t0\t0\t0");
    assert!(running.init.children().iter().all(|child| child.status("Uid").starts_with("54321\t")));
    running.signal(libc::SIGUSR1);
    running.stdout.expect_part("signal 10 ");
    running.signal(libc::SIGTERM);
    running.stdout.expect_part("signal 15 ");
    let finished = running.finish();
    assert_eq!(finished.status, 7, "{finished:?}");
    assert!(finished.stderr[0].contains("and killed: "), "{finished:?}");
}

/// What it takes to signal the command, and to see it.
#[test]
fn firstmate_keeps_no_other_capability_than_it_needs() {
    if cannot_switch() {
        return;
    }
    let directory = Directory::new();
    let program = copied(&directory);
    let capabilities = |options: &str, command: &str| {
        let scenario = container(&directory).options(options);
        let scenario = match command {
            "" => scenario,
            option => scenario.option(option, format!("{program} forever")),
        };
        let running = scenario.copied_probe(&directory, "say ready forever").start().ready();
        running.init.wait_until_idle();
        let sets = ["CapPrm", "CapEff", "CapAmb"].map(|set| {
            u64::from_str_radix(&running.init.status(set), 16).expect("a set of capabilities")
        });
        running.signal(libc::SIGKILL);
        running.finish();
        sets
    };
    let [all, effective, _] = capabilities("", "");
    assert!(all == effective && all.count_ones() > 2, "{all:x}");
    let needed = all & (1 << CAP_KILL | 1 << CAP_SYS_PTRACE);
    for options in ["--user app", "--user root", "-g --user app --drain 5s"] {
        for command in ["", "--with"] {
            assert_eq!(capabilities(options, command), [needed, needed, 0], "{options} {command}");
        }
        // They run as root.
        for hook in ["--stop-command", "--after"] {
            assert_eq!(capabilities(options, hook), [all, all, 0], "{options} {hook}");
        }
    }
}

#[test]
fn stdout_of_firstmate_stays_open_to_root_without_ptrace() {
    if cannot_switch() {
        return;
    }
    let directory = Directory::new();
    let lose = format!("lose-capability {CAP_SYS_PTRACE}");
    let scenario = container(&directory)
        .prepare(&lose)
        .options("--user app")
        .copied_probe(&directory, "say ready forever");
    let running = scenario.start().ready();
    let look = |process: Process| {
        let fd = format!("/proc/{}/fd/1", process.0);
        let output = clean(&probe()).args(lose.split(' ')).args(["exec", "readlink", &fd]).output();
        String::from_utf8(output.expect("the probe runs").stdout).expect("a path")
    };
    wait_until("an open descriptor", || look(running.init).starts_with("pipe:"));
}

#[test]
fn who_is_unknown_is_told_in_one_line_and_nothing_is_started() {
    for (user, reason) in [
        ("nobody-here", r#"--user: there is no user "nobody-here" in /etc/passwd"#),
        ("0:nowhere", r#"--user: there is no group "nowhere" in /etc/group"#),
        ("4294967295", r#"--user: "4294967295" is not accepted: give a user or user:group"#),
        ("app:", r#"--user: "app:" is not accepted: give a user or user:group"#),
    ] {
        assert_refused(&run_as(user, "say started"), reason);
    }
}

#[test]
fn a_file_that_nobody_writes_to_holds_nothing_up() {
    let directory = Directory::new();
    let fifo = directory.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let scenario = Scenario::container().prepare(&format!("bind {} /etc/passwd", fifo.display()));
    let finished = scenario.options("--user app").probe("say started").run();
    assert_refused(&finished, "--user: cannot read /etc/passwd: it is no regular file");
}

#[test]
fn more_groups_than_a_process_may_have_are_said_to_be_so() {
    if cannot_switch() {
        return;
    }
    let directory = Directory::new();
    let scenario = container(&directory).options("--user app");
    let groups: Vec<_> = (100_000..166_000).map(|id| format!("g{id}:x:{id}:app\n")).collect();
    directory.file("group", groups.concat());
    let finished = scenario.copied_probe(&directory, "say started").run();
    assert_refused(&finished, ": it has more than 65536 groups");
}

#[test]
fn without_the_capabilities_for_it_nothing_is_started() {
    if cannot_switch() {
        return;
    }
    for (capability, user) in
        [(CAP_SETUID, "app"), (CAP_SETGID, "app"), (CAP_SETGID, "54399:7"), (CAP_SETUID, "54399:0")]
    {
        let directory = Directory::new();
        let scenario = container(&directory)
            .prepare(&format!("lose-capability {capability}"))
            .options(&format!("--user {user}"));
        let finished = scenario.copied_probe(&directory, "say started").run();
        assert_refused(
            &finished,
            "Operation not permitted (os error 1): this needs CAP_SETUID and CAP_SETGID",
        );
        let ids = if user == "app" { "(uid 54321, gid 54322)" } else { "(uid 54399, gid " };
        assert!(finished.stderr[0].contains(&format!(" as user {user} {ids}")), "{finished:?}");
    }
}

#[test]
fn a_command_that_could_not_be_stopped_is_told_of_at_the_start() {
    if cannot_switch() {
        return;
    }
    for (lose, told) in [(String::new(), 0), (format!("lose-capability {CAP_KILL}"), 1)] {
        let directory = Directory::new();
        let running = container(&directory)
            .prepare(&lose)
            .options("--user app -v")
            .copied_probe(&directory, "block-all say ready await 10 exit 3")
            .start()
            .ready();
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| line.contains("started")) {
            lines.push(running.stderr.next());
        }
        assert_eq!(lines.len(), told + 1, "{lines:?}");
        assert!(told == 0 || lines[0].contains("we lack CAP_KILL"), "{lines:?}");
        running.init.children()[0].signal(libc::SIGUSR1);
        assert_eq!(running.finish().status, 3);
    }
}

#[test]
fn a_sandbox_that_only_pretends_to_change_the_user_starts_nothing() {
    if cannot_switch() {
        return;
    }
    for pretended in
        [libc::SYS_setgroups, libc::SYS_setresgid, libc::SYS_setresuid, libc::SYS_capset]
    {
        let directory = Directory::new();
        let surroundings = format!("securebits {SECBIT_NO_SETUID_FIXUP} refuse {pretended} -1 0");
        let scenario = container(&directory).prepare(&surroundings).options("--user app");
        assert_refused(
            &scenario.copied_probe(&directory, "say started").run(),
            "Operation not permitted",
        );
    }
}

#[test]
fn an_id_that_the_user_namespace_does_not_have_starts_nothing() {
    let directory = Directory::new();
    // Root becomes an ordinary user, for whom the container is a user namespace with one user.
    let scenario = if is_root() {
        Scenario::plain()
            .prepare(&format!("setgroups 0 setuid 54399 exec {} container", copied(&directory)))
    } else {
        Scenario::container()
    };
    let finished = scenario
        .programs_in(&directory)
        .options("--user 0:7")
        .copied_probe(&directory, "say started")
        .run();
    assert_refused(&finished, "as user 0:7 (uid 0, gid 7): ");
    if is_root() {
        // With groups that it cannot give up, the lack of a right comes first.
        assert!(
            finished.stderr[0]
                .contains("Invalid argument (os error 22): the user namespace does not have it"),
            "{finished:?}"
        );
    }
}

#[test]
fn an_ordinary_user_may_ask_for_itself_and_for_nobody_else() {
    if cannot_switch() {
        return;
    }
    let directory = Directory::new();
    let ordinary = Scenario::plain().programs_in(&directory).prepare("setgroups 0 setuid 54399");
    let finished =
        ordinary.clone().options("--user 54399:0").copied_probe(&directory, "identity").run();
    assert_eq!(finished.stdout, identity(54399, 0, ""), "{finished:?}");
    for other in ["54398:0", "54399:7", "0:0"] {
        let scenario = ordinary.clone().options(&format!("--user {other}"));
        assert_refused(
            &scenario.copied_probe(&directory, "say started").run(),
            "Operation not permitted",
        );
    }
}

#[test]
fn a_file_that_the_user_may_not_execute_is_126() {
    if cannot_switch() {
        return;
    }
    let directory = Directory::new();
    let secret = directory.path().join("secret");
    fs::create_dir(&secret).expect("a directory");
    let tool = directory.file("secret/tool", "#!/bin/sh\necho started\n");
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("it is ours");
    let scenario = container(&directory).options("--user app");
    let path = secret.display();
    for finished in [
        scenario.clone().command([&tool]).run(),
        scenario.clone().env("PATH", &secret).command(["tool"]).run(),
    ] {
        assert_eq!(
            (finished.status, finished.stdout.len(), finished.stderr.len()),
            (126, 0, 1),
            "{finished:?}"
        );
        assert!(finished.stderr[0].contains("Permission denied"), "{finished:?}");
    }
    let other = directory.path().join("other");
    fs::create_dir(&other).expect("a directory");
    directory.file("other/tool", "#!/bin/sh\necho other\n");
    let found = scenario.env("PATH", format!("{path}:{}", other.display())).command(["tool"]).run();
    assert_eq!((found.status, found.stdout), (0, vec!["other".to_owned()]));
}

#[test]
fn a_script_without_a_first_line_for_it_runs_as_the_user_too() {
    if cannot_switch() {
        return;
    }
    let directory = Directory::new();
    let script = directory.file("script", "id -u\n");
    let finished = container(&directory).options("--user app").command([&script]).run();
    assert_eq!((finished.status, finished.stdout), (0, vec!["54321".to_owned()]));
}
