//! Who is measured.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An init, and the options that it is run with.
#[derive(Clone)]
pub struct Candidate {
    pub name: &'static str,
    pub path: PathBuf,
    pub options: &'static [&'static str],
}

impl Candidate {
    /// With an option, and the least one.
    pub fn with_option(self) -> Self {
        Self { options: if self.name == "dumb-init" { &["-c"] } else { &["-g"] }, ..self }
    }

    /// firstmate with a deadline for what it stops; the others know none.
    pub fn with_deadline(self) -> Self {
        let options: &[&str] =
            if self.name.starts_with(MUSL) { &["--kill-after", "1h"] } else { self.options };
        Self { options, ..self }
    }
}

/// What all others are compared with.
pub const REFERENCE: &str = "tini-static";
pub const MUSL: &str = "firstmate";
const GLIBC: &str = "firstmate, glibc";

/// Where `.ci/musl` and rustup's target leave it, from the directory of the glibc one.
fn beside_target(glibc: &Path) -> PathBuf {
    let target = glibc.ancestors().nth(2).expect("a target directory");
    target.join(format!("{}-unknown-linux-musl/release/firstmate", std::env::consts::ARCH))
}

/// No init at all for users: what the kernel takes whoever asks.
const BAREST: &str = "barest";

/// All that are there, with the benchmark's own command as the barest. Loud about those that are
/// not.
///
/// Copies of all of them: how a file came into the page cache, in large pieces or small, makes a
/// difference of a tenth.
pub fn find(command: &OsStr, directory: &Path) -> Vec<Candidate> {
    let glibc = PathBuf::from(env!("CARGO_BIN_EXE_firstmate"));
    let musl =
        std::env::var_os("FIRSTMATE_MUSL").map_or_else(|| beside_target(&glibc), PathBuf::from);
    let in_path = |name: &'static str| (name, which(name));
    let installed = [REFERENCE, "tini", "dumb-init", "catatonit"].map(in_path);
    let all = [(MUSL, musl), (GLIBC, glibc)]
        .into_iter()
        .chain(installed)
        .chain([(BAREST, command.into())]);
    let mut found = Vec::new();
    for (name, path) in all {
        if path.is_file() {
            let copy = directory.join(name);
            // A new file, even where there is an old one.
            let _ = fs::remove_file(&copy);
            fs::copy(&path, &copy).expect("room for a copy");
            found.push(Candidate { name, path: copy, options: &[] });
        } else {
            let hint = if name == MUSL {
                "build it by .ci/musl, or name it by FIRSTMATE_MUSL"
            } else {
                "Debian's packages have it"
            };
            eprintln!("*** {name} is not measured: there is no {} ({hint}) ***", path.display());
        }
    }
    assert!(
        found.iter().any(|candidate| candidate.name == REFERENCE),
        "nothing to compare with: install tini"
    );
    found
}

fn which(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| file.is_file());
    found.unwrap_or_else(|| name.into())
}

/// Builds the command that they run.
pub fn build_command(directory: &Path) -> OsString {
    let command = directory.join("command");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/command.rs");
    let options = [
        "opt-level=s",
        "panic=abort",
        "relocation-model=static",
        "target-feature=+crt-static",
        "strip=symbols",
    ];
    let linker = ["link-arg=-nostartfiles", "link-arg=-nostdlib"];
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let built = Command::new(rustc)
        .args(["--edition", "2024", source, "-o"])
        .arg(&command)
        .args(options.iter().chain(&linker).flat_map(|option| ["-C", option]))
        .status();
    assert!(built.expect("rustc").success(), "rustc cannot build {source}");
    command.into()
}
