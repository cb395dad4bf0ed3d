//! The table.

use std::fmt::Write;
use std::fs;

use crate::candidates::Candidate;
use crate::statistics::{Cell, Row};

/// Kernel and CPU, and whether the kernel has what the watch for out-of-memory kills needs.
pub fn machine() -> String {
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let names: Vec<_> = cpus.lines().filter_map(|line| line.strip_prefix("model name")).collect();
    let name =
        names.first().map_or("unknown CPU", |name| name.trim_start_matches([' ', '\t', ':']));
    let version = read("/proc/sys/kernel/osrelease");
    let watch = if own_cgroup_has_memory() {
        "there: a firstmate that watches memory.events is measured so"
    } else {
        "not there"
    };
    format!(
        "Linux {}, {} CPUs ({name}), {}; cgroup v2 memory controller {watch}.",
        version.trim(),
        names.len(),
        std::env::consts::ARCH
    )
}

fn own_cgroup_has_memory() -> bool {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
    fs::exists(format!("/sys/fs/cgroup{group}/memory.events")).unwrap_or(false)
}

/// Markdown: a line each measurement, a column each candidate.
pub fn table(candidates: &[Candidate], rows: &[Row], reference: usize) -> String {
    let mut text = String::from("| |");
    for candidate in candidates {
        let _ = write!(text, " {} |", candidate.name);
    }
    text += "\n|---|";
    text += &"---:|".repeat(candidates.len());
    text.push('\n');
    for row in rows {
        let unit = if row.unit.is_empty() { String::new() } else { format!(", {}", row.unit) };
        let _ = write!(text, "| {}{unit} |", row.what);
        for (at, cell) in row.cells.iter().enumerate() {
            let ratio = row
                .ratio(at, reference)
                .filter(|_| at != reference)
                .map(|ratio| format!(" **{ratio:.2}**"))
                .unwrap_or_default();
            let _ = write!(text, " {}{ratio} |", cell.as_ref().map_or_else(|| "-".into(), shown));
        }
        text.push('\n');
    }
    text + "\nMedians, with [the first and the third quartile]; **the ratio to tini-static**.\n"
}

fn shown(cell: &Cell) -> String {
    match cell.quartiles {
        Some((first, third)) => {
            format!("{} [{}-{}]", number(cell.value), number(first), number(third))
        }
        None => number(cell.value),
    }
}

/// Three digits.
fn number(value: f64) -> String {
    match value {
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 || v == 0.0 => format!("{v:.1}").trim_end_matches(".0").to_owned(),
        v => format!("{v:.2}"),
    }
}
