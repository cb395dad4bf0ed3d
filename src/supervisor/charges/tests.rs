//! Who is there, what happens, and who is asked at which moment: one line per experiment.

mod story;

use story::*;

use super::*;
use crate::signal::SignalSet;
use crate::supervisor::DrainSignals;

const TERM: Signal = Signal::TERM;
const INT: Signal = Signal::INT;
const QUIT: Signal = Signal::QUIT;
const HUP: Signal = Signal::HUP;

/// Processes 2, a shell, and 3, a program that knows SIGTERM.
fn shell_and_app(shell: Process) -> Story {
    with_processes([shell, process(3).under(2).catches_term()]).asks(2, TERM)
}

#[test]
fn what_a_wrapper_leaves_that_died_of_the_signal_is_asked_at_once() {
    let wrapped = || shell_and_app(process(2));
    // sh -c 'app; true'
    wrapped().runs(3).dies(2, TERM).drained().is("3 | - | -");
    // It died of another signal.
    wrapped().runs(3).dies(2, Signal::from_raw(11).unwrap()).drained().is("3 | - | -");
    // Two of them: the inner one is asked, and what it leaves.
    let two = [process(2), process(3).under(2), process(4).under(3).catches_term()];
    let two = with_processes(two).asks(2, TERM).dies(2, TERM).first().dies(3, TERM);
    two.runs(4).look().half().late().is("3 | 4 | - | -");
    // sh -c 'app & app & wait', xargs -P, make
    let three = [process(2), process(3).under(2).catches_term(), process(4).under(2)];
    with_processes(three).asks(2, TERM).dies(2, TERM).drained().is("3 4 | - | -");
    // -r TERM:QUIT, and a shell that ignores it, until the SIGKILL of --kill-after.
    let ignores = [process(2).ignores(QUIT), process(3).under(2).catches_term()];
    with_processes(ignores).asks(2, QUIT).runs(3).we_kill(2).drained().is("3 | - | -");
}

#[test]
fn workers_are_left_to_their_master_as_long_as_there_is_time() {
    let pool = [
        process(2),
        process(3).under(2).catches_term(),
        process(4).under(3),
        process(5).under(3).ignores(TERM),
    ];
    let pool = || with_processes(pool).asks(2, TERM).dies(2, TERM);
    // A master that takes its time.
    pool().runs(3).runs(4).drained().is("3 | - | 4 5");
    // One that has told them: 5 may be at work.
    pool().first().dies(4, TERM).runs(5).exits(3).look().half().is("3 | - | 5");
    // --drain never: three quarters never come.
    pool().first().half().look().look().is("3 | - | - | -");
    // An init of a PID namespace, which the signal doesn't reach.
    let nested = [process(2), process(3).under(2), process(4).under(3).catches_term()];
    with_processes(nested).asks(2, TERM).dies(2, TERM).drained().is("3 | - | 4");
}

#[test]
fn whoever_a_script_has_told_is_not_asked_behind_its_back() {
    let script = || shell_and_app(process(2).catches_term());
    // trap 'kill $p' TERM; app & wait $p
    script().runs(3).exits(2).drained().is("- | 3 | -");
    // trap 'trap - TERM; kill 0' TERM; trap 'kill $p' EXIT; sudo
    script().runs(3).dies(2, TERM).drained().is("- | 3 | -");
    // Told, but short of CPU.
    let awake = |process| Process { sleeps: false, ..process };
    script().becomes(3, awake).exits(2).drained().is("- | 3 | -");
    let pending = |process| Process { pending: with(Some(SignalSet::default()), TERM), ..process };
    script().becomes(3, pending).exits(2).drained().is("- | 3 | -");
    // The kernel's SIGKILL, for memory.
    script().runs(3).dies(2, Signal::KILL).drained().is("- | 3 | -");
    // sh -c 'tini -g -- app; true': tini waits for its signals, and so blocks them.
    let tini = [process(2), process(3).under(2).blocks(TERM), process(4).under(3).catches_term()];
    let tini = with_processes(tini).asks(2, TERM).dies(2, TERM).first();
    tini.runs(4).dies(3, TERM).look().half().is("3 | - | 4");
}

#[test]
fn whoever_was_certainly_not_told_is_asked_at_once() {
    let script = || shell_and_app(process(2).catches_term());
    // trap 'exit 0' TERM; app & wait; or a main program that exits.
    script().exits(2).drained().is("3 | - | -");
    // Our SIGKILL: a trap that waited for its program to end.
    script().runs(3).we_kill(2).drained().is("3 | - | -");
    // What SIGTERM kills would be dead: sh -c 'while :; do sleep .2; done & exec app'.
    let loops = || {
        let look = [process(2).catches_term(), process(3).under(2)];
        with_processes(look).asks(2, TERM).runs(3)
    };
    loops().exits(2).drained().is("3 | - | -");
    let inits = |process: Process| process.ignores(INT).ignores(QUIT);
    loops().becomes(3, inits).exits(2).drained().is("3 | - | -");
}

#[test]
fn whoever_may_have_been_told_waits_for_half_of_the_time() {
    let exits = |app: Process, by| {
        let look = [process(2).catches_a(by), app.under(2)];
        with_processes(look).asks(2, by).runs(3).exits(2)
    };
    // It ignores the signal, or has a thread that waits for it.
    exits(process(3).ignores(TERM), TERM).drained().is("- | 3 | -");
    exits(process(3).blocks(TERM), TERM).drained().is("- | 3 | -");
    // Its main thread didn't run, but the other one may have.
    let unrun = |app: Process, by| {
        let look = [process(2).catches_a(by), app.under(2).catches_term()];
        with_processes(look).asks(2, by).exits(2)
    };
    unrun(process(3).blocks(TERM), TERM).drained().is("- | 3 | -");
    // The script passes on what it got: a program that knows SIGINT only is at work.
    exits(process(3).catches_a(INT), INT).drained().is("- | 3 | -");
    unrun(process(3).blocks(INT), INT).drained().is("- | 3 | -");
    // Or SIGTERM, whatever it got.
    unrun(process(3).blocks(TERM), INT).drained().is("- | 3 | -");
    // --drain-signal is ours: it tells nothing of what the chief has sent.
    let ours = DrainSignals { signal: HUP, to_catchers: None };
    unrun(process(3).blocks(TERM), TERM).signals(ours).drained().is("- | 3-SIGHUP | -");
    // The idiom of Go, node and Python: the first signal puts the default back.
    let saves = |process| Process { caught: Some(SignalSet::default()), ..process };
    exits(process(3).catches_term(), TERM).becomes(3, saves).drained().is("- | 3 | -");
    // It did not know the signal when its chief was asked, but does now.
    exits(process(3), TERM).becomes(3, Process::catches_term).drained().is("- | 3 | -");
    exits(process(3), INT).becomes(3, |process| process.catches_a(INT)).drained().is("- | 3 | -");
    // The kernel doesn't tell how often it ran.
    let untold = |process| Process { switches: None, ..process };
    unrun(untold(process(3)), TERM).drained().is("- | 3 | -");
}

#[test]
fn without_the_signals_of_a_status_a_death_by_the_signal_tells_who_told_nobody() {
    let unknown = || {
        let look = [process(2).unknown(), process(3).under(2).unknown()];
        with_processes(look).asks(2, TERM)
    };
    unknown().dies(2, TERM).drained().is("3 | - | -");
    unknown().dies(2, INT).drained().is("- | 3 | -");
    unknown().exits(2).drained().is("- | 3 | -");
    unknown().we_kill(2).drained().is("3 | - | -");
}

#[test]
fn whoever_is_in_nobodys_charge_is_asked_at_once() {
    // An orphan from before, busy or not.
    let orphan = [process(2).catches_term(), process(3).catches_term(), process(4).under(3)];
    with_processes(orphan).asks(2, TERM).runs(3).exits(2).drained().is("3 | - | 4");
    // Nobody has asked for the end.
    with_processes(orphan).exits(2).drained().is("3 | - | 4");
    // What entered, and its child: before the ask and after it.
    let entered = [process(2).catches_term(), process(8).under(0), process(9).under(8)];
    with_processes(entered).asks(2, TERM).exits(2).drained().is("8 | - | 9");
    let later = with_processes([process(2)]).asks(2, TERM).dies(2, TERM);
    later.first().comes(process(8).under(0).catches_term()).look().is("- | 8");
    // A main command that has ended while we looked, and was asked too late.
    let zombie = Process { lives: false, ..process(2) };
    let late = [zombie, process(3).under(2).catches_term()];
    with_processes(late).asks(2, TERM).runs(3).exits(2).drained().is("3 | - | -");
}

#[test]
fn newcomers_may_have_been_told_by_whoever_started_them() {
    // After a stop; and after an end that nobody asked for, once we have asked.
    let stopped = shell_and_app(process(2)).dies(2, TERM).first().comes(process(5));
    stopped.look().half().is("3 | - | 5");
    let ended = with_processes([process(3).catches_term()]).first().comes(process(5));
    ended.look().half().late().is("3 | - | 5 | -");
    // If nobody was asked yet, there is nobody who could have told them.
    with_processes([]).first().comes(process(5)).look().is("- | 5");
    // No look could be had before the ask.
    let blind = with_processes([process(2), process(3).under(2)]).asks_blindly();
    blind.dies(2, TERM).drained().is("- | 3 | -");
    // After half of the time they are asked when they come, as after three quarters.
    let half = shell_and_app(process(2)).dies(2, TERM).first().half().comes(process(5));
    half.look().comes(process(6).under(5)).late().look().is("3 | - | 5 | 6 | -");
    // The look of the first moment has failed.
    shell_and_app(process(2)).dies(2, TERM).look().is("3");
}

#[test]
fn a_pid_that_is_used_again_is_another_process() {
    let again = |process| Process { started: 200, ..process };
    let look = shell_and_app(process(2)).dies(2, TERM).first();
    // In place of 3, who was asked, and of 2, who has ended.
    let look = look.exits(3).comes(again(process(3))).comes(again(process(2)));
    look.look().half().is("3 | - | 3 2");
    // In place of an app that was not told.
    let script = shell_and_app(process(2).catches_term()).exits(2);
    script.becomes(3, again).drained().is("- | 3 | -");
    // Its end is not that of who had the pid before.
    let mut charges = with_processes([]).charges;
    let look = [process(2).catches_term(), again(process(2))];
    charges.asked(&look, |_| Some(TERM));
    let killed = Termination::Killed { signal: TERM, core_dumped: false };
    charges.ended(look[0].pid, killed, false);
    assert!(charges.chiefs.contains_key(&look[0].identity()));
    assert!(!charges.chiefs.contains_key(&look[1].identity()));
}

#[test]
fn the_dead_are_not_asked_but_threads_outlive_their_main_thread() {
    let ended = |lives| Process { lives, sleeps: false, ..process(3).under(2).catches_term() };
    let behind_sh = |app| with_processes([process(2), app]).asks(2, TERM).dies(2, TERM);
    behind_sh(ended(true)).drained().is("3 | - | -");
    behind_sh(ended(false)).drained().is("- | - | -");
    // A chief that is not reaped yet: how it ended is known at the next look.
    let dead = |process| Process { lives: false, ..process };
    let unreaped = shell_and_app(process(2)).runs(3).becomes(2, dead);
    let unreaped = unreaped.becomes(3, |process| process.under(OWN)).first();
    unreaped.next_look_is(NextLook::Death).dies(2, TERM).look().is("- | 3");
    // One that entered is somebody else's to reap.
    let entered = [process(8).under(0).catches_term(), process(9).under(8).catches_term()];
    let entered = with_processes(entered).first().runs(9).becomes(8, dead);
    entered.becomes(9, |process| process.under(OWN)).look().half().is("8 | - | 9");
    // Behind a script that exits it can't be known what its threads have done.
    let look = [process(2).catches_term(), ended(true)];
    with_processes(look).asks(2, TERM).exits(2).drained().is("- | 3 | -");
}

#[test]
fn of_several_charges_the_strictest_holds() {
    let chain = |app: Process| {
        let look = [process(2), process(3).under(2).catches_term(), app.under(3)];
        with_processes(look).asks(2, TERM).dies(2, TERM).first()
    };
    // Its first chief told nobody, the second one may have told it, or certainly did not.
    chain(process(4).catches_term()).runs(4).exits(3).look().half().is("3 | - | 4");
    chain(process(4).catches_term()).exits(3).look().half().is("3 | 4 | -");
    // It ran after the first ask, and not after the second.
    let chain = [process(2).catches_term(), process(3).under(2).catches_term()];
    let chain = with_processes(chain).comes(process(4).under(3).catches_term()).asks(2, TERM);
    chain.runs(4).exits(2).first().exits(3).look().half().is("3 | - | 4");
    // A daemon of a chief that lives; who made itself our child.
    let daemon = with_processes([process(3).catches_term(), process(4).under(3).catches_term()]);
    let daemon = daemon.first().becomes(4, |process| process.under(OWN)).look();
    daemon.next_look_is(NextLook::Death).half().late().is("3 | - | - | 4");
    // A stop command has failed, and the signal was sent after all.
    let twice = shell_and_app(process(2)).asks(2, QUIT).runs(3).dies(2, QUIT);
    twice.drained().is("3 | - | -");
}

#[test]
fn whoever_got_it_with_its_group_or_with_all_is_only_waited_for() {
    let group = [
        process(2).in_group(2),
        process(3).under(2).in_group(2).catches_term(),
        process(4).under(3).in_group(4).catches_term(),
        process(5).in_group(5).catches_term(),
        // Forked while the signal went out.
        process(6).under(3).in_group(2).catches_term(),
    ];
    let group = || with_processes(group).asks_group(2, 4).dies(2, TERM);
    group().runs(4).drained().is("5 | - | 4");
    // The nearest of those that were asked is in charge.
    group().first().runs(4).exits(3).look().half().late().is("5 | - | 4 | -");
    group().first().exits(3).look().is("5 | 4");
    group().first().runs(4).dies(3, TERM).look().half().is("5 | - | 4");
    // The same, where the parent has the higher pid, and 4 has made itself our child.
    let parent = [process(9), process(3).under(9).catches_term()];
    let parent = with_processes(parent).comes(process(4).under(3).in_group(4));
    let parent = parent.asks_group(2, 3).dies(9, TERM).becomes(4, |process| process.under(OWN));
    parent.drained().is("- | - | 4");
    // -a, and who comes later.
    let all = [process(2), process(3).under(2).catches_term(), process(8).under(0)];
    let all = with_processes(all).asks_all().dies(2, TERM).first().comes(process(5));
    all.half().late().is("- | 5 | -");
    // No look could be had before that.
    let mut blind = with_processes([process(3).catches_term()]);
    blind.charges.asked_with_them(&blind.look, TERM, |_| true);
    blind.comes(process(5)).drained().is("- | 5 | -");
}

#[test]
fn whoever_could_not_be_signalled_has_nobody_in_its_charge() {
    let look = [process(2), process(3).under(2).catches_term(), process(4).under(3).catches_term()];
    let look = || with_processes(look).asks(2, TERM).dies(2, TERM);
    let refused = look().refuses(3).first().look().runs(4).exits(3).look();
    refused.is("3 | 3 | 4");
    // The same, but signalled.
    look().first().look().runs(4).exits(3).look().half().is("3 | - | - | 4");
}

#[test]
fn readers_are_asked_when_nobody_writes_for_them() {
    // sh -c 'app 2>&1 | tee log; true', app | cat | cat
    let pipe = [
        process(2),
        process(3).under(2).catches_term(),
        process(4).under(2).reads(),
        process(5).under(2).reads(),
    ];
    let pipe = || with_processes(pipe).asks(2, TERM).dies(2, TERM);
    pipe().drained().is("3 | - | 4 5");
    // They are done when all sleep from one look to the next: one may write for another.
    let ended = pipe().first().next_look_is(NextLook::Death).exits(3).runs(4).look();
    let ended = ended.next_look_is(NextLook::Soon).runs(4).look().next_look_is(NextLook::Soon);
    ended.look().next_look_is(NextLook::Newcomer).half().is("3 | - | - | 4 5 | -");
    // A look at which there are writers again counts for nothing.
    let again = pipe().first().exits(3).look().comes(process(6).catches_term()).look();
    again.exits(6).look().look().is("3 | - | - | - | 4 5");
    // A main script with `exec > >(tee log)`: its last lines are still to be read.
    let script = with_processes([process(2).catches_term(), process(3).under(2).reads()]);
    let script = script.asks(2, TERM).exits(2);
    script.first().next_look_is(NextLook::Soon).look().is("- | 3");
    // tail -f x | reader: what dies of the signal has nothing to write.
    let tail = || with_processes([process(3), process(4).reads()]).first();
    let tail = || tail().next_look_is(NextLook::Soon).dies(3, TERM);
    tail().look().is("3 | 4");
    // One whose child works.
    let child = tail().comes(process(5).under(4)).look().runs(5).look();
    child.look().late().is("3 | - | - | 4 | 5");
    // After half of the time too.
    let late = with_processes([process(3).catches_term(), process(4).reads()]).first().half();
    late.exits(3).runs(4).look().runs(4).look().look().is("3 | - | - | - | 4");
    let half = with_processes([process(3).catches_term(), process(4).reads()]).first();
    half.exits(3).half().look().is("3 | - | 4");
    // One that is never done.
    let busy = tail().becomes(4, |process| Process { sleeps: false, ..process });
    busy.look().half().late().is("3 | - | 4 | -");
}

#[test]
fn who_reads_for_others_is_told_by_what_it_does_and_by_what_they_do() {
    let beside = |writer: Process, reader: Process| {
        with_processes([writer, reader.reads()]).first().look().half().late()
    };
    let app = process(3).catches_term();
    // Not by its stdin, or that is what we were started with; or it does more than to die.
    beside(app, process(4)).is("3 | - | - | 4");
    let stdin = |stdin_pipe| Process { stdin_pipe, ..process(4) };
    with_processes([app, stdin(None)]).first().is("3 4");
    with_processes([app, stdin(Some(OWN_STDIN))]).first().is("3 4");
    beside(app, process(4).catches_term()).is("3 4 | - | - | -");
    beside(app, process(4).ignores(TERM)).is("3 4 | - | - | -");
    beside(app, process(4).unknown()).is("3 4 | - | - | -");
    // Who ignores the signal, or blocks it, or whose signals are not known, may write.
    for writer in [app, process(3).ignores(TERM), process(3).blocks(TERM), process(3).unknown()] {
        let beside = with_processes([writer, process(4).reads()]);
        beside.first().next_look_is(NextLook::Death).late().is("3 | 4");
    }
    // The dead do not, and nobody waits for what entered.
    beside(Process { lives: false, ..app }, process(4)).is("- | 4 | - | -");
    beside(app.under(0), process(4)).is("3 | 4 | - | -");
    // Who was asked is at work, even if the signal would kill it now.
    let saves = with_processes([app, process(4).reads()]).first();
    saves.becomes(3, |_| process(3)).look().look().is("3 | - | -");
    // while read line; do echo "$(date) $line"; done
    let child = |child: Process| with_processes([app, process(4).reads(), child]);
    child(process(5).under(4)).first().late().is("3 | 4 5");
    // A shell blocks all signals while it forks.
    child(process(5).under(4).blocks(TERM)).first().is("3");
    beside(app, process(4).blocks(TERM)).is("3 | - | - | 4");
    // sh -c 'app; true' < pipe is a wrapper, and no reader, however deep the app.
    child(process(5).under(4).catches_term()).first().is("3 4");
    let deep = child(process(5).under(4)).comes(process(6).under(5).catches_term());
    deep.first().is("3 4");
    // Nor if the app has its signal already, and would die of a second one.
    let asked = child(process(5).under(4).catches_term().in_group(5)).asks_group(5, 3);
    asked.becomes(5, |_| process(5).under(4)).first().is("3 4");
    // A reader that may have been told waits for its turn as well.
    let told = [process(2).catches_term(), process(3).under(2).reads().blocks(INT)];
    let told = with_processes(told).asks(2, INT).runs(3).exits(2);
    told.first().half().look().is("- | - | 3");
}

#[test]
fn an_interactive_shell_is_hung_up_besides() {
    let shell = |process: Process| Process {
        session: process.pid.as_raw(),
        has_terminal: true,
        ..process.ignores(TERM)
    };
    let bash = shell(process(3)).catches_a(HUP);
    let asked = |process| with_processes([process]).first();
    asked(bash).is("3+HUP");
    asked(Process { has_terminal: false, ..bash }).is("3");
    asked(Process { session: 9, ..bash }).is("3");
    asked(Process { ignored: process(3).ignored, ..bash }).is("3");
    // It tells its jobs by SIGHUP, and dies of it.
    let job = with_processes([bash, process(4).under(3).catches_a(HUP)]).first();
    job.runs(4).dies(3, HUP).look().half().is("3+HUP | - | 4");
}

#[test]
fn what_a_wrapper_left_that_died_of_the_stop_signal_gets_that_if_it_knows_it() {
    let look = [
        process(3).catches_a(QUIT),
        process(4).under(3).catches_term(),
        process(5).catches_term(),
        process(6).ignores(QUIT),
    ];
    let look = || with_processes(look).signals(BY_QUIT_OR_TERM).first();
    look().half().late().is("3-SIGQUIT 5 6 | - | 4");
    // It dies of the signal that it has caught: its charge may have been told.
    look().runs(4).dies(3, QUIT).look().half().is("3-SIGQUIT 5 6 | - | 4");
    // --drain-signal holds for all.
    let quit = DrainSignals { signal: QUIT, to_catchers: None };
    with_processes([process(3).catches_term()]).signals(quit).first().is("3-SIGQUIT");
}

#[test]
fn who_waits_for_half_of_the_time_is_named_with_who_has_left_it() {
    let look = [process(2).catches_term(), process(3).under(2).catches_term()];
    let mut story = with_processes(look).asks(2, TERM).runs(3).exits(2).comes(process(5));
    let wait = story.charges.plan(&story.look, Moment::First, BY_TERM).wait;
    let wait: Vec<_> = wait
        .iter()
        .map(|one| {
            let left_by = one.left_by.map(|(pid, name)| format!("{pid} {name}"));
            (one.pid.as_raw(), one.name.to_string(), left_by)
        })
        .collect();
    assert_eq!(wait, [(3, "p3".into(), Some("2 p2".into())), (5, "p5".into(), None)]);
    // Those of the living are their chiefs' business.
    let pool = with_processes([process(3).catches_term(), process(4).under(3)]).first();
    let mut charges = pool.charges;
    assert_eq!(charges.plan(&pool.look, Moment::Newcomers, BY_TERM).wait, []);
}

#[test]
fn a_look_in_which_pids_are_their_own_ancestors_comes_to_an_end() {
    let look = [process(2), process(3).under(2), process(4).under(3), process(3).under(4)];
    let look = with_processes(look).asks(2, TERM);
    look.becomes(3, Process::catches_term).dies(2, TERM).drained().is("3 | - | 4");
}

#[test]
fn ten_thousand_processes_are_no_more_than_many() {
    let begun = std::time::Instant::now();
    for depth in [1, 10_000] {
        let mut look = vec![process(2)];
        look.extend((3..10_003).map(|pid| {
            process(pid)
                .under(if depth == 1 { 2 } else { pid - 1 })
                .catches_term()
                .in_group(pid % 2)
        }));
        let mut story = with_processes([]);
        story.look = look;
        let mut story = story.asks_group(0, 10_001).asks(2, TERM).first();
        let processes = std::mem::take(&mut story.look);
        let killed = Termination::Killed { signal: TERM, core_dumped: false };
        for process in processes {
            story.charges.ended(process.pid, killed, false);
        }
    }
    // It takes a few hundredths; minutes, where each walks over all.
    assert!(begun.elapsed().as_secs() < 20);
}

#[test]
fn those_that_a_signal_concerns_are_who_gets_it_and_whoever_is_below() {
    let look =
        [process(2), process(3).under(2), process(4).under(3), process(5), process(6).under(7)];
    let concerned = |pid: i32| with_descendants(&look, |one| one.pid.as_raw() == pid);
    assert_eq!(concerned(3), BTreeSet::from([3, 4]));
    assert_eq!(concerned(5), BTreeSet::from([5]));
    assert_eq!(concerned(8), BTreeSet::new());
    assert_eq!(with_descendants(&look, |_| true), BTreeSet::from([2, 3, 4, 5, 6]));
}
