//! firstmate under a peer's name does what the peer does, but for a list of deliberate differences.
//!
//! A test looks at the Debian package's program and at firstmate through a symlink of its name, as
//! PID 1 of a container and as an ordinary process, and compares what it saw.

mod catatonit;
mod dumb_init;
mod scenarios;
mod tini;

use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::support::{Directory, Finished, Running, Scenario, firstmate, probe, skip};

/// What was looked at, and what was seen.
type Seen = Vec<(String, String)>;

/// What may end in spaces, where there are no options.
fn seen(what: impl Into<String>, value: impl Into<String>) -> (String, String) {
    (what.into().trim_end().to_owned(), value.into())
}

/// An init to be looked at.
struct Init {
    path: PathBuf,
    is_pid_1: bool,
}

impl Init {
    /// It, with these arguments.
    fn with(&self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Scenario {
        self.inside(if self.is_pid_1 { Scenario::container() } else { Scenario::plain() }, words)
    }

    fn inside(
        &self,
        place: Scenario,
        words: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Scenario {
        let words = words.into_iter().map(|word| word.as_ref().to_owned());
        place.command([self.path.clone().into_os_string()].into_iter().chain(words))
    }

    /// It, with these options and the probe as its command.
    fn probe(&self, options: &str, steps: &str) -> Scenario {
        self.with(with_probe(options, steps))
    }
}

fn with_probe(options: &str, steps: &str) -> Vec<String> {
    let probe = probe();
    let words = options
        .split_whitespace()
        .chain(["--", probe.to_str().expect("a path")])
        .chain(steps.split_whitespace());
    words.map(str::to_owned).collect()
}

/// The init is the command itself.
fn start(scenario: &Scenario) -> Running {
    scenario.start_without_init()
}

fn run(scenario: &Scenario) -> Finished {
    start(scenario).finish()
}

/// A program that firstmate replaces.
struct Peer {
    name: &'static str,
    /// What must be seen of both.
    facts: &'static [(&'static str, &'static str)],
    differences: &'static [Difference],
}

/// What firstmate does otherwise, on purpose.
struct Difference {
    /// May end in `, as PID 1` or `, not as PID 1`.
    what: &'static str,
    theirs: &'static str,
    ours: &'static str,
    why: &'static str,
}

const fn differs(
    what: &'static str,
    theirs: &'static str,
    ours: &'static str,
    why: &'static str,
) -> Difference {
    Difference { what, theirs, ours, why }
}

impl Peer {
    fn compare(&self, look: impl Fn(&Init) -> Seen) {
        let original = Path::new("/usr/bin").join(self.name);
        if !original.exists() {
            return skip(&format!("{} is not installed", original.display()));
        }
        let directory = Directory::new();
        let ours = self.link(&directory);
        let mut wrong = Vec::new();
        for (is_pid_1, place) in [(true, "as PID 1"), (false, "not as PID 1")] {
            let [theirs, ours] =
                [&original, &ours].map(|path| look(&Init { path: path.clone(), is_pid_1 }));
            assert_eq!(theirs.len(), ours.len(), "{theirs:?}\n{ours:?}");
            for ((what, theirs), (_, ours)) in theirs.into_iter().zip(ours) {
                let placed = format!("{what}, {place}");
                if let Some(complaint) = self.judge(&[&what, &placed], &theirs, &ours) {
                    wrong.push(format!("{placed}: {complaint}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{} differs:\n{}", self.name, wrong.join("\n"));
    }

    /// What is wrong with it.
    fn judge(&self, names: &[&str], theirs: &str, ours: &str) -> Option<String> {
        let (mut expected, mut why) = ((theirs, theirs), "");
        if let Some((_, fact)) = self.facts.iter().find(|(what, _)| names.contains(what)) {
            expected = (fact, fact);
        }
        if let Some(difference) =
            self.differences.iter().find(|difference| names.contains(&difference.what))
        {
            (expected, why) = ((difference.theirs, difference.ours), difference.why);
        }
        let wanted = if expected.0 == theirs {
            String::new()
        } else {
            format!("; expected were {expected:?} {why}")
        };
        ((theirs, ours) != expected).then(|| format!("theirs {theirs:?}, ours {ours:?}{wanted}"))
    }

    /// Only at firstmate: the peer fails at this, or hangs.
    fn look_at_ours(&self, look: impl Fn(&Init)) {
        let directory = Directory::new();
        for is_pid_1 in [true, false] {
            look(&Init { path: self.link(&directory), is_pid_1 });
        }
    }

    fn link(&self, directory: &Directory) -> PathBuf {
        let link = directory.path().join(self.name);
        if !link.exists() {
            symlink(firstmate(), &link).expect("a new link");
        }
        link
    }
}
