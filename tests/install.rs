//! `--install`: the binary copies itself.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::support::{Directory, Finished, Scenario, clean, firstmate, probe};

/// capabilities(7)
const CAP_DAC_OVERRIDE: i32 = 1;

/// The probe with these steps.
fn steps(steps: &str) -> Finished {
    let output = clean(&probe()).args(steps.split(' ')).output().expect("the probe runs");
    let lines = |stream: Vec<u8>| {
        String::from_utf8(stream).expect("text").lines().map(str::to_owned).collect()
    };
    let status = output.status.code().expect("an exit status");
    Finished { status, stdout: lines(output.stdout), stderr: lines(output.stderr) }
}

/// The steps of an installation of the tested binary.
fn installation(target: &Path) -> String {
    format!("exec {} --install {}", firstmate().display(), target.display())
}

fn assert_silent_success(finished: &Finished) {
    assert_eq!(
        (finished.status, finished.stdout.len(), finished.stderr.len()),
        (0, 0, 0),
        "{finished:?}"
    );
}

fn assert_is_copy(target: &Path) {
    assert!(
        fs::read(target).expect("a file") == fs::read(firstmate()).expect("a file"),
        "the copy is another"
    );
    assert_eq!(fs::metadata(target).expect("a file").mode(), 0o100_755);
}

/// It is there, and nothing else.
fn assert_installed(target: &Path) {
    assert_is_copy(target);
    assert_eq!(
        names(target.parent().expect("a directory")),
        [target.file_name().expect("a name").to_owned()]
    );
}

fn names(directory: &Path) -> Vec<OsString> {
    fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name())
        .collect()
}

#[test]
fn it_is_executable_for_all_whatever_the_umask() {
    for umask in [0, 0o077, 0o777] {
        let directory = Directory::new();
        let target = directory.path().join("init");
        assert_silent_success(&steps(&format!("umask {umask} {}", installation(&target))));
        assert_installed(&target);
    }
}

#[test]
fn a_name_without_a_directory_is_one_in_the_working_directory() {
    let directory = Directory::new();
    let here = directory.path().display();
    assert_silent_success(&steps(&format!("cd {here} {}", installation(Path::new("init")))));
    assert_installed(&directory.path().join("init"));
}

#[test]
fn a_binary_that_runs_is_replaced_and_runs_on() {
    let directory = Directory::new();
    let target = directory.path().join(firstmate().file_name().expect("a name"));
    let running = Scenario::plain()
        .programs_in(&directory)
        .probe("block-all say ready until 15 exit 7")
        .start()
        .ready();
    let executed = fs::metadata(&target).expect("a file").ino();
    // By another copy, and by the same file.
    for program in [firstmate(), target.clone()] {
        let before = fs::metadata(&target).expect("a file").ino();
        assert_silent_success(&steps(&format!(
            "exec {} --install {}",
            program.display(),
            target.display()
        )));
        assert_ne!(fs::metadata(&target).expect("a file").ino(), before);
        assert_is_copy(&target);
    }
    assert_eq!(
        fs::metadata(format!("/proc/{}/exe", running.init.0)).expect("it runs").ino(),
        executed
    );
    running.signal(libc::SIGTERM);
    assert_eq!(running.finish().status, 7);
}

#[test]
fn what_is_no_file_keeps_its_place() {
    let directory = Directory::new();
    let fifo = directory.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let finished = steps(&installation(&fifo));
    assert_eq!((finished.status, finished.stderr.len()), (125, 1), "{finished:?}");
    assert!(finished.stderr[0].ends_with("it is there, and is no regular file"), "{finished:?}");
    assert_eq!(names(directory.path()), ["fifo"]);
}

#[test]
fn a_link_is_replaced_and_what_it_leads_to_stays() {
    let (directory, elsewhere) = (Directory::new(), Directory::new());
    let other = elsewhere.file("other", "other");
    let target = directory.path().join("init");
    std::os::unix::fs::symlink(&other, &target).expect("a link");
    assert_silent_success(&steps(&installation(&target)));
    assert!(!fs::symlink_metadata(&target).expect("a file").is_symlink());
    assert_installed(&target);
    assert_eq!(fs::read(other).expect("a file"), b"other");
}

#[test]
fn without_proc_the_binary_is_found_by_the_name_that_was_executed() {
    let (source, directory) = (Directory::new(), Directory::new());
    let target = directory.path().join("init");
    source.copy(&firstmate(), "firstmate");
    let here = source.path().display();
    let ways = [
        format!("exec {here}/firstmate"),
        format!("cd {here} exec ./firstmate"),
        // With an argv[0] that leads nowhere.
        format!("cd / environment [ PATH={here} ] exec firstmate"),
    ];
    for way in ways {
        assert_silent_success(&steps(&format!(
            "container hide /proc {way} --install {}",
            target.display()
        )));
        assert_installed(&target);
    }
}

#[test]
fn without_proc_it_does_not_take_the_script_that_it_interprets_for_itself() {
    let (source, directory) = (Directory::new(), Directory::new());
    source.copy(&firstmate(), "firstmate");
    // The kernel puts the name of the script behind it: that is what it installs.
    let script =
        directory.file("init", format!("#!{}/firstmate --install\n", source.path().display()));
    assert_silent_success(&steps(&format!("container hide /proc exec {}", script.display())));
    assert_installed(&script);
}

/// Two containers of a pod, each with a root of its own, and a directory that both see: first the
/// one whose image holds nothing but the binary, then the other one.
#[test]
fn out_of_an_image_that_holds_nothing_else_into_a_pod() {
    let (scratch, image, shared) = (Directory::new(), Directory::new(), Directory::new());
    scratch.copy(&firstmate(), "firstmate");
    image.copy(&probe(), "app");
    for root in [&scratch, &image] {
        fs::create_dir(root.path().join("shared")).expect("a directory");
    }
    let enter = |root: &Directory| {
        let root = root.path().display();
        format!("container bind {} {root}/shared chroot {root}", shared.path().display())
    };
    assert_silent_success(&steps(&format!(
        "{} exec /firstmate --install /shared/init",
        enter(&scratch)
    )));
    assert_installed(&shared.path().join("init"));
    let finished =
        steps(&format!("{} exec /shared/init -e 5 -- /app say hello exit 5", enter(&image)));
    assert_eq!((finished.status, finished.stdout), (0, vec!["hello".to_owned()]));
}

/// One line names the file and the reason.
fn assert_not_installed(finished: &Finished, target: &Path, reason: &str) {
    assert_eq!(
        (finished.status, finished.stdout.len(), finished.stderr.len()),
        (125, 0, 1),
        "{finished:?}"
    );
    let line = format!("error: cannot install to {target:?}: {reason}");
    assert!(finished.stderr[0].contains(&line), "{:?} is not {line:?}", finished.stderr[0]);
}

#[test]
fn where_it_cannot_go_one_line_says_so_and_nothing_is_left() {
    let directory = Directory::new();
    let target = directory.path().join("missing/init");
    assert_not_installed(&steps(&installation(&target)), &target, "No such file or directory");
    let below = directory.file("plain", "").join("init");
    assert_not_installed(&steps(&installation(&below)), &below, "Not a directory");
    let existing = directory.path();
    assert_not_installed(
        &steps(&installation(existing)),
        existing,
        "it is a directory: give the name of the file too",
    );
    let new = directory.path().join("new/");
    assert_not_installed(
        &steps(&installation(&new)),
        &new,
        "it is a directory: give the name of the file too",
    );
    assert_eq!(names(directory.path()), ["plain"]);
}

#[test]
fn a_directory_that_may_not_be_written_to_is_told_of() {
    let directory = Directory::new();
    let target = directory.path().join("init");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o555)).expect("it is ours");
    let finished =
        steps(&format!("container lose-capability {CAP_DAC_OVERRIDE} {}", installation(&target)));
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("it is ours");
    assert_not_installed(&finished, &target, "Permission denied");
}

#[test]
fn without_space_the_old_file_stays_and_nothing_is_left() {
    let directory = Directory::new();
    let (place, target) = (directory.path().display(), directory.path().join("init"));
    let full = format!(
        "container small-disk {place} 65536 fork [ {} ] wait-last list {place}",
        installation(&target)
    );
    let finished = steps(&full);
    assert_eq!(finished.stdout, ["ended 125"], "{finished:?}");
    assert!(finished.stderr[0].contains("No space left on device"), "{finished:?}");
    let old = directory.file("init", "old");
    assert_not_installed(
        &steps(&format!("fsize 65536 {}", installation(&target))),
        &target,
        "File too large",
    );
    assert_eq!(fs::read(old).expect("a file"), b"old");
    assert_eq!(names(directory.path()), ["init"]);
}
