//! Why a command does not end: from what /proc says of it to words.

use std::fmt;

use crate::process::Inspection;
use crate::signal::{Signal, SignalSet};

/// Why a process that was asked to exit is still there, as far as anybody can tell from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Diagnosis {
    /// /proc is missing, or does not say.
    Unknown,
    /// A tracer has stopped it: this one, if it can be seen.
    Traced(Option<String>),
    /// It was stopped by a signal.
    Stopped,
    /// State D, or its like.
    HeldByKernel,
    /// The signal does nothing to it.
    Ignores {
        /// It is a shell with a terminal: SIGHUP ends it.
        is_interactive_shell: bool,
        /// A signal that it does handle.
        handled: Option<Signal>,
    },
    /// The signal waits for a thread that takes it.
    Blocks,
    /// It is the init of a PID namespace, and has no handler: the kernel keeps the signal from it.
    NamespaceInit,
    /// A shell whose handler runs when this child has ended.
    ShellWaits {
        /// What it waits for, and its pid.
        child: String,
        /// The children get the signal too.
        to_group: bool,
    },
    /// Its handler has run.
    AtWork,
}

/// Those that run a handler only when their foreground child has ended.
const SHELLS: [&str; 9] = ["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "busybox", "rbash"];

/// Signals that programs handle to end in good order.
const OTHER_STOPS: [Signal; 4] = [Signal::INT, Signal::QUIT, Signal::HUP, Signal::TERM];

/// Why this process has not ended of `signal`, which went to its group too if `to_group`.
#[must_use]
pub fn diagnose(seen: Option<&Inspection>, signal: Signal, to_group: bool) -> Diagnosis {
    let Some(Inspection { process, state, tracer, children, is_namespace_init, executable }) = seen
    else {
        return Diagnosis::Unknown;
    };
    let has = |set: Option<SignalSet>| set.is_some_and(|set| set.contains(signal));
    let name = process.name.to_string();
    let is_shell = SHELLS.contains(&name.as_str());
    let is_run_by_shell = match executable.as_deref() {
        // It is many other programs too; most scripts are called *.sh.
        Some("busybox") => name.ends_with("sh"),
        Some(executable) => SHELLS.contains(&executable),
        None => false,
    };
    match (state, tracer) {
        (b't', _) | (b'T', Some(_)) => {
            let tracer = tracer.map(|(pid, name)| format!("{:?} ({pid})", name.to_string()));
            return Diagnosis::Traced(tracer);
        }
        (b'T', None) => return Diagnosis::Stopped,
        (b'D', _) => return Diagnosis::HeldByKernel,
        _ => {}
    }
    if has(process.ignored) {
        let handles = |signal: &Signal| process.caught.is_some_and(|set| set.contains(*signal));
        return Diagnosis::Ignores {
            is_interactive_shell: is_shell && process.has_terminal,
            handled: OTHER_STOPS.into_iter().find(handles),
        };
    }
    if has(process.blocked) && has(process.pending) {
        return Diagnosis::Blocks;
    }
    if process.caught.is_none() {
        return Diagnosis::Unknown;
    }
    if has(process.caught) {
        return match children.first() {
            Some((pid, name)) if is_shell || is_run_by_shell => {
                Diagnosis::ShellWaits { child: format!("{:?} ({pid})", name.to_string()), to_group }
            }
            Some(_) | None => Diagnosis::AtWork,
        };
    }
    if *is_namespace_init {
        return Diagnosis::NamespaceInit;
    }
    // It is about to die of it, or waits for it in sigwait(3).
    if has(process.blocked) { Diagnosis::AtWork } else { Diagnosis::Unknown }
}

impl Diagnosis {
    /// What follows "the command has not ended 3s after SIGTERM"; empty if nothing is known.
    #[must_use]
    pub fn about(&self, signal: Signal) -> impl fmt::Display {
        About(self, signal)
    }
}

struct About<'a>(&'a Diagnosis, Signal);

impl fmt::Display for About<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signal = self.1;
        match self.0 {
            Diagnosis::Unknown => Ok(()),
            Diagnosis::Traced(tracer) => {
                let tracer = tracer.as_deref().unwrap_or("a process outside");
                write!(f, ": {tracer} traces it, and has stopped it")
            }
            Diagnosis::Stopped => f.write_str(": it is stopped, until it gets a SIGCONT"),
            Diagnosis::HeldByKernel => f.write_str(
                ": the kernel holds it (state D), which a disk, a network file system or vfork(2) \
                 may do",
            ),
            Diagnosis::Ignores { is_interactive_shell: true, .. } => {
                write!(
                    f,
                    ": an interactive shell ignores {signal} (-r {}:HUP sends SIGHUP instead)",
                    short(signal)
                )
            }
            Diagnosis::Ignores { handled: Some(other), .. } => {
                write!(
                    f,
                    ": it ignores {signal}, but handles {other} (-r {}:{} sends that instead)",
                    short(signal),
                    short(*other)
                )
            }
            Diagnosis::Ignores { .. } => write!(f, ": it ignores {signal}"),
            Diagnosis::Blocks => write!(f, ": it blocks {signal}"),
            Diagnosis::NamespaceInit => write!(
                f,
                ": it is the init of a PID namespace, which {signal} does not reach without a \
                 handler"
            ),
            Diagnosis::ShellWaits { child, to_group: false } => write!(
                f,
                ": a shell runs its trap only when its child has ended; it waits for {child}, which \
                 gets the signal only with -g"
            ),
            Diagnosis::ShellWaits { child, to_group: true } => write!(
                f,
                ": a shell runs its trap only when its child has ended; it waits for {child}"
            ),
            Diagnosis::AtWork => write!(
                f,
                ": it handles {signal}, and is still at work (-t gives it more time, or less)"
            ),
        }
    }
}

/// A signal as `--rewrite` takes it.
fn short(signal: Signal) -> String {
    let name = signal.to_string();
    name.strip_prefix("SIG").map_or_else(|| name.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Name, Pid, Process};

    const TERM: Signal = Signal::TERM;

    fn name(text: &str) -> Name {
        let mut name = Name::default();
        name.0.iter_mut().zip(text.bytes()).for_each(|(place, byte)| *place = byte);
        name
    }

    /// A process that handles, ignores, blocks these, with these pending.
    fn process(program: &str, [caught, ignored, blocked, pending]: [&[Signal]; 4]) -> Inspection {
        let set = |signals: &[Signal]| Some(signals.iter().copied().collect());
        Inspection {
            process: Process {
                pid: Pid::from_raw(7).unwrap(),
                started: 1,
                parent: 1,
                group: 7,
                session: 7,
                has_terminal: false,
                lives: true,
                sleeps: true,
                name: name(program),
                caught: set(caught),
                ignored: set(ignored),
                blocked: set(blocked),
                pending: set(pending),
                switches: None,
                stdin_pipe: None,
            },
            state: b'S',
            tracer: None,
            children: Vec::new(),
            is_namespace_init: false,
            executable: None,
        }
    }

    fn told(seen: &Inspection, to_group: bool) -> String {
        diagnose(Some(seen), TERM, to_group).about(TERM).to_string()
    }

    #[test]
    fn each_reason_has_its_sentence() {
        const NONE: &[Signal] = &[];
        let plain = || process("app", [NONE; 4]);
        let sleep = || vec![(Pid::from_raw(12).unwrap(), name("sleep"))];
        let shell =
            || Inspection { children: sleep(), ..process("bash", [&[TERM], NONE, NONE, NONE]) };
        let mut interactive = process("bash", [&[Signal::INT], &[TERM], NONE, NONE]);
        interactive.process.has_terminal = true;
        let script = |name: &str, shell: &str| Inspection {
            children: sleep(),
            executable: Some(shell.to_owned()),
            ..process(name, [&[TERM], NONE, NONE, NONE])
        };
        let mut silent = plain();
        (silent.process.caught, silent.process.ignored) = (None, None);
        for (seen, expected) in [
            (plain(), ""),
            (silent, ""),
            (process("app", [NONE, &[TERM], NONE, NONE]), ": it ignores SIGTERM"),
            (
                process("app", [&[Signal::INT], &[TERM], NONE, NONE]),
                ": it ignores SIGTERM, but handles SIGINT (-r TERM:INT sends that instead)",
            ),
            (
                interactive,
                ": an interactive shell ignores SIGTERM (-r TERM:HUP sends SIGHUP instead)",
            ),
            (process("app", [NONE, NONE, &[TERM], &[TERM]]), ": it blocks SIGTERM"),
            (process("app", [&[TERM], NONE, &[TERM], &[TERM]]), ": it blocks SIGTERM"),
            // It has taken it by sigwait(3).
            (
                process("app", [NONE, NONE, &[TERM], NONE]),
                ": it handles SIGTERM, and is still at work (-t gives it more time, or less)",
            ),
            (
                process("app", [&[TERM], NONE, NONE, NONE]),
                ": it handles SIGTERM, and is still at work (-t gives it more time, or less)",
            ),
            (
                Inspection { children: sleep(), ..process("app", [&[TERM], NONE, NONE, NONE]) },
                ": it handles SIGTERM, and is still at work (-t gives it more time, or less)",
            ),
            (
                shell(),
                ": a shell runs its trap only when its child has ended; it waits for \"sleep\" \
                 (12), which gets the signal only with -g",
            ),
            (Inspection { state: b'T', ..plain() }, ": it is stopped, until it gets a SIGCONT"),
            (
                Inspection {
                    state: b't',
                    tracer: Some((Pid::from_raw(9).unwrap(), name("strace"))),
                    ..plain()
                },
                ": \"strace\" (9) traces it, and has stopped it",
            ),
            (
                Inspection { state: b'D', ..plain() },
                ": the kernel holds it (state D), which a disk, a network file system or vfork(2) \
                 may do",
            ),
            (
                Inspection { is_namespace_init: true, ..plain() },
                ": it is the init of a PID namespace, which SIGTERM does not reach without a \
                 handler",
            ),
        ] {
            assert_eq!(told(&seen, false), expected, "{seen:?}");
        }
        for (name, executable, is_shell) in [
            ("entrypoint", "bash", true),
            ("entrypoint.sh", "busybox", true),
            ("ash", "busybox", true),
            ("runsv", "busybox", false),
            ("entrypoint.py", "python3.11", false),
        ] {
            let told = told(&script(name, executable), false);
            assert_eq!(told.contains("a shell runs its trap"), is_shell, "{name}: {told}");
        }
        assert!(told(&shell(), true).ends_with("it waits for \"sleep\" (12)"));
        assert_eq!(diagnose(None, TERM, false).about(TERM).to_string(), "");
    }
}
