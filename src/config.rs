//! What the command line and the environment ask for: validated, immutable, plain data.
#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::signal::{RewriteMap, Signal, SignalSet};
use crate::status::ExitStatus;

/// Everything that one run of firstmate depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What is started, the main command first; a command's number is its place here. With none we
    /// only hold the namespaces.
    pub commands: Vec<Command>,
    /// What the supervisor decides by.
    pub policy: Policy,
    /// The engine's grace period, from which the times of the policy follow.
    pub stop_timeout: Option<Duration>,
    /// Whether to become a child subreaper.
    pub subreaper: Subreaper,
    /// The signal that firstmate gets when its own parent dies.
    pub parent_death_signal: Option<Signal>,
    /// Whom the command runs as; `None`: whoever we are.
    pub user: Option<UserSpec>,
    /// The option or the variable that says so.
    pub user_source: String,
    /// Refuse to run unless we are PID 1.
    pub only_as_pid_1: bool,
    /// Warn where orphans will not come to us.
    pub warn_without_orphans: bool,
    /// The exit statuses of our own failures.
    pub failures: FailureStatuses,
    /// What to log.
    pub log_level: log::LevelFilter,
    /// How.
    pub log_format: LogFormat,
    /// Log a line for every orphan reaped.
    pub warn_on_reap: bool,
    /// Where to write why the container ended.
    pub termination_message: Option<TerminationMessage>,
}

/// How a log entry looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line to read.
    Text,
    /// A JSON object on a line.
    Json,
}

/// The file that is to hold why the container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminationMessage {
    /// Where it is.
    pub path: PathBuf,
    /// Whether firstmate creates or empties it; else somebody else, like the kubelet, has made it.
    pub create: bool,
}

impl TerminationMessage {
    /// The file that the kubelet makes, and reads after the container's end.
    pub const OF_KUBERNETES: &str = "/dev/termination-log";
}

impl Config {
    /// All defaults, for an init that has no command, and only holds the namespaces.
    #[must_use]
    pub fn hold() -> Self {
        let policy = Policy { drain: Some(Duration::ZERO), ..Policy::default() };
        Self { commands: Vec::new(), policy, ..Self::new(Vec::new()) }
    }

    /// All defaults.
    #[must_use]
    pub fn new(command: Vec<OsString>) -> Self {
        Self {
            commands: vec![Command { role: Role::Main, words: command, label: "the command" }],
            policy: Policy::default(),
            stop_timeout: None,
            subreaper: Subreaper::Auto,
            parent_death_signal: None,
            user: None,
            user_source: String::new(),
            only_as_pid_1: false,
            warn_without_orphans: false,
            failures: FailureStatuses::default(),
            log_level: log::LevelFilter::Warn,
            log_format: LogFormat::Text,
            warn_on_reap: false,
            termination_message: None,
        }
    }
}

/// A command to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What it is for.
    pub role: Role,
    /// The program and its arguments; never empty.
    pub words: Vec<OsString>,
    /// What a message calls it, in the words of the command line that it was given on.
    pub label: &'static str,
}

impl Command {
    /// Its first word.
    #[must_use]
    pub fn program(&self) -> &OsStr {
        self.words.first().map_or(OsStr::new(""), OsString::as_os_str)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Main => f.write_str(self.label),
            Role::Before | Role::With { .. } | Role::Stop | Role::After => {
                write!(f, "{} {:?}", self.label, self.program())
            }
        }
    }
}

/// What a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It runs to its end before the main command starts.
    Before,
    /// What the container is for.
    Main,
    /// It runs beside the main command.
    With {
        /// [`ExitWhen::Watched`] waits for it.
        watched: bool,
    },
    /// It asks the main command to stop, instead of a signal.
    Stop,
    /// It runs when all others have ended.
    After,
}

impl Role {
    /// Whether it runs as long as the container does: the main command, and those beside it. Only
    /// these become the user that was asked for; hooks are there to do what the user may not.
    #[must_use]
    pub fn is_beside(self) -> bool {
        match self {
            Self::Main | Self::With { .. } => true,
            Self::Before | Self::Stop | Self::After => false,
        }
    }

    /// Whether [`ExitWhen::Watched`] waits for it.
    #[must_use]
    pub fn is_watched(self) -> bool {
        match self {
            Self::Main | Self::With { watched: true } => true,
            Self::With { watched: false } | Self::Before | Self::Stop | Self::After => false,
        }
    }

    /// Whether a shell above us waits for it, and not only for us. What runs before or after the
    /// main command does so in its place: a ^Z comes to us then, and is forwarded.
    #[must_use]
    pub fn is_job(self) -> bool {
        match self {
            Self::Main | Self::Before | Self::After => true,
            Self::With { .. } | Self::Stop => false,
        }
    }
}

/// Whose end is the container's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitWhen {
    /// The first of all commands, with its status; once a stop was asked for, the main command.
    Any,
    /// The main command. The others serve it until it has exited, also when a stop is asked for.
    Main,
    /// The last of the main command and those that are watched, with the first status in their
    /// order that is not zero.
    Watched,
    /// No process is left. The status is the first that is not zero, of all commands.
    Empty,
}

/// What the drain asks with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AskWith {
    /// SIGTERM, or what fits a wrapper that died of the stop signal.
    Default,
    /// This, in any case.
    Signal(Signal),
    /// Nobody is asked.
    Nothing,
}

/// How the commands that run before the main one do so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preparation {
    /// One after the other; a failure ends all.
    InOrder,
    /// All at once, whatever comes of them.
    Together,
}

/// A user as `NAME|UID[:GROUP|GID]` names it, not yet looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSpec {
    /// The user.
    pub user: NameOrId,
    /// The only group; `None`: those of the user.
    pub group: Option<NameOrId>,
}

/// A user or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameOrId {
    /// As /etc/passwd or /etc/group has it.
    Name(String),
    /// Not `u32::MAX`, which means "no change" to setresuid(2).
    Id(u32),
}

impl fmt::Display for UserSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.user)?;
        self.group.as_ref().map_or(Ok(()), |group| write!(f, ":{group}"))
    }
}

impl fmt::Display for NameOrId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Id(id) => id.fmt(f),
        }
    }
}

/// The exit statuses of firstmate's own failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureStatuses {
    /// The command was not found.
    pub not_found: ExitStatus,
    /// It was found but cannot be executed.
    pub not_executable: ExitStatus,
    /// Anything else.
    pub other: ExitStatus,
}

/// The rules of forwarding and stopping.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
pub struct Policy {
    /// Where the command runs.
    pub placement: Placement,
    /// Where signals are forwarded to.
    pub forward_to: ForwardTo,
    /// Stop signals go to every process in the container instead.
    pub stop_everyone: bool,
    /// What is forwarded instead of a signal.
    pub rewrite: RewriteMap,
    /// Signals after which we stop ourselves until a SIGCONT.
    pub suspend_on: SignalSet,
    /// The signals that start a stop.
    pub stop_on: SignalSet,
    /// How long the first stop signal is held.
    pub stop_delay: Duration,
    /// From the stop signal to SIGKILL; `None`: never.
    pub kill_after: Option<Duration>,
    /// From the end of the commands to SIGKILL for what remains; zero: nobody is asked at all;
    /// `None`: wait without limit.
    pub drain: Option<Duration>,
    /// The user has said so.
    pub drain_is_given: bool,
    /// The user has said how long `kill_after` is.
    pub kill_after_is_given: bool,
    /// What the drain asks with.
    pub ask_with: AskWith,
    /// From the first stop signal to the end of the drain; `None`: no matter.
    pub stop_limit: Option<Duration>,
    /// Whose end is the container's end.
    pub exit_when: ExitWhen,
    /// How the commands that run before the main one do so.
    pub preparation: Preparation,
    /// Begin a stop when the kernel has killed a process because memory ran out.
    pub exit_on_oom: bool,
    /// At the main child's end its process group gets a SIGTERM, which is rewritten like a
    /// received one. Nobody waits for the effect.
    pub term_group_at_exit: bool,
    /// Exit statuses of the command that become 0.
    pub remap_exit: Vec<u8>,
}

/// The process group and session of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Placement {
    /// A group of its own, which takes our place in the terminal's foreground.
    OwnGroup,
    /// A session of its own, with our terminal as its controlling terminal.
    OwnSession,
    /// Our own group: what is typed at the terminal reaches it without us.
    SharedGroup,
}

/// Who gets a forwarded signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ForwardTo {
    /// The main child alone.
    Child,
    /// The main child's process group.
    Group,
}

/// Whether to become a child subreaper (prctl(2), `PR_SET_CHILD_SUBREAPER`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subreaper {
    /// When not PID 1, to whom orphans come anyway.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// What of the engine's grace period is left to the engine.
#[must_use]
pub fn spare_of(total: Duration) -> Duration {
    (total / 10).min(Duration::from_secs(1))
}

impl Policy {
    /// Fits all that a stop does into `total`, less a tenth, at most 1 s, to spare. With `after`
    /// the time of the drain is kept once more.
    ///
    /// # Errors
    /// Why the times that were given do not fit, with their sum.
    pub fn fit_into(&mut self, total: Duration, after: bool) -> Result<(), String> {
        let spare = spare_of(total);
        let seconds = |time: Duration| format!("{}s", time.as_secs_f64());
        let endless = |name| format!("--{name} never does not fit into {}", seconds(total));
        if self.kill_after_is_given && self.kill_after.is_none() {
            return Err(endless("kill-after"));
        }
        if self.drain_is_given && self.drain.is_none() {
            return Err(endless("drain"));
        }
        let kept = if after { 2 } else { 1 };
        let all = total.saturating_sub(self.stop_delay + spare);
        let given = self.kill_after.filter(|_| self.kill_after_is_given);
        let drain = self.drain.filter(|_| self.drain_is_given).unwrap_or_else(|| {
            let left = all.saturating_sub(given.unwrap_or_default()) / kept;
            Duration::from_secs(5).min(all / 4).min(left)
        });
        let kill_after = given.unwrap_or_else(|| all.saturating_sub(drain * kept));
        let sum = self.stop_delay + kill_after + drain * kept + spare;
        if sum > total || self.stop_delay >= total {
            let after =
                if after { format!(" + {} for --after", seconds(drain)) } else { String::new() };
            return Err(format!(
                "{} is too short: --stop-delay {} + --kill-after {} + --drain {}{after} + {} to \
                 spare = {}",
                seconds(total),
                seconds(self.stop_delay),
                seconds(kill_after),
                seconds(drain),
                seconds(spare),
                seconds(sum),
            ));
        }
        (self.kill_after, self.drain) = (Some(kill_after), Some(drain));
        self.stop_limit = Some(total.saturating_sub(spare + drain * (kept - 1)));
        Ok(())
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            forward_to: ForwardTo::Child,
            placement: Placement::OwnGroup,
            stop_everyone: false,
            rewrite: RewriteMap::default(),
            stop_on: [Signal::TERM, Signal::INT].into_iter().collect(),
            suspend_on: SignalSet::default(),
            stop_delay: Duration::ZERO,
            kill_after: None,
            drain: Some(Duration::from_secs(5)),
            drain_is_given: false,
            kill_after_is_given: false,
            ask_with: AskWith::Default,
            stop_limit: None,
            exit_when: ExitWhen::Any,
            preparation: Preparation::InOrder,
            exit_on_oom: false,
            term_group_at_exit: false,
            remap_exit: Vec::new(),
        }
    }
}

impl Default for FailureStatuses {
    fn default() -> Self {
        Self {
            not_found: ExitStatus::NOT_FOUND,
            not_executable: ExitStatus::NOT_EXECUTABLE,
            other: ExitStatus::OWN_FAILURE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_role_means() {
        // Beside the main command, watched, and a job of a shell above.
        for (role, meaning) in [
            (Role::Main, [true, true, true]),
            (Role::With { watched: true }, [true, true, false]),
            (Role::With { watched: false }, [true, false, false]),
            (Role::Before, [false, false, true]),
            (Role::After, [false, false, true]),
            (Role::Stop, [false, false, false]),
        ] {
            assert_eq!([role.is_beside(), role.is_watched(), role.is_job()], meaning, "{role:?}");
        }
    }

    #[test]
    fn who_only_holds_has_no_command_and_drains_nobody() {
        let config = Config::hold();
        assert_eq!((config.commands.len(), config.policy.drain), (0, Some(Duration::ZERO)));
        assert_eq!(config.policy.exit_when, Policy::default().exit_when);
    }

    #[test]
    fn a_user_is_shown_as_it_was_given() {
        let name = NameOrId::Name("app".to_owned());
        let user = |user: &NameOrId, group| UserSpec { user: user.clone(), group }.to_string();
        assert_eq!(user(&name, None), "app");
        assert_eq!(user(&NameOrId::Id(1000), Some(name)), "1000:app");
    }

    #[test]
    fn what_a_given_time_leaves_is_shared_by_the_drain_and_what_comes_after() {
        let fitted = |after| {
            let mut policy = Policy {
                kill_after: Some(Duration::from_secs(8)),
                kill_after_is_given: true,
                ..Policy::default()
            };
            policy.fit_into(Duration::from_secs(10), after).map(|()| policy.drain)
        };
        assert_eq!(fitted(false), Ok(Some(Duration::from_secs(1))));
        assert_eq!(fitted(true), Ok(Some(Duration::from_millis(500))));
    }
}
