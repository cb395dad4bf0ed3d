"""Who was signalled, and by whom: the kernel's own list (tracepoint signal:signal_generate)."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

TRACEFS = Path("/sys/kernel/tracing")
# What stops programs. Others are shown only where the init sends them: programs use them too.
STOPS = {1, 2, 3, 9, 13, 15, 28}
OTHERS = {10, 12, 30, 37}
LINE = re.compile(r"^\s*(.+)-(\d+)\s+\[\d+\]\s+\S+\s+([\d.]+): (\w+): (.*)$")
SENT = re.compile(r"sig=(\d+) errno=-?\d+ code=(-?\d+) comm=(.*) pid=(\d+) grp=\d res=(\d)")
BEGUN = re.compile(r"filename=(\S+) pid=(\d+)")
FORKED = re.compile(r"child_comm=(.*) child_pid=(\d+)")
IGNORED = 1
BY_THE_KERNEL = 128


@dataclass(frozen=True)
class Sent:
    """A signal that a process got; `sender` is empty for the init."""

    name: str
    pid: int
    signal: str
    sender: str
    when: float


class Trace:
    """Follows this process and all that it starts from now on; OSError where that can't be had."""

    def __init__(self):
        if not (TRACEFS / "instances").exists():
            # In our own mount namespace: it vanishes with us.
            mount = ["mount", "-t", "tracefs", "tracefs", str(TRACEFS)]
            done = subprocess.run(mount, capture_output=True, text=True)
            if done.returncode:
                raise OSError(done.stderr.strip() or "mount fails")
        self.place = TRACEFS / "instances" / f"programs-{Path('/proc/self/ns/net').stat().st_ino}"
        self.place.mkdir(exist_ok=True)
        try:
            self.write("buffer_size_kb", "1024")
            self.write("trace_clock", "mono")
            # Pids are those of the first PID namespace, and this one may be another.
            self.write("trace_marker", "this is us")
            lines = map(LINE.match, self.read())
            self.us = next(line[2] for line in lines if line and "this is us" in line[5])
            self.write("set_event_pid", self.us)
            self.write("options/event-fork", "1")
            numbers = " || ".join(f"sig == {number}" for number in STOPS | OTHERS)
            self.write("events/signal/signal_generate/filter", numbers)
            self.write("events/signal/signal_generate/enable", "1")
            self.write("events/sched/sched_process_exec/enable", "1")
            self.write("events/sched/sched_process_fork/enable", "1")
        except BaseException:
            self.end()
            raise

    def write(self, file: str, text: str):
        (self.place / file).write_text(text)

    def read(self) -> list[str]:
        return (self.place / "trace").read_text(errors="replace").splitlines()

    def clear(self):
        self.write("trace", "")

    def end(self):
        self.write("events/enable", "0")
        self.place.rmdir()

    def signals(self, init: str, since: float) -> list[Sent]:
        """Those since then, of the program `init` and of whatever came to be below it."""
        names, sent, pid_of_init = {}, [], None
        for line in filter(None, map(LINE.match, self.read())):
            comm, sender, when, event, text = line.groups()
            if comm != "<...>":
                names[sender] = comm
            if event == "sched_process_fork" and (found := FORKED.search(text)):
                names[found[2]] = found[1]
            if event == "sched_process_exec" and (found := BEGUN.search(text)):
                names[found[2]] = found[1].rpartition("/")[2][:15]
                if found[1] == init and pid_of_init is None:
                    pid_of_init = found[2]
            if event != "signal_generate" or not (found := SENT.search(text)):
                continue
            number, code, name, pid, outcome = found.groups()
            names[pid] = name
            by_init = sender == pid_of_init
            ours = sender == self.us or pid == pid_of_init or float(when) < since
            if ours or int(outcome) == IGNORED:
                continue
            if not by_init and int(number) not in STOPS:
                continue
            by = "" if by_init else names.get(sender, "?")
            if int(code) == BY_THE_KERNEL:
                # With PID 1 goes all the rest; other causes are a terminal and the like.
                by = "exit" if by_init and int(number) == 9 else "kernel"
            sent.append(Sent(name, int(pid), signal_name(int(number)), by, float(when) - since))
        return sent


def signal_name(number: int) -> str:
    try:
        return Signals(number).name.removeprefix("SIG")
    except ValueError:
        return f"RTMIN+{number - 34}"


def by_process(sent: list[Sent]) -> list[tuple[str, str]]:
    """Each process, and what it got: ("once", "TERM<sh TERM")."""
    processes: dict[int, tuple[str, list[str]]] = {}
    for one in sent:
        got = processes.setdefault(one.pid, (one.name, []))[1]
        got.append(f"{one.signal}<{one.sender}" if one.sender else one.signal)
    return [(name, " ".join(got)) for name, got in processes.values()]
