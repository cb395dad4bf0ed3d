//! tini 0.19.0.

use super::scenarios::{self, WITH_A_MEMBER, command_lines, outcome, target, variables};
use super::{Peer, differs, run, seen, start, with_probe};
use crate::support::Scenario;

const TINI: Peer = Peer {
    name: "tini",
    facts: &[
        ("group", "the child"),
        ("session", "others"),
        ("exec of not found in PATH", "127, 1 lines"),
        ("exec of not executable", "126, 1 lines"),
        ("--version", "0 out"),
        ("-s --version", "1 err"),
        ("-z ;", "1 err"),
        ("TINI_KILL_PROCESS_GROUP=0", "the group"),
        ("adopts  [], not as PID 1", "false"),
        ("adopts  [(\"TINI_SUBREAPER\", \"\")], not as PID 1", "true"),
        ("-s -e 3 ; exit 3", "0"),
        ("TINI_VERBOSITY=0 -s -vvv", "0"),
        ("a member of the group at the end, not as PID 1", "3, told 64"),
        ("a member of the group at the end, as PID 1", "3, killed"),
    ],
    differences: &[
        differs("--help", "1 err", "0 out", "it is asked for"),
        differs("directory of the init", "/usr", "/", "we hold no directory"),
        differs("directory of the init -s -g", "/usr", "/", "we hold no directory"),
        differs(
            "exec of a damaged ELF file",
            "4, 1 lines",
            "126, 1 lines",
            "a damaged or foreign ELF file is no script",
        ),
        differs(
            "exec of below a file",
            "1, 1 lines",
            "126, 1 lines",
            "126 is for all that is found and does not run",
        ),
        differs(
            "forwarding -s, as PID 1",
            "4->[] 5->[] 6->[] 7->[] 8->[] 11->[] 17->[] 21->[] 22->[] 31->[] 32->[] 33->[]",
            "17->[]",
            "no signal is lost",
        ),
        differs(
            "forwarding -s, not as PID 1",
            "17->[] 21->[] 22->[]",
            "17->[]",
            "no signal is lost",
        ),
        differs(
            "forwarding -g, as PID 1",
            "4->[] 5->[] 6->[] 7->[] 8->[] 11->[] 17->[] 21->[] 22->[] 31->[] 32->[] 33->[]",
            "17->[]",
            "no signal is lost",
        ),
        differs(
            "forwarding -g, not as PID 1",
            "17->[] 21->[] 22->[]",
            "17->[]",
            "no signal is lost",
        ),
        differs("-svvv ;", "0 out", "0 err", "the log goes to stderr"),
        differs("-vvv -g -s -- ;", "0 out", "0 err", "the log goes to stderr"),
        differs("; say -z, as PID 1", "1 err", "0 out", "options end at the first word"),
        differs("; say -z, not as PID 1", "1 err", "0 out err", "options end at the first word"),
        differs("-s -e 143 ; die 15", "0", "0 err", "a death by a signal is told"),
        differs(
            "-s -e 127 /no/such/command",
            "0 err",
            "127 err",
            "only a command's status is remapped",
        ),
        differs("-p TERM ;, as PID 1", "1 err", "0", "any name or number of a signal is taken"),
        differs(
            "-p TERM ;, not as PID 1",
            "1 err",
            "0 err",
            "any name or number of a signal is taken",
        ),
        differs("-p sigterm ;, as PID 1", "1 err", "0", "any name or number of a signal is taken"),
        differs(
            "-p sigterm ;, not as PID 1",
            "1 err",
            "0 err",
            "any name or number of a signal is taken",
        ),
        differs("-p 9 ;, as PID 1", "1 err", "0", "any name or number of a signal is taken"),
        differs(
            "-p 9 ;, not as PID 1",
            "1 err",
            "0 err",
            "any name or number of a signal is taken",
        ),
        differs("-p SIGRTMIN ;, as PID 1", "1 err", "0", "any name or number of a signal is taken"),
        differs(
            "-p SIGRTMIN ;, not as PID 1",
            "1 err",
            "0 err",
            "any name or number of a signal is taken",
        ),
        differs("TINI_VERBOSITY=x -s", "0", "1 err", "bad input starts nothing"),
        differs("TINI_VERBOSITY=-1 -s", "0 out", "1 err", "bad input starts nothing"),
        differs("TINI_VERBOSITY=3 -s", "0 out", "0 err", "the log goes to stderr"),
        differs("TINI_VERBOSITY= -s -vvv", "0", "0 err", "an empty variable is unset"),
        differs("TINI_VERBOSITY=x -s -vvv", "0", "1 err", "bad input starts nothing"),
        differs("TINI_VERBOSITY=-1 -s -vvv", "0 out", "1 err", "bad input starts nothing"),
        differs("TINI_VERBOSITY=3 -s -vvv", "0 out", "0 err", "the log goes to stderr"),
    ],
};

#[test]
fn the_same_exit_statuses() {
    TINI.compare(scenarios::statuses);
}

#[test]
fn the_same_statuses_where_nothing_runs() {
    TINI.compare(|init| scenarios::exec_failures(init, "-s"));
}

#[test]
fn the_same_surroundings_of_the_command() {
    TINI.compare(|init| {
        [scenarios::inheritance(init, ""), scenarios::inheritance(init, "-s -g")].concat()
    });
}

#[test]
fn the_same_signals_arrive() {
    const KILLERS: &[i32] = &[4, 5, 6, 7, 8, 11, 31, 32, 33];
    TINI.compare(|init| {
        let but = if init.is_pid_1 { &[][..] } else { KILLERS };
        [scenarios::forwarding(init, "-s", but), scenarios::forwarding(init, "-g", but)].concat()
    });
}

#[test]
fn the_same_receivers_of_a_signal() {
    TINI.compare(|init| {
        let mut all = variables(
            init,
            "",
            &[("TINI_KILL_PROCESS_GROUP", ""), ("TINI_KILL_PROCESS_GROUP", "0"), ("X", "")],
            target,
            WITH_A_MEMBER,
        );
        all.push(seen("target -g", target(&init.probe("-g", WITH_A_MEMBER))));
        all
    });
}

#[test]
fn the_same_end_of_those_left() {
    TINI.compare(|init| {
        [
            scenarios::leftovers(init, ""),
            scenarios::leftovers(init, "-s"),
            scenarios::leftovers(init, "-g"),
        ]
        .concat()
    });
}

#[test]
fn the_same_on_a_terminal() {
    TINI.compare(|init| scenarios::terminal(init, "-s"));
}

#[test]
fn the_same_command_lines() {
    TINI.compare(|init| {
        command_lines(
            init,
            &[
                "",
                "-h",
                "-h ;",
                "--help",
                "-l",
                "--version",
                "--version ;",
                "-s --version",
                "-V",
                "--",
                "-z ;",
                "--foo ;",
                "-s ;",
                "-s -- ;",
                "-svvv ;",
                "-vvv -g -s -- ;",
                "; say -z",
                "; -- exit 3",
                "; exit 3",
                "-e",
                "-e 256 ;",
                "-e -1 ;",
                "-e x ;",
                "-e ;",
                "-s -e 3 ; exit 3",
                "-se3 ; exit 3",
                "-s -e 4 ; exit 3",
                "-s -e 4 -e 3 ; exit 3",
                "-s -e 0 ;",
                "-s -e 03 ; exit 3",
                "-s -e 143 ; die 15",
                "-s -e 127 /no/such/command",
                "-p",
                "-p TERM ;",
                "-p SIGTERM ;",
                "-p sigterm ;",
                "-p 9 ;",
                "-p SIGRTMIN ;",
                "-p SIGNO ;",
                "-spSIGKILL ;",
                "-w -s ;",
            ],
        )
    });
}

#[test]
fn the_same_variables() {
    TINI.compare(|init| {
        let values = ["", "0", "1", "3", "-1", "x"].map(|value| ("TINI_VERBOSITY", value));
        let look = |scenario: &_| outcome(&run(scenario));
        let mut all = variables(init, "-s", &values, look, "");
        all.extend(variables(init, "-s -vvv", &values, look, ""));
        all.extend(variables(
            init,
            "",
            &[("TINI_SUBREAPER", ""), ("TINI_SUBREAPER", "0"), ("FIRSTMATE_VERBOSE", "3")],
            look,
            "",
        ));
        all
    });
}

#[test]
fn the_same_orphans_are_adopted() {
    TINI.compare(|init| {
        let all = [
            ("", &[][..]),
            ("-s", &[]),
            ("", &[("TINI_SUBREAPER", "")]),
            ("", &[("TINI_SUBREAPER", "0")]),
        ];
        all.iter()
            .flat_map(|(options, variables)| scenarios::adoption(init, options, variables))
            .collect()
    });
}

#[test]
fn the_same_line_on_a_zombie() {
    TINI.compare(|init| {
        let running = start(&init.probe("-sw", "block-all daemon [ exit 0 ] await 10"));
        running.stderr.expect_part("eaped zombie process with pid=");
        running.signal(10);
        vec![seen("-sw", outcome(&running.finish()))]
    });
}

#[test]
fn the_same_signal_at_the_parents_death() {
    TINI.compare(|init| {
        let place = Scenario::inside("fork [", "forever ] forever");
        let running =
            start(&init.inside(
                place,
                with_probe("-s -p SIGUSR1", "block-all say ready until 10 say told"),
            ))
            .ready();
        running.init.child().signal(libc::SIGKILL);
        running.stdout.expect("told");
        vec![]
    });
}

#[test]
fn the_peers_failures_are_not_ours() {
    TINI.look_at_ours(scenarios::survives);
}
