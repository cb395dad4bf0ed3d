//! Starting the commands.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use crate::config::{Command, Config, FailureStatuses, Placement, Role};
use crate::status::{ExitStatus, Pid};
use crate::supervisor::{CommandId, MAIN};
use crate::sys::descriptors;
use crate::sys::program::NotStarted;
use crate::sys::signals::Inherited;
use crate::sys::spawn::{self, Auxiliary, Place, Surroundings};
use crate::sys::terminal::Terminal;
use crate::sys::users::Credentials;

/// All that a command may need when its time comes.
pub(super) struct Commands {
    /// By their numbers.
    all: Vec<Command>,
    placement: Placement,
    failures: FailureStatuses,
    inherited: Inherited,
    /// The user of the main command and of those beside it.
    credentials: Option<Credentials>,
    /// Where we were started, for those that start when we are no longer there.
    directory: Option<OwnedFd>,
    /// How many of those there are.
    to_start: usize,
}

impl Commands {
    pub(super) fn new(
        config: Config,
        inherited: Inherited,
        credentials: Option<Credentials>,
    ) -> Self {
        let to_start = config.commands.len() - 1;
        let directory = (to_start > 0).then(descriptors::working_directory).flatten();
        let (placement, failures) = (config.policy.placement, config.failures);
        Self {
            all: config.commands,
            placement,
            failures,
            inherited,
            credentials,
            directory,
            to_start,
        }
    }

    /// By their numbers.
    pub(super) fn all(&self) -> &[Command] {
        &self.all
    }

    /// The descriptor to keep open.
    pub(super) fn descriptor(&self) -> Option<RawFd> {
        self.directory.as_ref().map(AsRawFd::as_raw_fd)
    }

    pub(super) fn exit_status(&self, failed: &NotStarted) -> ExitStatus {
        failed.exit_status(self.failures)
    }

    /// Whether the main command runs as another user than we do.
    pub(super) fn changes_user(&self) -> bool {
        self.credentials.is_some()
    }

    /// The main command gets all that we inherited, the terminal's foreground too.
    pub(super) fn start_main(&self, terminal: &mut Option<Terminal>) -> Result<Pid, NotStarted> {
        let place = match self.placement {
            Placement::OwnGroup => Place::OwnGroup(terminal.as_mut().and_then(Terminal::claim)),
            Placement::OwnSession => Place::OwnSession(terminal.as_ref().map(Terminal::hand_over)),
            Placement::SharedGroup => Place::SharedGroup,
        };
        let started = self.spawn(MAIN, place, None);
        if started.is_err()
            && let Some(terminal) = terminal
        {
            // It may have got as far as to take it.
            terminal.release();
        }
        if self.placement != Placement::OwnGroup {
            *terminal = None;
        }
        started
    }

    /// Another command, in the directory where we were started; `main` is the main child, if it
    /// runs.
    pub(super) fn start_other(
        &mut self,
        id: CommandId,
        main: Option<Pid>,
    ) -> Result<Pid, NotStarted> {
        let place = match self.placement {
            Placement::OwnGroup | Placement::OwnSession => Place::OwnGroup(None),
            Placement::SharedGroup => Place::SharedGroup,
        };
        // Before the main command is started, we are still there.
        let directory = self.directory.as_ref().filter(|_| self.role(id) != Some(Role::Before));
        let started =
            descriptors::inside(directory, || self.spawn(id, place, Some(Auxiliary { main })));
        self.to_start = self.to_start.saturating_sub(1);
        if self.to_start == 0 {
            self.directory = None;
        }
        started
    }

    fn role(&self, id: CommandId) -> Option<Role> {
        self.all.get(id).map(|command| command.role)
    }

    fn spawn(
        &self,
        id: CommandId,
        place: Place,
        auxiliary: Option<Auxiliary>,
    ) -> Result<Pid, NotStarted> {
        let words = self.all.get(id).map_or(&[][..], |command| command.words.as_slice());
        let takes_user = self.role(id).is_some_and(Role::is_beside);
        let credentials = self.credentials.as_ref().filter(|_| takes_user);
        spawn::spawn(words, &self.inherited, Surroundings { place, credentials, auxiliary })
    }
}
