//! The sentence for each notice of the supervisor.

use std::fmt;
use std::time::Duration;

use log::Level;

use super::diagnosis::Diagnosis;
use super::reasons::Reason;
use crate::config::{self, Role};
use crate::process::{Name, Pid};
use crate::signal::{Received, Sender, Signal};
use crate::status::{ExitStatus, Leftovers, Termination};
use crate::supervisor::{AskedWay, CommandId, Ending, Notice};

/// Who and what a sentence is about, for a log with fields.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) event: &'static str,
    pub(super) command: Option<&'a config::Command>,
    pub(super) pid: Option<Pid>,
    pub(super) signal: Option<Signal>,
    pub(super) status: Option<ExitStatus>,
    pub(super) sender: Option<(Received, Option<Name>)>,
    /// How many processes are left.
    pub(super) remaining: Option<usize>,
    /// How long it has lasted.
    pub(super) after: Option<Duration>,
}

/// A notice in words.
pub struct Sentence<'a> {
    /// What to tell.
    pub notice: Notice,
    /// Of whom.
    pub commands: &'a [config::Command],
    /// Who is left, if that is known and of interest.
    pub leftovers: Option<Leftovers>,
    /// Why a command could not be started, where that is the notice.
    pub not_started: Option<&'a dyn fmt::Display>,
    /// What the process is called that has sent the signal, where that is known and of interest.
    pub sender: Option<Name>,
    /// Why a command does not end, where that is the notice.
    pub diagnosis: Option<Diagnosis>,
    /// The command has a terminal: who typed ^C knows why it has ended.
    pub on_terminal: bool,
}

impl Sentence<'_> {
    /// What it is about, for a log with fields. The names of the events are documented, and stay.
    pub(super) fn fields(&self) -> Fields<'_> {
        let of = |id: CommandId| self.commands.get(id);
        let event = |event| Fields { event, ..Fields::default() };
        let signal = |name, signal| Fields { signal: Some(signal), ..event(name) };
        let sent = |name, received: Received| Fields {
            sender: Some((received, self.sender)),
            ..signal(name, received.signal)
        };
        let remaining = self.leftovers.as_ref().map(|left| left.count);
        match self.notice {
            Notice::Received(received) => sent("signal", received),
            Notice::Dropped(dropped) => signal("signal_dropped", dropped),
            Notice::Interrupted(survived) => signal("interrupt", survived),
            Notice::StopAsked(received, _) => sent("stop", received),
            Notice::StopAskedAgain(received) => sent("stop_again", received),
            Notice::NotEnded { command, pid, asked_by, after, .. } => Fields {
                command: of(command),
                pid: Some(pid),
                after: Some(after),
                ..signal("not_ended", asked_by)
            },
            Notice::StopCommandFailed(instead) => signal("stop_command_failed", instead),
            Notice::Ended(id, Ending { pid, termination, killed_after, .. }) => {
                let signal = if let Termination::Killed { signal, .. } = termination {
                    Some(signal)
                } else {
                    None
                };
                Fields {
                    command: of(id),
                    pid: Some(pid),
                    signal,
                    status: Some(termination.into()),
                    after: killed_after,
                    ..event("ended")
                }
            }
            Notice::NotStarted { command, .. } => {
                Fields { command: of(command), ..event("not_started") }
            }
            Notice::OutOfMemory { .. } => event("out_of_memory"),
            Notice::StopEscalated(after) => {
                Fields { after: Some(after), ..event("stop_escalated") }
            }
            Notice::Unkillable => event("unkillable"),
            Notice::Draining(_) => Fields { remaining, ..event("drain") },
            Notice::DrainEscalated(after) => {
                Fields { remaining, after: Some(after), ..event("drain_escalated") }
            }
            Notice::Abandoned => Fields { remaining, ..event("abandoned") },
            Notice::AfterKilled(id) => Fields { command: of(id), ..event("after_killed") },
            Notice::Lost => event("lost"),
        }
    }

    /// How much it matters.
    #[must_use]
    pub fn level(&self) -> Level {
        match self.notice {
            Notice::Ended(id, ending) => {
                let failed = ending.termination != Termination::Exited(0);
                let matters = match self.role(id) {
                    Role::Main => matches!(ending.termination, Termination::Killed { .. }),
                    Role::With { .. } | Role::Before => {
                        ending.decides || matches!(ending.termination, Termination::Killed { .. })
                    }
                    Role::Stop => false,
                    Role::After => failed,
                };
                if matters && !as_asked(ending) && !self.is_usual(ending) {
                    Level::Warn
                } else {
                    Level::Info
                }
            }
            // An escalation is told of by the death that follows, with its reason.
            Notice::Dropped(_)
            | Notice::Interrupted(_)
            | Notice::StopAsked(..)
            | Notice::StopAskedAgain(_)
            | Notice::StopEscalated(_)
            | Notice::Draining(_) => Level::Info,
            Notice::OutOfMemory { .. }
            | Notice::NotEnded { .. }
            | Notice::StopCommandFailed(_)
            | Notice::Unkillable
            | Notice::DrainEscalated(_)
            | Notice::Abandoned
            | Notice::AfterKilled(_) => Level::Warn,
            Notice::NotStarted { .. } | Notice::Lost => Level::Error,
            Notice::Received(_) => Level::Debug,
        }
    }

    /// What it has to do with the container's end; `None`: nothing.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        let decisive_if = |decides| if decides { Reason::Decisive } else { Reason::Context };
        match self.notice {
            Notice::NotStarted { decides, .. } => Some(decisive_if(decides)),
            Notice::OutOfMemory { stops, .. } => Some(decisive_if(stops)),
            Notice::Ended(id, ending) => {
                let killed = matches!(ending.termination, Termination::Killed { .. });
                let by_itself = match self.role(id) {
                    Role::Main | Role::With { watched: true } => killed,
                    Role::With { watched: false } | Role::Before => {
                        ending.decides || ending.killed_after.is_some()
                    }
                    Role::Stop | Role::After => false,
                };
                (by_itself && !as_asked(ending)).then_some(Reason::Decisive)
            }
            Notice::NotEnded { .. } => Some(Reason::Context),
            Notice::StopAsked(..) => Some(Reason::Asked),
            Notice::Unkillable | Notice::DrainEscalated(_) | Notice::Abandoned | Notice::Lost => {
                Some(Reason::Decisive)
            }
            Notice::Received(_)
            | Notice::Dropped(_)
            | Notice::Interrupted(_)
            | Notice::StopAskedAgain(_)
            | Notice::StopEscalated(_)
            | Notice::Draining(_)
            | Notice::StopCommandFailed(_)
            | Notice::AfterKilled(_) => None,
        }
    }

    /// A reader has read enough, or the user has typed it.
    fn is_usual(&self, ending: Ending) -> bool {
        let Termination::Killed { signal, .. } = ending.termination else { return false };
        let typed = [Signal::INT, Signal::QUIT, Signal::HUP];
        signal == Signal::PIPE || (self.on_terminal && typed.contains(&signal))
    }

    fn role(&self, id: CommandId) -> Role {
        self.commands.get(id).map_or(Role::Main, |command| command.role)
    }

    fn command(&self, id: CommandId) -> &dyn fmt::Display {
        self.commands.get(id).map_or(&"the command", |command| command)
    }
}

/// The command died of the very signal that it was to stop by.
fn as_asked(ending: Ending) -> bool {
    let Termination::Killed { signal, .. } = ending.termination else { return false };
    Some(signal) == ending.asked_by && ending.killed_after.is_none()
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.notice {
            Notice::Received(Received { signal, .. }) => write!(f, "received {signal}"),
            Notice::Dropped(signal) => {
                write!(f, "{signal} is dropped: it is for the command, which is not started yet")
            }
            Notice::Interrupted(signal) => write!(
                f,
                "the command has survived {signal}: an interrupt, and not the end of the container"
            ),
            Notice::NotStarted { command, .. } => match self.not_started {
                Some(why) => why.fmt(f),
                None => write!(f, "{} could not be started", self.command(command)),
            },
            Notice::StopAsked(received, delay) => {
                let sender = SentBy(received, self.sender);
                write!(f, "{} {sender} asks the container to stop", received.signal)?;
                if delay.is_zero() {
                    Ok(())
                } else {
                    write!(f, "; it is held for {}", Seconds(delay))
                }
            }
            Notice::StopAskedAgain(received) => {
                let sender = SentBy(received, self.sender);
                write!(f, "{} {sender} asks once more", received.signal)
            }
            Notice::NotEnded { command, asked_by, way, after, .. } => {
                write!(f, "{} has not ended {} after ", self.command(command), Seconds(after))?;
                match &self.diagnosis {
                    _ if way == AskedWay::ByCommand => f.write_str("the stop command was started"),
                    Some(diagnosis) => write!(f, "{asked_by}{}", diagnosis.about(asked_by)),
                    None => asked_by.fmt(f),
                }
            }
            Notice::OutOfMemory { kills, stops } => {
                let processes = if kills == 1 { "process" } else { "processes" };
                write!(
                    f,
                    "out of memory: the container hit its memory limit, and the kernel killed \
                     {kills} {processes}"
                )?;
                f.write_str(if stops { "; the container stops" } else { "" })
            }
            Notice::Ended(id, ending) => self.ended(id, ending, f),
            Notice::StopCommandFailed(signal) => {
                write!(f, "the stop command has failed: sending {signal} instead")
            }
            Notice::StopEscalated(after) => {
                write!(
                    f,
                    "the command has not ended {} after the stop signal: sending SIGKILL",
                    Seconds(after)
                )
            }
            Notice::Unkillable => {
                f.write_str("the command has not ended even after SIGKILL: going on without it")
            }
            Notice::Draining(time) => self.draining(time, f),
            Notice::DrainEscalated(after) => match &self.leftovers {
                Some(Leftovers { refused: 0, .. }) => self.remaining(
                    f,
                    &format_args!("left {} after SIGTERM, and killed", Seconds(after)),
                ),
                Some(Leftovers { refused, .. }) => {
                    let after = Seconds(after);
                    let text = format!(
                        "left {after} after SIGTERM; {refused} of them cannot be signalled"
                    );
                    self.remaining(f, &text)
                }
                None => {
                    write!(f, "processes were left {} after SIGTERM, and killed", Seconds(after))
                }
            },
            Notice::Abandoned => match &self.leftovers {
                Some(Leftovers { count: 1.., .. }) => {
                    self.remaining(f, &"left even after SIGKILL: going on without them")
                }
                Some(_) | None => {
                    f.write_str("processes are left even after SIGKILL: going on without them")
                }
            },
            Notice::AfterKilled(id) => write!(f, "{} has taken too long: killed", self.command(id)),
            Notice::Lost => f.write_str(
                "the command is gone, and its exit status with it: somebody else has reaped it",
            ),
        }
    }
}

impl Sentence<'_> {
    fn draining(&self, time: Option<Duration>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.leftovers {
            Some(left @ Leftovers { count: 1, .. }) => write!(f, "1 process is left: {left}")?,
            Some(left @ Leftovers { count: 2.., .. }) => {
                write!(f, "{} processes are left: {left}", left.count)?;
            }
            Some(_) | None => f.write_str("processes are left")?,
        }
        match time {
            Some(time) => write!(f, "; {} to end", Seconds(time)),
            None => f.write_str("; waiting for their end"),
        }
    }

    /// How many processes were what, and their names.
    fn remaining(&self, f: &mut fmt::Formatter<'_>, what: &dyn fmt::Display) -> fmt::Result {
        let Some(left) = &self.leftovers else { return Ok(()) };
        let (noun, verb) = if left.count == 1 { ("process", "was") } else { ("processes", "were") };
        write!(f, "{} {noun} {verb} {what}: {left}", left.count)
    }

    fn ended(&self, id: CommandId, ending: Ending, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = self.command(id);
        match (ending.termination, ending.asked_by, ending.killed_after) {
            (Termination::Exited(code), _, _) => write!(f, "{command} exited with {code}")?,
            (killed, Some(asked_by), Some(after)) => {
                write!(
                    f,
                    "{command} was {killed}: it had not ended {} after {asked_by}",
                    Seconds(after)
                )?;
            }
            (killed, _, _) if as_asked(ending) => write!(f, "{command} was {killed}, as asked")?,
            (killed, _, _) => write!(f, "{command} was {killed}")?,
        }
        match self.role(id) {
            Role::Before if ending.decides => f.write_str(": nothing else is started"),
            Role::With { .. } if ending.decides => f.write_str(": that ends the container"),
            Role::Before | Role::Main | Role::With { .. } | Role::Stop | Role::After => Ok(()),
        }
    }
}

/// Who has sent a signal.
pub(super) struct SentBy(pub(super) Received, pub(super) Option<Name>);

impl fmt::Display for SentBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Received { signal, from, .. }, name) = self;
        let typed = [Signal::INT, Signal::QUIT, Signal::TSTP, Signal::HUP];
        match (from, name) {
            (Sender::Outside, _) => f.write_str("from outside the container"),
            (Sender::Process(pid), Some(name)) => {
                write!(f, "from process {pid} {name:?}")
            }
            (Sender::Process(pid), None) => write!(f, "from process {pid}"),
            (Sender::Kernel, _) if typed.contains(signal) => f.write_str("from the terminal"),
            (Sender::Kernel, _) => f.write_str("from the kernel"),
            (Sender::Ourselves, _) => f.write_str("from firstmate itself"),
        }
    }
}

/// A duration in seconds, to a tenth; one that is shorter, to the next hundredth.
pub struct Seconds(pub Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.subsec_millis() / 100 {
            0 if self.0.as_secs() == 0 && !self.0.is_zero() => {
                write!(f, "0.{:02}s", (self.0.subsec_millis() / 10 + 1).min(9))
            }
            0 => write!(f, "{}s", self.0.as_secs()),
            tenths => write!(f, "{}.{tenths}s", self.0.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::LeftName;

    const PID: Pid = match Pid::from_raw(7) {
        Some(pid) => pid,
        None => panic!("positive"),
    };
    const ROLES: [Role; 6] = [
        Role::Main,
        Role::Before,
        Role::With { watched: false },
        Role::Stop,
        Role::After,
        Role::With { watched: true },
    ];

    fn command(role: Role) -> config::Command {
        let label = match role {
            Role::Main => "the command",
            Role::Before => "the --before command",
            Role::With { .. } => "the --with command",
            Role::Stop => "the --stop-command",
            Role::After => "the --after command",
        };
        config::Command { role, words: vec!["prog".into()], label }
    }

    fn told(notice: Notice, leftovers: Option<Leftovers>) -> (Level, String, Option<Reason>) {
        let commands = ROLES.map(command);
        let sentence = Sentence {
            notice,
            commands: &commands,
            leftovers,
            not_started: None,
            sender: None,
            diagnosis: None,
            on_terminal: false,
        };
        (sentence.level(), sentence.to_string(), sentence.reason())
    }

    fn ending(termination: Termination) -> Ending {
        Ending { pid: PID, termination, asked_by: None, killed_after: None, decides: false }
    }

    fn killed(signal: Signal) -> Ending {
        ending(Termination::Killed { signal, core_dumped: false })
    }

    fn assert_told(notice: Notice, level: Level, text: &str, reason: Option<Reason>) {
        assert_eq!(told(notice, None), (level, text.to_owned(), reason));
    }

    #[test]
    fn an_ordinary_end_of_the_main_command_is_neither_a_warning_nor_a_reason() {
        for code in [0, 3] {
            let text = format!("the command exited with {code}");
            assert_told(
                Notice::Ended(0, ending(Termination::Exited(code))),
                Level::Info,
                &text,
                None,
            );
        }
        let asked = Ending { asked_by: Some(Signal::TERM), ..killed(Signal::TERM) };
        assert_told(
            Notice::Ended(0, asked),
            Level::Info,
            "the command was killed by SIGTERM, as asked",
            None,
        );
    }

    #[test]
    fn a_death_by_a_signal_is_both() {
        let segv = Termination::Killed { signal: Signal::from_raw(11).unwrap(), core_dumped: true };
        let text = "the command was killed by SIGSEGV, core dumped";
        assert_told(Notice::Ended(0, ending(segv)), Level::Warn, text, Some(Reason::Decisive));
        let late = Ending {
            asked_by: Some(Signal::TERM),
            killed_after: Some(Duration::from_millis(2520)),
            ..killed(Signal::KILL)
        };
        let text = "the command was killed by SIGKILL: it had not ended 2.5s after SIGTERM";
        assert_told(Notice::Ended(0, late), Level::Warn, text, Some(Reason::Decisive));
        let dies_late = Ending {
            killed_after: Some(Duration::from_secs(1)),
            asked_by: Some(Signal::TERM),
            ..killed(Signal::TERM)
        };
        assert_eq!(told(Notice::Ended(0, dies_late), None).0, Level::Warn);
    }

    #[test]
    fn the_other_commands_are_named_and_matter_if_they_decide() {
        let failed = ending(Termination::Exited(1));
        let decides = Ending { decides: true, ..failed };
        let text = "the --before command \"prog\" exited with 1: nothing else is started";
        assert_told(Notice::Ended(1, decides), Level::Warn, text, Some(Reason::Decisive));
        let text = "the --with command \"prog\" exited with 1: that ends the container";
        assert_told(Notice::Ended(2, decides), Level::Warn, text, Some(Reason::Decisive));
        assert_told(
            Notice::Ended(2, failed),
            Level::Info,
            "the --with command \"prog\" exited with 1",
            None,
        );
        let late = Ending {
            asked_by: Some(Signal::TERM),
            killed_after: Some(Duration::from_secs(2)),
            ..killed(Signal::KILL)
        };
        let text =
            "the --with command \"prog\" was killed by SIGKILL: it had not ended 2s after SIGTERM";
        assert_told(Notice::Ended(2, late), Level::Warn, text, Some(Reason::Decisive));
        assert_told(
            Notice::Ended(3, failed),
            Level::Info,
            "the --stop-command \"prog\" exited with 1",
            None,
        );
        assert_told(
            Notice::Ended(4, failed),
            Level::Warn,
            "the --after command \"prog\" exited with 1",
            None,
        );
        let text = "the --with command \"prog\" was killed by SIGUSR1";
        let usr1 = killed(Signal::from_raw(10).unwrap());
        assert_told(Notice::Ended(2, usr1), Level::Warn, text, None);
        // The container's status may be its own.
        assert_told(Notice::Ended(5, usr1), Level::Warn, text, Some(Reason::Decisive));
    }

    #[test]
    fn who_is_left_is_counted_and_named_up_to_a_bound() {
        let told = |count, names: &[&str]| {
            let name = |name: &&str| LeftName { name: (*name).to_owned(), has_entered: false };
            let names = names.iter().map(name).collect();
            told(
                Notice::DrainEscalated(Duration::from_secs(5)),
                Some(Leftovers { count, refused: 0, names }),
            )
        };
        let sentence = |text: &str| (Level::Warn, text.to_owned(), Some(Reason::Decisive));
        assert_eq!(
            told(1, &["a\nb"]),
            sentence("1 process was left 5s after SIGTERM, and killed: \"a\\nb\"")
        );
        let text = "12 processes were left 5s after SIGTERM, and killed: \"a\", \"b\" and 10 more";
        assert_eq!(told(12, &["a", "b"]), sentence(text));
    }

    #[test]
    fn memory_is_a_reason_by_itself_only_if_the_container_stops_for_it() {
        let text =
            "out of memory: the container hit its memory limit, and the kernel killed 1 process";
        assert_told(
            Notice::OutOfMemory { kills: 1, stops: false },
            Level::Warn,
            text,
            Some(Reason::Context),
        );
        let text = "out of memory: the container hit its memory limit, and the kernel killed 2 \
                    processes; the container stops";
        assert_told(
            Notice::OutOfMemory { kills: 2, stops: true },
            Level::Warn,
            text,
            Some(Reason::Decisive),
        );
    }
}
