"""One run of a program: what was written down, and how it ended."""

import ctypes
import fcntl
import os
import pty
import signal
import subprocess
import termios
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from programs import REAL_TIME, Program

# Seconds after which a run hangs, whatever it is.
PATIENCE = 25
libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Line:
    at: float
    pid: int
    event: str
    values: list[int]


@dataclass
class Run:
    """Times are seconds of the monotonic clock."""

    status: int | None
    ended: float
    lines: dict[int, list[Line]]
    sent: list[tuple[float, int, int]]
    log: str
    init: int
    zombies: list[str] = field(default_factory=list)
    """Pids that lived when the init had ended."""
    left: list[int] = field(default_factory=list)

    def events(self, id: int, event: str) -> list[Line]:
        return [line for line in self.lines.get(id, []) if line.event == event]


def read_journal(file: Path) -> dict[int, list[Line]]:
    lines = defaultdict(list)
    if file.exists():
        for text in file.read_text().splitlines():
            at, id, pid, event, *values = text.split()
            lines[int(id)].append(Line(int(at) / 1e6, int(pid), event, [*map(int, values)]))
    return lines


def children(pid: int) -> list[int]:
    try:
        return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    except OSError:
        return []


def zombies_of(pid: int) -> set[tuple[int, str]]:
    found = set()
    for child in children(pid):
        try:
            fields = Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        # A zombie whose other threads live is none.
        if fields[0] == "Z" and fields[17] == "1":
            found.add((child, fields[19]))
    return found


class Runner:
    def __init__(self, init: Path, actor: Path, folder: Path):
        self.init, self.actor, self.folder = init, actor, folder
        self.number = 0
        self.lock = threading.Lock()

    def run(self, program: Program) -> Run:
        with self.lock:
            self.number += 1
            place = self.folder / str(self.number)
        place.mkdir()
        journal = place / "journal"
        words = [str(self.init), *program.arguments(str(self.actor), str(journal))]
        if not program.is_pid_1:
            words = [str(self.actor), str(journal), "hold", *words]
        words = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--", *words]
        with (place / "log").open("wb") as log:
            process, terminal = start(words, log, program.has_terminal)
        try:
            return self.accompany(program, process, journal, place / "log")
        finally:
            process.kill()
            process.wait()
            if terminal is not None:
                os.close(terminal)

    def accompany(self, program: Program, process, journal: Path, log: Path) -> Run:
        until = time.monotonic() + PATIENCE
        watch = Zombies()
        sent, init = [], 0
        begun = 0.0
        main = f" {program.main.id} "
        waiting = list(program.signals)
        while process.poll() is None and time.monotonic() < until:
            now = time.monotonic()
            if not init:
                init = self.find_init(process.pid, program.is_pid_1)
            if not begun and journal.exists():
                # The journal has its pid before the word.
                if any(main in line and " ready" in line
                       for line in journal.read_text().splitlines()):
                    begun = now
            # A program whose main command never comes to be ready is stopped after all.
            if init and not begun and now > until - PATIENCE + 5:
                begun = now
            while begun and init and waiting and now >= begun + waiting[0][0] / 1000:
                number = waiting.pop(0)[1]
                if tell(init, number, len(sent) + 1):
                    sent.append((time.monotonic(), number, len(sent) + 1))
            if init:
                watch.look(init)
            time.sleep(0.004)
        status = process.poll()
        ended = time.monotonic()
        if status is not None and status < 0:
            status = 128 - status
        lines = read_journal(journal)
        # In its namespace: 1, or the first child of the holder.
        left = [line.values[0] for line in lines.get(0, []) if line.event == "left"]
        return Run(status, ended, lines, sent, log.read_text(errors="replace"),
                   1 if program.is_pid_1 else 2, watch.found, left)

    def find_init(self, unshare: int, is_pid_1: bool) -> int:
        first = children(unshare)
        if first and not is_pid_1:
            first = children(first[0])
        try:
            if first and os.readlink(f"/proc/{first[0]}/exe") == str(self.init):
                return first[0]
        except OSError:
            pass
        return 0


class Zombies:
    """Those that are still there a second later."""

    def __init__(self):
        self.since: dict[tuple[int, str], float] = {}
        self.next = 0.0
        self.found: list[str] = []

    def look(self, init: int):
        now = time.monotonic()
        if now < self.next:
            return
        self.next = now + 0.1
        seen = zombies_of(init)
        self.since = {one: self.since.get(one, now) for one in seen}
        for one, since in self.since.items():
            if now - since > 2 and str(one) not in self.found:
                self.found.append(str(one))


def tell(pid: int, number: int, value: int) -> bool:
    if number >= REAL_TIME:
        return libc.sigqueue(pid, number, ctypes.c_void_p(value)) == 0
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def start(words: list[str], log, has_terminal: bool):
    terminal = slave = None
    if has_terminal:
        terminal, slave = pty.openpty()

    def prepare():
        # A job of a shell in the background ignores these.
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.setsid()
        if slave is not None:
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(words, stdin=subprocess.DEVNULL if slave is None else slave,
                               stdout=log, stderr=log, preexec_fn=prepare)
    if slave is not None:
        os.close(slave)
    return process, terminal
