//! The binary: argv → run → exit status.
#![no_main]

firstmate::entry!(firstmate::run::run);
