//! What the supervisor wants done.

use std::fmt;
use std::io;
use std::time::Duration;

use log::LevelFilter;
use nix::errno::Errno;

use super::asking::{Asked, Asking};
use super::commands::Commands;
use super::end_report::EndReport;
use super::job::Job;
use super::log_once::{Failure, LogOnce};
use crate::config::Command;
use crate::process::Pid;
use crate::report::{self, Seconds, Sentence, diagnose};
use crate::signal::Signal;
use crate::status::{ExitStatus, Leftovers, Termination};
use crate::supervisor::charges::Waiting;
use crate::supervisor::{
    Action, AskedWay, CommandId, DrainSignals, Event, MAIN, Moment, Notice, Phase, Target,
};
use crate::sys::memory::MemoryWatch;
use crate::sys::signals::{Beside, SignalReceiver};
use crate::sys::{capabilities, descriptors, job_control, kill, process};

/// What an init acts through. Nothing in it fails.
pub(super) struct Effects {
    commands: Commands,
    asking: Asking,
    job: Job,
    memory: MemoryWatch,
    end_report: EndReport,
    log_level: LevelFilter,
    /// The commands that were started and have not ended.
    running: Vec<(CommandId, Pid)>,
    on_terminal: bool,
    /// SIGKILL has gone out: who dies of one may have died of ours.
    has_killed: bool,
    /// The drain's has.
    has_killed_remaining: bool,
    /// Whom that was for.
    left: Option<Leftovers>,
    logged: LogOnce,
    finished: Option<ExitStatus>,
}

impl Effects {
    pub(super) fn new(
        commands: Commands,
        job: Job,
        memory: MemoryWatch,
        end_report: EndReport,
        asking: Asking,
        log_level: LevelFilter,
    ) -> Self {
        let most = commands.all().len();
        Self {
            commands,
            job,
            memory,
            end_report,
            asking,
            running: Vec::with_capacity(most),
            on_terminal: descriptors::stdin_is_terminal(),
            has_killed: false,
            has_killed_remaining: false,
            left: None,
            log_level,
            logged: LogOnce::default(),
            finished: None,
        }
    }

    /// Does it; what nobody else would tell is the event that it gives. The supervisor is in this
    /// phase by now.
    pub(super) fn perform(&mut self, action: Action, phase: Phase) -> Option<Event> {
        match action {
            Action::Start(id) => return Some(self.start(id)),
            Action::Send(target, what) => {
                log_sending(target, what.signal);
                let sent = self.asking.send(target, what);
                self.check_sent(target, what.signal, sent);
            }
            Action::Ask(target, what) => {
                log_sending(target, what.signal);
                let sent = self.asking.ask(target, what);
                self.check_sent(target, what.signal, sent);
            }
            Action::AskedByCommand(pid) => self.asking.asked_by_command(pid),
            Action::ForgetAsked => self.asking.forget(),
            Action::AskRemaining { moment, signals, until_half } => {
                return self.ask_remaining(moment, signals, until_half);
            }
            Action::Kill(target) => return self.kill(target, phase),
            Action::Suspend(signal) => {
                return (!self.job.suspend(signal)).then_some(Event::NotSuspended(signal));
            }
            Action::SuspendAlone => job_control::suspend(),
            Action::ReclaimTerminal => drop(self.job.give_back()),
            Action::ShareTerminal => self.job.share(),
            Action::LendTerminal(signal) => {
                let lent = self.job.lend();
                return Some(if lent {
                    Event::TerminalLent
                } else {
                    Event::TerminalNotLent(signal)
                });
            }
            Action::Tell(notice) => return self.tell(notice, phase),
            Action::Finish(status) => self.finished = Some(status),
        }
        None
    }

    fn start(&mut self, id: CommandId) -> Event {
        let event = self.commands.start(id, &mut self.job);
        if let Event::Started(id, pid) = event {
            self.running.push((id, pid));
        }
        if self.commands.changes_user() && self.commands.all_have_started() {
            // Where a filter forbids it they stay, and that is no reason not to run.
            let _ = capabilities::keep_for_signals();
        }
        event
    }

    /// How many commands there are.
    pub(super) fn commands(&self) -> usize {
        self.commands.all().len()
    }

    /// Whether all that remain are being killed.
    pub(super) fn kills_remaining(&self) -> bool {
        self.has_killed_remaining
    }

    /// More have died than one turn reaps.
    pub(super) fn deaths_are_endless(&mut self, are: bool) {
        self.asking.is_in_storm = are;
    }

    /// What else to wait for.
    pub(super) fn beside(&self) -> Beside<'_> {
        Beside { memory: self.memory.events(), exec: self.commands.exec() }
    }

    /// The next command that has executed its program.
    pub(super) fn next_executed(&mut self) -> Option<Event> {
        let executed = self.commands.next_executed()?;
        if let Event::Executed(id, pid) = executed {
            let program = self.commands.all().get(id).map(Command::program).unwrap_or_default();
            if id == MAIN {
                self.main_has_started(pid);
            }
            log::info!(pid = pid.as_raw(); "started {program:?} as process {pid}");
        }
        Some(executed)
    }

    fn main_has_started(&self, pid: Pid) {
        log::set_max_level(self.log_level);
        if self.commands.changes_user() && kill::probe(pid) == Err(Errno::EPERM) {
            log::warn!(
                "the command cannot be stopped: it runs as another user, and we lack CAP_KILL"
            );
        }
    }

    /// A child has ended.
    pub(super) fn reaped(&mut self, pid: Pid, termination: Termination) {
        self.asking.ended(pid, termination, self.has_killed);
    }

    /// What the end of a command's child means.
    pub(super) fn ended(&mut self, pid: Pid, termination: Termination) -> Event {
        self.running.retain(|(_, running)| *running != pid);
        self.commands.ended(pid, termination, &mut self.job)
    }

    /// The processes that the kernel has killed since the last look because memory ran out.
    pub(super) fn out_of_memory(&mut self) -> Option<Event> {
        Some(self.memory.new_kills()).filter(|kills| *kills > 0).map(Event::OutOfMemory)
    }

    /// A command is our child.
    pub(super) fn started(&mut self, pid: Pid) {
        self.asking.started(pid);
    }

    /// The main command has all that we inherited, or there is none: we keep what we need.
    pub(super) fn release_inherited(&mut self, signals: &SignalReceiver) {
        self.asking.forget_pidfds();
        report::reserve();
        process::reserve_stack();
        descriptors::release_inherited([
            signals.descriptor(),
            self.memory.descriptor(),
            self.job.descriptor(),
            self.commands.directory(),
            self.end_report.descriptor(),
            self.commands.exec(),
        ]);
    }

    /// The exit status, once the supervisor has decided that it is over.
    pub(super) fn finish(&mut self) -> Option<ExitStatus> {
        let status = self.finished?;
        // Once more, for a job of the command may have had it so far.
        self.job.give_back();
        std::mem::take(&mut self.end_report).write(status);
        Some(status)
    }

    /// Logs it. Where nobody of those that remain is ours to kill, that is worth an answer.
    fn tell(&mut self, notice: Notice, phase: Phase) -> Option<Event> {
        let leftovers = match notice {
            Notice::DrainEscalated(_) => self.left.take(),
            Notice::Abandoned => self.asking.leftovers(),
            // A look takes its time: only for somebody who will read of it.
            Notice::Draining(_)
                if log::max_level() >= LevelFilter::Info || self.end_report.is_wanted() =>
            {
                self.asking.leftovers()
            }
            _ => None,
        };
        let none_is_ours =
            leftovers.as_ref().is_some_and(|left| left.count > 0 && left.refused == left.count);
        let not_started = match notice {
            Notice::NotStarted { command, .. } => self.commands.why_not_started(command),
            _ => None,
        };
        let sender = match notice {
            Notice::StopAsked(received, _) | Notice::StopAskedAgain(received) => {
                self.asking.name_of(received.from)
            }
            _ => None,
        };
        let diagnosis = match notice {
            Notice::NotEnded { pid, asked_by, way, .. } => {
                let seen = self.asking.inspect(pid);
                Some(diagnose(seen.as_ref(), asked_by, way == AskedWay::WithOthers))
            }
            _ => None,
        };
        let (commands, on_terminal) = (self.commands.all(), self.on_terminal);
        let sentence =
            Sentence { notice, commands, leftovers, not_started, sender, diagnosis, on_terminal };
        if let Some(reason) = sentence.reason() {
            self.end_report.add(&sentence, reason);
        }
        report::tell(&sentence, phase);
        match (notice, phase) {
            (Notice::Received(_) | Notice::Dropped(_), _) => {}
            (Notice::Interrupted(_), _) => self.end_report.forget(),
            (_, Phase::Delaying | Phase::Stopping | Phase::Draining | Phase::Finishing) => {
                let now = sentence.reason().is_none().then_some(&sentence);
                self.end_report.renew(Step { now, running: &self.running, commands });
            }
            (_, Phase::Preparing | Phase::Running | Phase::Done) => {}
        }
        let is_escalation = matches!(notice, Notice::DrainEscalated(_));
        (is_escalation && none_is_ours).then_some(Event::NotKilled)
    }

    /// SIGKILL; only that it was refused is worth an answer.
    fn kill(&mut self, target: Target, phase: Phase) -> Option<Event> {
        log_sending(target, Signal::KILL);
        self.has_killed = true;
        let is_first = target == Target::Everyone
            && phase == Phase::Draining
            && !std::mem::replace(&mut self.has_killed_remaining, true);
        let sent = if is_first {
            let (sent, left) = self.asking.kill_remaining();
            self.left = left;
            sent
        } else {
            self.asking.send(target, Signal::KILL.into())
        };
        self.check_sent(target, Signal::KILL, sent);
        (sent == Err(Errno::EPERM)).then_some(Event::NotKilled)
    }

    fn check_sent(&mut self, target: Target, signal: Signal, sent: nix::Result<()>) {
        match sent {
            // Gone already: wait(2) will tell.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => {
                let is_kill = signal == Signal::KILL;
                if self.logged.is_first(if is_kill { Failure::Kill } else { Failure::Send }) {
                    let error = io::Error::from(error);
                    log::warn!("cannot send {signal} to {target}: {error}");
                }
            }
        }
    }

    fn ask_remaining(
        &mut self,
        moment: Moment,
        signals: DrainSignals,
        until_half: Duration,
    ) -> Option<Event> {
        let Asked { waiting, nobody, refused, failed } = self.asking.ask_remaining(moment, signals);
        if moment == Moment::First {
            for one in waiting {
                tell_of_waiting(one, until_half);
            }
        }
        if let Some((pid, error)) = refused {
            self.check_sent(Target::Process(pid), signals.signal, Err(error));
        }
        if let Some(error) = failed.filter(|_| self.logged.is_first(Failure::Look)) {
            let error = io::Error::from(error);
            log::warn!("cannot look at the processes in /proc: {error}");
        }
        nobody.then_some(Event::NobodyLeft)
    }
}

/// Where a stop is, for the message that is there if SIGKILL ends us: what happens now, if it is no
/// reason by itself, and which commands still run.
struct Step<'a> {
    now: Option<&'a Sentence<'a>>,
    running: &'a [(CommandId, Pid)],
    commands: &'a [Command],
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(now) = self.now {
            writeln!(f, "{now}")?;
        }
        let running = self.running.iter().filter_map(|(id, _)| self.commands.get(*id));
        for (i, command) in running.enumerate() {
            write!(f, "{}{command}", if i == 0 { "still running: " } else { ", " })?;
        }
        Ok(())
    }
}

fn log_sending(target: Target, signal: Signal) {
    log::debug!(signal:% = signal; "sending {signal} to {target}");
}

fn tell_of_waiting(Waiting { pid, name, left_by }: Waiting, until_half: Duration) {
    let seconds = Seconds(until_half);
    match left_by {
        Some((chief, chiefs_name)) => log::info!(
            pid = pid.as_raw();
            "{name:?} ({pid}) was left by {chiefs_name:?} ({chief}), which may have told it to \
             exit: it is asked in {seconds}"
        ),
        None => log::info!(
            pid = pid.as_raw();
            "{name:?} ({pid}) was started while others were asked to exit, and may have been told \
             too: it is asked in {seconds}"
        ),
    }
}
