//! The documents: each link leads somewhere, and each test that is named as a proof exists.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// The blocks of code of a document, each with its language.
fn blocks(text: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            let block = lines.by_ref().take_while(|line| line.trim_start() != "```");
            found.push((language, block.map(|line| [line, "\n"].concat()).collect()));
        }
    }
    found
}

/// The lists of strings in a block, such as an `ENTRYPOINT` or a `command:` has.
fn lists(block: &str) -> Vec<Vec<String>> {
    let list = |line: &str| serde_json::from_str(line.get(line.find('[')?..)?).ok();
    block.lines().filter_map(list).collect()
}

/// What firstmate says to these words, the name of a program first, if it does not take them.
fn refused(words: &[String]) -> Option<String> {
    let (program, rest) = words.split_first()?;
    let holds = rest.iter().any(|word| ["-P", "--install"].contains(&word.as_str()));
    if Path::new(program).file_name()? != "firstmate" || holds {
        return None;
    }
    let mut firstmate = Command::new(env!("CARGO_BIN_EXE_firstmate"));
    firstmate.arg("--explain").args(rest);
    if rest.last().is_some_and(|last| last == "--") {
        firstmate.arg("true");
    }
    let output = firstmate.output().unwrap();
    (!output.status.success()).then(|| String::from_utf8(output.stderr).unwrap())
}

/// What is wrong with a block, and the command lines of firstmate in it.
fn check(language: &str, block: &str) -> (Option<String>, Vec<Vec<String>>) {
    match language {
        "sh" => {
            let output = Command::new("sh").args(["-n", "-c", block]).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            let lines = block.lines().filter(|line| line.starts_with("firstmate "));
            ((!output.status.success()).then_some(said), lines.filter_map(shlex::split).collect())
        }
        "dockerfile" | "yaml" => (None, lists(block)),
        "json" => {
            let value: Result<serde_json::Value, _> = serde_json::from_str(block);
            (value.err().map(|error| error.to_string()), Vec::new())
        }
        "text" | "ini" | "rust" => (None, Vec::new()),
        other => (Some(format!("a block of {other:?}")), Vec::new()),
    }
}

#[test]
fn each_block_is_what_it_says_it_is_and_firstmate_takes_its_command_lines() {
    let (mut wrong, mut blocks_checked, mut lines_checked) = (Vec::new(), 0, 0);
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for (language, block) in blocks(&text) {
            blocks_checked += 1;
            let (problem, lines) = check(language, &block);
            lines_checked += lines.len();
            let problems = problem.into_iter().chain(lines.iter().filter_map(|line| refused(line)));
            wrong.extend(problems.map(|why| format!("{}: {why}: {block}", document.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{blocks_checked} blocks, {lines_checked} command lines in them");
    assert!(blocks_checked > 30 && lines_checked > 25, "{blocks_checked} {lines_checked}");
}

#[test]
fn the_readme_is_short() {
    let lines = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap().lines().count();
    assert!(lines <= 200, "{lines} lines");
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
