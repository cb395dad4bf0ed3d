"""What must hold in every engine. The containers run the probe, tests/probe.rs, or busybox."""

import shlex
import time
from dataclasses import dataclass
from typing import Callable

from client import Client
from engine import LIMIT, Container, Engine


@dataclass
class Case:
    name: str
    check: Callable[[Engine], None]


ALL: list[Case] = []


def case(check) -> Case:
    """Marks a function of an engine as a case; its name is the case's."""
    return Case(check.__name__.replace("_", " "), check)


def in_all(check) -> Case:
    marked = case(check)
    ALL.append(marked)
    return marked


def probe(*steps) -> list[str]:
    """A command line of the probe: `probe("say ready", "until 15")`."""
    return ["probe", *(word for step in steps for word in step.split())]


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def finish(engine, command, **options):
    """Runs a container that ends by itself."""
    with engine.run(Container(command, **options)) as running:
        return running.finish()


def expect(finished, status, *texts):
    """It ended with this status, and these texts are in its output."""
    assert finished.status == status, f"status {finished.status}, not {status}: {finished.output!r}"
    for text in texts:
        assert text in finished.output, f"no {text!r} in {finished.output!r}"


@in_all
def the_exit_code_is_the_commands(engine):
    expect(finish(engine, probe("exit 0")), 0)
    expect(finish(engine, shell("exit 7")), 7)


@in_all
def a_death_by_signal_is_128_and_its_number(engine):
    expect(finish(engine, probe("die 15")), 143, "killed by SIGTERM")
    expect(finish(engine, probe("die 9")), 137, "killed by SIGKILL")


@in_all
def what_firstmate_cannot_do_has_a_status_of_its_own_and_a_reason(engine):
    expect(finish(engine, ["/no-such-file"]), 127, "firstmate[", "/no-such-file")
    expect(finish(engine, ["/etc/passwd"]), 126, "firstmate[", "/etc/passwd")
    expect(finish(engine, probe("exit 0"), options={"kill-after": "soon"}), 125, "firstmate[", "soon")


@in_all
def a_handled_sigterm(engine):
    with engine.run(Container(probe("block-all", "say ready", "until 15", "say done", "exit 3"))) as running:
        running.wait_for("ready")
        running.signal(15)
        expect(running.finish(), 3, "signal 15 ", "done")


@in_all
def a_sigterm_that_nobody_handles_kills(engine):
    with engine.run(Container(probe("say ready", "forever"))) as running:
        running.wait_for("ready")
        running.signal(15)
        expect(running.finish(), 143)


@in_all
def an_ignored_sigterm_is_escalated(engine):
    with engine.run(Container(probe("ignore 15", "say ready", "forever"), options={"kill-after": "1s"})) as running:
        running.wait_for("ready")
        running.signal(15)
        expect(running.finish(), 137, "killed by SIGKILL: it had not ended 1s after SIGTERM")


@in_all
def real_time_signals(engine):
    with engine.run(Container(probe("block-all", "say ready", "until 15"))) as running:
        running.wait_for("ready")
        # Without those that C libraries keep to themselves.
        for number in (34, 37, 64):
            running.signal(number)
            running.wait_for(f"signal {number} ")
        running.signal(15)
        expect(running.finish(), 0)


@in_all
def rewritten_signals(engine):
    options = {"rewrite": ["USR1:RTMIN+3", "HUP:none"]}
    with engine.run(Container(probe("block-all", "say ready", "until 15"), options=options)) as running:
        running.wait_for("ready")
        running.signal(1)
        running.signal(10)
        running.wait_for("signal 37 ")
        running.signal(15)
        finished = running.finish()
        expect(finished, 0)
        assert "signal 1 " not in finished.output and "signal 10 " not in finished.output, finished.output


@in_all
def the_engines_stop_ends_in_time(engine):
    container = Container(probe("block-all", "say ready", "until 15", "say saved", "exit 4"), options={"verbose": True})
    with engine.run(container) as running:
        running.wait_for("ready")
        running.stop(30)
        # Not 137: it was not killed. And it was the engine, which has no process in the container.
        expect(running.finish(), 4, "saved", "SIGTERM from outside the container asks the container to stop")


@in_all
def the_engines_stop_kills_at_the_end_of_its_grace_period(engine):
    with engine.run(Container(probe("ignore 15", "say ready", "forever"))) as running:
        running.wait_for("ready")
        running.stop(1)
        expect(running.finish(), engine.status_of_killed)


# A main command that ends with 5 on SIGTERM, and one in a session of its own that finishes its clean-up by then.
LEAVES_ONE = (
    "block-all",
    "session [ await 15 sleep-ms 300 say saved ]",
    "say ready",
    "until 15",
    "exit 5",
)
LEAVES_NONE = ("block-all", "say ready", "until 15", "exit 5")


def drains(engine, container, *texts):
    """Runs that main command in this container. What it says before is to have these texts."""
    with engine.run(container) as running:
        running.wait_for("ready")
        running.signal(15)
        expect(running.finish(), 5, "signal 15 ", "saved", *texts)


@in_all
def a_grandchild_in_its_own_session_finishes_its_clean_up(engine):
    drains(engine, Container(probe(*LEAVES_ONE)))


# Of 200 orphans: those that are still zombies after at most ten seconds.
COUNT_ZOMBIES = """
probe orphans 200
for turn in $(seq 100); do
    zombies=$(cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z ')
    [ $zombies = 0 ] && break
    sleep 0.1
done
echo zombies: $zombies
"""


@in_all
def no_zombie_is_left_of_many_orphans(engine):
    expect(finish(engine, shell(COUNT_ZOMBIES)), 0, "zombies: 0\n")


def enter(engine, running, command) -> str:
    """A session in a container that says nothing when it has started; what it printed."""
    deadline = time.monotonic() + LIMIT
    while True:
        with running.exec(command) as session:
            finished = session.finish()
        if finished.status == 0:
            return finished.output
        assert time.monotonic() < deadline, finished
        time.sleep(0.1)


@case
def a_container_that_only_holds(engine):
    """In place of `sleep infinity`: sessions enter it, and what they leave is reaped, asked at the stop, and has its time."""
    for leaves in (True, False):
        with engine.run(Container([], {"pause": True, "drain": "30s"})) as running:
            assert "zombies: 0\n" in enter(engine, running, shell(COUNT_ZOMBIES))
            if leaves:
                # It outlives its session.
                enter(engine, running, shell("probe block-all session '[' until 15 sleep-ms 500 ']' exit 0 </dev/null >/dev/null 2>&1"))
            began = time.monotonic()
            running.stop(60)
            took = time.monotonic() - began
            expect(running.finish(), 0)
        assert (0.5 if leaves else 0) <= took < 20, took


@in_all
def a_session_that_entered_from_outside_does_not_hold_the_stop(engine):
    with engine.run(Container(probe("block-all", "say ready", "until 15", "exit 4"))) as running:
        running.wait_for("ready")
        with running.exec(probe("ignore 15", "say inside", "forever")) as session:
            session.wait_for("inside")
            running.stop(30)
            # Not 137: it was not killed.
            expect(running.finish(), 4)


@in_all
def an_interactive_shell_has_job_control(engine):
    with engine.run(Container(["sh"], tty=True)) as running:
        running.wait_for("# ")
        running.resize(41, 103)
        # The terminal echoes what is typed: the quotes keep that apart from what is answered.
        running.write('while [ "$(stty size)" != "41 103" ]; do sleep 0.1; done; echo size"d"\n')
        running.wait_for("sized")
        running.write("""sh -c 'trap "echo con""tinued" CONT; echo be""gun; while :; do sleep 0.1; done'\n""")
        running.wait_for("begun")
        running.write("\x1a")
        running.wait_for("Stopped")
        running.write("fg\n")
        running.wait_for("continued")
        running.write("\x03")
        running.write('echo code"="$?\n')
        running.wait_for("code=130")
        running.write("exit 9\n")
        finished = running.finish()
        expect(finished, 9)
        assert "job control turned off" not in finished.output, finished.output


@in_all
def each_key_of_the_terminal_is_one_signal(engine):
    with engine.run(Container(probe("block-all", "say ready", "until 34", "exit 8"), tty=True)) as running:
        running.wait_for("ready")
        for key, number in (("\x03", 2), ("\x1c", 3), ("\x1a", 20)):
            running.write(key)
            running.wait_for(f"signal {number} ")
        running.signal(34)
        finished = running.finish()
        expect(finished, 8)
        assert finished.output.count("signal ") == 4, finished.output


def works_restricted(engine, texts, script, **restrictions):
    """With these restrictions, which the script shows to be in force by these texts, signals and the drain work."""
    command = shell(f"{script}; exec {shlex.join(probe(*LEAVES_ONE))}")
    drains(engine, Container(command, **restrictions), *texts)


def status_of_init(*fields) -> str:
    """What the kernel says of firstmate, which is the script's parent."""
    return f"grep -E '^({'|'.join(fields)}):' /proc/$PPID/status"


@in_all
def a_read_only_root(engine):
    works_restricted(engine, ["Read-only file system"], "touch /srv/file", read_only=True)


@in_all
def another_user(engine):
    works_restricted(engine, ["Uid:\t65534\t65534\t65534"], status_of_init("Uid"), user="65534:65534")


@in_all
def no_capabilities(engine):
    works_restricted(engine, [NO_CAPABILITIES], status_of_init("CapPrm", "CapEff"), drop_all_capabilities=True)


NO_CAPABILITIES = "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000"


@in_all
def no_new_privileges(engine):
    works_restricted(engine, ["NoNewPrivs:\t1"], status_of_init("NoNewPrivs"), no_new_privileges=True)


@in_all
def the_default_seccomp_profile(engine):
    works_restricted(engine, ["Seccomp:\t2"], status_of_init("Seccomp"))


@in_all
def all_restrictions_at_once(engine):
    works_restricted(
        engine,
        ["Read-only file system", "Uid:\t65534\t65534\t65534", NO_CAPABILITIES],
        f"touch /srv/file; {status_of_init('Uid', 'CapPrm', 'CapEff')}",
        read_only=True,
        user="65534:65534",
        drop_all_capabilities=True,
        no_new_privileges=True,
    )


@in_all
def the_limit_of_processes_is_named_when_the_command_cannot_be_started(engine):
    # The one that fails is a second firstmate: an engine itself needs some processes to start the first.
    command = probe("fill", "exec /sbin/firstmate -- true")
    expect(finish(engine, command, pids_limit=64), 125, "firstmate[", "Resource temporarily unavailable")


@in_all
def the_memory_limit_is_told_when_the_kernel_kills_at_it(engine):
    # tail(1) keeps the last line, which has no end.
    expect(
        finish(engine, shell("tail /dev/zero"), memory_limit=64 << 20),
        137,
        "out of memory: the container hit its memory limit, and the kernel killed 1 process",
    )


BYSTANDER = probe("block-all", "say ready", "until 34")


def leaves_alone(engine, pid_namespace, bystander, tell):
    """A container that is not PID 1 of this namespace drains its own; the bystander there, told to end by `tell`, got nothing."""
    bystander.wait_for("ready")
    steps = LEAVES_ONE if engine.has_subreapers else LEAVES_NONE
    command = shell(f"echo parent=$PPID.; exec {shlex.join(probe(*steps))}")
    with engine.run(Container(command, pid_namespace=pid_namespace)) as running:
        assert "parent=1." not in running.wait_for("ready")
        running.signal(15)
        expect(running.finish(), 5, *(["saved"] if engine.has_subreapers else []))
    # Real-time signals come after all others.
    tell(34)
    finished = bystander.finish()
    assert finished.output.count("signal ") == 1, f"the bystander was sent signals: {finished.output!r}"


@in_all
def in_the_hosts_pid_namespace_nobody_elses_process_is_touched(engine):
    path = engine.image.root / "bin" / BYSTANDER[0]
    with Client([path, *BYSTANDER[1:]]) as bystander:
        leaves_alone(engine, "host", bystander, bystander.process.send_signal)


@in_all
def in_a_shared_pid_namespace_nobody_elses_process_is_touched(engine):
    with engine.run(Container(BYSTANDER)) as bystander:
        leaves_alone(engine, bystander, bystander, bystander.signal)
