//! dumb-init 1.2.5.

use super::scenarios::{self, WITH_A_MEMBER, command_lines, outcome, target, variables};
use super::{Peer, differs, run, seen, with_probe};
use crate::support::{CTRL_C, Pty, wait_until};

const DUMB_INIT: Peer = Peer {
    name: "dumb-init",
    facts: &[
        ("group", "the child"),
        ("session", "the child"),
        ("group -c", "others"),
        ("session -c", "others"),
        ("directory of the init", "/"),
        ("exec of not found in PATH", "2, 1 lines"),
        ("-z ;", "1 err"),
        ("--help", "0 err"),
        ("-V", "0 err"),
        ("DUMB_INIT_SETSID=0", "the child"),
        ("DUMB_INIT_SETSID=00", "the group"),
        ("DUMB_INIT_DEBUG=01", "0"),
        ("DUMB_INIT_DEBUG=1", "0 err"),
        ("a member of the group at the end, not as PID 1", "3, told 10 15 64"),
        ("a member of the group at the end -c, not as PID 1", "3, told 64"),
        ("a member of the group at the end -r 15:12, not as PID 1", "3, told 10 12 64"),
        ("another session at the end, not as PID 1", "3, told 64"),
        ("adopts  [], not as PID 1", "false"),
        ("[20, 18], not as PID 1", "18 64 TTSS"),
        ("[20, 18] -c, not as PID 1", "20 18 64 TSSS"),
        ("[20, 18], as PID 1", "18 64 STSS"),
    ],
    differences: &[
        differs(
            "ignored",
            "[50]",
            "[1, 13, 50]",
            "the command's mask and dispositions are the inherited ones",
        ),
        differs(
            "mask",
            "0000000000000000",
            "0000008000000200",
            "the command's mask and dispositions are the inherited ones",
        ),
        differs(
            "ignored -c",
            "[50]",
            "[1, 13, 50]",
            "the command's mask and dispositions are the inherited ones",
        ),
        differs(
            "mask -c",
            "0000000000000000",
            "0000008000000200",
            "the command's mask and dispositions are the inherited ones",
        ),
        differs(
            "exec of a damaged ELF file",
            "4, 1 lines",
            "2, 1 lines",
            "a damaged or foreign ELF file is no script",
        ),
        differs("--vers", "0 err", "1 err", "long options are not abbreviated"),
        differs("--rew=15:3 ;", "0", "1 err", "long options are not abbreviated"),
        differs("-r 15:32 ;", "1 err", "0", "all signals can be rewritten"),
        differs("-r 34:1 ;", "1 err", "0", "all signals can be rewritten"),
        differs("-r TERM:3 ;", "1 err", "0", "any name or number of a signal is taken"),
        differs("-r 15:3x ;", "0", "1 err", "bad input starts nothing"),
    ],
};

#[test]
fn the_same_exit_statuses() {
    DUMB_INIT.compare(scenarios::statuses);
}

#[test]
fn the_same_statuses_where_nothing_runs() {
    DUMB_INIT.compare(|init| scenarios::exec_failures(init, ""));
}

#[test]
fn the_same_surroundings_of_the_command() {
    DUMB_INIT.compare(|init| {
        [scenarios::inheritance(init, ""), scenarios::inheritance(init, "-c")].concat()
    });
}

#[test]
fn the_same_signals_arrive() {
    const STOPS: &[i32] = &[20, 21, 22, 32, 33];
    DUMB_INIT.compare(|init| {
        [scenarios::forwarding(init, "", STOPS), scenarios::forwarding(init, "-c", STOPS)].concat()
    });
}

#[test]
fn the_same_receivers_of_a_signal() {
    DUMB_INIT.compare(|init| {
        let values = ["", "0", "1", "00"].map(|value| ("DUMB_INIT_SETSID", value));
        let mut all = variables(init, "", &values, target, WITH_A_MEMBER);
        all.push(seen("target -c", target(&init.probe("-c", WITH_A_MEMBER))));
        all
    });
}

#[test]
fn the_same_end_of_those_left() {
    DUMB_INIT.compare(|init| {
        [
            scenarios::leftovers(init, ""),
            scenarios::leftovers(init, "-c"),
            scenarios::leftovers(init, "-r 15:12"),
        ]
        .concat()
    });
}

#[test]
fn the_same_on_a_terminal() {
    DUMB_INIT
        .compare(|init| [scenarios::terminal(init, ""), scenarios::terminal(init, "-c")].concat());
}

#[test]
fn the_same_command_lines() {
    DUMB_INIT.compare(|init| {
        command_lines(
            init,
            &[
                "",
                "-h",
                "-h ;",
                "--help",
                "-V",
                "-V ;",
                "--version",
                "--vers",
                "--",
                "-z ;",
                "--foo ;",
                "-c ;",
                "-cv ;",
                "--single-child ;",
                "--verbose -- ;",
                "--single-child=1 ;",
                "; say -z",
                "; exit 3",
                "-r",
                "-r 15 ;",
                "-r 15:0 ;",
                "-r 15:31 ;",
                "-r 15:32 ;",
                "-r 34:1 ;",
                "-r 0:1 ;",
                "-r -1:3 ;",
                "-r 15:3x ;",
                "-r x:3 ;",
                "-r TERM:3 ;",
                "-r15:3 ;",
                "--rewrite 15:3 ;",
                "--rewrite=15:3 ;",
                "--rew=15:3 ;",
                "-r 9:3 ;",
                "-r 17:3 ;",
                "-r 15:9 ;",
                "-r 15:17 ;",
                "-c -z",
            ],
        )
    });
}

#[test]
fn the_same_variables() {
    DUMB_INIT.compare(|init| {
        let values = ["", "0", "1", "01", "x"].map(|value| ("DUMB_INIT_DEBUG", value));
        let look = |scenario: &_| outcome(&run(scenario));
        variables(init, "", &values, look, "")
    });
}

#[test]
fn the_same_rewriting() {
    DUMB_INIT.compare(|init| {
        let rewrites = [
            "-r 10:12",
            "-r 10:12 -r 12:14",
            "-r 10:12 -r 10:14",
            "-r 10:0",
            "-r 12:0 -r 10:12",
            "-r 10:17",
            "-r 17:10",
            "-cr 10:12",
            "-r 9:10 -r 19:10",
        ];
        let rewritten =
            rewrites.iter().flat_map(|options| scenarios::arrivals(init, options, &[10, 12, 17]));
        rewritten.collect()
    });
}

#[test]
fn the_same_stops() {
    DUMB_INIT.compare(|init| {
        let lines = ["", "-c", "-r 20:20 -r 21:21 -r 22:22", "-r 20:0 -r 21:10 -r 22:12"];
        let one = |options: &&str| {
            [20, 21, 22].map(|signal| scenarios::arrivals(init, options, &[signal, 18])).concat()
        };
        lines.iter().flat_map(one).collect()
    });
}

#[test]
fn the_same_orphans_are_adopted() {
    DUMB_INIT.compare(|init| scenarios::adoption(init, "", &[]));
}

#[test]
fn the_peers_failures_are_not_ours() {
    DUMB_INIT.look_at_ours(scenarios::survives);
}

#[test]
fn in_one_group_with_the_child_a_key_is_one_signal() {
    DUMB_INIT.look_at_ours(|init| {
        // Elsewhere the shell above has the key too.
        if !init.is_pid_1 {
            return;
        }
        let words = [
            vec![init.path.display().to_string()],
            with_probe("-c", "block-all say ready until 12"),
        ]
        .concat();
        let mut pty = Pty::under(&words.iter().map(String::as_str).collect::<Vec<_>>());
        pty.expect("ready\r\n");
        // It looks later than the child, else two signals may become one.
        pty.leader.signal(libc::SIGSTOP);
        wait_until("the stop", || pty.leader.state() == Some('T'));
        pty.write(CTRL_C);
        pty.expect("signal 2 code 128 ");
        pty.leader.signal(libc::SIGCONT);
        pty.expect("signal 18 ");
        pty.leader.signal(12);
        assert!(!pty.finish().1.contains("signal 2 code 0"));
    });
}
