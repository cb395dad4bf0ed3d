//! Stories of several commands.

use super::*;
use crate::config::ExitWhen;

const WITH: Role = Role::With { watched: false };
const WATCHED: Role = Role::With { watched: true };

fn pid(id: CommandId) -> Pid {
    if id == super::super::MAIN {
        MAIN
    } else {
        Pid::from_raw(30 + i32::try_from(id).unwrap()).unwrap()
    }
}

impl Story {
    /// The main command and these others. Those that start at once have started.
    fn of(policy: Policy, others: &[Role]) -> Self {
        let mut story = Self(
            Supervisor::new(policy, JobControl::Absent, [Role::Main].iter().chain(others).copied()),
            Time::ZERO,
        );
        let mut actions = story.on(Event::Begun);
        while let [Action::Start(id)] = actions[..] {
            story.on(Event::Started(id, pid(id)));
            actions = story.on(Event::Executed(id, pid(id)));
        }
        story
    }

    fn exits(&mut self, id: CommandId, code: u8) -> Vec<Action> {
        let mut actions = self.on(Event::Reaped(pid(id), Termination::Exited(code)));
        actions.retain(|action| *action != Action::ReclaimTerminal);
        actions
    }
}

fn to(id: CommandId, signal: Signal) -> Action {
    Action::Send(Target::Process(pid(id)), signal.into())
}

fn asks(id: CommandId, signal: Signal) -> Action {
    Action::Ask(Target::Process(pid(id)), signal.into())
}

fn kills(id: CommandId) -> Action {
    Action::Kill(Target::Process(pid(id)))
}

fn kills_everyone() -> Action {
    Action::Kill(Target::Everyone)
}

fn kills_group(id: CommandId) -> Action {
    Action::Kill(Target::Group(pid(id)))
}

fn stopping_in(kill_after: u64) -> Policy {
    Policy { kill_after: Some(seconds(kill_after)), ..Policy::default() }
}

#[test]
fn each_mode_has_its_own_end_and_status() {
    for (exit_when, others, ends, status) in [
        (ExitWhen::Any, [WITH, WITH], &[(2, 5)][..], 5),
        (ExitWhen::Any, [WITH, WITH], &[(0, 0)], 0),
        (ExitWhen::Main, [WITH, WITH], &[(1, 5), (2, 6), (0, 0)], 0),
        (ExitWhen::Watched, [WATCHED, WATCHED], &[(2, 6), (1, 5), (0, 0)], 5),
        (ExitWhen::Watched, [WATCHED, WITH], &[(0, 3), (1, 5)], 3),
        (ExitWhen::Empty, [WITH, WITH], &[(0, 0), (2, 6), (1, 5)], 5),
    ] {
        let mut story = Story::of(Policy { exit_when, ..Policy::default() }, &others);
        let (last, first) = ends.split_last().unwrap();
        for (id, code) in first {
            assert_eq!(story.exits(*id, *code), [], "{exit_when:?} {ends:?}");
            assert_eq!(story.on(LEFT), []);
        }
        story.exits(last.0, last.1);
        assert_eq!(story.on(Event::NoChildren), [finish(status)], "{exit_when:?} {ends:?}");
    }
}

#[test]
fn the_end_of_one_asks_the_others_as_the_user_said() {
    let rewrite: crate::signal::RewriteMap = [(Signal::TERM, Some(QUIT))].into_iter().collect();
    let policy = Policy { rewrite, kill_after: Some(seconds(20)), ..Policy::default() };
    let mut story = Story::of(policy.clone(), &[WITH]);
    assert_eq!(story.at(1).exits(1, 1), [asks(0, QUIT)]);
    assert_eq!(story.kill_time(), Some(seconds(21)));
    story.at(8).exits(0, 0);
    assert_eq!(story.on(Event::NoChildren), [finish(1)]);

    let mut story = Story::of(policy, &[WITH, Role::Stop]);
    let by_command = [Action::AskedByCommand(pid(0)), Action::Start(2)];
    assert_eq!(story.exits(1, 1), by_command);
}

#[test]
fn a_command_that_survives_another_has_a_limited_time() {
    let given = Policy { drain: Some(seconds(2)), drain_is_given: true, ..Policy::default() };
    let never = Policy { drain: None, ..given.clone() };
    for (policy, asked, time) in [
        (Policy::default(), true, 10),
        (Policy::default(), false, 10),
        (given.clone(), true, 2),
        (given, false, 10),
        (never, true, 5),
        (stopping_in(7), true, 7),
    ] {
        let mut story = Story::of(policy, &[WITH, Role::After]);
        if asked {
            assert_eq!(story.signal(Signal::TERM), [asks(0, Signal::TERM), asks(1, Signal::TERM)]);
        }
        let asked_now = story.exits(0, 7);
        assert_eq!(asked_now, if asked { vec![] } else { vec![asks(1, Signal::TERM)] });
        assert_eq!(story.at(time).check_deadline(), [kills(1)]);
        story.exits(1, 137);
        assert_eq!(story.on(Event::NoChildren), [Action::Start(2)]);
        story.on(Event::Started(2, pid(2)));
        assert_eq!(story.exits(2, 0), [kills_everyone(), finish(7)]);
    }
}

#[test]
fn a_success_becomes_137_where_our_sigkill_ended_the_main_command() {
    let mut story = Story::of(stopping_in(2), &[WITH]);
    assert_eq!(story.exits(1, 0), [asks(0, Signal::TERM)]);
    assert_eq!(story.at(2).check_deadline(), [kills(0)]);
    let killed = Termination::Killed { signal: Signal::KILL, core_dumped: false };
    story.on(Event::Reaped(pid(0), killed));
    assert_eq!(story.on(Event::NoChildren), [finish(137)]);
}

#[test]
fn what_serves_the_main_command_is_asked_when_that_has_exited() {
    let mut story = Story::of(Policy { exit_when: ExitWhen::Main, ..stopping_in(9) }, &[WITH]);
    assert_eq!(story.signal(Signal::TERM), [asks(0, Signal::TERM)]);
    assert_eq!(story.at(3).exits(0, 2), [asks(1, Signal::TERM)]);
    assert_eq!(story.kill_time(), Some(seconds(9)), "what remains");
    story.exits(1, 0);
    assert_eq!(story.on(Event::NoChildren), [finish(2)]);
}

#[test]
fn after_a_stop_the_main_command_decides_and_the_others_have_what_remains() {
    let mut story = Story::of(stopping_in(4), &[WITH, WITH]);
    let asked = [0, 1, 2].map(|id| asks(id, Signal::TERM));
    assert_eq!(story.signal(Signal::TERM), asked);
    assert_eq!(story.exits(1, 7), []);
    assert_eq!(story.exits(0, 2), []);
    assert_eq!(story.on(LEFT), [], "one is still there");
    assert_eq!(story.at(4).check_deadline(), [kills(2)]);
    story.exits(2, 137);
    assert_eq!(story.on(Event::NoChildren), [finish(2)]);
}

#[test]
fn with_nobody_left_to_wait_for_a_stop_drains_at_once() {
    let mut story = Story::of(Policy { exit_when: ExitWhen::Empty, ..Policy::default() }, &[]);
    story.exits(0, 0);
    assert_eq!(story.on(LEFT), [], "it is in the background");
    story.signal(Signal::TERM);
    let first = remaining(Moment::First, Duration::from_millis(2500));
    assert_eq!(story.on(LEFT), [first]);
    assert_eq!(story.on(Event::NoChildren), [finish(0)]);
}

#[test]
fn while_a_stop_signal_is_held_the_stop_is_asked_for_already() {
    let mut story = Story::of(Policy { stop_delay: seconds(3), ..Policy::default() }, &[WITH]);
    story.signal(Signal::TERM);
    assert_eq!(story.at(1).exits(1, 7), []);
    assert_eq!(story.on(LEFT), [], "the main command goes on");
    assert_eq!(story.at(3).check_deadline(), [asks(0, Signal::TERM)]);
    story.exits(0, 2);
    assert_eq!(story.on(Event::NoChildren), [finish(2)]);
}

#[test]
fn only_stop_signals_go_to_all_commands() {
    let mut story = Story::of(Policy::default(), &[WITH, WITH]);
    assert_eq!(story.signal(Signal::HUP), [to(0, Signal::HUP)]);
    let asked = [0, 1, 2].map(|id| asks(id, Signal::TERM));
    assert_eq!(story.signal(Signal::TERM), asked);
    assert_eq!(story.signal(Signal::TERM), [to(0, Signal::TERM)], "the user's");
}

#[test]
fn what_comes_before_does_so_in_order_and_a_failure_is_the_end() {
    let mut story = Story::of(Policy::default(), &[Role::Before, Role::Before, WITH]);
    assert_eq!(story.0.phase(), Phase::Preparing);
    assert_eq!(story.signal(Signal::HUP), [], "dropped");
    assert_eq!(story.exits(1, 0), [Action::Start(2)]);
    story.on(Event::Started(2, pid(2)));
    assert_eq!(story.exits(2, 4), []);
    assert_eq!(story.on(Event::NoChildren), [finish(4)]);
}

#[test]
fn a_stop_while_something_comes_before_goes_to_it_and_is_the_end() {
    let mut story = Story::of(
        Policy { stop_delay: seconds(9), ..stopping_in(2) },
        &[Role::Before, Role::Stop, Role::After],
    );
    assert_eq!(
        story.signal(Signal::TERM),
        [asks(1, Signal::TERM)],
        "neither a delay nor the stop command"
    );
    assert_eq!(story.at(2).check_deadline(), [kills(1)]);
    assert_eq!(story.exits(1, 0), []);
    assert_eq!(story.on(Event::NoChildren), [finish(0)], "and nothing after");
}

#[test]
fn what_cannot_be_started_has_ended_with_its_status() {
    let missing = |id| Event::NotStarted(id, ExitStatus::NOT_FOUND);
    let mut story = Story(
        Supervisor::new(Policy::default(), JobControl::Absent, [Role::Main, WITH]),
        Time::ZERO,
    );
    story.on(Event::Begun);
    assert_eq!(story.on(missing(0)), [finish(127)], "there is nothing to drain");

    for (exit_when, decides) in [(ExitWhen::Any, true), (ExitWhen::Main, false)] {
        let mut story = Story(
            Supervisor::new(
                Policy { exit_when, ..Policy::default() },
                JobControl::Absent,
                [Role::Main, WITH, WITH],
            ),
            Time::ZERO,
        );
        story.on(Event::Begun);
        assert_eq!(story.on(Event::Started(0, MAIN)), [], "it may take any time");
        assert_eq!(story.on(Event::Executed(0, MAIN)), [Action::Start(1)]);
        let next = if decides { asks(0, Signal::TERM) } else { Action::Start(2) };
        assert_eq!(story.on(missing(1)), [next]);
    }
}

#[test]
fn a_stop_command_takes_the_place_of_the_signal_to_the_main_command() {
    let mut story = Story::of(stopping_in(5), &[WITH, Role::Stop]);
    assert_eq!(
        story.signal(Signal::TERM),
        [asks(1, Signal::TERM), Action::AskedByCommand(pid(0)), Action::Start(2)]
    );
    story.on(Event::Started(2, pid(2)));
    assert_eq!(story.exits(2, 0), []);
    assert_eq!(story.signal(Signal::INT), [to(0, Signal::INT)]);
    assert_eq!(story.at(5).check_deadline(), [kills(0), kills(1)]);
}

#[test]
fn the_signal_is_sent_after_all_if_the_stop_command_fails() {
    for fails in
        [Event::NotStarted(1, ExitStatus::NOT_FOUND), Event::Reaped(pid(1), Termination::Exited(1))]
    {
        let mut story =
            Story::of(Policy { stop_delay: seconds(3), ..stopping_in(5) }, &[Role::Stop]);
        assert_eq!(story.signal(Signal::TERM), []);
        assert_eq!(
            story.at(3).check_deadline(),
            [Action::AskedByCommand(pid(0)), Action::Start(1)]
        );
        if matches!(fails, Event::Reaped(..)) {
            story.on(Event::Started(1, pid(1)));
        }
        assert_eq!(story.at(4).on(fails), [asks(0, Signal::TERM)]);
        assert_eq!(story.kill_time(), Some(seconds(8)), "the clock has started with the stop");
    }
}

#[test]
fn a_stop_command_that_hangs_is_killed_with_the_command() {
    let mut story = Story::of(stopping_in(5), &[Role::Stop]);
    story.signal(Signal::TERM);
    story.on(Event::Started(1, pid(1)));
    assert_eq!(story.at(5).check_deadline(), [kills(0), kills_group(1)]);
    assert_eq!(story.exits(1, 137), [], "too late for the signal");
}

#[test]
fn who_shares_the_group_of_a_command_that_a_stop_command_asked_is_not_killed_unasked() {
    let policy = Policy { forward_to: ForwardTo::Group, ..stopping_in(5) };
    let mut story = Story::of(policy, &[Role::Stop]);
    story.signal(Signal::TERM);
    story.on(Event::Started(1, pid(1)));
    story.exits(1, 0);
    assert_eq!(story.at(5).check_deadline(), [kills(0)]);
}

#[test]
fn what_comes_after_has_the_drain_time_in_all() {
    let mut story = Story::of(Policy::default(), &[Role::After, Role::After]);
    story.exits(0, 3);
    assert_eq!(story.at(10).on(Event::NoChildren), [Action::Start(1)]);
    story.on(Event::Started(1, pid(1)));
    assert_eq!(story.signal(Signal::TERM), [to(1, Signal::TERM)]);
    assert_eq!(story.at(12).exits(1, 8), [Action::Start(2)]);
    story.on(Event::Started(2, pid(2)));
    assert_eq!(story.at(15).check_deadline(), [kills_group(2), kills_everyone(), finish(3)]);
}

#[test]
fn out_of_memory_begins_a_stop_once_all_is_reaped() {
    let mut story =
        Story::of(Policy { exit_on_oom: true, stop_delay: seconds(9), ..stopping_in(2) }, &[]);
    assert_eq!(story.on(Event::OutOfMemory(1)), [], "the victim may be the command");
    assert_eq!(story.on(LEFT), [asks(0, Signal::TERM)], "without the delay");
    story.exits(0, 0);
    assert_eq!(story.on(Event::NoChildren), [finish(137)]);

    let mut story = Story::of(Policy::default(), &[]);
    story.on(Event::OutOfMemory(1));
    assert_eq!(story.on(LEFT), []);
    story.exits(0, 0);
    assert_eq!(story.on(Event::NoChildren), [finish(0)], "only said");
}

#[test]
fn what_runs_in_place_of_the_main_command_is_the_job_of_the_shell() {
    let group = |id| Action::Send(Target::Group(pid(id)), Signal::CONT.into());
    for (job_control, on_a_stop) in
        [(JobControl::Above, Action::Suspend(Signal::TSTP)), (JobControl::NobodyAbove, group(1))]
    {
        let mut story = Story(
            Supervisor::new(
                Policy::default(),
                job_control,
                [Role::Main, Role::Before, Role::After],
            ),
            Time::ZERO,
        );
        story.on(Event::Begun);
        story.on(Event::Started(1, pid(1)));
        assert_eq!(story.on(Event::Suspended(pid(1), Signal::TSTP)), [on_a_stop]);
        assert_eq!(story.on(Event::Signaled(Signal::CONT.into())), [group(1)]);
        story.exits(1, 0);
        story.on(Event::Started(0, pid(0)));
        story.exits(0, 0);
        assert_eq!(story.on(Event::NoChildren), [Action::Start(2)]);
        story.on(Event::Started(2, pid(2)));
        // The end is near: it goes on.
        assert_eq!(story.on(Event::Suspended(pid(2), Signal::TSTP)), [group(2)]);
    }
}

#[test]
fn a_second_kill_for_memory_keeps_the_status_of_the_first() {
    let mut story = Story::of(Policy { exit_on_oom: true, ..Policy::default() }, &[]);
    story.on(Event::OutOfMemory(1));
    assert_eq!(story.on(LEFT), [asks(0, Signal::TERM)]);
    story.on(Event::OutOfMemory(1));
    story.exits(0, 0);
    assert_eq!(story.on(Event::NoChildren), [finish(137)]);
}

#[test]
fn a_stop_for_want_of_memory_uses_a_signal_that_stops() {
    let mut story = Story::of(
        Policy { exit_on_oom: true, stop_on: [QUIT].into_iter().collect(), ..Policy::default() },
        &[],
    );
    story.on(Event::OutOfMemory(1));
    assert_eq!(story.on(LEFT), [asks(0, QUIT)]);
}
