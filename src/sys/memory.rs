//! Out of memory: how many processes of our cgroup the kernel has killed, told by the memory
//! controller (cgroups(7)).

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

/// More than the list of mounts of any container, which is all that we read of it.
const LONGEST_TEXT: u64 = 4 << 20;

/// The kernel's counter of OOM kills in our own memory cgroup, that of the container; on v2 in
/// those below it too. Where there is none that we can read, it never counts anything.
#[derive(Default)]
pub struct MemoryWatch {
    /// Kept open: a cgroup may leave our sight, and each read would ask for memory, which is what
    /// there is none of. A file of kernfs has its buffer from the first read on.
    counter: Option<File>,
    has_events: bool,
    /// The kills that were told, or were there before us.
    known: u64,
}

/// Which hierarchy the memory controller is in. It is in one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl Version {
    /// The file that counts. On v2 not `memory.events.local`: what makes cgroups with limits of
    /// their own below ours (Docker in Docker, a systemd) must move all processes there first,
    /// firstmate too, and a count of ours alone would stand still from then on.
    fn counter(self) -> &'static str {
        match self {
            Self::V1 => "memory.oom_control",
            Self::V2 => "memory.events",
        }
    }

    /// Where engines and systems mount the hierarchy, from the root of the cgroup namespace.
    /// (Docker on v1 has no such namespace, and mounts the container's own cgroup there:
    /// nothing is found by our path then.)
    fn usual_place(self) -> &'static str {
        match self {
            Self::V1 => "/sys/fs/cgroup/memory",
            Self::V2 => "/sys/fs/cgroup",
        }
    }
}

impl MemoryWatch {
    /// Finds the counter and takes what it says now as the beginning: to be called before the
    /// command is started. A command whose limit is too low for it dies in its very exec, and a
    /// count that is taken after that would leave it out.
    #[must_use]
    pub fn open() -> Self {
        find().unwrap_or_default()
    }

    /// The descriptor to keep open, if there is one.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.counter.as_ref().map(AsFd::as_fd)
    }

    /// What to wait for by POLLPRI: it has an event when the count may have changed, until
    /// [`MemoryWatch::new_kills`] is called. Only v2 has that.
    #[must_use]
    pub fn events(&self) -> Option<BorrowedFd<'_>> {
        self.counter.as_ref().filter(|_| self.has_events).map(AsFd::as_fd)
    }

    /// How many processes were killed since the last call.
    ///
    /// The kernel counts a kill before it sends the SIGKILL: whoever has reaped the victim finds it
    /// counted.
    pub fn new_kills(&mut self) -> u64 {
        let Some(counter) = &self.counter else { return 0 };
        let Some(kills) = count(counter) else {
            // ENODEV: the cgroup was removed. It would have an event for ever, and we would spin.
            self.counter = None;
            return 0;
        };
        let new = kills.saturating_sub(self.known);
        self.known = kills;
        new
    }
}

/// The first counter that can be read. The usual place comes first: the list of mounts takes the
/// kernel longer than all else at a start.
fn find() -> Option<MemoryWatch> {
    let mut buffer = [0; 2048];
    let long;
    let cgroups = if let Some(text) = short_text_of("/proc/self/cgroup", &mut buffer) {
        text
    } else {
        long = text_of("/proc/self/cgroup")?;
        &long
    };
    let (version, cgroup) = own_cgroup(cgroups)?;
    let in_usual_place =
        below("/", cgroup).and_then(|rest| open_in(version, version.usual_place(), rest));
    in_usual_place.or_else(|| {
        let mounts = text_of("/proc/self/mountinfo")?;
        directories(version, cgroup, &mounts).find_map(|directory| open_in(version, &directory, ""))
    })
}

fn open_in(version: Version, place: &str, rest: &str) -> Option<MemoryWatch> {
    let counter = File::open(format!("{place}{rest}/{}", version.counter())).ok()?;
    let known = count(&counter)?;
    Some(MemoryWatch { counter: Some(counter), has_events: version == Version::V2, known })
}

/// What the counter says. One call that allocates nothing: these files are short.
fn count(counter: &File) -> Option<u64> {
    let mut buffer = [0; 512];
    let length = counter.read_at(&mut buffer, 0).ok()?;
    let mut lines = buffer.get(..length)?.split(|byte| *byte == b'\n');
    let kills = lines.find_map(|line| line.strip_prefix(b"oom_kill "))?;
    std::str::from_utf8(kills).ok()?.parse().ok()
}

/// All of a file of /proc that is shorter than the buffer: the kernel gives it in one piece, and
/// the heap need not grow for it.
fn short_text_of<'a>(path: &str, buffer: &'a mut [u8]) -> Option<&'a str> {
    let length = File::open(path).ok()?.read(buffer).ok()?;
    if length < buffer.len() { std::str::from_utf8(buffer.get(..length)?).ok() } else { None }
}

/// All of a file of /proc. `take` keeps the standard library from asking for its size, which is 0.
fn text_of(path: &str) -> Option<String> {
    let mut text = Vec::with_capacity(4096);
    File::open(path).ok()?.take(LONGEST_TEXT).read_to_end(&mut text).ok()?;
    Some(
        String::from_utf8(text)
            .unwrap_or_else(|odd| String::from_utf8_lossy(odd.as_bytes()).into_owned()),
    )
}

/// The path of our memory cgroup in its hierarchy, from /proc/self/cgroup (cgroups(7)): lines of
/// `ID:CONTROLLERS:PATH`, where v2 is `0::`.
fn own_cgroup(cgroups: &str) -> Option<(Version, &str)> {
    let v1 = cgroups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers
            .split(',')
            .any(|controller| controller == "memory")
            .then_some((Version::V1, path))
    });
    v1.or_else(|| {
        cgroups.lines().find_map(|line| line.strip_prefix("0::")).map(|path| (Version::V2, path))
    })
}

/// Where this cgroup's directory may be seen, from /proc/self/mountinfo (proc(5)), the latest mount
/// first: it hides those below it.
fn directories<'a>(
    version: Version,
    cgroup: &'a str,
    mounts: &'a str,
) -> impl Iterator<Item = String> + 'a {
    mounts.lines().rev().filter_map(move |line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let (mut mount, mut file_system) = (mount.split(' ').skip(3), file_system.split(' '));
        let (root, mount_point) = (unescape(mount.next()?), unescape(mount.next()?));
        let (kind, options) = (file_system.next()?, file_system.nth(1)?);
        let is_it = match version {
            Version::V1 => kind == "cgroup" && options.split(',').any(|option| option == "memory"),
            Version::V2 => kind == "cgroup2",
        };
        is_it.then(|| below(&root, cgroup).map(|rest| format!("{mount_point}{rest}")))?
    })
}

/// What leads from the root of a mount to this cgroup. Both paths begin at the root of our cgroup
/// namespace, and one that leads out of it begins with `/..` (cgroup_namespaces(7)): how the
/// directories are called that lead back, nobody tells.
fn below<'a>(root: &str, cgroup: &'a str) -> Option<&'a str> {
    let rest = cgroup.strip_prefix(root.trim_end_matches('/'))?;
    let is_below =
        (rest.is_empty() || rest.starts_with('/')) && rest.split('/').all(|name| name != "..");
    is_below.then_some(rest.trim_end_matches('/'))
}

/// A path of mountinfo, where white space and backslashes are in octal. systemd's names are full of
/// backslashes.
fn unescape(path: &str) -> String {
    let escaped = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escaped
        .into_iter()
        .fold(path.to_owned(), |path, (code, character)| path.replace(code, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(cgroups: &str, mounts: &str) -> Vec<String> {
        own_cgroup(cgroups)
            .map_or(Vec::new(), |(version, cgroup)| directories(version, cgroup, mounts).collect())
    }

    const DOCKER_V1: &str = "\
11:memory:/docker/6f3ac9dc10e9
5:cpu,cpuacct:/docker/6f3ac9dc10e9
1:name=systemd:/docker/6f3ac9dc10e9
0::/system.slice/containerd.service
";

    #[test]
    fn docker_with_v1_shows_each_controller_at_the_root_of_a_mount() {
        let mounts = "\
1058 1057 0:57 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
1061 1060 0:60 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755
1062 1061 0:30 /docker/6f3ac9dc10e9 /sys/fs/cgroup/systemd ro,nosuid,nodev,noexec,relatime \
                      master:9 - cgroup cgroup rw,xattr,name=systemd
1066 1061 0:36 /docker/6f3ac9dc10e9 /sys/fs/cgroup/cpu,cpuacct ro,nosuid,nodev,noexec,relatime \
                      master:18 - cgroup cgroup rw,cpu,cpuacct
1069 1061 0:38 /docker/6f3ac9dc10e9 /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime \
                      master:19 - cgroup cgroup rw,memory
";
        assert_eq!(places(DOCKER_V1, mounts), ["/sys/fs/cgroup/memory"]);
        // The host's mount, and one of another container.
        let of_the_host = "35 31 0:32 / /host/memory rw,relatime - cgroup cgroup rw,memory\n";
        assert_eq!(places(DOCKER_V1, of_the_host), ["/host/memory/docker/6f3ac9dc10e9"]);
        let of_another =
            "35 31 0:32 /docker/6f3a /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";
        assert!(places(DOCKER_V1, of_another).is_empty());
    }

    #[test]
    fn in_a_cgroup_namespace_both_paths_begin_at_its_root() {
        let v2 = "612 611 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup \
                  rw,nsdelegate,memory_recursiveprot\n";
        assert_eq!(places("0::/\n", v2), ["/sys/fs/cgroup"]);
        assert_eq!(places("0::/init\n", v2), ["/sys/fs/cgroup/init"]);
        let v1 = "612 611 0:38 / /sys/fs/cgroup/memory ro,relatime - cgroup cgroup rw,memory\n";
        assert_eq!(places("4:memory:/\n0::/\n", v1), ["/sys/fs/cgroup/memory"]);
    }

    #[test]
    fn a_cgroup_outside_of_the_namespace_is_found_only_below_the_root_of_a_mount() {
        let above = "612 611 0:27 /../.. /sys/fs/cgroup rw,relatime - cgroup2 cgroup rw\n";
        assert_eq!(places("0::/../../other\n", above), ["/sys/fs/cgroup/other"]);
        assert!(places("0::/\n", above).is_empty());
        assert!(places("0::/../../../other\n", above).is_empty());
        let inside = "612 611 0:27 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup rw\n";
        assert!(places("0::/../other\n", inside).is_empty());
    }

    #[test]
    fn in_the_namespace_of_the_host_the_path_leads_through_the_hierarchy() {
        let mounts = "29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - \
                      cgroup2 cgroup2 rw,nsdelegate\n";
        let cgroup = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-u7.scope\n";
        let expected =
            "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/run-u7.scope";
        assert_eq!(places(cgroup, mounts), [expected]);
    }

    #[test]
    fn a_bind_mount_of_a_part_is_followed_with_its_escaped_name() {
        let mounts = "\
29 23 0:26 /machine.slice/machine-a\\134x2db.scope /run/my\\040group\\011 rw shared:4 - cgroup2 \
                      cgroup2 rw
30 23 0:26 /machine.slice/machine-a /elsewhere rw shared:4 - cgroup2 cgroup2 rw
";
        assert_eq!(
            places("0::/machine.slice/machine-a\\x2db.scope/container\n", mounts),
            ["/run/my group\t/container"]
        );
    }

    #[test]
    fn the_latest_mount_comes_first() {
        let mounts = "\
29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
30 29 0:26 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw
";
        assert_eq!(places("0::/a/b\n", mounts), ["/sys/fs/cgroup/b", "/sys/fs/cgroup/a/b"]);
    }

    #[test]
    fn in_a_hybrid_hierarchy_the_memory_controller_is_where_its_line_says() {
        let mounts = "\
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
        assert_eq!(places("8:pids:/p\n4:memory:/m\n0::/u\n", mounts), ["/sys/fs/cgroup/memory/m"]);
        assert_eq!(places("8:pids:/p\n0::/u\n", mounts), ["/sys/fs/cgroup/unified/u"]);
        assert!(
            places(
                "8:pids:/p\n4:memory:/m\n",
                "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
            )
            .is_empty()
        );
    }

    #[test]
    fn what_cannot_be_understood_is_no_place() {
        let mount = "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        for cgroups in ["", "\n", "0:", "memory", "4:memory", "1:name=memory:/x\n"] {
            assert!(places(cgroups, mount).is_empty(), "{cgroups:?}");
        }
        for mounts in [
            "",
            "\n\n",
            " - ",
            "29 23 0:26 / - cgroup2",
            "29 23 0:26 / /x rw - cgroup2 cgroup2",
            "/ /x rw - cgroup2 cgroup2 rw",
        ] {
            assert!(places("0::/\n", mounts).is_empty(), "{mounts:?}");
        }
    }

    #[test]
    fn the_count_is_its_own_line_and_no_other() {
        let counted = |text: &str| {
            let path = std::env::temp_dir().join(format!("firstmate-unit-{}", std::process::id()));
            std::fs::write(&path, text).unwrap();
            let counted = count(&File::open(&path).unwrap());
            std::fs::remove_file(&path).unwrap();
            counted
        };
        assert_eq!(
            counted("low 0\nhigh 0\nmax 41\noom 3\noom_kill 2\noom_group_kill 1\n"),
            Some(2)
        );
        assert_eq!(counted("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"), Some(7));
        // Before 4.13.
        assert_eq!(counted("oom_kill_disable 0\nunder_oom 0\n"), None);
        assert_eq!(counted("oom_kill x\n"), None);
    }
}
