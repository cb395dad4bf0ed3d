"""An engine's daemon, as a child of the tests."""

import subprocess
import time
from pathlib import Path

from engine import LIMIT


class Daemon:
    def __init__(self, command, log: Path, ready):
        """Starts it and waits until `ready()` is true. What it writes goes to the file `log`."""
        self.log = log
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        deadline = time.monotonic() + LIMIT
        try:
            while not ready():
                assert self.process.poll() is None, f"{command[0]} ended: {log.read_text()}"
                assert time.monotonic() < deadline, f"{command[0]} is not ready after {LIMIT}s: {log.read_text()}"
                time.sleep(0.05)
        except BaseException:
            self.stop()
            raise

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(LIMIT)


def containerd(place: Path, settings: str) -> tuple[Daemon, Path]:
    """containerd with these settings, a config.toml, and all its files below `place`; the daemon and its socket."""
    place.mkdir()
    socket = place / "sock"
    config = place / "config.toml"
    config.write_text(f'{settings}\n[plugins."io.containerd.internal.v1.opt"]\npath = "{place}/opt"\n')
    command = ["containerd", "--config", config, "--root", place / "root", "--state", place / "state", "--address", socket]
    return Daemon(command, place / "log", lambda: answers(socket)), socket


def answers(socket: Path) -> bool:
    command = ["ctr", "--address", socket, "--connect-timeout", "1s", "version"]
    return socket.exists() and subprocess.run(command, capture_output=True, timeout=LIMIT).returncode == 0
