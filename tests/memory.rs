//! Out of memory: what the kernel killed is told, whoever it was. With a real limit, of cgroups v1;
//! tests/engines has v2.

use crate::support::{Cgroup, Scenario, is_root, skip, skip_softly};

const ONE: &str =
    "warning: out of memory: the container hit its memory limit, and the kernel killed 1 process";

/// A cgroup in which no more than 16 MiB can be used.
fn limited() -> Option<Cgroup> {
    if !is_root() {
        skip("only root can limit the memory of a cgroup");
        return None;
    }
    let cgroup = Cgroup::new("memory");
    match &cgroup {
        Some(cgroup) => {
            cgroup.write("memory.limit_in_bytes", "16M");
            if cgroup.path().join("memory.memsw.limit_in_bytes").exists() {
                cgroup.write("memory.memsw.limit_in_bytes", "16M");
            }
        }
        None => skip_softly("the memory controller is not one of cgroups v1"),
    }
    cgroup
}

/// In that cgroup: as PID 1, and as an ordinary process.
fn inside(cgroup: &Cgroup) -> [Scenario; 2] {
    [Scenario::container(), Scenario::plain()].map(|scenario| scenario.prepare(&entering(cgroup)))
}

fn entering(cgroup: &Cgroup) -> String {
    format!("enter-cgroup {}", cgroup.path().display())
}

/// The lines of the log, without who says it.
fn told(stderr: &[String]) -> Vec<&str> {
    stderr.iter().map(|line| line.split_once("]: ").expect("a line of firstmate").1).collect()
}

#[test]
fn a_command_that_the_kernel_killed_is_told_of_with_the_reason_first() {
    let Some(cgroup) = limited() else { return };
    for scenario in inside(&cgroup) {
        let finished = scenario.probe("eat").run();
        assert_eq!(told(&finished.stderr), [ONE, "warning: the command was killed by SIGKILL"]);
        assert_eq!(finished.status, 137);
    }
}

#[test]
fn victims_that_their_own_parent_has_reaped_are_counted_when_the_command_ends() {
    let Some(cgroup) = limited() else { return };
    for scenario in inside(&cgroup) {
        let finished = scenario.probe("fork [ eat ] wait-last fork [ eat ] wait-last exit 3").run();
        assert_eq!(finished.stdout, ["ended 137", "ended 137"]);
        assert_eq!(told(&finished.stderr), [ONE.replace("1 process", "2 processes")]);
        assert_eq!(finished.status, 3);
    }
}

#[test]
fn an_orphan_that_the_kernel_killed_is_told_of_at_once() {
    let Some(cgroup) = limited() else { return };
    for scenario in inside(&cgroup) {
        let running =
            scenario.probe("block-all daemon [ eat ] say ready await 15 exit 7").start().ready();
        running.stderr.expect_part(ONE);
        running.signal(libc::SIGTERM);
        let finished = running.finish();
        assert_eq!((finished.status, finished.stderr.len()), (7, 0), "{finished:?}");
    }
}

#[test]
fn a_victim_of_the_drain_whose_own_parent_has_reaped_it_is_told_of_at_the_end() {
    let Some(cgroup) = limited() else { return };
    for scenario in inside(&cgroup) {
        let finished =
            scenario.probe("block-all fork [ await 15 fork [ eat ] wait-last ] exit 7").run();
        assert_eq!((finished.status, told(&finished.stderr)), (7, vec![ONE]));
    }
}

#[test]
fn what_was_killed_before_the_start_is_not_told_of() {
    let Some(cgroup) = limited() else { return };
    for scenario in inside(&cgroup) {
        assert_eq!(scenario.clone().probe("eat").run().status, 137);
        let finished = scenario.clone().probe("exit 0").run();
        assert_eq!((finished.status, finished.stderr), (0, vec![]));
        let finished = scenario
            .prepare("fork [ eat ] await-zombie")
            .probe("fork [ eat ] wait-last exit 3")
            .run();
        assert_eq!((finished.status, told(&finished.stderr)), (3, vec![ONE]));
    }
}

#[test]
fn a_sigkill_from_elsewhere_is_not_taken_for_it() {
    let Some(cgroup) = limited() else { return };
    for scenario in inside(&cgroup) {
        let finished = scenario.probe("die 9").run();
        assert_eq!(
            (finished.status, told(&finished.stderr)),
            (137, vec!["warning: the command was killed by SIGKILL"])
        );
    }
}

#[test]
fn the_counter_is_found_where_engines_mount_it() {
    let Some(cgroup) = limited() else { return };
    let (entering, path) = (entering(&cgroup), cgroup.path().display());
    let preparations = [
        // Docker without a cgroup namespace; the whole hierarchy in another place; with a cgroup
        // namespace, as systemd-nspawn has it.
        format!("{entering} bind {path} /mnt hide /sys"),
        format!("{entering} bind /sys/fs/cgroup/memory /mnt hide /sys"),
        format!("{entering} hide /sys cgroup-namespace mount-cgroup memory /mnt"),
        // With room for one descriptor beside the signalfd.
        format!("{entering} nofile 5"),
    ];
    for preparation in preparations {
        let finished = Scenario::container()
            .prepare(&preparation)
            .probe("fork [ eat ] wait-last exit 3")
            .run();
        assert_eq!((finished.status, told(&finished.stderr)), (3, vec![ONE]), "{preparation}");
    }
}

#[test]
fn where_the_counter_is_out_of_sight_all_else_works() {
    let Some(cgroup) = limited() else { return };
    let entering = entering(&cgroup);
    // In a namespace whose root is not that of the mount, nobody knows the way from there.
    for hidden in ["hide /sys", "hide /proc", "cgroup-namespace", "nofile 4"] {
        let finished =
            Scenario::container().prepare(&format!("{entering} {hidden}")).probe("eat").run();
        assert_eq!(
            (finished.status, told(&finished.stderr)),
            (137, vec!["warning: the command was killed by SIGKILL"]),
            "{hidden}"
        );
    }
}
