"""What must hold on each kernel beside what must hold in every engine: cgroups v2, with the memory controller."""

import re

from cases import case, expect
from engine import Container

# What runc is to run, in a cgroup namespace or, with another one for it, in the machine's.
CONTAINER = {
    "ociVersion": "1.0.2",
    "process": {
        "user": {"uid": 0, "gid": 0},
        "args": ["firstmate", "--", "sh", "-c", "cat /proc/self/cgroup; probe fork [ eat ] wait-last; exit 6"],
        "env": ["PATH=/bin:/sbin"],
        "cwd": "/",
    },
    "root": {"path": "root"},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
    ],
    "linux": {
        "cgroupsPath": "/box-NAMESPACE",
        "resources": {"memory": {"limit": 16 << 20, "swap": 16 << 20}},
        "namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "NAMESPACE")],
    },
}

# Scripts run under a firstmate that is PID 1, in the root cgroup; another firstmate is what they look at.
FUNCTIONS = """
cd /sys/fs/cgroup
limited() { mkdir $1; echo 16M > $1/memory.max; }
within() { sh -c 'echo $$ > $0/cgroup.procs; exec "$@"' "$@"; }
await() { until eval "$1"; do sleep 0.1; done; }
# The firstmate in a cgroup that has started its command, and waits.
firstmate_in() {
    await "[ \\$(wc -l < $1/cgroup.procs) = 2 ]"
    pid=$(head -n1 $1/cgroup.procs)
    await in_ppoll
}
in_ppoll() { [ $(cut -d' ' -f1 /proc/$pid/syscall) = 271 ]; }
in_read() { [ $(cut -d' ' -f1 /proc/$pid/syscall) = 0 ]; }
switches() { grep voluntary /proc/$pid/status; }
idle() { before=$(switches); sleep 3; [ "$before" = "$(switches)" ] && echo idle; }
move() { for process in $(cat $1/cgroup.procs); do echo $process > $2/cgroup.procs; done; }
watches() { ls -l /proc/$pid/fd | grep -q memory.events; }
"""

ONE = "warning: out of memory: the container hit its memory limit, and the kernel killed 1 process\n"


def output_of(engine, script) -> str:
    """Of a script that succeeds. Who says a line of the log is left out."""
    with engine.run(Container(["sh", "-c", FUNCTIONS + script])) as running:
        finished = running.finish()
    expect(finished, 0)
    return re.sub(r"firstmate\[\d+\]: ", "", finished.output)


def expect_output(engine, script, expected):
    output = output_of(engine, script)
    assert output == expected, f"{output!r} is not {expected!r}"


@case
def a_command_killed_at_the_limit_of_a_cgroup_is_told_of_and_what_was_killed_before_is_not(engine):
    script = """
        limited box
        within box firstmate -- probe eat; echo status $?
        within box firstmate -- true; echo status $?
        within box firstmate -- probe eat; echo status $?
    """
    killed = f"{ONE}warning: the command was killed by SIGKILL\nstatus 137\n"
    expect_output(engine, script, f"{killed}status 0\n{killed}")


@case
def a_grandchild_killed_at_the_limit_is_told_of_while_the_command_runs(engine):
    script = """
        limited box
        within box firstmate -- sh -c 'probe fork [ eat ] wait-last; until grep -q memory /log; do sleep 0.1; done; exit 3' 2> /log
        echo status $?
        cat /log
    """
    expect_output(engine, script, f"ended 137\nstatus 3\n{ONE}")


@case
def a_victim_is_told_of_where_the_container_has_made_cgroups_of_its_own(engine):
    script = """
        limited box
        within box firstmate -- probe forever 2> /log &
        firstmate_in box
        mkdir box/init && move box box/init && echo +memory > box/cgroup.subtree_control
        within box/init probe eat 2> /dev/null
        await 'grep -q memory /log'
        cat /log
    """
    expect_output(engine, script, ONE)


@case
def it_does_not_wake_up_unless_the_counter_does_and_tells_only_of_kills(engine):
    script = """
        limited box
        within box firstmate -- probe forever 2> /log &
        firstmate_in box
        watches && idle
        before=$(switches)
        echo 4M > box/memory.high
        within box dd if=/dev/zero of=/dev/null bs=5M count=1 2> /dev/null
        await '[ "$before" != "$(switches)" ]'
        await in_ppoll
        idle
        cat /log
    """
    expect_output(engine, script, "idle\nidle\n")


@case
def a_cgroup_that_is_removed_is_let_go_and_nothing_spins(engine):
    script = """
        limited box
        within box firstmate -- probe ignore 10 forever &
        firstmate_in box
        move box . && rmdir box && idle
        kill -USR1 $pid
        await '! watches'
        await in_read
        idle
    """
    expect_output(engine, script, "idle\nidle\n")


@case
def with_memory_oom_group_the_kernel_kills_firstmate_too(engine):
    script = """
        limited box
        echo 1 > box/memory.oom.group
        within box firstmate -- probe fork [ eat ] wait-last 2>&1; echo status $?
    """
    expect_output(engine, script, "Killed\nstatus 137\n")


@case
def in_a_container_of_runc_the_counter_is_found_with_a_cgroup_namespace_and_without(engine):
    script = """
        mkdir -p /box/root && mount --bind / /box/root
        for namespace in cgroup network; do
            sed s/NAMESPACE/$namespace/g /etc/config.json > /box/config.json
            runc run --bundle /box $namespace; echo status $?
        done
    """
    # The victim's parent and firstmate learn of it at the same time.
    lines = sorted(output_of(engine, script).splitlines(keepends=True))
    assert lines == sorted(["0::/\n", "0::/box-network\n", *(["ended 137\n", ONE, "status 6\n"] * 2)]), lines


@case
def what_the_suite_tests_of_memory_holds_with_v2(engine):
    # The probe by the suite's own name is the suite.
    script = """
        mkdir /mnt && ln -s /bin/probe /suite
        export TESTED_FIRSTMATE=/sbin/firstmate TESTED_PROBE=/bin/probe REQUIRE_ALL_TESTS=1
        /suite --test-threads=1 memory:: || echo failed
    """
    output = output_of(engine, script)
    assert "failed" not in output.replace(" 0 failed", "") and "test result: ok. " in output, output


OWN_CASES = (
    a_command_killed_at_the_limit_of_a_cgroup_is_told_of_and_what_was_killed_before_is_not,
    a_grandchild_killed_at_the_limit_is_told_of_while_the_command_runs,
    a_victim_is_told_of_where_the_container_has_made_cgroups_of_its_own,
    it_does_not_wake_up_unless_the_counter_does_and_tells_only_of_kills,
    a_cgroup_that_is_removed_is_let_go_and_nothing_spins,
    with_memory_oom_group_the_kernel_kills_firstmate_too,
    in_a_container_of_runc_the_counter_is_found_with_a_cgroup_namespace_and_without,
    what_the_suite_tests_of_memory_holds_with_v2,
)
