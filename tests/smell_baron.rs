//! firstmate under smell-baron's name keeps the rules of its documentation,
//! <https://github.com/ohjames/smell-baron>. (No package has the program itself.)

use std::os::unix::fs::symlink;

use crate::support::{Directory, Finished, Running, Scenario, firstmate};

/// smell-baron, and where its commands leave and find things.
struct Baron(Directory);

impl Baron {
    fn new() -> Self {
        let directory = Directory::new();
        symlink(firstmate(), directory.path().join("smell-baron")).unwrap();
        Self(directory)
    }

    /// As PID 1, or not. Each command is its options and a line for the shell, in which `$D` is the
    /// directory.
    fn start_in(&self, place: Scenario, commands: &[(&str, &str)]) -> Running {
        let mut words = vec![self.0.path().join("smell-baron").into_os_string()];
        for (i, (options, line)) in commands.iter().enumerate() {
            words.extend((i > 0).then(|| "---".into()));
            words.extend(options.split_whitespace().map(Into::into));
            words.extend(["sh", "-c", line].map(Into::into));
        }
        place.env("D", self.0.path()).command(words).start_without_init()
    }

    fn start(&self, commands: &[(&str, &str)]) -> Running {
        self.start_in(Scenario::container(), commands)
    }

    fn run(&self, commands: &[(&str, &str)]) -> Finished {
        self.start(commands).finish()
    }
}

#[test]
fn without_marks_it_ends_when_all_commands_have_with_the_first_failure_in_their_order() {
    let baron = Baron::new();
    let make = "mkfifo $D/go; echo > $D/go; exit 0";
    let finished = baron.run(&[
        ("", make),
        ("", "until [ -p $D/go ]; do sleep 0.01; done; read x < $D/go; exit 4"),
        ("", "exit 5"),
    ]);
    assert_eq!(finished.status, 4, "{finished:?}");
    assert_eq!(baron.run(&[("", "exit 0"), ("", "exit 0")]).status, 0);
}

#[test]
fn with_marks_it_ends_when_those_commands_have_and_asks_the_rest_to_end() {
    let rest = "trap 'echo asked; exit 9' TERM; echo > $D/ready; while :; do sleep 0.01; done";
    let finished = Baron::new().run(&[
        ("", rest),
        ("-f", "until [ -e $D/ready ]; do sleep 0.01; done; exit 3"),
        ("", "exit 7"),
    ]);
    assert_eq!((finished.status, finished.stdout), (3, vec!["asked".to_owned()]));
}

#[test]
fn those_that_run_first_do_so_together_and_their_failures_do_not_count() {
    // Each needs the other one.
    let first = ("-c", "mkfifo $D/go; echo > $D/go; exit 1");
    let second = (
        "-c",
        "until [ -p $D/go ]; do sleep 0.01; done; read x < $D/go; touch $D/prepared; exit 1",
    );
    let finished = Baron::new().run(&[("", "test -e $D/prepared && exit 6"), first, second]);
    assert_eq!(finished.status, 6, "{finished:?}");
}

#[test]
fn a_signal_begins_the_stop_of_all_commands() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let command = |name: &str, status: u8| {
            format!(
                "trap 'echo {name}; exit {status}' TERM INT; echo ready; while :; do sleep 0.01; \
                 done"
            )
        };
        let running =
            Baron::new().start(&[("", &command("one", 2)), ("", &command("two", 3))]).ready();
        running.stdout.expect("ready");
        running.signal(signal);
        let mut finished = running.finish();
        finished.stdout.sort();
        assert_eq!(
            (finished.status, finished.stdout),
            (2, vec!["one".to_owned(), "two".to_owned()])
        );
    }
}

#[test]
fn the_commands_share_its_process_group() {
    let show = "cut -d' ' -f5 /proc/self/stat";
    let finished = Baron::new().run(&[("", show), ("", show), ("", "cut -d' ' -f5 /proc/1/stat")]);
    assert_eq!(finished.stdout.len(), 3, "{finished:?}");
    assert!(finished.stdout.iter().all(|group| *group == finished.stdout[0]), "{finished:?}");
}

#[test]
fn a_death_by_a_signal_is_a_failure_with_128_and_its_number() {
    assert_eq!(Baron::new().run(&[("", "exit 0"), ("", "kill -KILL $$")]).status, 137);
}

#[test]
fn signals_for_everyone_are_refused_unless_it_is_pid_1() {
    let refused = Baron::new().start_in(Scenario::plain(), &[("-a", "echo ran")]).finish();
    assert_eq!(
        (refused.status, refused.stdout.len(), refused.stderr.len()),
        (1, 0, 1),
        "{refused:?}"
    );

    let background = "(trap 'echo grandchild; exit' TERM; echo ready; while :; do sleep 0.01; \
                      done) & wait $!; wait";
    let running =
        Baron::new().start(&[("-a", &format!("trap '' TERM; {background}; exit 8"))]).ready();
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert_eq!(finished.status, 8, "{finished:?}");
    assert!(finished.stdout.contains(&"grandchild".to_owned()), "{finished:?}");
}

#[test]
fn no_message_names_an_option_of_another_command_line() {
    let finished = Baron::new().run(&[("", "exit 0"), ("", "kill -9 $$")]);
    let killed = "the command \"sh\" was killed by SIGKILL";
    assert!(finished.stderr.iter().any(|line| line.contains(killed)), "{finished:?}");
    assert!(!finished.stderr.iter().any(|line| line.contains("--")), "{finished:?}");
}
