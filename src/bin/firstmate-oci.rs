//! The OCI runtime that gives every container an init: argv → run → the real runtime.
#![no_main]

firstmate::entry!(firstmate::oci::run);
