//! firstmate: the init of a container.
//!
//! It starts a command, and others around it if asked to, forwards signals, reaps every orphan,
//! stops the whole container in good order and exits with the command's status.
//!
//! **Events in, actions out.** Every decision is made in [`supervisor`], a state machine that makes
//! no system call: time is an argument, the next deadline a query. [`run`] feeds it with what
//! [`sys`] receives and has [`sys`] do what it says. One thread, one loop.
//!
//! | module | what it is | uses |
//! |---|---|---|
//! | [`run`] | set-up, then the loop, in which nothing fails | all below |
//! | [`cli`] | argv and environment → [`config::Config`] | [`config`], [`signal`], [`status`] |
//! | [`supervisor`] | every decision, explored state by state | [`config`], [`signal`], [`status`] |
//! | [`report`] | the log, and why the container ended | [`supervisor`] and what it uses |
//! | [`sys`] | system calls; the only `unsafe` code | [`config`], [`signal`], [`status`] |
//! | [`oci`] | `firstmate-oci`: an OCI runtime that puts firstmate into each container | [`report`], [`sys`] |
//! | [`config`] | what was asked for: validated, plain data | [`signal`], [`status`] |
//! | [`signal`], [`status`], [`process`] | real-time signals too; how processes end | |
//!
//! CONTRIBUTING.md tells where to add what, and docs/decisions why it is so.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "firstmate is the init of a Linux container: it needs signalfd(2), waitid(2) and /proc"
);

pub mod cli;
pub mod config;
pub mod oci;
pub mod process;
pub mod report;
pub mod run;
pub mod signal;
pub mod status;
pub mod supervisor;
pub mod sys;
