//! catatonit 0.1.7.

use super::scenarios::{self, WITH_A_MEMBER, command_lines, outcome, target, variables};
use super::{Peer, differs, run, seen, start};
use crate::support::wait_until;

const CATATONIT: Peer = Peer {
    name: "catatonit",
    facts: &[
        ("group", "the child"),
        ("session", "others"),
        ("exec of not found in PATH", "1, 1 lines"),
        ("CATATONIT_LOG=", "1 err"),
        ("CATATONIT_DEBUG=", "0 err"),
        ("adopts  [], not as PID 1", "true"),
        ("pause and 15", "0 []"),
        ("pause and 2", "0 []"),
        ("a member of the group at the end, not as PID 1", "3, told 64"),
        ("-z ;", "1 err"),
    ],
    differences: &[
        differs("--help", "1 err", "0 err", "it is asked for"),
        differs(
            "mask",
            "0000008000380200",
            "0000008000000200",
            "the command's mask and dispositions are the inherited ones",
        ),
        differs(
            "mask -g",
            "0000008000380200",
            "0000008000000200",
            "the command's mask and dispositions are the inherited ones",
        ),
        differs("directory of the init", "/usr", "/", "we hold no directory"),
        differs("directory of the init -g", "/usr", "/", "we hold no directory"),
        differs("--vers", "0 out", "1 err", "long options are not abbreviated"),
        differs("; say -z", "1 err", "0 out", "options end at the first word"),
        differs("; -- exit 3", "3", "134 err", "options end at the first word"),
        differs(
            "exec of a damaged ELF file",
            "4, 1 lines",
            "1, 1 lines",
            "a damaged or foreign ELF file is no script",
        ),
        differs(
            "forwarding, as PID 1",
            "4->[] 5->[] 6->[] 7->[] 8->[] 11->[] 17->[] 20->[] 21->[] 22->[] 31->[] 32->[] 33->[]",
            "17->[] 20->[] 21->[] 22->[]",
            "no signal is lost",
        ),
        differs(
            "forwarding -g, as PID 1",
            "4->[] 5->[] 6->[] 7->[] 8->[] 11->[] 17->[] 20->[] 21->[] 22->[] 31->[] 32->[] 33->[]",
            "17->[] 20->[] 21->[] 22->[]",
            "no signal is lost",
        ),
    ],
};

#[test]
fn the_same_exit_statuses() {
    CATATONIT.compare(scenarios::statuses);
}

#[test]
fn the_same_statuses_where_nothing_runs() {
    CATATONIT.compare(|init| scenarios::exec_failures(init, ""));
}

#[test]
fn the_same_surroundings_of_the_command() {
    CATATONIT.compare(|init| {
        [scenarios::inheritance(init, ""), scenarios::inheritance(init, "-g")].concat()
    });
}

#[test]
fn the_same_signals_arrive() {
    const KILLERS: &[i32] = &[4, 5, 6, 7, 8, 11, 31, 32, 33];
    CATATONIT.compare(|init| {
        let but = if init.is_pid_1 { &[][..] } else { KILLERS };
        [scenarios::forwarding(init, "", but), scenarios::forwarding(init, "-g", but)].concat()
    });
}

#[test]
fn the_same_receivers_of_a_signal() {
    CATATONIT.compare(|init| {
        ["", "-g"]
            .map(|options| {
                seen(format!("target {options}"), target(&init.probe(options, WITH_A_MEMBER)))
            })
            .to_vec()
    });
}

#[test]
fn the_same_end_of_those_left() {
    CATATONIT.compare(|init| {
        [scenarios::leftovers(init, ""), scenarios::leftovers(init, "-g")].concat()
    });
}

#[test]
fn the_same_on_a_terminal() {
    CATATONIT.compare(|init| scenarios::terminal(init, ""));
}

#[test]
fn the_same_command_lines() {
    CATATONIT.compare(|init| {
        command_lines(
            init,
            &[
                "",
                "-h",
                "-h ;",
                "--help",
                "-L",
                "-V",
                "--version",
                "--vers",
                "-gV",
                "--",
                "-z ;",
                "--foo ;",
                "-g ;",
                "-g -- ;",
                "; say -z",
                "; -- exit 3",
                "; exit 3",
                "-P -z",
            ],
        )
    });
}

#[test]
fn the_same_variables() {
    CATATONIT.compare(|init| {
        let values = [
            ("CATATONIT_DEBUG", ""),
            ("CATATONIT_DEBUG", "0"),
            ("CATATONIT_LOG", ""),
            ("CATATONIT_LOG", "x"),
        ];
        let look = |scenario: &_| outcome(&run(scenario));
        variables(init, "", &values, look, "")
    });
}

#[test]
fn the_same_orphans_are_adopted() {
    CATATONIT.compare(|init| scenarios::adoption(init, "", &[]));
}

#[test]
fn the_same_pause() {
    CATATONIT.compare(|init| {
        let one = |signal: i32| {
            let mut running = start(&init.probe("-P", "say started"));
            let ready = || {
                running.init.status("Name") == "catatonit"
                    && running.init.status("SigBlk") != "0000000000000000"
                    && running.init.is_idle()
            };
            wait_until("it to pause", ready);
            running.signal(signal);
            if [2, 15].contains(&signal) {
                return seen(
                    format!("pause and {signal}"),
                    format!("{} {:?}", running.exit_status(), running.stdout.rest()),
                );
            }
            let ended = || !matches!(running.init.state(), Some('S' | 'R' | 'T'));
            wait_until("an answer", || ended() || running.init.is_idle());
            let answer = if ended() { "ends" } else { "stays" };
            seen(format!("pause and {signal}"), answer)
        };
        [1, 2, 3, 10, 15, 17, 18, 20, 28, 34].map(one).to_vec()
    });
}

#[test]
fn the_peers_failures_are_not_ours() {
    CATATONIT.look_at_ours(scenarios::survives);
}
