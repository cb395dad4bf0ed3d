//! Every signal reaches the command, whenever it comes; with what came with it.

use crate::support::{Lines, Running, Scenario, Tracer, wait_until};

/// All but KILL, STOP and CHLD.
fn forwardable() -> impl Iterator<Item = i32> {
    (1..=64).filter(|signal| ![9, 17, 19].contains(signal))
}

/// The command tells of each signal until 64.
fn listening(scenario: Scenario) -> Running {
    scenario.prepare("block-all").probe("say ready until 64").start().ready()
}

/// What `until` says of a signal; the sender stays out of it.
fn next_signal(lines: &Lines) -> (i32, i32, usize) {
    parse(&lines.next())
}

fn parse(line: &str) -> (i32, i32, usize) {
    match line.split(' ').collect::<Vec<_>>()[..] {
        ["signal", signal, "code", code, "from", _, "value", value] => (
            signal.parse().expect("a number"),
            code.parse().expect("a number"),
            value.parse().expect("a number"),
        ),
        _ => panic!("not a signal: {line:?}"),
    }
}

fn numbers(lines: &[String]) -> Vec<i32> {
    lines.iter().map(|line| parse(line).0).collect()
}

#[test]
fn every_signal_but_sigchld_reaches_the_command_once_as_a_plain_one() {
    for scenario in [
        Scenario::container(),
        Scenario::plain(),
        Scenario::container().options("-g"),
        Scenario::plain().options("-vv"),
    ] {
        let running = listening(scenario);
        running.signal(17);
        running.init.queue(17, 5).expect("room");
        // One by one: a SIGCONT takes back a SIGTSTP that is still pending.
        for signal in forwardable() {
            running.signal(signal);
            assert_eq!(next_signal(&running.stdout), (signal, libc::SI_USER, 0));
        }
        let finished = running.finish();
        assert_eq!((finished.status, finished.stdout), (0, vec![]));
    }
}

#[test]
fn every_signal_but_sigchld_keeps_its_payload() {
    let running = listening(Scenario::container());
    running.init.queue(17, 5).expect("room");
    for signal in forwardable() {
        running.init.queue(signal, 0x1234_5678_9abc).expect("room");
        assert_eq!(next_signal(&running.stdout), (signal, libc::SI_QUEUE, 0x1234_5678_9abc));
    }
    assert_eq!(running.finish().stdout, [""; 0]);
}

#[test]
fn signals_pending_at_exec_reach_the_command() {
    let (mut sent, mut expected) = (String::new(), vec![]);
    for signal in (1..=64).filter(|signal| ![9, 19].contains(signal)) {
        // Stop signals and SIGCONT take each other back.
        if [20, 21, 22].contains(&signal) {
            continue;
        }
        sent += &format!(" kill-self {signal}").repeat(2);
        if signal != 17 {
            expected.extend(vec![signal; if signal < 32 { 1 } else { 2 }]);
        }
    }
    for scenario in [Scenario::container(), Scenario::plain(), Scenario::plain().options("-gvv")] {
        let finished =
            scenario.prepare("block-all").prepare(&sent).probe("until 64 until 64").run();
        let mut arrived = numbers(&finished.stdout);
        // The kernel hands out the synchronous faults first.
        arrived.sort_unstable();
        assert_eq!(arrived, expected);
        assert_eq!(finished.status, 0);
    }
}

/// Stopped before it becomes firstmate, with all signals blocked.
fn stopped(scenario: &Scenario) -> Running {
    let running = scenario.clone().prepare("block-all kill-self 19").start();
    wait_until("a stopped probe", || running.init.state() == Some('T'));
    running
}

#[test]
fn a_hundred_real_time_signals_pending_at_exec_arrive_in_order_with_their_payload() {
    let running = stopped(&Scenario::plain().probe("until 64"));
    for value in 0..100 {
        running.init.queue(40, value).expect("room");
        running.init.queue(34, value + 1000).expect("room");
    }
    running.signal(64);
    running.signal(18);
    let stdout = running.finish().stdout;
    let values = |wanted| {
        stdout.iter().map(|line| parse(line)).filter(move |(signal, _, _)| *signal == wanted)
    };
    assert!(values(40).eq((0..100).map(|value| (40, libc::SI_QUEUE, value))), "{stdout:?}");
    assert!(values(34).eq((1000..1100).map(|value| (34, libc::SI_QUEUE, value))), "{stdout:?}");
    assert_eq!(stdout.len(), 202);
}

#[test]
fn a_sigpipe_pending_at_exec_reaches_the_command_but_our_own_does_not() {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("a pipe");
    drop(reader);
    // Each orphan is logged, to nobody.
    let scenario = Scenario::plain()
        .options("-w")
        .stderr(writer)
        .probe("until 18 orphans 9 until 12 orphans 9 until 64");
    for prepared in ["", "kill-self 13"] {
        let running = stopped(&scenario.clone().prepare("block-all").prepare(prepared));
        if prepared.is_empty() {
            running.signal(13);
        }
        let mut arrived = vec![];
        for signal in [18, 12, 64] {
            running.signal(signal);
            while arrived.last() != Some(&signal) {
                arrived.push(next_signal(&running.stdout).0);
            }
        }
        assert_eq!(running.finish().status, 0);
        assert_eq!(
            arrived.iter().filter(|signal| **signal == 13).count(),
            1,
            "{prepared} {arrived:?}"
        );
    }
}

#[test]
fn a_signal_reaches_the_command_whatever_system_call_of_the_start_it_meets() {
    let prepared = "block-all say paused await 10";
    let blocked = Scenario::plain().prepare(prepared).probe("until 15");
    let unblocked = Scenario::plain().prepare(prepared).prepare("unblock-all").probe("forever");
    for (scenario, status) in [
        (blocked.clone().options("-g"), 0),
        (Scenario::container().prepare(prepared).options("-vv").probe("until 15"), 0),
        (unblocked.clone(), 128 + 15),
        (unblocked.options("-g -t 10s"), 128 + 15),
    ] {
        let moments =
            (0..10_000).take_while(|moment| a_signal_at(*moment, &scenario, status)).count();
        // Forking, the group, the mask and exec alone are more.
        assert!(moments > 30, "{moments} moments");
    }
}

/// Sends it after so many stops. Whether firstmate had so many before it slept.
fn a_signal_at(moment: usize, scenario: &Scenario, status: i32) -> bool {
    let running = scenario.start();
    running.stdout.expect("paused");
    let mut tracer = Tracer::seize(running.init);
    running.signal(10);
    tracer.step();
    while running.init.status("SigBlk") != "fffffffffffbfeff" {
        tracer.step();
    }
    let mut steps = 0;
    while steps < moment && tracer.step() {
        steps += 1;
    }
    running.signal(15);
    tracer.let_go();
    let finished = running.finish();
    assert_eq!(finished.status, status, "moment {moment}: {finished:?}");
    assert_eq!(finished.stdout.len(), usize::from(status == 0), "moment {moment}: {finished:?}");
    steps == moment
}

#[test]
fn a_signal_as_soon_as_all_are_blocked_reaches_the_command() {
    let scenarios = [Scenario::plain().options("-g"), Scenario::container()];
    for i in 0..60 {
        let running = scenarios[i % 2].clone().prepare("say started").probe("forever").start();
        running.stdout.expect("started");
        wait_until("its mask", || running.init.status("SigBlk") == "fffffffffffbfeff");
        running.signal(15);
        assert_eq!(running.finish().status, 128 + 15);
    }
}

#[test]
fn payloads_from_the_container_arrive_with_their_sender() {
    let steps = "queue-parent 40 7 queue-parent 40 8 kill-parent 40 queue-parent 41 9 until 41";
    let finished = Scenario::container().prepare("block-all").probe(steps).run();
    let expected = [
        "signal 40 code -1 from 2 value 7",
        "signal 40 code -1 from 2 value 8",
        "signal 40 code 0 from 1 value 0",
        "signal 41 code -1 from 2 value 9",
    ];
    assert_eq!(finished.stdout, expected);
}

#[test]
fn at_the_queue_limit_of_the_command_a_signal_arrives_without_its_payload() {
    for scenario in [Scenario::container(), Scenario::container().options("-g")] {
        let running =
            scenario.prepare("block-all").probe("sigpending 0 say ready until 64").start().ready();
        for signal in [10, 40, 40, 64] {
            running.init.queue(signal, 7).expect("room");
            let (arrived, code, _) = next_signal(&running.stdout);
            assert_eq!((arrived, code), (signal, libc::SI_USER));
        }
        assert_eq!(running.finish().status, 0);
    }
}

#[test]
fn with_g_the_whole_group_gets_it_with_its_payload_where_the_kernel_can() {
    let steps = "fork [ say ready until 40 ] await 40 wait-all exit 3";
    let running =
        Scenario::container().prepare("block-all").options("-g").probe(steps).start().ready();
    running.signal(10);
    assert_eq!(next_signal(&running.stdout), (10, libc::SI_USER, 0));
    running.init.queue(40, 7).expect("room");
    let expected =
        if kernel() >= (6, 9) { (40, libc::SI_QUEUE, 7) } else { (40, libc::SI_USER, 0) };
    assert_eq!(next_signal(&running.stdout), expected);
    assert_eq!(running.finish().status, 3);
}

fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("/proc");
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse().ok());
    (numbers.next().expect("a version"), numbers.next().expect("a version"))
}

#[test]
fn without_g_only_the_command_gets_it() {
    // The drain's SIGTERM ends the grandchild; of two pending ones the lower number would be told
    // first.
    let steps = "fork [ say ready until 15 ] await 1 exit 3";
    let running = Scenario::container().prepare("block-all").probe(steps).start().ready();
    running.signal(1);
    let finished = running.finish();
    assert_eq!((finished.status, numbers(&finished.stdout)), (3, vec![15]));
}

#[test]
fn stop_signals_from_a_process_stop_the_command_and_sigcont_continues_it() {
    for scenario in [Scenario::container(), Scenario::plain().options("-g")] {
        let running = scenario.probe("say ready forever").start().ready();
        let command = running.init.children()[0];
        for signal in [20, 21, 22] {
            running.signal(signal);
            wait_until("a stopped command", || command.state() == Some('T'));
            running.signal(18);
            wait_until("a running command", || command.state() == Some('S'));
        }
        running.signal(15);
        assert_eq!(running.finish().status, 128 + 15);
    }
}

#[test]
fn signals_that_were_inherited_ignored_or_blocked_are_forwarded() {
    let steps = "block-all say ready until 64";
    let running = Scenario::container()
        .prepare("ignore 1 ignore 15 ignore 40 block 2 block 41")
        .probe(steps)
        .start()
        .ready();
    for signal in [1, 2, 15, 40, 41, 64] {
        running.signal(signal);
        assert_eq!(next_signal(&running.stdout).0, signal);
    }
    assert_eq!(running.finish().status, 0);
}

#[test]
fn a_signal_for_a_command_that_has_just_ended_does_no_harm() {
    for options in ["", "-g"] {
        let running = Scenario::plain().options(options).probe("say ready forever").start().ready();
        let command = running.init.children()[0];
        running.signal(19);
        wait_until("a stopped firstmate", || running.init.state() == Some('T'));
        command.signal(9);
        wait_until("the command's end", || command.state() == Some('Z'));
        for signal in [1, 10, 40] {
            running.init.queue(signal, 1).expect("room");
        }
        running.signal(18);
        let finished = running.finish();
        assert_eq!((finished.status, finished.stderr.len()), (128 + 9, 1), "{:?}", finished.stderr);
    }
}

#[test]
fn a_rewritten_signal_arrives_as_another_one_or_not_at_all() {
    let options = "-r USR1:RTMIN+3 -r USR2:none --rewrite RTMIN+1:HUP -r HUP:INT";
    let running = listening(Scenario::container().options(options));
    for (signal, arrives) in [
        (libc::SIGUSR1, Some(37)),
        (libc::SIGUSR2, None),
        (35, Some(libc::SIGHUP)),
        (1, Some(2)),
        (64, Some(64)),
    ] {
        running.signal(signal);
        if let Some(arrives) = arrives {
            assert_eq!(next_signal(&running.stdout).0, arrives);
        }
    }
}
