//! Tells the program which commit it was built from, the linker where code goes, and refuses
//! to build a binary that is not static.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

/// Digits of the hash of a commit.
const HASH_LENGTH: usize = 12;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/layout.ld");
    // Two arguments: -Wl, would split the path at its commas.
    println!("cargo::rustc-link-arg-bins=-Xlinker");
    println!(
        "cargo::rustc-link-arg-bins=--script={}/src/layout.ld",
        env::var("CARGO_MANIFEST_DIR").unwrap_or_default()
    );
    println!("cargo::rerun-if-env-changed=FIRSTMATE_GIT_HASH");
    println!("cargo::rerun-if-env-changed=FIRSTMATE_DYNAMIC");
    let hash = env::var("FIRSTMATE_GIT_HASH").ok().or_else(packaged_commit).or_else(commit);
    println!("cargo::rustc-env=FIRSTMATE_GIT_HASH={}", hash.as_deref().unwrap_or("unknown"));

    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    if !features.split(',').any(|feature| feature == "crt-static") {
        let dynamic = env::var_os("FIRSTMATE_DYNAMIC").is_some();
        println!(
            "cargo::{}=the binary would need a C library at run time, and not start in another \
             image: build with RUSTFLAGS='-C target-feature=+crt-static -C \
             relocation-model=static', or for a musl target; FIRSTMATE_DYNAMIC=1 builds it \
             nevertheless",
            if dynamic { "warning" } else { "error" }
        );
    }
}

/// What `cargo package` has written down.
fn packaged_commit() -> Option<String> {
    let text = fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let hash = text.split_once("\"sha1\": \"")?.1;
    hash.get(..HASH_LENGTH).map(str::to_owned)
}

/// The commit that is checked out. What changes with it is watched; the index changes with each
/// `git add`.
fn commit() -> Option<String> {
    let branch = git(&["symbolic-ref", "HEAD"]);
    for name in ["HEAD", "packed-refs", "reftable"].into_iter().chain(branch.as_deref()) {
        let mut path = PathBuf::from(git(&["rev-parse", "--git-path", name])?);
        // A packed branch has its file from the next commit on.
        while branch.as_deref() == Some(name) && !path.exists() && path.pop() {}
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    git(&["rev-parse", &format!("--short={HASH_LENGTH}"), "HEAD"])
}

/// Asks this package's own repository: one that a copy of it lies in has other commits.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("--git-dir=.git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
