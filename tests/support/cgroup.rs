//! Cgroups made for a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Process, wait_until};

/// A new cgroup.
pub struct Cgroup {
    path: PathBuf,
    hierarchy: PathBuf,
    controller: &'static str,
}

/// The controller of a hierarchy of v2, which has them all.
const UNIFIED: &str = "unified";

impl Cgroup {
    /// Below our own in the hierarchy of this controller, of v1. `None` where there is no such
    /// hierarchy, or it is not ours to change.
    pub fn new(controller: &'static str) -> Option<Self> {
        let hierarchy = Path::new("/sys/fs/cgroup").join(controller);
        let own = own_path(&format!(":{controller}:/"))?;
        // What is mounted in a container may be its own part only.
        let above =
            if hierarchy.join(&own).exists() { hierarchy.join(own) } else { hierarchy.clone() };
        Self::below(&above, hierarchy, controller)
    }

    /// In which no more than this can be used, of v1 or v2. `None` where neither can be had.
    pub fn with_memory_limit(limit: &str) -> Option<Self> {
        if let Some(cgroup) = Self::new("memory") {
            cgroup.write("memory.limit_in_bytes", limit);
            if cgroup.path().join("memory.memsw.limit_in_bytes").exists() {
                cgroup.write("memory.memsw.limit_in_bytes", limit);
            }
            return Some(cgroup);
        }
        let cgroup = Self::of_v2("memory")?;
        cgroup.write("memory.max", limit);
        if cgroup.path().join("memory.swap.max").exists() {
            cgroup.write("memory.swap.max", "0");
        }
        Some(cgroup)
    }

    /// Whose processes have so many percent of one processor, of v1 or v2. `None` where neither can
    /// be had.
    pub fn with_cpu_quota(percent: u32) -> Option<Self> {
        if let Some(cgroup) = Self::new("cpu") {
            cgroup.write("cpu.cfs_period_us", "100000");
            cgroup.write("cpu.cfs_quota_us", &(percent * 1000).to_string());
            return Some(cgroup);
        }
        let cgroup = Self::of_v2("cpu")?;
        cgroup.write("cpu.max", &format!("{} 100000", percent * 1000));
        Some(cgroup)
    }

    /// With this controller. Below our own, if that is a root: no other has processes and passes its
    /// controllers on (cgroups(7)). Else beside it.
    fn of_v2(controller: &str) -> Option<Self> {
        let hierarchy = PathBuf::from("/sys/fs/cgroup");
        let own = hierarchy.join(own_path("0::/")?);
        let place = own.ancestors().take(2).take_while(|place| place.starts_with(&hierarchy));
        place.into_iter().find_map(|place| {
            let passed_on = place.join("cgroup.subtree_control");
            let is_passed_on = fs::read_to_string(&passed_on)
                .is_ok_and(|all| all.split_whitespace().any(|one| one == controller));
            if !is_passed_on {
                fs::write(passed_on, format!("+{controller}")).ok()?;
            }
            Self::below(place, hierarchy.clone(), UNIFIED)
        })
    }

    fn below(above: &Path, hierarchy: PathBuf, controller: &'static str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = above.join(format!("firstmate-test-{}-{number}", std::process::id()));
        fs::create_dir(&path).ok()?;
        Some(Self { path, hierarchy, controller })
    }

    /// Where all of its hierarchy is mounted.
    pub fn hierarchy(&self) -> &Path {
        &self.hierarchy
    }

    /// What to mount for it: a controller of v1, or `unified`.
    pub fn controller(&self) -> &str {
        self.controller
    }

    pub fn is_of_v2(&self) -> bool {
        self.controller == UNIFIED
    }

    /// The hierarchy's root that we see counts what the kernel kills, as that of a container.
    pub fn hierarchy_counts(&self) -> bool {
        self.is_of_v2() && self.hierarchy.join("memory.events").exists()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path.join(file)).expect("a file of the cgroup")
    }

    /// Moves this process there.
    pub fn enter(&self, process: Process) {
        self.write("cgroup.procs", &process.0.to_string());
    }

    pub fn write(&self, file: &str, value: &str) {
        fs::write(self.path.join(file), value).expect("a file of the cgroup");
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Only an empty cgroup can be removed.
        let members = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        for member in members.lines() {
            let _ = fs::write(self.path.with_file_name("cgroup.procs"), member);
        }
        let _ = fs::remove_dir(&self.path);
    }
}

/// The path of our own cgroup, from the line of /proc/self/cgroup with this.
fn own_path(before: &str) -> Option<String> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    own.lines().find_map(|line| line.split_once(before)).map(|(_, path)| path.to_owned())
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
            self.0.enter(*process);
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
