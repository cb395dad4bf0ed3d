//! The command line as a user meets it.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use crate::support::{FullPipe, Process, Scenario, firstmate, wait_until};

#[test]
fn bad_input_is_125_with_one_line_and_nothing_is_started() {
    for options in ["--bogus", "--draim 5s", "-t soon", "--stop-on KILL", "--drain", "-e 256"] {
        let finished = Scenario::container().options(options).probe("say started").run();
        assert_eq!(
            (finished.status, finished.stdout.len(), finished.stderr.len()),
            (125, 0, 1),
            "{finished:?}"
        );
        assert!(finished.stderr[0].starts_with("firstmate[1]: error: "), "{finished:?}");
    }
    let finished = Scenario::container().env("FIRSTMATE_DRAIN", "soon").probe("say started").run();
    assert_eq!((finished.status, finished.stdout.len()), (125, 0), "{finished:?}");
    assert!(finished.stderr[0].contains("FIRSTMATE_DRAIN"), "{finished:?}");
}

#[test]
fn no_command_is_bad_input() {
    let finished = Command::new(firstmate()).output().unwrap();
    assert_eq!(finished.status.code(), Some(125));
    assert!(String::from_utf8(finished.stderr).unwrap().contains("no command given"));
}

#[test]
fn help_and_version_go_to_stdout_and_a_closed_one_is_no_failure() {
    for option in ["-h", "--help", "--version"] {
        let finished = Command::new(firstmate()).arg(option).output().unwrap();
        assert_eq!((finished.status.code(), finished.stderr.len()), (Some(0), 0));
        assert!(String::from_utf8(finished.stdout).unwrap().contains("firstmate"));

        let mut child =
            Command::new(firstmate()).arg(option).stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn an_answer_that_nobody_reads_can_be_interrupted() {
    for option in ["--help", "--version", "--explain"] {
        let (_reader, writer) = FullPipe::new();
        let mut child = Command::new(firstmate()).arg(option).stdout(writer).spawn().unwrap();
        let process = Process(child.id().cast_signed());
        wait_until("the write", || process.state() == Some('S'));
        process.signal(libc::SIGTERM);
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM), "{option}");
    }
}

#[test]
fn a_variable_works_like_its_option() {
    let finished = Scenario::container().env("FIRSTMATE_REMAP_EXIT", "3\n4").probe("exit 4").run();
    assert_eq!(finished.status, 0, "{finished:?}");
}

#[test]
fn the_tested_binary_is_one_static_file() {
    const PT_DYNAMIC: u32 = 2;
    const PT_INTERP: u32 = 3;
    let file = std::fs::read(firstmate()).unwrap();
    let number = |at: usize, size: usize| {
        file[at..at + size].iter().rev().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte))
    };
    assert_eq!(&file[..6], b"\x7fELF\x02\x01");
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let kinds: Vec<_> =
        (0..count).map(|i| u32::try_from(number(table + i * size, 4)).unwrap()).collect();
    assert!(count > 0 && !kinds.contains(&PT_INTERP) && !kinds.contains(&PT_DYNAMIC), "{kinds:?}");
}
