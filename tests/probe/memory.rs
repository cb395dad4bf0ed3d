//! Cgroups, and their limits of memory.

use std::fs;
use std::path::Path;

/// Moves this process to that cgroup.
pub fn enter(cgroup: &str) {
    fs::write(Path::new(cgroup).join("cgroup.procs"), "0").expect("a cgroup");
}

/// Takes memory until there is none.
pub fn eat() -> ! {
    loop {
        std::hint::black_box(vec![1_u8; 1 << 20]).leak();
    }
}
