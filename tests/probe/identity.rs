//! Who this process is.

use std::fs;

use super::say;

pub fn tell() {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let field = |name: &str| {
        let value =
            status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of that name");
        value.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    // Real, effective, saved, and that of the file system.
    say(format_args!("user {} group {} groups {}", field("Uid:"), field("Gid:"), field("Groups:")));
    let sets = ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"].map(field);
    let any = sets.iter().any(|set| set.bytes().any(|digit| digit != b'0'));
    say(if any {
        format!("capabilities {}", sets.join(" "))
    } else {
        "no capabilities".to_owned()
    });
}

/// The raw calls.
pub fn become_root() {
    let root = [0_u32];
    let ways = [
        ("setgroups", unsafe { libc::syscall(libc::SYS_setgroups, 1, root.as_ptr()) }),
        ("setgid", unsafe { libc::syscall(libc::SYS_setgid, 0) }),
        ("setresgid", unsafe { libc::syscall(libc::SYS_setresgid, -1, 0, -1) }),
        ("setuid", unsafe { libc::syscall(libc::SYS_setuid, 0) }),
        ("setresuid", unsafe { libc::syscall(libc::SYS_setresuid, -1, 0, -1) }),
        ("setreuid", unsafe { libc::syscall(libc::SYS_setreuid, -1, 0) }),
    ];
    let open: Vec<_> =
        ways.into_iter().filter(|(_, result)| *result == 0).map(|(name, _)| name).collect();
    say(format_args!("ways {open:?}"));
}

/// By ambient capabilities (capabilities(7)), as engines give them to a container that does not run
/// as root.
pub fn become_privileged(uid: i32, gid: i32) {
    const VERSION_3: u32 = 0x2008_0522;
    let check =
        |result: i64, what| assert_eq!(result, 0, "{what}: {}", std::io::Error::last_os_error());
    let groups = [gid];
    check(unsafe { libc::syscall(libc::SYS_setgroups, 1, groups.as_ptr()) }, "setgroups");
    check(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) }.into(), "PR_SET_KEEPCAPS");
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }, "setresgid");
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }, "setresuid");
    let header = [VERSION_3, 0];
    let mut sets = [[0_u32; 3]; 2];
    check(unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) }, "capget");
    // Permitted ones become effective and inheritable too.
    for set in &mut sets {
        *set = [set[1]; 3];
    }
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) }, "capset");
    for capability in 0..64 {
        if sets[capability / 32][1] >> (capability % 32) & 1 == 1 {
            check(
                unsafe {
                    libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, capability, 0, 0)
                }
                .into(),
                "ambient",
            );
        }
    }
}
