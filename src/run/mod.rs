//! Set-up, which may fail, then the loop, which cannot.
#![forbid(unsafe_code)]

mod asking;
mod commands;
mod effects;
mod end_report;
mod job;
mod log_once;
mod turn;

use std::env;
use std::ffi::CStr;
use std::fmt;
use std::io::{self, Write};
use std::mem::ManuallyDrop;

use asking::Asking;
use commands::Commands;
use effects::Effects;
use end_report::EndReport;
use job::Job;
use log::{Level, LevelFilter};
use nix::unistd::getppid;
use turn::Loop;

use crate::cli::{self, Request, Stream};
use crate::config::{Config, FailureStatuses, LogFormat, Subreaper};
use crate::report::{self, Reason};
use crate::status::ExitStatus;
use crate::supervisor::{Event, JobControl, Supervisor};
use crate::sys::entry::Arguments;
use crate::sys::memory::MemoryWatch;
use crate::sys::output::Stderr;
use crate::sys::signals::{self, Inherited, SignalReceiver};
use crate::sys::users::Credentials;
use crate::sys::{descriptors, install, process, spawn};

/// The whole program, from `argv` to the exit status.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitStatus {
    let inherited = signals::block_all();
    descriptors::fill_standard();
    // Never moved: its buffer is a page, and a page of the stack that was once touched is never
    // given back.
    let mut signals = SignalReceiver::open();
    report::init(Stderr::new(report::dropped_line));
    match cli::parse(&arguments.to_vec(), |name| env::var_os(name)) {
        Ok(Request::Run(config)) => match inherited {
            Ok(inherited) => {
                // What we fail at ourselves is logged at any level.
                log::set_max_level(config.log_level.max(LevelFilter::Error));
                report::set_format(config.log_format);
                for line in near_variables(arguments) {
                    log::warn!("{line}");
                }
                run_container(*config, inherited, &mut signals)
            }
            Err(error) => {
                let why = format!("cannot block signals: {}", io::Error::from(error));
                fail(&why, config.failures.other)
            }
        },
        Ok(request) => {
            // Nothing is started that a signal would have to be kept for.
            if let Ok(inherited) = inherited {
                signals::let_through(inherited);
            }
            without_container(request, arguments, inherited)
        }
        Err(bad_input) => {
            if cli::wants_json(&arguments.to_vec(), |name| env::var_os(name)) {
                report::set_format(LogFormat::Json);
            }
            fail(&bad_input, bad_input.exit_status())
        }
    }
}

#[inline(never)]
fn without_container(
    request: Request,
    arguments: &Arguments,
    inherited: nix::Result<Inherited>,
) -> ExitStatus {
    match request {
        Request::Install(file) => match install::install(arguments, &file) {
            Ok(()) => ExitStatus::SUCCESS,
            Err(failed) => fail(&failed, ExitStatus::OWN_FAILURE),
        },
        Request::Explain(mut text) => {
            for line in near_variables(arguments) {
                text = format!("{text}Note: {line}\n");
            }
            answer(&text, Stream::Stdout)
        }
        Request::Print { text, stream } => answer(&text, stream),
        Request::Execute(words) => match inherited {
            Ok(inherited) => {
                let failed = spawn::replace(&words, inherited);
                fail(&failed, failed.kind.exit_status(FailureStatuses::default()))
            }
            Err(error) => fail(&io::Error::from(error), ExitStatus::OWN_FAILURE),
        },
        Request::Run(_) => ExitStatus::OWN_FAILURE,
    }
}

#[inline(never)]
fn near_variables(arguments: &Arguments) -> Vec<String> {
    let entries = spawn::inherited_environment().map(CStr::to_bytes);
    cli::near_variables(&arguments.to_vec(), entries)
}

fn run_container(config: Config, inherited: Inherited, signals: &mut SignalReceiver) -> ExitStatus {
    match set_up(config, inherited, signals) {
        // The kernel takes everything back faster than we could give it piece by piece.
        Ok(container) => ManuallyDrop::new(container).run(),
        Err(failed) => failed,
    }
}

#[inline(never)]
fn answer(text: &str, stream: Stream) -> ExitStatus {
    let mut stream: Box<dyn Write> = match stream {
        Stream::Stdout => Box::new(io::stdout()),
        Stream::Stderr => Box::new(io::stderr()),
    };
    match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
        // Who closed the pipe has read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            fail(&format_args!("cannot write: {error}"), ExitStatus::OWN_FAILURE)
        }
        Ok(()) | Err(_) => ExitStatus::SUCCESS,
    }
}

/// Nothing was started.
fn fail(why: &impl fmt::Display, status: ExitStatus) -> ExitStatus {
    log::error!("{why}");
    status
}

/// Everything before the first command. The error is the exit status of a failure that was logged.
#[inline(never)]
fn set_up(
    config: Config,
    inherited: Inherited,
    signals: &mut SignalReceiver,
) -> Result<Loop<'_>, ExitStatus> {
    let parent = getppid();
    let mut end_report = EndReport::open(config.termination_message.as_ref());
    if config.only_as_pid_1 && !process::is_pid_1() {
        let why =
            "-a: not accepted unless we are PID 1: it would reach processes that are not ours";
        return Err(fail(&why, config.failures.other));
    }
    let credentials =
        config.user.as_ref().map(Credentials::find).transpose().map_err(|failed| {
            let failed = format!("{}: {failed}", config.user_source);
            end_report.add(&failed, Reason::Decisive);
            std::mem::take(&mut end_report).write(config.failures.other);
            fail(&failed, config.failures.other)
        })?;
    become_subreaper(config.subreaper, config.warn_without_orphans);
    let parent_death_signal = config.parent_death_signal;
    let mut container = assemble(config, inherited, credentials, signals, end_report);
    container.feed(Event::Begun);
    if let Some(signal) = parent_death_signal {
        if let Err(error) = process::set_parent_death_signal(signal) {
            log::warn!("cannot ask for {signal} when the parent dies: {}", io::Error::from(error));
        }
        // Died before the kernel knew that we care.
        if getppid() != parent {
            container.feed(Event::Signaled(signal.into()));
        }
    }
    Ok(container)
}

fn assemble(
    config: Config,
    inherited: Inherited,
    credentials: Option<Credentials>,
    signals: &mut SignalReceiver,
    end_report: EndReport,
) -> Loop<'_> {
    let holds = config.commands.is_empty();
    let (job, job_control) = if holds {
        (Job::default(), JobControl::Absent)
    } else {
        Job::find(config.policy.placement)
    };
    // Before the command is started: one whose limit is too low for it dies in its very exec.
    let memory = if holds { MemoryWatch::default() } else { MemoryWatch::open() };
    let roles = config.commands.iter().map(|command| command.role);
    let supervisor = Supervisor::new(config.policy.clone(), job_control, roles);
    let supervisor =
        if descriptors::stdin_is_terminal() { supervisor.interactive() } else { supervisor };
    let asking = Asking::new(config.commands.len(), supervisor.drains());
    let reap_level = if config.warn_on_reap { Level::Warn } else { Level::Debug };
    let log_level = config.log_level;
    let commands = Commands::new(config, inherited, credentials);
    let effects = Effects::new(commands, job, memory, end_report, asking, log_level);
    let mut container = Loop::new(supervisor, signals, effects, reap_level);
    if holds {
        log::set_max_level(log_level);
        container.release_inherited();
    }
    container
}

fn become_subreaper(wanted: Subreaper, warn_without: bool) {
    let is_pid_1 = process::is_pid_1();
    let become_one = match wanted {
        Subreaper::Auto => !is_pid_1,
        Subreaper::On => true,
        Subreaper::Off => false,
    };
    if become_one {
        if let Err(error) = process::become_subreaper() {
            log::warn!(
                "cannot become a child subreaper, orphans will not be reaped: {}",
                io::Error::from(error)
            );
        }
    } else if warn_without && !is_pid_1 {
        log::warn!("neither PID 1 nor a child subreaper (-s): zombie reaping won't work");
    }
}
