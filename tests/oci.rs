//! `firstmate-oci` with a script in the place of the real runtime: what it passes on, and what it
//! refuses. tests/engines has it with real ones.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{Directory, clean};

const CONFIG: &str = r#"{"process":{"args":["app"],"x":1.0},"root":{"path":"rootfs"}}"#;

/// A runtime that tells its arguments, and exits with 7.
const RUNTIME: &str = "#!/bin/sh\nfor word; do echo \"[$word]\"; done\ncat <&5\nexit 7\n";

fn program(directory: &Directory, name: &str, text: &str) -> PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, text).expect("a new file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    path
}

/// It under this name, with an init beside it, a runtime of the same name in `PATH`, and a bundle.
struct Place(Directory);

impl Place {
    fn new(config: &str) -> Self {
        let directory = Directory::new();
        directory.copy(Path::new(env!("CARGO_BIN_EXE_firstmate-oci")), "firstmate-oci");
        symlink("firstmate-oci", directory.path().join("firstmate-crun")).expect("a link");
        program(&directory, "firstmate", "");
        program(&directory, "crun", RUNTIME);
        directory.file("config.json", config);
        Self(directory)
    }

    fn command(&self, name: &str, words: &[&str]) -> Command {
        let mut command = clean(&self.0.path().join(name));
        let path = format!("{}:/bin:/usr/bin", self.0.path().display());
        command.args(words).env("PATH", path).current_dir(self.0.path());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command("firstmate-crun", words).output().expect("it runs")
    }

    fn config(&self) -> String {
        fs::read_to_string(self.0.path().join("config.json")).expect("it is there")
    }

    /// No file of ours is left.
    fn assert_tidy(&self) {
        let entries = fs::read_dir(self.0.path()).expect("a directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        assert!(names.into_iter().all(|name| !name.to_string_lossy().starts_with('.')));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn arguments_descriptors_and_the_status_are_those_of_the_real_one() {
    let place = Place::new(CONFIG);
    let words = ["--root", "/r", "create", "--bundle", ".", "--preserve-fds", "3", "id", "create"];
    let mut command = place.command("firstmate-crun", &words);
    let passed = fs::File::open(place.0.file("passed", "by a descriptor\n")).expect("a file");
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&passed);
    // SAFETY: dup2 is async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            assert_eq!(libc::dup2(descriptor, 5), 5);
            Ok(())
        });
    }
    let output = command.output().expect("it runs");
    let told: String = words.iter().map(|word| format!("[{word}]\n")).collect::<Vec<_>>().concat();
    assert_eq!(text(&output.stdout), told + "by a descriptor\n");
    assert_eq!(output.status.code(), Some(7));
    let init = place.0.path().join("firstmate");
    let expected = format!(
        r#"{{"process":{{"args":["/.firstmate","--","app"],"x":1.0}},"root":{{"path":"rootfs"}},"mounts":[{{"destination":"/.firstmate","options":["bind","ro","nosuid","nodev"],"source":"{}","type":"bind"}}]}}"#,
        init.display()
    );
    assert_eq!(place.config(), expected);
    place.assert_tidy();
    // Once more: it has an init now.
    assert_eq!(place.run(&words).status.code(), Some(7));
    assert_eq!(place.config(), expected);
}

#[test]
fn signals_are_passed_on_as_they_were_inherited() {
    let place = Place::new(CONFIG);
    let show = "#!/bin/sh\nexec grep -E 'SigBlk|SigIgn' /proc/self/status\n";
    program(&place.0, "crun", show);
    let shown = |name: &str| {
        let mut command = place.command(name, &["state", "id"]);
        // SAFETY: both are async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGHUP, libc::SIG_IGN);
                let mask: u64 = 1 << (libc::SIGUSR1 - 1);
                let set = (&raw const mask).cast();
                libc::sigprocmask(libc::SIG_SETMASK, set, std::ptr::null_mut());
                Ok(())
            });
        }
        text(&command.output().expect("it runs").stdout)
    };
    assert!(shown("crun").contains("SigBlk:\t0000000000000200"), "{}", shown("crun"));
    assert_eq!(shown("firstmate-crun"), shown("crun"));
}

#[test]
fn only_what_makes_a_container_changes_it() {
    for words in [&["start", "id"][..], &["exec", "id", "create"], &["--version"], &[]] {
        let place = Place::new(CONFIG);
        assert_eq!(place.run(words).status.code(), Some(7), "{words:?}");
        assert_eq!(place.config(), CONFIG, "{words:?}");
    }
}

#[test]
fn the_configuration_keeps_its_mode() {
    let place = Place::new(CONFIG);
    let file = place.0.path().join("config.json");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("it is ours");
    place.run(&["create", "id"]);
    assert_ne!(place.config(), CONFIG);
    let mode = fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
}

#[test]
fn what_cannot_be_done_is_one_line_in_the_callers_form_and_nothing_is_started() {
    type Harm = fn(&Place);
    let failing: [(&str, Harm, &str); 4] = [
        ("{", |_| {}, "cannot read \\\"config.json\\\": EOF"),
        (
            CONFIG,
            |place| fs::remove_file(place.0.path().join("firstmate")).expect("it is there"),
            "no init: ",
        ),
        (
            CONFIG,
            |place| {
                let init = place.0.path().join("firstmate");
                fs::set_permissions(init, fs::Permissions::from_mode(0o644)).expect("it is ours");
            },
            "it is no program",
        ),
        (
            CONFIG,
            |place| fs::remove_file(place.0.path().join("crun")).expect("it is there"),
            "no crun is in PATH",
        ),
    ];
    for (config, harm, says) in failing {
        let place = Place::new(config);
        harm(&place);
        let mut command = place.command(
            "firstmate-crun",
            &["--log", "log.json", "--log-format", "json", "create", "id"],
        );
        command.env("PATH", place.0.path());
        let output = command.output().expect("it runs");
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(1), ""), "{says}");
        let log = fs::read_to_string(place.0.path().join("log.json")).expect("a log");
        assert_eq!((log.as_str(), log.lines().count()), (text(&output.stderr).as_str(), 1));
        let object: serde_json::Value = serde_json::from_str(&log).expect("an object");
        assert_eq!(object["level"], "error");
        let told = object["msg"].as_str().expect("a message");
        assert!(told.starts_with("firstmate-oci: "), "{told}");
        assert!(log.contains(says), "{log} without {says}");
        place.assert_tidy();
    }
    let place = Place::new("{");
    let output = place.run(&["create", "id"]);
    assert!(text(&output.stderr).contains(" level=error msg=\"firstmate-oci: "));
}

#[test]
fn variables_name_another_init_and_another_runtime() {
    let place = Place::new(CONFIG);
    let other = program(&place.0, "other", "#!/bin/sh\nexit 9\n");
    let mut command = place.command("firstmate-oci", &["create", "id"]);
    command.env("FIRSTMATE_OCI_RUNTIME", &other).env("FIRSTMATE_OCI_INIT", &other);
    assert_eq!(command.output().expect("it runs").status.code(), Some(9));
    assert!(place.config().contains(&format!("\"source\":\"{}\"", other.display())));
    let mut command = place.command("firstmate-oci", &["create", "id"]);
    command.env("FIRSTMATE_OCI_RUNTIME", "firstmate-oci");
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "it would execute itself for ever");
}
