//! What wrong command lines are told: each of `tests/invocations.txt`, and what needs files.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{Directory, firstmate};

fn run(program: &Path, words: &[String], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program);
    command.args(words).env_clear().env("PATH", "/usr/bin:/bin");
    command.envs(variables.iter().copied()).stdin(Stdio::null());
    command.output().expect("it runs")
}

/// What was said, without the name and the pid; of a JSON object its message.
fn said(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stderr.clone()).expect("a text");
    let shown = |line: &str| match serde_json::from_str::<serde_json::Value>(line) {
        Ok(entry) => format!("{{json}} {}", entry["message"].as_str().expect("a message")),
        Err(_) => line.split_once("]: ").expect("name and pid").1.to_owned(),
    };
    text.lines().map(shown).collect()
}

/// firstmate under other names.
struct Names(Directory);

impl Names {
    fn new() -> Self {
        let names = Self(Directory::new());
        for name in ["firstmate", "docker-init", "tini", "dumb-init", "catatonit"] {
            symlink(firstmate(), names.0.path().join(name)).expect("a new link");
        }
        names
    }

    fn run(&self, line: &str) -> Output {
        let words = shlex::split(line).expect("as for a shell");
        let program = words.iter().position(|word| self.0.path().join(word).exists());
        let (variables, words) = words.split_at(program.expect("a name of firstmate"));
        let variables: Vec<_> = variables.iter().map(|it| it.split_once('=').unwrap()).collect();
        run(&self.0.path().join(&words[0]), &words[1..], &variables)
    }
}

#[test]
fn wrong_command_lines_are_told_what_is_wrong() {
    let names = Names::new();
    let lines = include_str!("invocations.txt").lines();
    let lines: Vec<_> = lines.filter(|it| !it.is_empty() && !it.starts_with('#')).collect();
    let mut wrong = Vec::new();
    for pair in lines.chunks(2) {
        let &[line, expected] = pair else { panic!("{pair:?}: no pair") };
        let output = names.run(line.strip_prefix("$ ").expect("a command line"));
        let status = output.status.code().expect("an end of its own");
        let got = format!("{status} {}", said(&output).join("\n"));
        if got.trim_end() != expected {
            wrong.push(format!("{line}\n  {got}\n  and not\n  {expected}"));
        }
    }
    assert!(lines.len() > 80);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn file(directory: &Directory, name: &str, content: &[u8]) -> String {
    let path = directory.file(name, content);
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it is ours");
    path.to_str().expect("a text").to_owned()
}

fn told(program: &str) -> String {
    let output = run(&firstmate(), &["--".to_owned(), program.to_owned()], &[]);
    let lines = said(&output);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines[0].strip_prefix(&format!("error: cannot run {program:?}: ")).expect("that").to_owned()
}

/// The start of an ELF file, with the number of its machine.
fn elf(class: u8, order: u8, machine: [u8; 2]) -> Vec<u8> {
    let mut head = vec![0; 64];
    head[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order, 1]);
    head[16..20].copy_from_slice(&[2, 0, machine[0], machine[1]]);
    head
}

#[test]
fn a_program_for_another_machine_is_told_which() {
    let directory = Directory::new();
    let ours = std::env::consts::ARCH;
    for (name, class, order, machine) in [
        ("s390x", 2, 2, [0, 22]),
        ("mips", 1, 2, [0, 8]),
        ("loongarch64", 2, 1, [2, 1]),
        ("powerpc64", 2, 1, [21, 0]),
        ("ELF machine 1", 2, 1, [1, 0]),
    ] {
        let program = file(&directory, "program", &elf(class, order, machine));
        assert_eq!(told(&program), format!("it was built for {name}, and this is {ours}"));
    }
    let program = file(&directory, "damaged", b"\x7fELF\x02\x01");
    assert_eq!(told(&program), "a damaged ELF file");
}

#[test]
fn a_missing_loader_tells_the_c_library() {
    let directory = Directory::new();
    for (loader, hint) in [
        ("/nowhere/ld-musl-x86_64.so.1", " (it was built for musl, the C library of Alpine)"),
        (
            "/nowhere/ld-linux-aarch64.so.1",
            " (it was built for glibc, the C library of Debian, Fedora and others)",
        ),
        ("/nowhere/sh", ""),
    ] {
        let script = file(&directory, "script", format!("#!{loader}\n").as_bytes());
        assert_eq!(told(&script), format!("its interpreter {loader:?} is missing{hint}"));
    }
}

#[test]
fn a_script_that_begins_with_a_byte_order_mark_is_said_to() {
    let directory = Directory::new();
    let script = file(&directory, "script", b"\xef\xbb\xbf#!/bin/cat\nexit 3\n");
    let output = run(&firstmate(), std::slice::from_ref(&script), &[]);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = format!("warning: {script:?} begins with a byte order mark, ");
    assert!(text.lines().next().is_some_and(|first| first.contains(&line)), "{text}");
}

#[test]
fn a_reason_is_told_however_long_the_command_is() {
    let long = format!("/{}", "x/".repeat(3000));
    let output = run(&firstmate(), &[long], &[]);
    assert_eq!(output.status.code(), Some(126));
    let line = said(&output).remove(0);
    assert!(
        line.starts_with("error: cannot run \"/x/") && line.ends_with("name too long"),
        "{line}"
    );
}

#[test]
fn docker_init_puts_a_firstmate_in_its_own_place() {
    let names = Names::new();
    let path = names.0.path().to_str().expect("a text");
    let through = |line: &str| {
        let output =
            names.run(&format!("{line} -- sh -c 'cat /proc/$PPID/cmdline | tr \"\\0\" \" \"'"));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("a text")
    };
    assert!(
        through(&format!("PATH={path}:/usr/bin:/bin docker-init -- firstmate -g"))
            .starts_with("firstmate -g ")
    );
    assert!(
        through(&format!("docker-init {path}/firstmate"))
            .starts_with(&format!("{path}/firstmate "))
    );
    // With options or variables of its own it stays, as the parent of the other one.
    let text =
        b"#!/bin/sh\np=$(cut -d ' ' -f 4 /proc/$PPID/stat)\ntr '\\0' ' ' </proc/$p/cmdline\n";
    let script = file(&names.0, "grandparent", text);
    let parent = |line: &str| {
        String::from_utf8(names.run(&format!("{line} {script}")).stdout).expect("a text")
    };
    let shown = parent(&format!("docker-init {path}/firstmate"));
    assert!(!shown.is_empty() && !shown.contains("docker-init"), "{shown}");
    for line in ["docker-init -v", "TINI_VERBOSITY=1 docker-init"] {
        let shown = parent(&format!("{line} {path}/firstmate"));
        assert!(shown.contains("docker-init"), "{line}: {shown}");
    }
    let output = names.run("docker-init /nowhere/firstmate");
    assert_eq!(
        said(&output),
        ["error: cannot run \"/nowhere/firstmate\": No such file or directory"]
    );
    assert_eq!(output.status.code(), Some(127));
}

#[test]
fn it_explains_what_is_in_force_and_starts_nothing() {
    let names = Names::new();
    let explained = |line: &str| {
        let output = names.run(line);
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{line}: {output:?}");
        String::from_utf8(output.stdout).expect("a text")
    };
    let row = |text: &str, option: &str| {
        let line = text.lines().find(|line| line.split(' ').next() == Some(option)).expect(option);
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>().join(" ")
    };
    let text = explained(
        "FIRSTMATE_DRAIN=2s FIRSTMATE_DRAIM=3s firstmate --explain -t 10s -gv touch /nowhere/x",
    );
    assert_eq!(row(&text, "--kill-after"), "10s -t");
    assert_eq!(row(&text, "--drain"), "2s FIRSTMATE_DRAIN");
    assert_eq!(row(&text, "--kill-process-group"), "on -g");
    assert_eq!(row(&text, "--all"), "off default");
    assert_eq!(row(&text, "--stop-on"), "INT, TERM default");
    assert!(text.contains("the command: \"touch\" \"/nowhere/x\"\n"), "{text}");
    let sum = "0s --stop-delay + 10s --kill-after + 2s --drain + 1s for SIGKILL to take effect";
    let held = "A command that the kernel holds adds 1s.";
    assert!(text.contains(&format!("A stop takes at most 13s: {sum}. {held}\n")), "{text}");
    assert!(
        text.contains(
            "Note: the variable FIRSTMATE_DRAIM is not known: did you mean FIRSTMATE_DRAIN?\n"
        ),
        "{text}"
    );
    let text = explained("firstmate --explain --stop-timeout 10s x");
    assert_eq!(row(&text, "--kill-after"), "6.75s follows from --stop-timeout");
    assert!(text.contains("A stop takes at most 9s: "), "{text}");
    assert!(explained("firstmate --explain x").contains("--kill-after is never"));
    assert!(explained("firstmate --explain").contains("the command: none\n"));
    let text = explained("firstmate --explain -P --drain 5s");
    assert!(
        text.contains("No command: --pause\n") && text.contains("at most 6s: 5s --drain"),
        "{text}"
    );
    assert!(!text.contains("--kill-after"), "{text}");
    let text = explained("firstmate --explain -t 1s --with w --after a --exit-when main x");
    assert!(text.contains("at most 17s: "), "{text}");
    let text = explained("TINI_SUBREAPER= docker-init --explain x");
    assert_eq!(row(&text, "--subreaper"), "on follows from TINI_*");
    let text = explained("TINI_KILL_PROCESS_GROUP=1 TINI_VERBOSITY=3 docker-init --explain x");
    assert_eq!(row(&text, "--kill-process-group"), "on follows from TINI_*");
    assert_eq!(row(&text, "log"), "level debug");
    let text = explained("FIRSTMATE_ALL=no firstmate --explain -S x");
    assert_eq!(row(&text, "--all"), "off FIRSTMATE_ALL");
    assert_eq!(row(&text, "--kill-process-group"), "off default");
    let output = names.run("firstmate --explain -t x y");
    assert_eq!(output.status.code(), Some(125));
}
