//! The exit status is the command's own, or says whose failure it was.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::support::{Directory, Finished, Scenario, become_lonely_user, firstmate, is_root, skip};

#[test]
fn an_exit_code_is_passed_on() {
    for code in [0, 1, 7, 125, 126, 127, 128, 143, 255] {
        assert_eq!(Scenario::container().probe(&format!("exit {code}")).run().status, code);
        assert_eq!(Scenario::plain().probe(&format!("exit {code}")).run().status, code);
    }
}

#[test]
fn a_death_by_any_signal_is_128_plus_its_number() {
    // The default action of the others is not to die.
    let deadly = (1..=64).filter(|signal| ![17, 18, 19, 20, 21, 22, 23, 28].contains(signal));
    for signal in deadly {
        let finished = Scenario::container().probe(&format!("die {signal}")).run();
        assert_eq!(finished.status, 128 + signal, "{finished:?}");
        // Its reader has read enough.
        let is_usual = signal == libc::SIGPIPE;
        assert_eq!(finished.stderr.len(), usize::from(!is_usual), "{finished:?}");
        let told = "firstmate[1]: warning: the command was killed by ";
        assert!(finished.stderr.iter().all(|line| line.starts_with(told)), "{finished:?}");
    }
}

#[test]
fn fork_failure_is_125_with_the_reason() {
    if !is_root() {
        return skip("a limit of processes needs a user without any, which only root can become");
    }
    // The user may have one process, and that is firstmate.
    let directory = Directory::new();
    let finished = Scenario::plain()
        .programs_in(&directory)
        .prepare(&format!("nproc 1 {}", become_lonely_user()))
        .probe("exit 0")
        .run();
    assert_eq!(finished.status, 125, "{finished:?}");
    assert_eq!(finished.stderr.len(), 1, "{finished:?}");
    assert!(finished.stderr[0].contains("cannot fork to run"), "{finished:?}");
    assert!(finished.stderr[0].contains("Resource temporarily unavailable"), "{finished:?}");
}

/// In a PATH whose directories everybody may search: else a command that is nowhere is 126, as
/// execvp(3) has it.
fn run(words: &[impl AsRef<OsStr>]) -> Finished {
    Scenario::container().env("PATH", "/usr/bin:/bin").command(words).run()
}

/// One line on stderr names the command and the reason.
fn assert_not_started(words: &[impl AsRef<OsStr>], status: i32, reason: &str) {
    let finished = run(words);
    assert_eq!(
        (finished.status, finished.stderr.len(), finished.stdout.len()),
        (status, 1, 0),
        "{finished:?}"
    );
    let line = format!("firstmate[1]: error: cannot run {:?}: {reason}", words[0].as_ref());
    assert!(finished.stderr[0].starts_with(&line), "{:?} is not {line:?}", finished.stderr[0]);
}

#[test]
fn a_command_that_is_not_found_is_127() {
    assert_not_started(&["no-such-command", "x"], 127, "not found in PATH");
    assert_not_started(&["/no/such/command"], 127, "No such file or directory");
    assert_not_started(&["./no\nsuch\ncommand"], 127, "No such file or directory");
    assert_not_started(&[""], 127, "");
}

#[test]
fn a_command_that_cannot_be_executed_is_126() {
    let directory = Directory::new();
    assert_not_started(&[directory.path()], 126, "Permission denied");
    let plain = directory.file("plain", "echo started\n");
    fs::set_permissions(&plain, Permissions::from_mode(0o644)).expect("it is ours");
    assert_not_started(&[&plain], 126, "Permission denied");
    assert_not_started(&[plain.join("below-a-file")], 126, "Not a directory");
    let interpreter = directory.file("interpreter", format!("#!{}\n", directory.path().display()));
    assert_not_started(&[&interpreter], 126, "Permission denied");
}

/// An ELF file for this machine that names a loader, and has nothing else.
fn elf_with_loader(loader: &str) -> Vec<u8> {
    let machine = &fs::read(firstmate()).expect("it is there")[18..20];
    let mut file = [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 9], &[2, 0], machine].concat();
    file.resize(64 + 56, 0);
    // The table of segments: its place, the size of an entry, their number; and the one entry,
    // PT_INTERP, with its place and sizes.
    for (at, value) in [
        (20, 1),
        (32, 64),
        (52, 64),
        (54, 56),
        (56, 1),
        (64, 3),
        (72, 120),
        (96, loader.len() + 1),
        (104, loader.len() + 1),
    ] {
        file[at] = u8::try_from(value).expect("a small number");
    }
    file.extend([loader.as_bytes(), b"\0"].concat());
    file
}

#[test]
fn an_elf_file_for_another_machine_or_a_damaged_one_is_126_and_not_run_as_a_script() {
    let directory = Directory::new();
    let mut foreign = elf_with_loader("/bin/sh");
    // No kernel of ours runs the AT&T WE 32100.
    foreign[18..20].copy_from_slice(&[1, 0]);
    let wrong = format!("it was built for ELF machine 1, and this is {}", std::env::consts::ARCH);
    let damaged = b"\x7fELF\necho started\n".to_vec();
    for (content, reason) in [(foreign, wrong.as_str()), (damaged, "a damaged ELF file")] {
        let file = directory.file("damaged", content);
        assert_not_started(&[&file], 126, reason);
        let through_path =
            Scenario::container().env("PATH", directory.path()).command(["damaged"]).run();
        assert_eq!(through_path.status, 126, "{through_path:?}");
    }
}

#[test]
fn a_missing_interpreter_is_named() {
    let directory = Directory::new();
    let crlf = directory.file("crlf", "#!/bin/sh\r\necho started\r\n");
    assert_not_started(
        &[&crlf],
        127,
        r#"its interpreter "/bin/sh\r" is missing (the file has CRLF line ends)"#,
    );
    let missing = directory.file("missing", "#! /no/such/shell -e\n");
    assert_not_started(&[&missing], 127, r#"its interpreter "/no/such/shell" is missing"#);
    // The interpreter is a script itself, and it is that one's which is missing.
    let script = directory.file("script", format!("#!{}\n", missing.display()));
    assert_not_started(&[&script], 127, r#"its interpreter "/no/such/shell" is missing"#);
    let elf = directory.file("elf", elf_with_loader("/lib/ld-nowhere.so.1"));
    assert_not_started(&[&elf], 127, r#"its interpreter "/lib/ld-nowhere.so.1" is missing"#);
    let through_path = Scenario::container().env("PATH", directory.path()).command(["elf"]).run();
    assert_eq!(through_path.status, 127, "{through_path:?}");
    assert!(through_path.stderr[0].contains("ld-nowhere"), "{through_path:?}");
}

#[test]
fn a_script_without_a_first_line_for_it_runs_through_the_shell_as_execvp_does_it() {
    let directory = Directory::new();
    let script = directory.file("script", "echo \"$0\" \"$#\" \"$@\"\nexit 9\n");
    let by_path = Scenario::container().command([
        script.as_os_str(),
        "a b".as_ref(),
        "".as_ref(),
        "--help".as_ref(),
    ]);
    let by_name = Scenario::container()
        .env("PATH", directory.path())
        .command(["script", "a b", "", "--help"]);
    for scenario in [by_path, by_name] {
        let (bare, under) = (scenario.start_without_init().finish(), scenario.run());
        assert_eq!(under.stdout, [format!("{} 3 a b  --help", script.display())]);
        assert_eq!((under.status, under.stdout, under.stderr), (9, bare.stdout, bare.stderr));
    }
}

#[test]
fn an_empty_file_is_a_script_that_does_nothing() {
    let directory = Directory::new();
    let finished = run(&[directory.file("empty", "")]);
    assert_eq!((finished.status, finished.stderr.len()), (0, 0), "{finished:?}");
}

#[test]
fn remapping_touches_only_the_status_of_the_command() {
    let with = |options: &str| Scenario::container().options(options);
    assert_eq!(with("-e 7").probe("exit 7").run().status, 0);
    assert_eq!(with("-e 9 --remap-exit 7 --remap-exit=143").probe("exit 7").run().status, 0);
    assert_eq!(with("-e 143").probe("die 15").run().status, 0);
    assert_eq!(with("-e 7").probe("exit 8").run().status, 8);
    assert_eq!(with("").env("FIRSTMATE_REMAP_EXIT", "9\n7").probe("exit 7").run().status, 0);
    // These are the command's too.
    assert_eq!(with("-e 125 -e 126 -e 127").probe("exit 127").run().status, 0);
    let own = with("-e 125 -e 126 -e 127").env("PATH", "/usr/bin:/bin");
    assert_eq!(own.clone().command(["no-such-command"]).run().status, 127);
    assert_eq!(own.clone().command(["/"]).run().status, 126);
    assert_eq!(own.options("--no-such-option").command(["true"]).run().status, 125);
}

#[test]
fn bad_input_is_125_with_one_line_and_starts_nothing() {
    let options = [
        ("--kill-after soon", "soon"),
        ("--stop-on NOSUCH", "NOSUCH"),
        ("-e 256", "256"),
        ("--no-such-option", "no-such-option"),
    ];
    for (bad, named) in options {
        let finished = Scenario::container().options(bad).probe("say started").run();
        assert_eq!(
            (finished.status, finished.stdout.len(), finished.stderr.len()),
            (125, 0, 1),
            "{finished:?}"
        );
        assert!(finished.stderr[0].contains(named), "{finished:?}");
    }
    let finished = Scenario::container().env("FIRSTMATE_DRAIN", "later").probe("say started").run();
    assert_eq!(
        (finished.status, finished.stdout.len(), finished.stderr.len()),
        (125, 0, 1),
        "{finished:?}"
    );
    assert!(finished.stderr[0].contains("FIRSTMATE_DRAIN"), "{finished:?}");
    let nothing = Scenario::container().run();
    assert_eq!((nothing.status, nothing.stderr.len()), (125, 1), "{nothing:?}");
}
