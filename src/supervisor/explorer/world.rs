//! The world around the supervisor: what the kernel would have to tell.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use super::*;
use crate::signal::Payload;

/// The supervisor, and what is true outside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct World {
    pub(super) supervisor: Supervisor,
    /// By the number of the command.
    pub(super) processes: Vec<Process>,
    /// Children that are no commands.
    others: u8,
    pub(super) now: Time,
    turn: Turn,
    /// Commands that are to be started, and were neither started nor refused yet.
    starting: VecDeque<CommandId>,
    finished: bool,
    /// The exit status, once it must be decided.
    pub(super) decided: Option<ExitStatus>,
    /// Memory ran out when that was to begin a stop.
    pub(super) out_of_memory: bool,
}

impl Hash for World {
    /// Without what is the same in all worlds of one walk.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Supervisor { phase, commands, stop_signal, decided, .. } = &self.supervisor;
        (phase, commands, stop_signal, decided, &self.processes, self.others, self.now, self.turn)
            .hash(hasher);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Process {
    None,
    /// It could not be started.
    Refused(ExitStatus),
    Runs,
    Stopped,
    Reaped(ExitStatus),
}

impl Process {
    /// Of a command that runs no more, or never did.
    pub(super) fn status(self) -> Option<ExitStatus> {
        match self {
            Self::Refused(status) | Self::Reaped(status) => Some(status),
            Self::None | Self::Runs | Self::Stopped => None,
        }
    }
}

/// Where in a turn of the loop we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Turn {
    Begin,
    Signals,
    Children,
    Deadline,
    Sleep,
}

/// What can happen next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Event(Event),
    /// On to this part of the turn; time has passed.
    Proceed(Turn, Duration),
}

impl World {
    pub(super) fn new(
        policy: &Policy,
        job_control: JobControl,
        company: &[Role],
        others: u8,
    ) -> Self {
        Self {
            supervisor: Supervisor::new(
                policy.clone(),
                job_control,
                [Role::Main].iter().chain(company).copied(),
            ),
            processes: vec![Process::None; 1 + company.len()],
            others,
            now: Time::ZERO,
            turn: Turn::Begin,
            starting: VecDeque::new(),
            finished: false,
            decided: None,
            out_of_memory: false,
        }
    }

    pub(super) fn commands(&self) -> usize {
        self.processes.len()
    }

    pub(super) fn rank(&self) -> u8 {
        super::invariants::rank(self.supervisor.phase)
    }

    /// The commands that run, stopped or not.
    pub(super) fn running(&self) -> impl Iterator<Item = CommandId> {
        let runs = |process: &Process| matches!(process, Process::Runs | Process::Stopped);
        self.processes
            .iter()
            .enumerate()
            .filter(move |(_, process)| runs(process))
            .map(|(id, _)| id)
    }

    pub(super) fn runs(&self, id: CommandId) -> bool {
        self.running().any(|running| running == id)
    }

    /// Those that are to be started next.
    pub(super) fn starting(&self) -> impl Iterator<Item = CommandId> {
        self.starting.iter().copied()
    }

    pub(super) fn steps(&self) -> Vec<Step> {
        if let Some(&id) = self.starting.front() {
            let failed = ExitStatus::NOT_FOUND;
            return [Event::Started(id, pid_of(id)), Event::NotStarted(id, failed)]
                .map(Step::Event)
                .to_vec();
        }
        match self.turn {
            Turn::Begin => vec![Step::Event(Event::Begun)],
            Turn::Signals => {
                self.signals().map(Step::Event).chain([proceed(Turn::Children)]).collect()
            }
            Turn::Children => self.children().into_iter().map(Step::Event).collect(),
            Turn::Deadline => vec![Step::Event(Event::Elapsed)],
            Turn::Sleep if self.finished => Vec::new(),
            Turn::Sleep => match self.supervisor.deadline() {
                None => vec![proceed(Turn::Signals)],
                Some(_) => [Duration::ZERO, TICK]
                    .map(|passed| Step::Proceed(Turn::Signals, passed))
                    .to_vec(),
            },
        }
    }

    fn signals(&self) -> impl Iterator<Item = Event> {
        let payload = Payload { value: 7, pid: 3, uid: 0 };
        let queued = Received { payload: Some(payload), ..Signal::from_raw(40).unwrap().into() };
        let plain = [Signal::TERM, Signal::CONT].map(Received::from);
        // What several commands cannot be told apart by.
        let more = [Signal::INT, Signal::HUP, Signal::TSTP, Signal::CHLD]
            .map(Received::from)
            .into_iter()
            .chain([queued]);
        let typed = [Signal::INT, Signal::TSTP]
            .map(|signal| Received { from_kernel: true, ..signal.into() });
        let alone = self.commands() == 1;
        let has_terminal = self.supervisor.policy.placement == Placement::SharedGroup;
        let received = plain
            .into_iter()
            .chain(more.filter(move |_| alone))
            .chain(typed.into_iter().filter(move |_| has_terminal));
        received.map(Event::Signaled).chain([Event::OutOfMemory(1)])
    }

    fn children(&self) -> Vec<Event> {
        let killed = |signal| Termination::Killed { signal, core_dumped: false };
        let mut events = Vec::new();
        for id in self.running() {
            let pid = pid_of(id);
            let stops = [Signal::TSTP, Signal::STOP, Signal::TTIN]
                .map(|signal| Event::Stopped(pid, signal));
            match self.processes[id] {
                Process::Stopped => events.push(Event::Continued(pid)),
                _ if self.commands() == 1 => events.extend(stops),
                _ => events.push(stops[1]),
            }
            if (id, self.processes[id]) == (MAIN, Process::Stopped) {
                let stopped = [Signal::TSTP, Signal::STOP].map(Event::NotSuspended);
                events.extend(
                    [Event::TerminalLent, Event::TerminalNotLent(Signal::TTIN)]
                        .into_iter()
                        .chain(stopped),
                );
            }
            let ends = [
                Termination::Exited(0),
                Termination::Exited(3 + u8::try_from(id).unwrap()),
                killed(Signal::TERM),
            ];
            let kinds = if self.commands() == 1 { 3 } else { 2 };
            events.extend(ends.into_iter().take(kinds).map(|end| Event::Reaped(pid, end)));
        }
        if self.others > 0 {
            let stops = [Event::Stopped(OTHER, Signal::TSTP), Event::Continued(OTHER)];
            events.push(Event::Reaped(OTHER, Termination::Exited(0)));
            events.extend(stops.into_iter().filter(|_| self.commands() == 1));
        }
        if self.running().next().is_none() && self.others == 0 {
            return vec![Event::NoChildren];
        }
        // The last: somebody else has reaped them all.
        events.extend([Event::ChildrenLeft, Event::NoChildren]);
        events
    }

    /// The world after a step, in which everything that must hold does.
    pub(super) fn after(&self, step: Step) -> World {
        let mut next = self.clone();
        match step {
            Step::Proceed(turn, passed) => {
                next.turn = turn;
                next.now += passed;
            }
            Step::Event(event) => {
                next.happens(event);
                next.decided = self.decided.or_else(|| self.decision(event, &next));
                let mut actions = Vec::new();
                next.supervisor.handle(event, self.now, &mut actions);
                for action in &actions {
                    match action {
                        Action::Start(id) => next.starting.push_back(*id),
                        Action::Finish(_) => next.finished = true,
                        _ => {}
                    }
                }
                self.check_step(event, &actions, &next);
            }
        }
        next
    }

    fn happens(&mut self, event: Event) {
        let of = |pid: Pid| usize::try_from(pid.as_raw() - 10).unwrap();
        match event {
            Event::Started(id, _) => {
                self.processes[id] = Process::Runs;
                self.starting.pop_front();
            }
            Event::NotStarted(id, status) => {
                self.processes[id] = Process::Refused(status);
                self.starting.pop_front();
            }
            Event::Reaped(OTHER, _) => self.others -= 1,
            Event::Reaped(pid, end) => self.processes[of(pid)] = Process::Reaped(end.into()),
            Event::Stopped(pid, _) if pid != OTHER => self.processes[of(pid)] = Process::Stopped,
            Event::Continued(pid) if pid != OTHER => self.processes[of(pid)] = Process::Runs,
            Event::Begun => self.turn = Turn::Children,
            Event::NoChildren | Event::ChildrenLeft => self.turn = Turn::Deadline,
            Event::Elapsed => self.turn = Turn::Sleep,
            Event::OutOfMemory(_) => {
                let Supervisor { policy, phase, .. } = &self.supervisor;
                self.out_of_memory |= policy.exit_on_oom && phase.is_before_the_stop();
            }
            Event::Stopped(..)
            | Event::Continued(_)
            | Event::Signaled(_)
            | Event::TerminalLent
            | Event::TerminalNotLent(_)
            | Event::NotSuspended(_) => {}
        }
    }
}

fn proceed(turn: Turn) -> Step {
    Step::Proceed(turn, Duration::ZERO)
}
