"""A command under firstmate, as PID 1 of a PID namespace of its own."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

# Seconds for anything that ends by itself: long, for machines with much else to do.
LIMIT = 60


def wait_for(what: str, condition):
    """Waits until the condition holds."""
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


@dataclass
class Ended:
    status: int
    # Since the last signal, or else since the start.
    seconds: float


class Container:
    """At the end of its `with` block it is gone, whatever state it was in."""

    def __init__(self, place: Path, firstmate: Path, words: list[str]):
        self.words = words
        self.since = time.monotonic()
        self.outcome = "killed by the test"
        self.log_file = place / f"log-{time.monotonic_ns()}"
        unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--", str(firstmate), *words]
        with self.log_file.open("wb") as log:
            self.unshare = subprocess.Popen(unshare, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=place)
        children = Path(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children")

        def has_begun():
            self.init = int(children.read_text() or 0)
            return os.path.realpath(f"/proc/{self.init}/exe") == str(firstmate) or not self.runs()

        wait_for("firstmate", has_begun)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # With PID 1 goes all the rest, before its parent hears of its end.
        if self.runs():
            os.kill(self.init, signal.SIGKILL)
        self.unshare.wait(LIMIT)

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def wait_for_log(self, text: str):
        wait_for(f"{text!r} in this log:\n{self.log}", lambda: text in self.log or not self.runs())
        assert text in self.log, f"no {text!r} in this log:\n{self.log}"

    def runs(self) -> bool:
        return self.unshare.poll() is None

    def command_catches(self, name: str) -> bool:
        """Whether the command has a handler for this signal."""
        command = Path(f"/proc/{self.init}/task/{self.init}/children").read_text().strip()
        status = Path(f"/proc/{command}/status").read_text() if command else ""
        caught = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt")]
        return bool(caught and caught[0] >> signal.Signals[f"SIG{name}"] - 1 & 1)

    def signal(self, name: str):
        """As the engine does it."""
        self.since = time.monotonic()
        os.kill(self.init, signal.Signals[f"SIG{name}"])

    def ended(self) -> Ended:
        """Waits for its end."""
        ended = Ended(self.unshare.wait(LIMIT), time.monotonic() - self.since)
        self.outcome = f"[exit status {ended.status}, {ended.seconds:.1f}s after the last signal]"
        return ended

    def stop(self, name: str) -> Ended:
        self.signal(name)
        return self.ended()
