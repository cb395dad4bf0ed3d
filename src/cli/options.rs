//! firstmate's options, one row each.

use log::LevelFilter;

use super::given::Given;
use super::table::Takes::{Count, Flag, Help, Optional, Print, Value, Values};
use super::table::{Group, Opt};
use super::{BadInput, NUMBER, Stream, values};
use crate::config::{Command, Config, ForwardTo, Placement, Role, TerminationMessage};

pub(super) const OPTIONS: [Group; 6] = [
    ("Forwarding", FORWARDING),
    ("Stopping", STOPPING),
    ("Process", PROCESS),
    ("Several commands", COMMANDS),
    ("Exit status and reports", REPORTS),
    ("Other", &[PAUSE, EXPLAIN, INSTALL, HELP, VERSION]),
];

/// How messages call the commands of one option that have the same program.
macro_rules! numbered {
    ($what:literal) => {
        [
            concat!("the ", $what),
            concat!("the 2nd ", $what),
            concat!("the 3rd ", $what),
            concat!("the 4th ", $what),
            concat!("the 5th ", $what),
            concat!("one more ", $what),
        ]
    };
}

const FORWARDING: &[Opt] = &[
    Opt::new("-g, --kill-process-group")
        .takes(Flag(|c| c.policy.forward_to = ForwardTo::Group))
        .help("Forward signals to the main child's whole process group."),
    Opt::new("-a, --all").takes(Flag(|c| c.policy.stop_everyone = true)).help(
        "Send stop signals to every process in the container. Other signals are not affected.",
    ),
    Opt::new("-r, --rewrite FROM:TO")
        .takes(Values(|c, g| g.all(values::rewrite).map(|map| c.policy.rewrite = map)))
        .help(
            "Forward signal TO instead of FROM, or nothing if TO is `0` or `none`. The last rule \
             for a signal counts, and its result is not rewritten again. KILL, STOP and CHLD are \
             not accepted, except STOP as TO. The signal that was received decides whether a stop \
             begins.",
        ),
];

const STOPPING: &[Opt] = &[
    Opt::new("-t, --kill-after DURATION|never")
        .takes(Value(|c, g| {
            let limit = g.one(values::limit)?;
            (c.policy.kill_after, c.policy.kill_after_is_given) = (limit, true);
            Ok(())
        }))
        .help(
            "Send SIGKILL this long after the stop signal. `never` leaves that to the engine's \
             own timer.",
        )
        .default(|c| values::shown_limit(c.policy.kill_after)),
    Opt::new("--stop-on SIGNAL")
        .takes(Values(|c, g| g.all(values::forwardable_signal).map(|set| c.policy.stop_on = set)))
        .help("Begin a stop when this signal arrives. The first use replaces the default.")
        .default(|c| values::shown_signals(c.policy.stop_on)),
    Opt::new("--stop-delay DURATION")
        .takes(Value(|c, g| g.one(values::duration).map(|delay| c.policy.stop_delay = delay)))
        .help("Hold the first stop signal this long. A second stop signal ends the delay.")
        .default(|c| values::shown_duration(c.policy.stop_delay)),
    Opt::new("--stop-command COMMAND")
        .takes(Value(|c, g| add(c, Role::Stop, ["the --stop-command"; 6], g)))
        .help(
            "Run this instead of sending the main command the stop signal. It finds the pid of \
         the main command in `MAINPID`. If it fails or can't be started, the signal is sent \
         after all.",
        ),
    Opt::new("--drain DURATION|never")
        .takes(Value(|c, g| {
            let limit = g.one(values::limit)?;
            (c.policy.drain, c.policy.drain_is_given) = (limit, true);
            Ok(())
        }))
        .help(
            "How long the remaining processes get to exit. When the commands have exited, the \
             others are asked to exit, and get SIGKILL after this long. Whoever is in charge of \
             them is asked first: a master, and not its workers. `0`: ask nobody and exit at \
             once; `never`: wait without limit.",
        )
        .default(|c| values::shown_limit(c.policy.drain))
        .with_pause(),
    Opt::new("--drain-signal SIGNAL|none")
        .takes(Value(|c, g| g.one(values::ask_with).map(|with| c.policy.ask_with = with)))
        .help(
            "What the drain asks the remaining processes with. The default is TERM, or the stop \
             signal where a wrapper died of it and what it left handles it. `none` only waits.",
        )
        .with_pause(),
    Opt::new("--stop-timeout DURATION")
        .takes(Value(|c, g| g.one(values::duration).map(|time| c.stop_timeout = Some(time))))
        .help(
            "The engine's grace period, into which all of a stop fits. That is the time of \
             `docker stop -t` or `terminationGracePeriodSeconds`. `--kill-after` and `--drain` \
             follow from it where they are not given.",
        )
        .with_pause(),
];

const PROCESS: &[Opt] = &[
    Opt::new("-s, --subreaper[=on|off]")
        .takes(Optional("on", |c, g| g.one(values::subreaper).map(|when| c.subreaper = when)))
        .help(
            "Become a child subreaper, to reap orphans. `auto` does so unless firstmate is PID 1.",
        )
        .default(|c| values::shown_name(c.subreaper))
        .with_pause(),
    Opt::new("-p, --parent-death-signal SIGNAL")
        .takes(Value(|c, g| {
            g.one(values::death_signal).map(|signal| c.parent_death_signal = Some(signal))
        }))
        .help("The signal that firstmate gets when its own parent dies."),
    Opt::new("-S, --new-session").takes(Flag(|c| c.policy.placement = Placement::OwnSession)).help(
        "Run the command in its own session. The terminal becomes its controlling terminal. \
         Otherwise the command has its own process group.",
    ),
    Opt::new("--user NAME|UID[:GROUP|GID]")
        .takes(Value(|c, g| {
            (c.user, c.user_source) = (Some(g.one(values::user)?), g.source.clone());
            Ok(())
        }))
        .help(
            "Run the command as this user, with its groups. Names are looked up in /etc/passwd \
             and /etc/group of the container.",
        ),
];

const COMMANDS: &[Opt] = &[
    Opt::new("--before COMMAND")
        .takes(Values(|c, g| add(c, Role::Before, numbered!("--before command"), g)))
        .help(
            "Run this to its end before the main command. If it fails, nothing else is started, \
         and its status is the container's.",
        ),
    Opt::new("--with COMMAND")
        .takes(Values(|c, g| add(c, Role::With { watched: false }, numbered!("--with command"), g)))
        .help("Run this beside the main command."),
    Opt::new("--after COMMAND")
        .takes(Values(|c, g| add(c, Role::After, numbered!("--after command"), g)))
        .help(
            "Run this when all others have exited. It gets the time of `--drain`, or 5s where that \
         is 0 or `never`. Its failure is only logged.",
        ),
    // Below `--with`, whose commands it may watch.
    Opt::new("--exit-when any|main|all|empty")
        .takes(Value(exit_when))
        .help(
            "Which exit ends the container. `any`: the first of all commands; `main`: the main \
             command's; `all`: the last of all, with the first status that is not 0; `empty`: no \
             process is left, for programs that put themselves into the background. The others \
             are asked to exit then.",
        )
        .default(|c| values::shown_name(c.policy.exit_when)),
];

const REPORTS: &[Opt] = &[
    Opt::new("-e, --remap-exit CODE")
        .takes(Values(|c, g| g.all(values::exit_code).map(|codes| c.policy.remap_exit = codes)))
        .help("Exit 0 when the command's exit status is CODE."),
    Opt::new("--exit-on-oom").takes(Flag(|c| c.policy.exit_on_oom = true)).help(
        "Stop the container when the kernel OOM-kills a process. The exit status is 137 then. \
         Otherwise the kill is only logged.",
    ),
    Opt::new("--termination-message[=FILE]")
        .takes(Optional(TerminationMessage::OF_KUBERNETES, |c, g| {
            let files: Vec<_> = g.all_raw(values::termination_message)?;
            c.termination_message = files.into_iter().flatten().next();
            Ok(())
        }))
        .help(
            "Write to FILE why the container ended. Nothing is written if the command exited by \
             itself, or has written to FILE. The default FILE is not created, any other is.",
        ),
    Opt::new("--log-format text|json")
        .takes(Value(|c, g| g.one(values::log_format).map(|format| c.log_format = format)))
        .help("Log lines to read, or a JSON object a line.")
        .default(|c| values::shown_name(c.log_format))
        .with_pause(),
    Opt::new("-v, --verbose")
        .takes(Count(|c, steps| c.log_level = louder(c.log_level, steps.into())))
        .help("Log more: `-v` each step, `-vv` each signal too.")
        .with_pause(),
    Opt::new("-q, --quiet")
        .takes(Count(|c, steps| c.log_level = louder(c.log_level, -isize::from(steps))))
        .help("Log less: `-q` only errors, `-qq` nothing.")
        .with_pause(),
    Opt::new("-w, --warn-on-reap")
        .takes(Flag(|c| c.warn_on_reap = true))
        .help("Log a line for each orphan reaped.")
        .with_pause(),
];

pub(super) const PAUSE: Opt = Opt::new("-P, --pause")
    .help(
        "Run no command: hold the namespaces and reap until TERM or INT. The exit status is 0 \
         then.",
    )
    .without_variable()
    .with_pause();

pub(super) const EXPLAIN: Opt = Opt::new("--explain")
    .help(
        "Print what is in force and from where. No command is run. The last line tells how long a \
         stop can take, and what that time is made of.",
    )
    .without_variable()
    .with_pause();

pub(super) const INSTALL: Opt = Opt::new("--install FILE")
    .takes(Value(|_, _| Ok(())))
    .help(
        "Run no command: copy this program to FILE. That is for a container whose image doesn't \
         have it. FILE is replaced at once, even while it runs, and gets mode 0755.",
    )
    .without_variable();

pub(super) const HELP: Opt = Opt::new("-h, --help")
    .takes(Help)
    .help("Print help: `-h` a line for each option, `--help` all of it.")
    .without_variable();

pub(super) const VERSION: Opt = Opt::new("-V, --version")
    .takes(Print(|| format!("firstmate {NUMBER}\n"), Stream::Stdout))
    .help("Print the version, and the commit that it was built from.")
    .without_variable();

fn add(
    config: &mut Config,
    role: Role,
    labels: [&'static str; 6],
    given: &Given,
) -> Result<(), BadInput> {
    for words in given.all_raw::<_, Vec<_>>(values::command)? {
        let of_the_role = config.commands.iter().filter(|command| command.role == role);
        let (place, mut others) = (of_the_role.clone().count(), of_the_role);
        let is_alone = others.all(|command| command.words.first() != words.first());
        let [first, .., last] = labels;
        let numbered = labels.get(place).copied().unwrap_or(last);
        let label = if is_alone { first } else { numbered };
        config.commands.push(Command { role, words, label });
    }
    Ok(())
}

fn exit_when(config: &mut Config, given: &Given) -> Result<(), BadInput> {
    let (exit_when, all) = given.one(values::exit_when)?;
    config.policy.exit_when = exit_when;
    for command in &mut config.commands {
        if let Role::With { watched } = &mut command.role {
            *watched = all;
        }
    }
    Ok(())
}

/// The level this many steps up, or down.
pub(super) fn louder(level: LevelFilter, steps: isize) -> LevelFilter {
    let step = (level as usize).saturating_add_signed(steps);
    LevelFilter::iter().nth(step).unwrap_or(LevelFilter::Trace)
}

/// What the long help ends with.
pub(super) const NOTES: &[&str] = &[SYNTAX, VARIABLES, EXIT_STATUS];

/// How to write what the options take.
pub(super) const SYNTAX: &str = "\
    Options end at `--` or at the first word that isn't an option. Signals: `TERM`, `SIGTERM`, \
    `15` or `RTMIN+3`, in any case. Durations: `10s`, `500ms`, `2m`, `1h30m` or a number of \
    seconds. A COMMAND of an option is one string: it is split into words as a shell splits them, \
    and runs without a shell. What only a shell understands, such as `&&` or `$HOME`, is refused \
    unless it is quoted: give `sh -c '...'`.";

/// How to give options in the environment.
pub(super) const VARIABLES: &str = "\
    Each option has a variable, unless it says otherwise: `FIRSTMATE_` and its long name, such as \
    `FIRSTMATE_KILL_AFTER=10s` or `FIRSTMATE_ALL=1`. Flags take `yes`, `no`, `on`, `off`, \
    `true`, `false`, `1` or `0`, in any case; `FIRSTMATE_VERBOSE` and `FIRSTMATE_QUIET` also a \
    number. An option that repeats takes one \
    value a line. An empty variable is unset. Options override variables. A variable whose \
    name is almost one of these is told of in a warning; others of that prefix are ignored. The \
    command gets all of them.";

const EXIT_STATUS: &str = "\
    Exit status: the command's own, or 128+n if signal n killed it; 127: the command was not \
    found; 126: it can't be executed; 125: firstmate failed.";
