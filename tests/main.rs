//! The integration tests: firstmate on real processes, mostly as PID 1 of a new PID namespace.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

mod cli;
mod diagnosis;
mod differential;
mod draining;
mod exit_status;
mod holding;
mod install;
mod invocations;
mod json_log;
mod memory;
mod oci;
mod output;
mod outside;
mod parent_death;
mod pause;
mod probe;
mod readme;
mod reasons;
mod scale;
mod several;
mod signals;
mod slow_exec;
mod smell_baron;
mod stop_command;
mod stopping;
mod support;
mod survival;
mod terminal;
mod transparency;
mod user;
