//! Tells the program which commit it was built from, the linker where code goes, and the user when
//! the binary would not be static.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/layout.ld");
    println!(
        "cargo::rustc-link-arg-bins=-Wl,--script={}/src/layout.ld",
        env::var("CARGO_MANIFEST_DIR").unwrap_or_default()
    );
    for file in ["HEAD", "index"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    println!("cargo::rerun-if-env-changed=FIRSTMATE_GIT_HASH");
    let hash =
        env::var("FIRSTMATE_GIT_HASH").ok().or_else(|| git(&["rev-parse", "--short=12", "HEAD"]));
    println!("cargo::rustc-env=FIRSTMATE_GIT_HASH={}", hash.as_deref().unwrap_or("unknown"));

    let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    if !features.split(',').any(|feature| feature == "crt-static") {
        println!(
            "cargo::warning=the binary will need a C library at run time: RUSTFLAGS or another \
             working directory hides the flags of .cargo/config.toml (-C \
             target-feature=+crt-static -C relocation-model=static)"
        );
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(arguments)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8(output.stdout)
        .ok()
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}
