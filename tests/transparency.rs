//! Promise 1: the command sees what it would have seen without an init.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;

use crate::support::{Directory, Finished, Scenario, probe};

/// What the probe tells with and without firstmate, but for where it stands among the processes.
fn assert_same(scenario: &Scenario) -> Vec<String> {
    let (bare, under) = (scenario.start_without_init().finish(), scenario.run());
    let (bare, under) = (told(bare), told(under));
    assert!(!bare.is_empty());
    assert_eq!(under, bare);
    bare
}

fn told(finished: Finished) -> Vec<String> {
    assert_eq!((finished.status, finished.stderr.as_slice()), (0, [].as_slice()), "{finished:?}");
    finished.stdout.into_iter().filter(|line| !line.starts_with("pid ")).collect()
}

fn assert_same_report(preparation: &str) -> Vec<String> {
    assert_same(&Scenario::plain().prepare(preparation).probe("report"));
    assert_same(&Scenario::container().prepare(preparation).probe("report"))
}

fn line<'a>(report: &'a [String], name: &str) -> &'a str {
    report.iter().find_map(|line| line.strip_prefix(name)).expect("a line of that name")
}

#[test]
fn the_signal_mask_is_the_inherited_one() {
    let masks = [
        ("", "0000000000000000"),
        ("block 15 block 17 block 33 block 64", "8000000100014000"),
        ("block 32", "0000000080000000"),
        // KILL and STOP cannot be blocked.
        ("block-all", "fffffffffffbfeff"),
    ];
    for (preparation, mask) in masks {
        assert_eq!(line(&assert_same_report(preparation), "mask "), mask);
    }
}

#[test]
fn the_dispositions_are_the_inherited_ones() {
    for (preparation, ignored) in [
        ("", "[]"),
        ("ignore 13", "[13]"),
        ("ignore 17", "[17]"),
        ("ignore 13 ignore 17 ignore 2", "[2, 13, 17]"),
    ] {
        assert_eq!(line(&assert_same_report(preparation), "ignored "), ignored);
    }
}

#[test]
fn every_signal_that_can_be_ignored_stays_ignored() {
    let all: Vec<i32> =
        (1..=64).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal)).collect();
    let preparation: Vec<_> = all.iter().map(|signal| format!("ignore {signal}")).collect();
    assert_eq!(line(&assert_same_report(&preparation.join(" ")), "ignored "), format!("{all:?}"));
}

#[test]
fn closed_standard_streams_stay_closed() {
    for closed in [
        "close 0",
        "close 1",
        "close 2",
        "close 0 close 1",
        "close 1 close 2",
        "close 0 close 1 close 2",
    ] {
        for scenario in [Scenario::plain(), Scenario::container()] {
            assert_same(&scenario.prepare("dup 1 9").prepare(closed).probe("report-on 9"));
        }
    }
    let all =
        Scenario::container().prepare("dup 1 9 close 0 close 1 close 2").probe("report-on 9").run();
    assert_eq!(line(&all.stdout, "descriptors "), "[9]");
}

#[test]
fn descriptors_are_passed_on_and_none_is_added() {
    assert_eq!(line(&assert_same_report(""), "descriptors "), "[0, 1, 2]");
    let some = assert_same_report("open 3 open 4 open 10 open 200");
    assert_eq!(line(&some, "descriptors "), "[0, 1, 2, 3, 4, 10, 200]");
}

#[test]
fn the_working_directory_is_the_inherited_one_even_if_it_is_deleted() {
    let directory = Directory::new();
    let place = directory.path().display();
    assert!(line(&assert_same_report(&format!("cd {place}")), "cwd ").contains(&place.to_string()));
    let gone = directory.path().join("gone");
    let mut scenarios = [Scenario::plain(), Scenario::container()].map(|scenario| {
        let gone = gone.display();
        scenario.prepare(&format!("cd {gone} rmdir {gone}")).probe("report")
    });
    for scenario in &mut scenarios {
        let mut reports = [Scenario::start_without_init, Scenario::start].map(|start| {
            fs::create_dir(&gone).expect("a directory");
            let inode = format!(
                "{}))",
                std::os::unix::fs::MetadataExt::ino(&fs::metadata(&gone).expect("it is there"))
            );
            let report = told(start(scenario).finish());
            let cwd = line(&report, "cwd ").to_owned();
            assert!(cwd.starts_with("None Some(") && cwd.ends_with(&inode), "{cwd} is not {inode}");
            report
        });
        // Each run deletes a directory of its own.
        for report in &mut reports {
            report.retain(|line| !line.starts_with("cwd "));
        }
        assert_eq!(reports[0], reports[1]);
    }
}

#[test]
fn umask_and_limits_are_the_inherited_ones() {
    let report = assert_same_report("umask 63 nofile 300 fsize 123456 as 1234567890");
    assert_eq!(line(&report, "umask "), "77");
    assert_eq!(line(&report, &format!("limit {} ", libc::RLIMIT_NOFILE)), "300 300");
    assert_eq!(line(&report, &format!("limit {} ", libc::RLIMIT_FSIZE)), "123456 123456");
    assert_eq!(line(&report, &format!("limit {} ", libc::RLIMIT_AS)), "1234567890 1234567890");
}

fn command(words: &[&OsStr]) -> Vec<OsString> {
    [probe().as_os_str(), "arguments".as_ref()]
        .into_iter()
        .chain(words.iter().copied())
        .map(OsStr::to_owned)
        .collect()
}

#[test]
fn a_megabyte_of_arguments_arrives_unchanged() {
    // The kernel takes one of just under 128 KiB, and a quarter of the stack's limit of all.
    let long: Vec<OsString> =
        (b'a'..b'i').map(|letter| OsString::from_vec(vec![letter; 131_071])).collect();
    let long: Vec<&OsStr> = long.iter().map(OsString::as_os_str).collect();
    let told = assert_same(&Scenario::container().command(command(&long)));
    assert_eq!(told.iter().filter(|line| line.starts_with("argument 131071 ")).count(), 8);
}

#[test]
fn arguments_are_bytes_and_may_be_empty_or_look_like_options() {
    let odd: Vec<&OsStr> =
        [b"".as_slice(), b"--", b"--help", b"-t", b"\xff\xfe not UTF-8", b"a\nb", b""]
            .map(OsStr::from_bytes)
            .into();
    let told = assert_same(&Scenario::container().command(command(&odd)));
    assert_eq!(told.len(), 2 + odd.len());
    assert!(told[6].contains(r"\xff\xfe not UTF-8"), "{told:?}");
}

#[test]
fn a_command_whose_name_is_not_utf_8_is_run_by_its_path_and_through_path() {
    let directory = Directory::new();
    let place = directory.path().join(OsStr::from_bytes(b"bin\xfe"));
    fs::create_dir(&place).expect("a directory");
    let name = OsStr::from_bytes(b"tool\xff");
    directory.copy(&probe(), place.join(name));
    assert_same(
        &Scenario::container().command([place.join(name).as_os_str(), "arguments".as_ref()]),
    );
    let found = assert_same(
        &Scenario::container().env("PATH", &place).command([name, "arguments".as_ref()]),
    );
    assert!(found[0].starts_with(r"argument 5 tool\xff "), "{found:?}");
}

#[test]
fn the_environment_is_unchanged_and_in_the_same_order() {
    let odd = "environment [ Z=1 no-equals-sign =starts A=1 A=2 EMPTY= \
               FIRSTMATE_PORT=tcp://10.0.0.1:80 FIRSTMATE_VERBOSE=0 Z=3 ]";
    let report = assert_same_report(odd);
    let told: Vec<_> = report.iter().filter_map(|line| line.strip_prefix("env ")).collect();
    let expected: Vec<_> =
        odd.split(' ').filter(|word| !["environment", "[", "]"].contains(word)).collect();
    assert_eq!(told, expected);
    let bytes = Scenario::container()
        .env(OsStr::from_bytes(b"NAME\xff"), OsStr::from_bytes(b"\xfe\n="))
        .probe("report");
    assert!(assert_same(&bytes).contains(&r"env NAME\xff=\xfe\n=".to_owned()));
    assert_same_report("environment [ ]");
}

#[test]
fn variables_that_name_the_pid_of_firstmate_name_the_command_instead() {
    let variables = "environment [ LISTEN_PID=1 LISTEN_FDS=1 LISTEN_PID=11 WATCHDOG_PID=1 \
                     WATCHDOG_PID=01 WATCHDOG_USEC=1 MY_LISTEN_PID=1 ]";
    let finished = Scenario::container().prepare(variables).probe("report").run();
    let told: Vec<_> =
        finished.stdout.iter().filter_map(|line| line.strip_prefix("env ")).collect();
    let pid = line(&finished.stdout, "pid ").split(' ').next().expect("a pid");
    assert_ne!(pid, "1");
    let (listen, watchdog) = (format!("LISTEN_PID={pid}"), format!("WATCHDOG_PID={pid}"));
    let expected = [
        &*listen,
        "LISTEN_FDS=1",
        "LISTEN_PID=11",
        &*watchdog,
        "WATCHDOG_PID=01",
        "WATCHDOG_USEC=1",
        "MY_LISTEN_PID=1",
    ];
    assert_eq!(told, expected);
    assert_same_report("environment [ LISTEN_PID=7 WATCHDOG_PID=77 ]");
}

#[test]
fn the_command_leads_a_process_group_of_its_own_in_the_same_session() {
    for scenario in [Scenario::plain(), Scenario::container()] {
        let scenario = scenario.probe("report");
        let [bare, under] =
            [scenario.start_without_init().finish(), scenario.run()].map(|finished| {
                let words = line(&finished.stdout, "pid ")
                    .split(' ')
                    .map(str::to_owned)
                    .collect::<Vec<_>>();
                [0, 2, 4, 6].map(|at| words[at].parse::<i32>().expect("a number"))
            });
        let [pid, _, group, session] = under;
        assert_eq!((group, session), (pid, bare[3]));
    }
}

/// Directories `a` and `b`, each with its `tool`, which tells where it is.
fn tools() -> (Directory, String) {
    let directory = Directory::new();
    for place in ["a", "b"] {
        fs::create_dir(directory.path().join(place)).expect("a directory");
        directory.file(format!("{place}/tool"), format!("#!/bin/sh\necho {place} $0 \"$@\"\n"));
    }
    let place = directory.path().display().to_string();
    (directory, place)
}

/// What `tool` says through this PATH, in the directory `a`; with and without firstmate.
fn through_path(place: &str, path: &str) -> String {
    let told = assert_same(
        &Scenario::container()
            .prepare(&format!("cd {place}/a"))
            .env("PATH", path)
            .command(["tool", "x", ""]),
    );
    told.join("\n")
}

#[test]
fn the_first_match_in_path_is_executed() {
    let (_keep, place) = tools();
    assert_eq!(
        through_path(&place, &format!("{place}/a:{place}/b")),
        format!("a {place}/a/tool x ")
    );
    assert_eq!(
        through_path(&place, &format!("/nowhere:{place}/b/tool:{place}/b:{place}/a")),
        format!("b {place}/b/tool x ")
    );
}

#[test]
fn an_empty_element_of_path_is_the_working_directory() {
    let (_keep, place) = tools();
    for path in [
        String::new(),
        format!(":{place}/b"),
        format!("/nowhere::{place}/b"),
        "/nowhere:".to_owned(),
    ] {
        assert_eq!(through_path(&place, &path), "a tool x ", "{path:?}");
    }
}

#[test]
fn a_match_in_path_that_may_not_be_executed_is_passed_over_but_remembered() {
    let (directory, place) = tools();
    fs::create_dir_all(directory.path().join("c/tool")).expect("a directory");
    assert_eq!(
        through_path(&place, &format!("{place}/c:{place}/b")),
        format!("b {place}/b/tool x ")
    );
    let only =
        Scenario::container().env("PATH", format!("{place}/c:/nowhere")).command(["tool"]).run();
    assert_eq!(only.status, 126, "{only:?}");
    assert!(only.stderr[0].contains("Permission denied"), "{only:?}");
}

#[test]
fn an_element_of_path_that_is_too_long_hides_no_others() {
    let (_keep, place) = tools();
    // Not compared: glibc takes it for the working directory.
    let path = format!("/nowhere:/{}:{place}/b", "x/".repeat(2100));
    let finished = Scenario::container()
        .prepare(&format!("cd {place}/a"))
        .env("PATH", path)
        .command(["tool"])
        .run();
    assert_eq!(told(finished), [format!("b {place}/b/tool")]);
}

#[test]
fn an_element_of_path_that_fails_in_an_unusual_way_ends_the_search_as_in_execvp() {
    let (directory, place) = tools();
    let looping = directory.path().join("loop");
    symlink(&looping, &looping).expect("a link");
    let finished = Scenario::container()
        .env("PATH", format!("{place}/loop:{place}/b"))
        .command(["tool"])
        .run();
    assert_eq!(finished.status, 126, "{finished:?}");
    assert!(finished.stderr[0].to_lowercase().contains("symbolic link"), "{finished:?}");
}

#[test]
fn without_path_the_system_directories_are_searched() {
    let told = assert_same(&Scenario::container().prepare("environment [ ]").command([
        "sh",
        "-c",
        "echo $0 found",
        "it",
    ]));
    assert_eq!(told, ["it found"]);
}
