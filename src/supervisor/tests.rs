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

/// Children live, and none has died.
const LEFT: Event = Event::ChildrenLeft { died: false };

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

    /// When SIGKILL goes out.
    fn kill_time(&self) -> Option<Time> {
        self.0.stop.and_then(|stop| stop.kill)
    }

    fn check_deadline(&mut self) -> Vec<Action> {
        self.on(Event::CheckDeadline(self.1))
    }

    fn signal(&mut self, signal: Signal) -> Vec<Action> {
        self.on(Event::Signaled(signal.into()))
    }

    /// Whether SIGKILL goes to everyone at this time, after what else is due.
    fn drained_to_the_end(&mut self) -> bool {
        let kills = |actions: Vec<Action>| actions.contains(&kill(Target::Everyone));
        (0..4).any(|_| kills(self.check_deadline()))
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

fn finish(code: u8) -> Action {
    Action::Finish(ExitStatus::from(Termination::Exited(code)))
}

fn ask(signal: Signal) -> Action {
    Action::Ask(Target::Process(MAIN), signal.into())
}

fn kill(target: Target) -> Action {
    Action::Kill(target)
}

/// The signals of the drain, and how long it is to half of its time.
fn remaining(moment: Moment, until_half: Duration) -> Action {
    let signals = DrainSignals { signal: Signal::TERM, to_catchers: None };
    Action::AskRemaining { moment, signals, until_half }
}

#[test]
fn a_command_that_ends_alone_ends_the_container() {
    let mut story = Story::new(Policy::default(), JobControl::Absent);
    assert_eq!(story.ends(), [Action::ReclaimTerminal]);
    assert_eq!(story.on(Event::NoChildren), [finish(4)]);
}

#[test]
fn a_command_that_has_not_ended_is_told_of_once_after_three_seconds_or_half_of_its_time() {
    for (kill_after, after) in [(None, 3_000), (Some(20_000), 3_000), (Some(1_000), 500)] {
        let kill_after = kill_after.map(Duration::from_millis);
        let policy = Policy { kill_after, ..Policy::default() };
        let mut story = Story::new(policy, JobControl::Absent);
        assert_eq!(story.at(1).0.deadline(), None, "no timer outside of a stop");
        story.signal(Signal::TERM);
        let after = Duration::from_millis(after);
        assert_eq!(story.0.deadline(), Some(seconds(1) + after));
        story.1 += after;
        let mut told = Vec::new();
        for _ in 0..2 {
            let now = story.1;
            story.0.handle(Event::CheckDeadline(now), now, &mut told);
        }
        let (asked_by, way) = (Signal::TERM, AskedWay::Alone);
        let notice = Notice::NotEnded { command: 0, pid: MAIN, asked_by, way, after };
        assert_eq!(told, [Action::Tell(notice)]);
    }
}

#[test]
fn after_a_late_sleep_all_are_asked_before_sigkill() {
    let mut story = Story::new(Policy::default(), JobControl::Absent);
    story.ends();
    story.signal(Signal::TERM);
    story.on(LEFT);
    let late = Event::CheckDeadline(seconds(1));
    assert_eq!(story.at(6).on(late), [remaining(Moment::ThreeQuarters, Duration::ZERO)]);
    assert_eq!(story.on(late), []);
    assert_eq!(story.check_deadline(), [kill(Target::Everyone)]);
    assert_eq!(story.at(8).on(late), [], "SIGKILL has its time too");
    assert_eq!(story.check_deadline(), [finish(4)]);
}

#[test]
fn a_grace_period_that_ended_in_a_late_sleep_is_over_a_little_later() {
    let policy = Policy { kill_after: Some(seconds(2)), ..Policy::default() };
    let mut story = Story::new(policy, JobControl::Absent);
    story.signal(Signal::TERM);
    assert_eq!(story.at(3).on(Event::CheckDeadline(seconds(1))), []);
    assert_eq!(story.on(Event::CheckDeadline(seconds(2))), [kill(Target::Process(MAIN))]);
}

#[test]
fn what_remains_is_asked_then_killed_and_at_last_left() {
    let mut story = Story::new(Policy::default(), JobControl::Absent);
    story.ends();
    assert_eq!(story.at(10).on(LEFT), [], "the last lines are read");
    let pause = Duration::from_millis(100);
    assert_eq!(story.0.deadline(), Some(seconds(10) + pause));
    story.1 += pause;
    let half = Duration::from_millis(2400);
    assert_eq!(story.check_deadline(), [remaining(Moment::First, half)]);
    assert_eq!(story.0.deadline(), Some(seconds(10) + pause * 2), "newcomers");
    story.1 += pause;
    assert_eq!(story.check_deadline(), [remaining(Moment::Newcomers, half.saturating_sub(pause))]);
    story.1 = Duration::from_millis(12_500);
    assert_eq!(story.check_deadline(), [remaining(Moment::Half, Duration::ZERO)]);
    story.1 = Duration::from_millis(13_750);
    assert_eq!(story.check_deadline(), [remaining(Moment::ThreeQuarters, Duration::ZERO)]);
    assert_eq!(story.at(15).check_deadline(), [kill(Target::Everyone)]);
    assert_eq!(story.on(LEFT), [kill(Target::Everyone)]);
    assert_eq!(story.at(16).check_deadline(), [finish(4)]);
}

#[test]
fn sigkill_is_waited_for_as_long_as_somebody_dies_of_it() {
    let mut story = Story::new(Policy::default(), JobControl::Absent);
    story.signal(Signal::TERM);
    story.ends();
    story.on(LEFT);
    assert_eq!(story.at(5).check_deadline(), [kill(Target::Everyone)]);
    story.1 += Duration::from_millis(900);
    story.on(Event::ChildrenLeft { died: true });
    assert_eq!(story.at(6).check_deadline(), []);
    story.1 += Duration::from_millis(900);
    assert_eq!(story.check_deadline(), [finish(4)]);
}

#[test]
fn nobody_waits_for_a_sigkill_that_was_refused() {
    let mut story = Story::new(Policy::default(), JobControl::Absent);
    story.signal(Signal::TERM);
    story.ends();
    story.on(LEFT);
    story.at(5).check_deadline();
    story.on(Event::NotKilled);
    assert_eq!(story.check_deadline(), [finish(4)]);
}

#[test]
fn a_stop_escalates_once_and_a_second_stop_signal_does_not_restart_the_clock() {
    let mut story = Story::new(
        Policy { kill_after: Some(seconds(3)), ..Policy::default() },
        JobControl::Absent,
    );
    assert_eq!(story.at(10).signal(Signal::TERM), [ask(Signal::TERM)]);
    assert_eq!(story.at(12).signal(Signal::INT), [to_main(Signal::INT)]);
    assert_eq!(story.at(13).check_deadline(), [kill(Target::Process(MAIN))]);
    assert_eq!(story.check_deadline(), []);
}

#[test]
fn the_drain_means_what_it_says_also_with_a_long_grace_period() {
    let policy =
        Policy { kill_after: Some(seconds(30)), drain: Some(seconds(5)), ..Policy::default() };
    for ended in [1, 28] {
        let mut story = Story::new(policy.clone(), JobControl::Absent);
        story.signal(Signal::TERM);
        story.at(ended).ends();
        story.on(LEFT);
        story.at(ended + 5);
        assert!(story.drained_to_the_end(), "ended at {ended}");
    }
}

#[test]
fn the_drain_of_a_stop_within_a_limit_lasts_to_the_limit() {
    let policy = Policy { stop_limit: Some(seconds(9)), ..Policy::default() };
    let mut story = Story::new(policy.clone(), JobControl::Absent);
    story.at(1).signal(Signal::TERM);
    story.at(2).ends();
    story.on(LEFT);
    story.at(9).check_deadline();
    story.check_deadline();
    story.check_deadline();
    assert_eq!(story.at(10).check_deadline(), [kill(Target::Everyone)]);

    // After an end that nobody asked for the drain is its own, until somebody asks.
    let mut story = Story::new(policy, JobControl::Absent);
    story.ends();
    story.at(20).on(LEFT);
    story.at(21).signal(Signal::TERM);
    story.at(25);
    assert!(story.drained_to_the_end());
}

#[test]
fn a_typed_interrupt_during_the_drain_escalates_and_no_other_signal_does() {
    let mut story = Story::new(Policy::default(), JobControl::Absent);
    story.signal(Signal::TERM);
    story.ends();
    story.on(LEFT);
    assert_eq!(story.signal(Signal::INT), []);
    assert_eq!(story.signal(Signal::TERM), []);
    let typed = Event::Signaled(Received { from: Sender::Kernel, ..Signal::INT.into() });
    assert_eq!(story.on(typed), [kill(Target::Everyone)]);
}

#[test]
fn an_interrupt_that_everybody_survives_is_forgotten() {
    let mut story = Story::new(Policy::default(), JobControl::Absent);
    story.0 = story.0.clone().interactive();
    assert_eq!(story.at(1).signal(Signal::INT), [ask(Signal::INT)]);
    assert_eq!(story.0.phase(), Phase::Stopping);
    assert_eq!(story.at(4).check_deadline(), [Action::ForgetAsked]);
    assert_eq!((story.0.phase(), story.0.deadline()), (Phase::Running, None));
    assert_eq!(story.signal(Signal::TERM), [ask(Signal::TERM)], "begins anew");

    let policy = Policy { kill_after: Some(seconds(9)), ..Policy::default() };
    for (policy, signal) in [(policy, Signal::INT), (Policy::default(), Signal::TERM)] {
        let mut story = Story::new(policy, JobControl::Absent);
        story.0 = story.0.clone().interactive();
        story.signal(signal);
        story.at(4).check_deadline();
        assert_eq!(story.0.phase(), Phase::Stopping, "{signal}");
    }
}

#[test]
fn a_wrapper_that_died_of_the_stop_signal_passes_it_on_to_what_it_left() {
    let rewrite = [(Signal::TERM, Some(QUIT))].into_iter().collect();
    for (ending, to_catchers) in [
        (Termination::Killed { signal: QUIT, core_dumped: false }, Some(QUIT)),
        (Termination::Exited(0), None),
    ] {
        let policy = Policy { rewrite: Clone::clone(&rewrite), ..Policy::default() };
        let mut story = Story::new(policy, JobControl::Absent);
        story.signal(Signal::TERM);
        story.on(Event::Reaped(MAIN, ending));
        let signals = DrainSignals { signal: Signal::TERM, to_catchers };
        let until_half = Duration::from_millis(2500);
        let first = Action::AskRemaining { moment: Moment::First, signals, until_half };
        assert_eq!(story.on(LEFT), [first]);
    }
}

#[test]
fn what_came_in_from_outside_is_asked_before_a_pause_ends_if_the_user_said_so() {
    let hold = |drain| {
        let policy = Policy { drain, ..Policy::default() };
        let mut story = Story(Supervisor::new(policy, JobControl::Absent, []), Time::ZERO);
        assert_eq!(story.on(Event::Begun), []);
        assert_eq!(story.on(Event::NoChildren), [], "it only holds");
        story
    };
    assert_eq!(hold(Some(Duration::ZERO)).signal(Signal::TERM), [finish(0)]);
    let mut story = hold(Some(seconds(4)));
    assert_eq!(story.signal(Signal::TERM), [remaining(Moment::First, seconds(2))]);
    assert_eq!(story.on(Event::NoChildren), [], "they are nobody's children");
    assert_eq!(story.on(Event::NobodyLeft), [finish(0)]);
    let mut story = hold(Some(seconds(4)));
    story.signal(Signal::TERM);
    assert_eq!(story.at(4).check_deadline(), [kill(Target::Everyone), finish(0)]);
}

#[test]
fn a_held_stop_signal_goes_out_once_at_the_end_of_the_delay_or_on_a_second_one() {
    let policy =
        Policy { stop_delay: seconds(5), kill_after: Some(seconds(2)), ..Policy::default() };
    let mut story = Story::new(policy.clone(), JobControl::Absent);
    assert_eq!(story.at(1).signal(Signal::TERM), []);
    assert_eq!(story.at(2).signal(Signal::HUP), [to_main(Signal::HUP)]);
    assert_eq!(story.at(6).check_deadline(), [ask(Signal::TERM)]);
    assert_eq!(story.kill_time(), Some(seconds(8)));

    let mut story = Story::new(policy, JobControl::Absent);
    story.at(1).signal(Signal::TERM);
    assert_eq!(story.at(2).signal(Signal::INT), [ask(Signal::TERM)]);
    assert_eq!(story.kill_time(), Some(seconds(4)));
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
    assert_eq!(story.signal(QUIT), [ask(QUIT)]);
    assert_eq!(story.kill_time(), Some(seconds(1)));
}

#[test]
fn a_stop_signal_for_everyone_leaves_other_signals_with_the_child() {
    let mut story =
        Story::new(Policy { stop_everyone: true, ..Policy::default() }, JobControl::Absent);
    assert_eq!(story.signal(Signal::HUP), [to_main(Signal::HUP)]);
    assert_eq!(story.signal(Signal::TERM), [Action::Ask(Target::Everyone, Signal::TERM.into())]);
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
    assert_eq!(story.signal(Signal::TERM), [ask(QUIT)]);
    assert_eq!(story.kill_time(), Some(seconds(1)));
    story.ends();
    story.on(LEFT);
    assert_eq!(story.signal(Signal::TERM), [], "nobody is there for it");
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
    assert_eq!(story.signal(Signal::TERM), [ask(Signal::TERM), to_group(Signal::CONT)]);
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
fn a_stop_that_is_typed_before_the_job_goes_on_stops_us_again() {
    let mut story = Story::new(Policy::default(), JobControl::Above);
    let typed = Received { from: Sender::Kernel, ..Signal::TSTP.into() };
    let forwarded = Action::Send(Target::Process(MAIN), typed);
    story.on(Event::Suspended(MAIN, Signal::TSTP));
    // It has discarded the SIGCONT that continued us.
    let actions = story.on(Event::Signaled(typed));
    assert_eq!(actions, [forwarded, Action::Suspend(Signal::TSTP)]);
    assert_eq!(story.signal(Signal::CONT), [to_group(Signal::CONT)]);
    // Now it has something to report.
    assert_eq!(story.on(Event::Signaled(typed)), [forwarded]);
    assert_eq!(story.on(Event::Suspended(MAIN, Signal::TSTP)), [Action::Suspend(Signal::TSTP)]);
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
    story.at(1).check_deadline();
    assert_eq!(
        story.at(2).check_deadline(),
        [Action::ReclaimTerminal, remaining(Moment::First, Duration::from_millis(2500))]
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
fn a_term_group_at_exit_goes_to_the_group_of_a_child_that_has_ended() {
    let rewrite = [(Signal::TERM, Some(QUIT))].into_iter().collect();
    let mut story = Story::new(
        Policy { term_group_at_exit: true, rewrite, drain: seconds(0).into(), ..Policy::default() },
        JobControl::Absent,
    );
    assert_eq!(story.ends(), [Action::ReclaimTerminal, to_group(QUIT)]);
    assert_eq!(story.on(Event::ChildrenLeft { died: false }), [finish(4)]);
}

#[test]
fn whether_a_drain_asks_anybody() {
    let drains = |drain: Option<u64>, drain_is_given, ask_with| {
        let drain = drain.map(seconds);
        let policy = Policy { drain, drain_is_given, ask_with, ..Policy::default() };
        Story::new(policy, JobControl::Absent).0.drains()
    };
    assert!(drains(Some(5), false, AskWith::Default) && drains(None, true, AskWith::Default));
    assert!(drains(Some(5), true, AskWith::Signal(Signal::INT)));
    assert!(!drains(Some(0), true, AskWith::Default) && !drains(Some(5), true, AskWith::Nothing));
    assert!(!drains(Some(0), true, AskWith::Nothing));
}

#[test]
fn a_command_is_known_by_its_pid_until_it_is_reaped() {
    let mut story = Story::new(Policy::default(), JobControl::Absent);
    let other = Pid::from_raw(8).unwrap();
    assert_eq!((story.0.pid(super::MAIN), story.0.pid(1)), (Some(MAIN), None));
    assert!(story.0.is_command(MAIN) && !story.0.is_command(other));
    story.on(Event::Reaped(MAIN, Termination::Exited(0)));
    assert!(story.0.pid(super::MAIN).is_none() && !story.0.is_command(MAIN));
}

#[test]
fn a_stop_for_the_terminals_sake_is_the_kernels_or_the_commands() {
    for signal in [Signal::TTIN, Signal::TTOU] {
        let mut story = Story::new(Policy::default(), JobControl::Above);
        let of_kernel = Received { from: Sender::Kernel, ..signal.into() };
        assert_eq!(story.on(Event::Signaled(of_kernel)), [Action::ShareTerminal]);
        assert_eq!(story.signal(signal), [Action::Send(Target::Process(MAIN), signal.into())]);
        let typed = Received { from: Sender::Kernel, ..Signal::WINCH.into() };
        let forwarded = [Action::Send(Target::Process(MAIN), typed)];
        assert_eq!(story.on(Event::Signaled(typed)), forwarded);
    }
}
