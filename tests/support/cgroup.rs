//! Cgroups of v1, made for a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Process, wait_until};

/// A new cgroup below our own.
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// In the hierarchy of this controller. `None` where there is no such hierarchy, or it is not
    /// ours to change.
    pub fn new(controller: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let hierarchy = Path::new("/sys/fs/cgroup").join(controller);
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own.lines().find_map(|line| line.split_once(&format!(":{controller}:/")))?.1;
        // What is mounted in a container may be its own part only.
        let above = if hierarchy.join(own).exists() { hierarchy.join(own) } else { hierarchy };
        let path = above.join(format!(
            "firstmate-test-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        fs::create_dir(&path).ok()?;
        Some(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).expect("a file of the cgroup")
    }

    pub fn write(&self, file: &str, value: &str) {
        fs::write(self.0.join(file), value).expect("a file of the cgroup");
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Only an empty cgroup can be removed.
        let members = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
        for member in members.lines() {
            let _ = fs::write(self.0.with_file_name("cgroup.procs"), member);
        }
        let _ = fs::remove_dir(&self.0);
    }
}

/// A freezer of processes, as `docker pause` uses it.
pub struct Freezer(Cgroup);

impl Freezer {
    /// `None` where there is no such hierarchy, or it is not ours to change.
    pub fn new() -> Option<Self> {
        Cgroup::new("freezer").map(Self)
    }

    pub fn freeze(&self, processes: &[Process]) {
        for process in processes {
            self.0.write("cgroup.procs", &process.0.to_string());
        }
        self.0.write("freezer.state", "FROZEN");
        wait_until("the frost", || self.0.read("freezer.state").trim() == "FROZEN");
    }

    pub fn thaw(&self) {
        self.0.write("freezer.state", "THAWED");
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        self.thaw();
    }
}
