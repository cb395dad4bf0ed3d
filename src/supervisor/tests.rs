//! Stories: what happens, and what is done about it.

mod several;

use super::*;
use crate::config::ForwardTo;
use crate::signal::Payload;
use crate::status::Termination;

const MAIN: Pid = match Pid::from_raw(7) {
    Some(pid) => pid,
    None => panic!("positive"),
};
const QUIT: Signal = match Signal::from_raw(3) {
    Some(signal) => signal,
    None => panic!("1 to 64"),
};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A supervisor and its clock.
struct Story(Supervisor, Time);

impl Story {
    fn new(policy: Policy, job_control: JobControl) -> Self {
        let mut supervisor = Supervisor::new(policy, job_control, [Role::Main]);
        for event in
            [Event::Begun, Event::Started(super::MAIN, MAIN), Event::Executed(super::MAIN, MAIN)]
        {
            supervisor.handle(event, Time::ZERO, &mut Vec::new());
        }
        Self(supervisor, Time::ZERO)
    }

    fn at(&mut self, n: u64) -> &mut Self {
        self.1 = seconds(n);
        self
    }

    fn on(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.0.handle(event, self.1, &mut actions);
        actions.retain(|action| !matches!(action, Action::Tell(_)));
        actions
    }

    fn signal(&mut self, signal: Signal) -> Vec<Action> {
        self.on(Event::Signaled(signal.into()))
    }

    fn ends(&mut self) -> Vec<Action> {
        self.on(Event::Reaped(MAIN, Termination::Exited(4)))
    }
}

fn to_main(signal: Signal) -> Action {
    Action::Send(Target::Process(MAIN), signal.into())
}

fn to_group(signal: Signal) -> Action {
    Action::Send(Target::Group(MAIN), signal.into())
}

fn to_all(signal: Signal) -> Action {
    Action::Send(Target::Everyone, signal.into())
}

fn finish(code: u8) -> Action {
    Action::Finish(ExitStatus::from(Termination::Exited(code)))
}

#[test]
fn a_command_that_ends_alone_ends_the_container() {
    let mut story = Story::new(Policy::default(), JobControl::Absent);
    assert_eq!(story.ends(), [Action::ReclaimTerminal]);
    assert_eq!(story.on(Event::NoChildren), [finish(4)]);
}

#[test]
fn leftovers_are_asked_then_killed_and_at_last_left() {
    let mut story = Story::new(Policy::default(), JobControl::Absent);
    story.ends();
    assert_eq!(story.at(10).on(Event::ChildrenLeft), [to_all(Signal::TERM), to_all(Signal::CONT)]);
    assert_eq!(story.0.deadline(), Some(seconds(15)));
    assert_eq!(story.at(14).on(Event::CheckDeadline), []);
    assert_eq!(story.at(15).on(Event::CheckDeadline), [to_all(Signal::KILL)]);
    assert_eq!(story.on(Event::ChildrenLeft), [to_all(Signal::KILL)]);
    assert_eq!(story.at(16).on(Event::CheckDeadline), [finish(4)]);
}

#[test]
fn a_stop_escalates_once_and_a_second_stop_signal_does_not_restart_the_clock() {
    let mut story = Story::new(
        Policy { kill_after: Some(seconds(3)), ..Policy::default() },
        JobControl::Absent,
    );
    assert_eq!(story.at(10).signal(Signal::TERM), [to_main(Signal::TERM)]);
    assert_eq!(story.at(12).signal(Signal::INT), [to_main(Signal::INT)]);
    assert_eq!(story.at(13).on(Event::CheckDeadline), [to_main(Signal::KILL)]);
    assert_eq!(story.on(Event::CheckDeadline), []);
}

#[test]
fn a_grace_period_that_ends_after_the_drain_holds_for_the_leftovers_too() {
    let policy =
        Policy { kill_after: Some(seconds(30)), drain: Some(seconds(5)), ..Policy::default() };
    for (ended, until) in [(1, 30), (28, 33)] {
        let mut story = Story::new(policy.clone(), JobControl::Absent);
        story.signal(Signal::TERM);
        story.at(ended).ends();
        story.on(Event::ChildrenLeft);
        assert_eq!(story.0.deadline(), Some(seconds(until)), "ended at {ended}");
    }
}

#[test]
fn a_held_stop_signal_goes_out_once_at_the_end_of_the_delay_or_on_a_second_one() {
    let policy =
        Policy { stop_delay: seconds(5), kill_after: Some(seconds(2)), ..Policy::default() };
    let mut story = Story::new(policy.clone(), JobControl::Absent);
    assert_eq!(story.at(1).signal(Signal::TERM), []);
    assert_eq!(story.at(2).signal(Signal::HUP), [to_main(Signal::HUP)]);
    assert_eq!(story.at(6).on(Event::CheckDeadline), [to_main(Signal::TERM)]);
    assert_eq!(story.0.deadline(), Some(seconds(8)));

    let mut story = Story::new(policy, JobControl::Absent);
    story.at(1).signal(Signal::TERM);
    assert_eq!(story.at(2).signal(Signal::INT), [to_main(Signal::TERM)]);
    assert_eq!(story.0.deadline(), Some(seconds(4)));
}

#[test]
fn only_the_stop_signals_of_the_policy_start_a_stop() {
    let policy = Policy {
        stop_on: [QUIT].into_iter().collect(),
        kill_after: Some(seconds(1)),
        ..Policy::default()
    };
    let mut story = Story::new(policy, JobControl::Absent);
    assert_eq!(story.signal(Signal::TERM), [to_main(Signal::TERM)]);
    assert_eq!(story.0.phase(), Phase::Running);
    assert_eq!(story.signal(QUIT), [to_main(QUIT)]);
    assert_eq!(story.0.deadline(), Some(seconds(1)));
}

#[test]
fn a_stop_signal_for_everyone_leaves_other_signals_with_the_child() {
    let mut story =
        Story::new(Policy { stop_everyone: true, ..Policy::default() }, JobControl::Absent);
    assert_eq!(story.signal(Signal::HUP), [to_main(Signal::HUP)]);
    assert_eq!(story.signal(Signal::TERM), [to_all(Signal::TERM)]);
}

#[test]
fn the_received_signal_starts_a_stop_and_the_rewritten_one_goes_out() {
    let rewrite = [(Signal::TERM, Some(QUIT)), (QUIT, Some(Signal::HUP)), (Signal::INT, None)]
        .into_iter()
        .collect();
    let mut story = Story::new(
        Policy { rewrite, kill_after: Some(seconds(1)), ..Policy::default() },
        JobControl::Absent,
    );
    assert_eq!(story.signal(Signal::INT), []);
    assert_eq!(story.0.phase(), Phase::Running);
    assert_eq!(story.signal(QUIT), [to_main(Signal::HUP)]);
    assert_eq!(story.0.phase(), Phase::Running);
    assert_eq!(story.signal(Signal::TERM), [to_main(QUIT)]);
    assert_eq!(story.0.deadline(), Some(seconds(1)));
    story.ends();
    assert_eq!(story.on(Event::ChildrenLeft), [to_all(Signal::TERM), to_all(Signal::CONT)]);
    assert_eq!(story.signal(Signal::TERM), [to_all(QUIT)]);
}

#[test]
fn a_payload_travels_with_its_signal() {
    let queued = Received { payload: Some(Payload { value: 5, pid: 1, uid: 2 }), ..QUIT.into() };
    let mut story = Story::new(
        Policy { forward_to: ForwardTo::Group, ..Policy::default() },
        JobControl::Absent,
    );
    assert_eq!(story.on(Event::Signaled(queued)), [Action::Send(Target::Group(MAIN), queued)]);
}

#[test]
fn a_stopped_child_that_is_asked_to_stop_is_continued() {
    let mut story = Story::new(Policy::default(), JobControl::Absent);
    story.on(Event::Suspended(MAIN, Signal::STOP));
    assert_eq!(story.signal(Signal::TERM), [to_main(Signal::TERM), to_group(Signal::CONT)]);
    story.on(Event::Continued(MAIN));
    assert_eq!(story.signal(Signal::TERM), [to_main(Signal::TERM)]);
}

#[test]
fn a_stop_that_is_heard_of_after_the_stop_signal_is_undone_once() {
    let mut story = Story::new(Policy::default(), JobControl::Absent);
    story.signal(Signal::TERM);
    assert_eq!(story.on(Event::Suspended(MAIN, Signal::STOP)), [to_group(Signal::CONT)]);
    story.on(Event::Continued(MAIN));
    assert_eq!(story.on(Event::Suspended(MAIN, Signal::STOP)), []);
}

#[test]
fn with_a_shell_above_we_stop_with_the_child_and_continue_its_whole_group() {
    let mut story = Story::new(Policy::default(), JobControl::Above);
    assert_eq!(story.on(Event::Suspended(MAIN, Signal::TSTP)), [Action::Suspend(Signal::TSTP)]);
    assert_eq!(story.signal(Signal::CONT), [to_group(Signal::CONT)]);
}

#[test]
fn with_nobody_above_after_all_a_stop_typed_at_the_terminal_is_undone() {
    let mut story = Story::new(Policy::default(), JobControl::Above);
    assert_eq!(story.on(Event::Suspended(MAIN, Signal::TSTP)), [Action::Suspend(Signal::TSTP)]);
    assert_eq!(story.on(Event::NotSuspended(Signal::TSTP)), [to_group(Signal::CONT)]);
    assert_eq!(story.on(Event::NotSuspended(Signal::STOP)), []);
}

#[test]
fn as_pid_1_only_a_stop_typed_at_the_terminal_is_undone() {
    let mut story = Story::new(Policy::default(), JobControl::NobodyAbove);
    assert_eq!(story.on(Event::Suspended(MAIN, Signal::TSTP)), [to_group(Signal::CONT)]);
    assert_eq!(story.on(Event::Suspended(MAIN, Signal::STOP)), []);
    story.signal(Signal::TSTP);
    assert_eq!(story.on(Event::Suspended(MAIN, Signal::TSTP)), []);
    // Typed for our own group, which had the foreground then.
    story.on(Event::Signaled(Received { from: Sender::Kernel, ..Signal::TSTP.into() }));
    assert_eq!(story.on(Event::Suspended(MAIN, Signal::TSTP)), [to_group(Signal::CONT)]);
}

#[test]
fn a_stop_typed_long_after_one_that_was_forwarded_is_undone() {
    for (typed_at, undone) in [(1, vec![]), (2, vec![to_group(Signal::CONT)])] {
        let mut story = Story::new(Policy::default(), JobControl::NobodyAbove);
        // The command handles it, and does not stop.
        assert_eq!(story.signal(Signal::TSTP), [to_main(Signal::TSTP)]);
        let stopped = Event::Suspended(MAIN, Signal::TSTP);
        assert_eq!(story.at(typed_at).on(stopped), undone, "after {typed_at} s");
    }
}

#[test]
fn a_main_child_in_uninterruptible_sleep_does_not_hold_the_others() {
    let mut story = Story::new(
        Policy { kill_after: Some(seconds(1)), ..Policy::default() },
        JobControl::Absent,
    );
    story.signal(Signal::TERM);
    story.at(1).on(Event::CheckDeadline);
    assert_eq!(
        story.at(2).on(Event::CheckDeadline),
        [Action::ReclaimTerminal, to_all(Signal::TERM), to_all(Signal::CONT)]
    );
    assert_eq!(story.on(Event::Reaped(MAIN, Termination::Exited(0))), []);
    assert_eq!(story.on(Event::NoChildren), [finish(137)]);
}

#[test]
fn a_child_whose_status_somebody_else_took_does_not_hang_us() {
    let mut story = Story::new(Policy::default(), JobControl::Absent);
    assert_eq!(story.on(Event::NoChildren), [Action::Finish(ExitStatus::OWN_FAILURE)]);
}

#[test]
fn a_remapped_status_is_zero() {
    let mut story =
        Story::new(Policy { remap_exit: vec![4], ..Policy::default() }, JobControl::Absent);
    story.ends();
    assert_eq!(story.on(Event::NoChildren), [finish(0)]);
}

#[test]
fn what_is_typed_reaches_a_command_in_our_group_without_us() {
    let suspend_on = [Signal::TSTP].into_iter().collect();
    let mut story = Story::new(
        Policy { placement: Placement::SharedGroup, suspend_on, ..Policy::default() },
        JobControl::Absent,
    );
    let typed =
        |signal: Signal| Event::Signaled(Received { from: Sender::Kernel, ..signal.into() });
    assert_eq!(story.on(typed(Signal::INT)), []);
    assert_eq!(story.on(typed(Signal::TSTP)), [Action::SuspendAlone]);
    assert_eq!(story.signal(Signal::TSTP), [to_main(Signal::TSTP), Action::SuspendAlone]);
    assert_eq!(
        story.on(typed(Signal::HUP)),
        [Action::Send(
            Target::Process(MAIN),
            Received { from: Sender::Kernel, ..Signal::HUP.into() }
        )]
    );
}

#[test]
fn a_farewell_goes_to_the_group_of_a_child_that_has_ended() {
    let rewrite = [(Signal::TERM, Some(QUIT))].into_iter().collect();
    let mut story = Story::new(
        Policy { farewell: true, rewrite, drain: seconds(0).into(), ..Policy::default() },
        JobControl::Absent,
    );
    assert_eq!(story.ends(), [Action::ReclaimTerminal, to_group(QUIT)]);
    assert_eq!(story.on(Event::ChildrenLeft), [finish(4)]);
}
