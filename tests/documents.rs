//! The documents: each link leads somewhere, and each test that is named as a proof exists.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The files below, with this extension.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| match path.extension() {
        _ if path.is_dir() => files(&path, extension),
        Some(found) if found == extension => vec![path],
        _ => Vec::new(),
    };
    entries.flat_map(below).collect()
}

fn documents() -> Vec<PathBuf> {
    let top =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| Path::new(ROOT).join(name));
    top.into_iter().chain(files(&Path::new(ROOT).join("docs"), "md")).collect()
}

/// As GitHub makes the anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// Whether the target of a link in this document is there.
fn is_there(document: &Path, target: &str) -> bool {
    let (file, wanted) = target.split_once('#').unwrap_or((target, ""));
    let file = match file {
        "" => document.to_owned(),
        file => document.with_file_name("").join(file),
    };
    let has_heading = |text: String| {
        let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
        headings.map(|line| anchor(line.trim_matches(['#', ' ']))).any(|found| found == wanted)
    };
    file.exists() && (wanted.is_empty() || fs::read_to_string(file).is_ok_and(has_heading))
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        for (target, _) in targets.filter(|(target, _)| !target.starts_with("https://")) {
            if !is_there(&document, target) {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn tests_that_a_decision_names_exist() {
    let sources = ["src", "tests"].map(|directory| files(&Path::new(ROOT).join(directory), "rs"));
    let sources: String =
        sources.iter().flatten().map(|path| fs::read_to_string(path).unwrap()).collect();
    // Of four words at least, as no function of another crate is.
    let is_test = |word: &&str| {
        word.matches('_').count() > 2 && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let (mut named, mut missing) = (0, Vec::new());
    for document in files(&Path::new(ROOT).join("docs/decisions"), "md") {
        let text = fs::read_to_string(&document).unwrap();
        for test in text.split('`').filter(is_test) {
            named += 1;
            if !sources.contains(&format!("fn {test}()")) {
                missing.push(format!("{}: {test}", document.display()));
            }
        }
    }
    assert!(named > 10 && missing.is_empty(), "{named} tests are named, missing: {missing:#?}");
}
