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
    /// What the judge keeps of each command.
    pub(super) records: Vec<Record>,
    pub(super) judge: Judge,
    /// Children that are no commands.
    pub(super) others: u8,
    pub(super) now: Time,
    turn: Turn,
    /// Commands that are to be started, and were neither started nor refused yet.
    starting: VecDeque<CommandId>,
    finished: bool,
}

/// What the judge knows without asking the supervisor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
pub(super) struct Judge {
    /// A stop signal has arrived that begins a stop, or memory ran out.
    pub(super) stop_asked: bool,
    /// It is held.
    pub(super) held: bool,
    /// Whose exit has ended the container, and so its status.
    pub(super) status: Option<ExitStatus>,
    /// Memory ran out, and that stops the container.
    pub(super) out_of_memory: bool,
    /// The main command was killed by us after another had decided.
    pub(super) main_killed: bool,
}

/// What the judge knows of a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Record {
    pub(super) asked: bool,
    pub(super) killed: bool,
    pub(super) status: Option<ExitStatus>,
}

impl Hash for World {
    /// Without what is the same in all worlds of one walk.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Supervisor { life, commands, stop, decided, .. } = &self.supervisor;
        (life, commands, stop, decided, &self.processes, &self.records).hash(hasher);
        (self.judge, self.others, self.now, self.turn).hash(hasher);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Process {
    None,
    /// Its exec is still to come.
    Starting,
    Runs,
    Suspended,
    Reaped,
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

/// An interrupt that everybody survives can come again and again: time must end somewhere.
const LATEST: Time = Duration::from_secs(15);

impl World {
    pub(super) fn new(
        policy: &Policy,
        job_control: JobControl,
        roles: &[Role],
        others: u8,
    ) -> Self {
        let supervisor = Supervisor::new(policy.clone(), job_control, roles.iter().copied());
        Self {
            supervisor,
            processes: vec![Process::None; roles.len()],
            records: vec![Record::default(); roles.len()],
            judge: Judge::default(),
            others,
            now: Time::ZERO,
            turn: Turn::Begin,
            starting: VecDeque::new(),
            finished: false,
        }
    }

    pub(super) fn interactive(mut self) -> Self {
        self.supervisor = self.supervisor.interactive();
        self
    }

    pub(super) fn commands(&self) -> usize {
        self.processes.len()
    }

    pub(super) fn role(&self, id: CommandId) -> Role {
        self.supervisor.commands[id].role
    }

    pub(super) fn rank(&self) -> u8 {
        super::invariants::rank(self.supervisor.phase())
    }

    /// The commands that run, suspended or not.
    pub(super) fn running(&self) -> impl Iterator<Item = CommandId> {
        let runs = |process: &Process| !matches!(process, Process::None | Process::Reaped);
        let all = self.processes.iter().enumerate();
        all.filter(move |(_, process)| runs(process)).map(|(id, _)| id)
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
            // After a late sleep, what has come in that is not due yet.
            Turn::Deadline => [Some(self.now), self.now.checked_sub(TICK)]
                .into_iter()
                .flatten()
                .map(|due| Step::Event(Event::CheckDeadline(due)))
                .collect(),
            Turn::Sleep if self.finished => Vec::new(),
            Turn::Sleep => self
                .times()
                .into_iter()
                .map(|passed| Step::Proceed(Turn::Signals, passed))
                .collect(),
        }
    }

    /// How long it may sleep: not at all, or until the deadline.
    fn times(&self) -> Vec<Duration> {
        let deadline = match &self.supervisor.life {
            Life::Draining(drain) => drain.next_moment(),
            _ => self.supervisor.deadline(),
        };
        match deadline {
            Some(deadline) if deadline > self.now && self.now < LATEST => {
                vec![Duration::ZERO, deadline.saturating_sub(self.now)]
            }
            _ => vec![Duration::ZERO],
        }
    }

    fn signals(&self) -> impl Iterator<Item = Event> {
        let payload = Payload { value: 7, pid: 3, uid: 0 };
        let queued = Received { payload: Some(payload), ..Signal::from_raw(40).unwrap().into() };
        let from = |from, signal: Signal| Received { from, ..signal.into() };
        let plain = [Signal::TERM, Signal::CONT].map(Received::from);
        // What several commands cannot be told apart by.
        let more = [Signal::INT, Signal::HUP, Signal::TSTP, Signal::CHLD]
            .map(Received::from)
            .into_iter()
            .chain([queued]);
        let typed = [Signal::INT, Signal::TSTP].map(|signal| from(Sender::Kernel, signal));
        // Of the terminal, and of our own doing.
        let ours = [from(Sender::Kernel, Signal::TTIN), from(Sender::Ourselves, Signal::HUP)];
        let alone = self.commands() <= 1;
        let has_terminal = self.supervisor.policy.placement == Placement::SharedGroup
            || self.supervisor.interactive
            || self.supervisor.phase() == Phase::Draining;
        let few = self.commands() <= 1;
        let received = plain
            .into_iter()
            .filter(move |received| few || received.signal == Signal::TERM)
            .chain(more.chain(ours).filter(move |_| alone))
            .chain(typed.into_iter().filter(move |_| has_terminal));
        let counts = self.supervisor.policy.exit_on_oom || alone;
        let memory = counts.then_some(Event::OutOfMemory(1));
        received.map(Event::Signaled).chain(memory)
    }

    fn children(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for id in self.running() {
            events.extend(self.of_child(id));
        }
        if self.others > 0 && self.commands() <= 1 {
            events.extend([Event::Suspended(OTHER, Signal::TSTP), Event::Continued(OTHER)]);
        }
        let phase = self.supervisor.phase();
        if self.commands() == 0 && phase == Phase::Draining {
            events.push(Event::NobodyLeft);
        }
        if matches!(phase, Phase::Stopping | Phase::Draining) && self.commands() <= 1 {
            events.push(Event::NotKilled);
        }
        if self.running().next().is_none() && self.others == 0 {
            events.push(Event::NoChildren);
            return events;
        }
        events.push(Event::ChildrenLeft { died: false });
        // The last of the others may have died just now.
        if self.others > 0 {
            events.push(Event::ChildrenLeft { died: true });
        }
        // Somebody else has reaped them all.
        events.push(Event::NoChildren);
        events
    }

    fn of_child(&self, id: CommandId) -> Vec<Event> {
        let killed = |signal| Termination::Killed { signal, core_dumped: false };
        let (pid, alone) = (pid_of(id), self.commands() == 1);
        let suspensions =
            [Signal::TSTP, Signal::STOP, Signal::TTIN].map(|signal| Event::Suspended(pid, signal));
        let mut events = Vec::new();
        match self.processes[id] {
            Process::Suspended => events.push(Event::Continued(pid)),
            Process::Starting => events.extend([
                Event::Executed(id, pid),
                Event::NotStarted(id, ExitStatus::NOT_EXECUTABLE),
            ]),
            _ if alone => events.extend(suspensions),
            _ => {}
        }
        if (id, self.processes[id]) == (MAIN, Process::Suspended) {
            let suspended = [Signal::TSTP, Signal::STOP].map(Event::NotSuspended);
            events.extend([Event::TerminalLent, Event::TerminalNotLent(Signal::TTIN)]);
            events.extend(suspended);
        }
        let ends = [
            Termination::Exited(0),
            Termination::Exited(3 + u8::try_from(id).unwrap()),
            killed(Signal::TERM),
        ];
        let kinds = if alone { 3 } else { 2 };
        events.extend(ends.into_iter().take(kinds).map(|end| Event::Reaped(pid, end)));
        // Of our SIGKILL, nobody dies before it.
        if self.records[id].killed {
            events.push(Event::Reaped(pid, killed(Signal::KILL)));
        }
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
                let mut actions = Vec::new();
                next.supervisor.handle(event, self.now, &mut actions);
                for action in &actions {
                    match action {
                        Action::Start(id) => next.starting.push_back(*id),
                        Action::Finish(_) => next.finished = true,
                        _ => {}
                    }
                }
                next.judge_step(self, event, &actions);
                self.check_step(event, &actions, &next);
            }
        }
        next
    }

    fn happens(&mut self, event: Event) {
        let of = |pid: Pid| usize::try_from(pid.as_raw() - 10).unwrap();
        match event {
            Event::Started(id, _) => {
                self.processes[id] = Process::Starting;
                self.starting.pop_front();
            }
            Event::Executed(id, _) => self.processes[id] = Process::Runs,
            Event::NotStarted(id, _) if self.processes[id] == Process::Starting => {
                self.processes[id] = Process::Reaped;
            }
            Event::NotStarted(..) => drop(self.starting.pop_front()),
            Event::Reaped(pid, _) => self.processes[of(pid)] = Process::Reaped,
            Event::Suspended(pid, _) if pid != OTHER => {
                self.processes[of(pid)] = Process::Suspended;
            }
            Event::Continued(pid) if pid != OTHER => self.processes[of(pid)] = Process::Runs,
            Event::Begun => self.turn = Turn::Children,
            Event::ChildrenLeft { died: true } => {
                self.others -= 1;
                self.turn = Turn::Deadline;
            }
            Event::NoChildren => {
                for process in &mut self.processes {
                    if *process != Process::None {
                        *process = Process::Reaped;
                    }
                }
                self.others = 0;
                self.turn = Turn::Deadline;
            }
            Event::ChildrenLeft { died: false } => self.turn = Turn::Deadline,
            Event::CheckDeadline(_) => self.turn = Turn::Sleep,
            Event::Suspended(..)
            | Event::Continued(_)
            | Event::Signaled(_)
            | Event::OutOfMemory(_)
            | Event::TerminalLent
            | Event::TerminalNotLent(_)
            | Event::NotSuspended(_)
            | Event::NobodyLeft
            | Event::NotKilled => {}
        }
    }
}

fn proceed(turn: Turn) -> Step {
    Step::Proceed(turn, Duration::ZERO)
}
