//! Set-up, then the loop.
#![forbid(unsafe_code)]

mod commands;
mod container;
mod end_report;
mod pause;
mod told;

use std::env;
use std::fmt;
use std::io::{self, Write};

use container::Container;
use end_report::EndReport;
use log::LevelFilter;
use nix::unistd::getppid;

use crate::cli::{self, Request, Stream};
use crate::config::{Config, Subreaper};
use crate::report;
use crate::status::ExitStatus;
use crate::supervisor::Event;
use crate::sys::entry::Arguments;
use crate::sys::output::Stderr;
use crate::sys::signals::{self, Inherited, Queue};
use crate::sys::users::Credentials;
use crate::sys::{descriptors, install, process};

/// The whole program, from `argv` to the exit status.
#[must_use]
pub fn run(arguments: &Arguments) -> u8 {
    let inherited = signals::take_over();
    descriptors::fill_standard();
    // Never moved: its buffer is a page, and a page of the stack that was once touched is never
    // given back.
    let mut queue = Queue::open();
    report::init(Stderr::new(report::dropped_line));
    let status = match cli::parse(&arguments.to_vec(), |name| env::var_os(name)) {
        Ok(Request::Run(config)) => match set_up(*config, inherited, &mut queue) {
            // At once: the kernel takes everything back faster than we could give it piece by
            // piece.
            Ok(mut container) => process::exit(container.supervise()),
            Err(failed) => failed,
        },
        Ok(Request::Pause(pause)) => {
            log::set_max_level(pause.log_level);
            report::set_format(pause.log_format);
            become_subreaper(pause.subreaper, false);
            pause::pause(&pause, &mut queue)
        }
        Ok(Request::Install(file)) => match install::install(arguments, &file) {
            Ok(()) => ExitStatus::SUCCESS,
            Err(failed) => fail(&failed, ExitStatus::OWN_FAILURE),
        },
        Ok(Request::Print { text, stream }) => answer(&text, stream),
        Err(bad_input) => fail(&bad_input, bad_input.exit_status()),
    };
    status.code()
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

/// Everything before the first command. The error is the exit status of a failure that was told.
#[inline(never)]
fn set_up(
    config: Config,
    inherited: Inherited,
    queue: &mut Queue,
) -> Result<Container<'_>, ExitStatus> {
    let parent = getppid();
    // What we fail at ourselves is told at any level.
    log::set_max_level(config.log_level.max(LevelFilter::Error));
    report::set_format(config.log_format);
    let mut end_report = EndReport::open(config.termination_message.as_ref());
    if config.only_as_pid_1 && !process::is_pid_1() {
        return Err(fail(
            &"-a: not accepted unless we are PID 1: it would reach processes that are not ours",
            config.failures.other,
        ));
    }
    let credentials =
        config.user.as_ref().map(Credentials::find).transpose().map_err(|failed| {
            end_report.add(&failed, true);
            std::mem::take(&mut end_report).write();
            fail(&failed, failed.exit_status(config.failures))
        })?;
    become_subreaper(config.subreaper, config.warn_without_orphans);
    let parent_death_signal = config.parent_death_signal;
    let mut container = Container::new(config, inherited, credentials, queue, end_report);
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
        log::warn!(
            "neither PID 1 nor a child subreaper (-s): zombies of orphans will not be reaped"
        );
    }
}
