//! Out of memory: what the kernel killed is told, whoever it was. With a real limit, of whichever
//! version of cgroups has the memory controller here; and with a made-up counter of v2.

use std::fs;
use std::time::Instant;

use crate::support::{Cgroup, Directory, Running, Scenario, is_root, skip, wait_until};

const ONE: &str =
    "warning: out of memory: the container hit its memory limit, and the kernel killed 1 process";

/// A cgroup in which no more than 16 MiB can be used.
fn limited() -> Option<Cgroup> {
    if !is_root() {
        skip("only root can limit the memory of a cgroup");
        return None;
    }
    let cgroup = Cgroup::with_memory_limit("16M");
    if cgroup.is_none() {
        skip("no cgroup with a memory limit can be made");
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
        let (told, two) = (told(&finished.stderr), ONE.replace("1 process", "2 processes"));
        // With v2 it hears of the first one before the second.
        assert!(told == [two] || cgroup.is_of_v2() && told == [ONE, ONE], "{told:?}");
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
    let (hierarchy, controller) = (cgroup.hierarchy().display(), cgroup.controller());
    let preparations = [
        // Docker without a cgroup namespace; the whole hierarchy in another place; with a cgroup
        // namespace, as systemd-nspawn has it.
        format!("{entering} bind {path} /mnt hide /sys"),
        format!("{entering} bind {hierarchy} /mnt hide /sys"),
        format!("{entering} hide /sys cgroup-namespace mount-cgroup {controller} /mnt"),
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
    // In a namespace whose root is not that of the mount, nobody knows the way from there. (With v2
    // in a container, the mount's root counts for those below it too.)
    let elsewhere = Some("cgroup-namespace").filter(|_| !cgroup.hierarchy_counts());
    for hidden in ["hide /sys", "hide /proc", "nofile 4"].into_iter().chain(elsewhere) {
        let finished =
            Scenario::container().prepare(&format!("{entering} {hidden}")).probe("eat").run();
        assert_eq!(
            (finished.status, told(&finished.stderr)),
            (137, vec!["warning: the command was killed by SIGKILL"]),
            "{hidden}"
        );
    }
}

/// In a container whose memory counter is a file that the kernel announces changes of, like
/// `memory.events` of v2, with a content that the command sets: the name of the host, in a namespace
/// of its own. So it does without the memory controller, and whoever else needs that.
fn with_made_up_counter(directory: &Directory) -> Scenario {
    let file = |name, content| {
        let path = directory.path().join(name);
        fs::write(&path, content).expect("a new file");
        path.display().to_string()
    };
    let cgroup = file("cgroup", "0::/\n");
    file("memory.events", "");
    let place = directory.path().display();
    Scenario::container()
        .prepare("host-name-namespace name-kills 3")
        .prepare(&format!("bind {cgroup} /proc/1/cgroup bind {place} /sys/fs/cgroup"))
        .prepare("bind /proc/sys/kernel/hostname /sys/fs/cgroup/memory.events")
}

#[test]
fn with_v2_a_kill_is_told_of_when_it_is_counted_and_nothing_ends() {
    let directory = Directory::new();
    let scenario = with_made_up_counter(&directory);
    let running = scenario
        .probe("block-all say ready until 10 name-kills 4 until 12 name-kills 6 until 15 exit 7")
        .start()
        .ready();
    running.signal(libc::SIGUSR1);
    running.stderr.expect_part(ONE);
    running.signal(libc::SIGUSR2);
    running.stderr.expect_part(&ONE.replace("1 process", "2 processes"));
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert_eq!((finished.status, finished.stderr), (7, vec![]));
}

#[test]
fn a_counter_that_changes_all_the_time_is_looked_at_ten_times_a_second() {
    let directory = Directory::new();
    let scenario = with_made_up_counter(&directory);
    let running = scenario
        .probe("block-all say ready until 10 name-kills-often 3 name-kills 4 say done until 15")
        .start()
        .ready();
    let begun = Instant::now();
    running.signal(libc::SIGUSR1);
    running.stdout.expect_part("signal 10");
    let before = running.init.context_switches();
    running.stdout.expect("done");
    let looks = running.init.context_switches() - before;
    let most = 4 * (begun.elapsed().as_millis() / 100 + 2);
    assert!(u128::from(looks) <= most, "{looks} switches");
    running.stderr.expect_part(ONE);
    running.init.wait_until_idle();
    running.signal(libc::SIGTERM);
    assert_eq!(running.finish().status, 0);
}

#[test]
fn a_counter_that_cannot_be_read_any_more_is_let_go() {
    let directory = Directory::new();
    let scenario = with_made_up_counter(&directory);
    let running = scenario
        .probe("block-all say ready until 10 name-kills gone until 12 name-kills 9 until 15 exit 7")
        .start()
        .ready();
    let open = |running: &Running| running.init.descriptors().len();
    // After its start.
    running.init.wait_until_idle();
    let before = open(&running);
    running.signal(libc::SIGUSR1);
    wait_until("one descriptor less", || open(&running) == before - 1);
    running.signal(libc::SIGUSR2);
    running.signal(libc::SIGTERM);
    let finished = running.finish();
    assert_eq!((finished.status, finished.stderr), (7, vec![]));
}
