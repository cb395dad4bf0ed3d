//! firstmate beside the inits of Debian's packages, each as PID 1 of a PID namespace of its own:
//!
//! ```text
//! cargo bench [-- [--quick] [--svg=FILE] [MEASUREMENT]...]
//! ```
//!
//! Prints a table in Markdown, and writes a plot of the ratios. The measurements are start-up,
//! options, shutdown, forwarding, reaping, idle and file; without a name it does all of them.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod candidates;
mod container;
mod counter;
mod measure;
mod output;
mod plot;
mod statistics;

use std::fs;
use std::path::{Path, PathBuf};

use candidates::REFERENCE;
use measure::{Bench, FULL, QUICK};
use statistics::Row;

type Measurement = fn(&Bench) -> Vec<Row>;

fn main() {
    // Cargo adds --bench.
    let arguments: Vec<_> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (options, names): (Vec<_>, Vec<_>) =
        arguments.iter().partition(|argument| argument.starts_with("--"));
    let quick = options.iter().any(|option| *option == "--quick");
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let svg = options.iter().find_map(|option| option.strip_prefix("--svg="));
    let svg = svg.map_or_else(
        || directory.join("ratios.svg"),
        |name| Path::new(env!("CARGO_MANIFEST_DIR")).join(name),
    );

    counter::mount_tracefs();
    let command = candidates::build_command(&directory);
    let candidates = candidates::find(&command, &directory);
    let effort = if quick { QUICK } else { FULL };
    let bench = Bench { candidates, command, directory, effort };

    let measurements: [(&str, Measurement); 7] = [
        ("start-up", Bench::start_up),
        ("options", Bench::start_up_with_option),
        ("shutdown", Bench::shutdown),
        ("forwarding", Bench::forwarding),
        ("reaping", Bench::reaping),
        ("idle", Bench::idle),
        ("file", Bench::files),
    ];
    assert!(
        names.iter().all(|wanted| measurements.iter().any(|(name, _)| name == wanted)),
        "no such measurement: {names:?}"
    );
    let wanted = measurements
        .iter()
        .filter(|(name, _)| names.is_empty() || names.iter().any(|wanted| wanted == name));
    let rows: Vec<_> = wanted.flat_map(|(_, measure)| measure(&bench)).collect();

    let reference = bench
        .candidates
        .iter()
        .position(|candidate| candidate.name == REFERENCE)
        .expect("it was found");
    println!("{}\n", output::machine());
    println!("{}", output::table(&bench.candidates, &rows, reference));
    fs::write(&svg, plot::svg(&bench.candidates, &rows, reference)).expect("a file for the plot");
    println!("The plot of the ratios: {}", svg.display());
}
