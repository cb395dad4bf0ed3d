//! The table of firstmate's options.

use super::given::{Opt, Takes};
use crate::config::TerminationMessage;

const FORWARDING: &str = "Forwarding";
const STOPPING: &str = "Stopping";
const PROCESS: &str = "Process";
const COMMANDS: &str = "Several commands";
const REPORTS: &str = "Exit status and reports";

pub(super) const OPTIONS: &[Opt] = &[
    Opt {
        long: "kill-process-group",
        short: Some('g'),
        takes: Takes::Flag,
        heading: FORWARDING,
        help: "Forward signals to the main child's process group, not to the child alone",
    },
    Opt {
        long: "all",
        short: Some('a'),
        takes: Takes::Flag,
        heading: FORWARDING,
        help: "Send stop signals to every process in the container; other signals as without it",
    },
    Opt {
        long: "rewrite",
        short: Some('r'),
        takes: Takes::Values("FROM:TO"),
        heading: FORWARDING,
        help: "Forward signal TO instead of FROM, and nothing if TO is 0 or none; repeats",
    },
    Opt {
        long: "kill-after",
        short: Some('t'),
        takes: Takes::Value("DURATION|never"),
        heading: STOPPING,
        help: "Escalate to SIGKILL this long after the stop signal went out [default: never]",
    },
    Opt {
        long: "stop-on",
        short: None,
        takes: Takes::Values("SIGNAL"),
        heading: STOPPING,
        help: "A signal that starts a stop; repeats [default: TERM, INT]",
    },
    Opt {
        long: "stop-delay",
        short: None,
        takes: Takes::Value("DURATION"),
        heading: STOPPING,
        help: "Hold the first stop signal this long; a second one ends the delay [default: 0]",
    },
    Opt {
        long: "stop-command",
        short: None,
        takes: Takes::Value("COMMAND"),
        heading: STOPPING,
        help: "Run this instead of sending the stop signal to the main command; MAINPID is its \
               pid. If it fails, the signal is sent",
    },
    Opt {
        long: "drain",
        short: None,
        takes: Takes::Value("DURATION|never"),
        heading: STOPPING,
        help: "When the command has ended: SIGTERM to all that is left, SIGKILL after this long; \
               0: send nothing and exit at once; never: wait without limit [default: 5s]",
    },
    Opt {
        long: "subreaper",
        short: Some('s'),
        takes: Takes::Optional("on|off", "on"),
        heading: PROCESS,
        help: "Become a child subreaper, to reap orphans without being PID 1 [default: when not \
               PID 1]",
    },
    Opt {
        long: "parent-death-signal",
        short: Some('p'),
        takes: Takes::Value("SIGNAL"),
        heading: PROCESS,
        help: "The signal that firstmate gets when its own parent dies [default: none]",
    },
    Opt {
        long: "new-session",
        short: Some('S'),
        takes: Takes::Flag,
        heading: PROCESS,
        help: "Run the command in a session of its own, with the terminal as its controlling \
               terminal",
    },
    Opt {
        long: "user",
        short: None,
        takes: Takes::Value("NAME|UID[:GROUP|GID]"),
        heading: PROCESS,
        help: "Run the command as this user and with its groups, by /etc/passwd and /etc/group \
               [default: unchanged]",
    },
    Opt {
        long: "before",
        short: None,
        takes: Takes::Values("COMMAND"),
        heading: COMMANDS,
        help: "Run this to its end first; a failure ends all with its status; repeats, in order",
    },
    Opt {
        long: "with",
        short: None,
        takes: Takes::Values("COMMAND"),
        heading: COMMANDS,
        help: "Run this beside the main command; repeats",
    },
    Opt {
        long: "after",
        short: None,
        takes: Takes::Values("COMMAND"),
        heading: COMMANDS,
        help: "Run this when all others have ended, for the time of --drain at most; its failure \
               is only logged; repeats, in order",
    },
    Opt {
        long: "exit-when",
        short: None,
        takes: Takes::Value("any|main|all"),
        heading: COMMANDS,
        help: "Whose end is the container's end: the first of all commands, the main command, or \
               the last of all [default: any]",
    },
    Opt {
        long: "remap-exit",
        short: Some('e'),
        takes: Takes::Values("CODE"),
        heading: REPORTS,
        help: "Exit 0 when the command's exit status is CODE; repeats",
    },
    Opt {
        long: "exit-on-oom",
        short: None,
        takes: Takes::Flag,
        heading: REPORTS,
        help: "Stop the container, with exit status 137, when the kernel kills any process in it \
               for want of memory [default: only say so]",
    },
    Opt {
        long: "termination-message",
        short: None,
        takes: Takes::Optional("FILE", TerminationMessage::OF_KUBERNETES),
        heading: REPORTS,
        help: "Write why the container ended, unless the command ended by itself [FILE: \
               /dev/termination-log]",
    },
    Opt {
        long: "log-format",
        short: None,
        takes: Takes::Value("text|json"),
        heading: REPORTS,
        help: "Log a line to read, or a JSON object a line [default: text]",
    },
    Opt {
        long: "verbose",
        short: Some('v'),
        takes: Takes::Count,
        heading: REPORTS,
        help: "Log more: -v what happens, -vv each signal too",
    },
    Opt {
        long: "quiet",
        short: Some('q'),
        takes: Takes::Count,
        heading: REPORTS,
        help: "Log less: -q errors only, -qq nothing",
    },
    Opt {
        long: "warn-on-reap",
        short: Some('w'),
        takes: Takes::Flag,
        heading: REPORTS,
        help: "Log a line for every orphan reaped",
    },
];
