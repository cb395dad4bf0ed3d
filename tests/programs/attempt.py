"""One run of a row: a program is started under an init and stopped; what was lost."""

import contextlib
import os
import select
import shlex
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from container import Container, wait_for

# Seconds beyond a row's bound after which a run hangs.
PATIENCE = 6
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/15/bin"


class Box(Container):
    """A container with any init, which may have ended before it was seen."""

    def __init__(self, place: Path, init: Path, words: list[str], env: dict[str, str]):
        self.since = time.monotonic()
        self.log_file = place / "container.log"
        self.init = 0
        space = ["--pid", "--fork", "--kill-child", "--mount-proc"]
        with self.log_file.open("wb") as log:
            self.unshare = subprocess.Popen(
                ["unshare", *space, "--", str(init), *words], cwd=place, env=env,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        wait_for("the init", lambda: self.has_begun(init) or not self.runs())

    def has_begun(self, init: Path) -> bool:
        task = Path(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}")
        with contextlib.suppress(OSError):
            self.init = int((task / "children").read_text() or 0)
            return os.readlink(f"/proc/{self.init}/exe") == str(init)
        return False


class Program:
    """What a program needs, has under way when it is stopped, and loses."""

    needs: tuple[str, ...] = ()

    def prepare(self, attempt: "Attempt"):
        """Its files."""

    def is_ready(self, attempt: "Attempt") -> bool:
        return True

    def begin(self, attempt: "Attempt"):
        """The work that is under way at the stop."""

    def go_on(self, attempt: "Attempt"):
        """What its clients do from the stop on, in a thread."""

    def lost(self, attempt: "Attempt") -> str:
        """Empty: nothing."""
        return ""


@dataclass
class Result:
    lost: str = ""
    seconds: float = 0.0
    # None: it hung, and was killed.
    status: int | None = None
    # None: not traced.
    sent: list | None = None
    log: str = ""
    troubles: list[str] = field(default_factory=list)


class Attempt:
    def __init__(self, row, init, place: Path, probe: Path, trace):
        self.row, self.init, self.place, self.trace = row, init, place, trace
        self.helpers: list[subprocess.Popen] = []
        self.container = None
        self.client = None
        # What the program under test keeps from its start to its end.
        self.state = None
        (place / "bin").mkdir()
        shutil.copy(probe, place / "bin/probe")
        for name in row.names:
            os.link(place / "bin/probe", place / "bin" / name)
        self.file("journal", "", 0o666)
        self.file("log", "", 0o666)
        os.mkfifo(place / "go")
        (place / "screen").mkdir(0o700)
        self.env = os.environ | {
            "PATH": f"{place}/bin:{PATH}", "HOME": str(place), "TMUX_TMPDIR": str(place),
            "SCREENDIR": str(place / "screen"),
        }
        place.chmod(0o777)

    def file(self, name: str, content: str, mode: int = 0o644) -> Path:
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.replace("{place}", str(self.place)))
        path.chmod(mode)
        return path

    def helper(self, *words) -> subprocess.Popen:
        """A process beside the container, which is ended with the run."""
        quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        command = [str(word) for word in words]
        self.helpers.append(subprocess.Popen(command, cwd=self.place, env=self.env, **quiet))
        return self.helpers[-1]

    def journal(self) -> list[str]:
        return (self.place / "journal").read_text().splitlines()

    def wait_for_journal(self, line: str):
        wait_for(repr(line), lambda: line in self.journal())

    def in_thread(self, work):
        """Begins it; what is returned waits for its outcome."""
        outcome = []
        thread = threading.Thread(target=lambda: outcome.append(work()), daemon=True)
        thread.start()

        def wait():
            thread.join(PATIENCE)
            return outcome[0] if outcome else None

        return wait

    def processes(self) -> dict[int, str]:
        """The state of each process below the init."""
        states, new = {}, [self.container.init]
        while new:
            pid = new.pop()
            try:
                for task in Path(f"/proc/{pid}/task").iterdir():
                    new += map(int, (task / "children").read_text().split())
                states[pid] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            except (OSError, IndexError):
                states[pid] = "gone"
        return states

    def names_of_processes(self) -> set[str]:
        names = set()
        for pid in self.processes():
            with contextlib.suppress(OSError):
                names.add(Path(f"/proc/{pid}/comm").read_text().strip())
        return names

    def settle(self):
        """Waits, for a second at most, until all processes sleep: a shell, say, in its `wait`."""
        quiet, seen, deadline = 0, None, time.monotonic() + 1
        while quiet < 3 and time.monotonic() < deadline and self.container.runs():
            states = self.processes()
            calm = states == seen and not {"R", "D", "gone"} & set(states.values())
            quiet, seen = quiet + 1 if calm else 0, states
            time.sleep(0.03)

    def stop(self):
        """As the row says; the time counts from here."""
        if self.row.stop == "go":
            wait_for("the reader of `go`", lambda: not self.container.runs() or self.go())
        else:
            self.container.since = time.monotonic()
            self.signal(self.row.stop)

    def go(self) -> bool:
        """Opens the file for whoever waits for that in open(2)."""
        self.container.since = time.monotonic()
        with contextlib.suppress(OSError):
            os.close(os.open(self.place / "go", os.O_WRONLY | os.O_NONBLOCK))
            return True
        return False

    def signal(self, name: str):
        # Pid 0 would be all of us.
        assert self.container.init > 0, "the init was never seen"
        os.kill(self.container.init, signal.Signals[f"SIG{name}"])

    def wait(self, limit: float) -> int | None:
        """The exit status of the init, without the grain of a sleep."""
        if not self.container.runs():
            return self.container.unshare.returncode
        handle = os.pidfd_open(self.container.unshare.pid)
        try:
            if select.select([handle], [], [], limit)[0]:
                return self.container.unshare.wait()
        finally:
            os.close(handle)
        return None

    def run(self) -> Result:
        try:
            return self.tried()
        finally:
            if self.container:
                self.container.__exit__()
            if self.client:
                self.client.join(PATIENCE)
            for helper in self.helpers:
                if helper.poll() is None:
                    helper.kill()
                helper.wait()

    def tried(self) -> Result:
        row, result = self.row, Result()
        program = row.program
        program.prepare(self)
        words = self.init.options(row.options)
        words += ["--", *shlex.split(row.command.replace("{place}", str(self.place)))]
        if self.trace:
            self.trace.clear()
        began = time.monotonic()
        self.container = Box(self.place, self.init.path, words, self.env)
        if row.stop:
            wait_for("the program", lambda: not self.container.runs() or program.is_ready(self))
            self.settle()
            if self.container.runs():
                program.begin(self)
                self.settle()
        if row.stop and not self.container.runs():
            result.troubles.append("ended before the stop")
            result.lost = "?"
            result.status, result.log = self.container.unshare.wait(), self.container.log
            return result
        if row.stop:
            self.stop()
            self.client = threading.Thread(target=program.go_on, args=[self], daemon=True)
            self.client.start()
        else:
            self.container.since = began
        result.status = self.wait(row.within + PATIENCE)
        result.seconds = time.monotonic() - self.container.since
        if result.status is None:
            result.troubles.append(f"hung for {result.seconds:.0f} s")
        if self.trace:
            result.sent = self.trace.signals(str(self.init.path), self.container.since)
        self.container.__exit__()
        if self.client:
            self.client.join(PATIENCE)
        result.lost = program.lost(self)
        result.log = self.container.log
        return result
