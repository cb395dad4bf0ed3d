//! The table of docs/logs.md of why a container ended, compared with the log, the termination
//! message and the exit status of each end.

use std::fs;

use crate::support::{Directory, Running, Scenario, probe, untimed};

/// What leads to a row of the table. `DIR` is a directory of the test, `PROBE` the probe.
struct End {
    row: &'static str,
    /// Of firstmate, without their prefix.
    variables: &'static [(&'static str, &'static str)],
    command: &'static str,
    then: fn(&Running),
    status: i32,
}

const ENDS: [End; 15] = [
    End {
        row: "it exits by itself",
        variables: &[],
        command: "PROBE exit 3",
        then: nothing,
        status: 3,
    },
    End {
        row: "it was stopped, and ends in time",
        variables: &[],
        command: "PROBE say ready forever",
        then: stop,
        status: 143,
    },
    End {
        row: "it does not end in time (`-t 10s`)",
        variables: &[("KILL_AFTER", "100ms")],
        command: "PROBE block-all say ready forever",
        then: stop,
        status: 137,
    },
    End {
        row: "it crashes",
        variables: &[],
        command: "PROBE kill-self 11",
        then: nothing,
        status: 139,
    },
    End {
        row: "somebody else kills it",
        variables: &[],
        command: "PROBE kill-self 9",
        then: nothing,
        status: 137,
    },
    End {
        row: "processes are left at the end of the drain (`--drain 10s`)",
        variables: &[("DRAIN", "100ms")],
        command: "PROBE block-all daemon [ exec DIR/worker say ready forever ] daemon [ exec \
                  DIR/logger say ready forever ] until 10 exit 3",
        then: both_are_ready,
        status: 3,
    },
    End {
        row: "a command before it fails",
        variables: &[("BEFORE", "migrate exit 1")],
        command: "PROBE forever",
        then: nothing,
        status: 1,
    },
    End {
        row: "a command beside it ends",
        variables: &[("WITH", "proxy exit 1")],
        command: "PROBE forever",
        then: nothing,
        status: 1,
    },
    End {
        row: "a command after it fails",
        variables: &[("AFTER", "upload exit 1")],
        command: "PROBE exit 3",
        then: nothing,
        status: 3,
    },
    End {
        row: "the stop command fails",
        variables: &[("STOP_COMMAND", "PROBE exit 1")],
        command: "PROBE say ready forever",
        then: stop,
        status: 143,
    },
    End { row: "it is not there", variables: &[], command: "my-app", then: nothing, status: 127 },
    End {
        row: "its interpreter is not there",
        variables: &[],
        command: "DIR/script/entrypoint.sh",
        then: nothing,
        status: 127,
    },
    End {
        row: "it cannot be executed",
        variables: &[],
        command: "DIR/data/entrypoint.sh",
        then: nothing,
        status: 126,
    },
    End {
        row: "its user is not there",
        variables: &[("USER", "app")],
        command: "PROBE",
        then: nothing,
        status: 125,
    },
    End {
        row: "a bad option",
        variables: &[("DRAIN", "soon")],
        command: "PROBE",
        then: nothing,
        status: 125,
    },
];

fn nothing(_: &Running) {}

fn stop(running: &Running) {
    running.stdout.expect("ready");
    running.signal(libc::SIGTERM);
}

fn both_are_ready(running: &Running) {
    running.stdout.expect("ready");
    running.stdout.expect("ready");
    running.signal(libc::SIGUSR1);
}

/// The texts between backquotes.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(untimed).collect()
}

/// The rows of the table: what happened, the lines of the log and of the termination message, and
/// the exit status.
fn rows() -> Vec<(&'static str, Vec<String>, Vec<String>, &'static str)> {
    let chapter = include_str!("../docs/logs.md")
        .split("\n## Why it ended\n")
        .nth(1)
        .and_then(|rest| rest.split("\n##").next());
    let rows = chapter.expect("a chapter").lines().filter(|line| line.starts_with("| ")).skip(1);
    let row = |row: &'static str| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [log, mut message] = [cells[2], cells[3]].map(quoted);
        if cells[3].contains("the same") {
            let without_level =
                |line: &String| line.split_once(": ").expect("a level").1.to_owned();
            message.extend(log.iter().map(without_level));
        }
        (cells[1], log, message, cells[4])
    };
    rows.map(row).collect()
}

#[test]
fn the_table_has_the_log_and_the_termination_message_of_each_end() {
    let directory = Directory::new();
    let in_directory = |text: &str| {
        text.replace("DIR", &directory.path().display().to_string())
            .replace("PROBE", &probe().display().to_string())
    };
    for name in ["worker", "logger", "migrate", "proxy", "upload"] {
        directory.copy(&probe(), name);
    }
    for name in ["script", "data"] {
        fs::create_dir(directory.path().join(name)).expect("a new directory");
    }
    directory.file("script/entrypoint.sh", in_directory("#!DIR/bin/bash\n"));
    fs::write(directory.path().join("data/entrypoint.sh"), "").expect("a new file");
    let rows = rows();
    // tests/memory.rs and tests/engines have the ends by memory.
    let others: Vec<_> = rows
        .iter()
        .map(|(row, ..)| *row)
        .filter(|row| ENDS.iter().all(|end| end.row != *row))
        .collect();
    assert_eq!(others.len(), 3, "{others:?}");
    for end in ENDS {
        let (_, log, message, status) = rows
            .iter()
            .find(|(row, ..)| *row == end.row)
            .unwrap_or_else(|| panic!("no row {:?}", end.row));
        let file = directory.path().join("message");
        let _ = fs::remove_file(&file);
        let mut scenario = Scenario::container()
            .env("FIRSTMATE_TERMINATION_MESSAGE", &file)
            .env("PATH", directory.path());
        for (name, value) in end.variables {
            scenario = scenario.env(format!("FIRSTMATE_{name}"), in_directory(value));
        }
        let running = scenario.command(in_directory(end.command).split(' ')).start();
        (end.then)(&running);
        let finished = running.finish();
        assert_eq!(finished.status, end.status, "{}: {finished:?}", end.row);
        assert!(*status == "its own" || *status == end.status.to_string(), "{}: {status}", end.row);
        // What differs between the table and here.
        let as_there = |line: &str| {
            let path = directory.path().display().to_string();
            let searched = format!("{path:?}");
            let here = [
                ", core dumped",
                "FIRSTMATE_DRAIN",
                "FIRSTMATE_USER",
                &searched,
                &path,
                "/script/",
                "/data/",
            ];
            let there =
                ["", "--drain", "--user", r#""/usr/local/bin:/usr/bin:/bin""#, "", "/", "/"];
            here.iter()
                .zip(there)
                .fold(untimed(line), |line, (here, there)| line.replace(here, there))
        };
        let told: Vec<_> = finished
            .stderr
            .iter()
            .map(|line| as_there(line.split_once("]: ").expect("a line of firstmate").1))
            .collect();
        assert_eq!(&told, log, "{}", end.row);
        let written = fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(written.lines().map(as_there).collect::<Vec<_>>(), *message, "{}", end.row);
    }
}
