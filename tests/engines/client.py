"""A process whose output is the container's, and whose exit status is the container's: `runc run`, `docker run`, `bwrap`."""

import fcntl
import os
import struct
import subprocess
import termios
import threading
import time

from engine import LIMIT, Finished, Running


class Output:
    """Collects what comes out of a descriptor, which it owns."""

    def __init__(self, descriptor: int):
        self.descriptor = descriptor
        self.bytes = b""
        self.ended = False
        self.changed = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            try:
                more = os.read(self.descriptor, 65536)
            except OSError:  # EIO: nobody has the other side of the terminal any more.
                more = b""
            with self.changed:
                self.bytes += more
                self.ended = not more
                self.changed.notify_all()
                if self.ended:
                    return

    def text(self) -> str:
        return self.bytes.decode(errors="replace")

    def wait_for(self, text: str, limit: float) -> str:
        with self.changed:
            self.changed.wait_for(lambda: text in self.text() or self.ended, limit)
        assert text in self.text(), f"{text!r} does not come: {self.text()!r}"
        return self.text()

    def wait_for_end(self, limit: float) -> str:
        with self.changed:
            assert self.changed.wait_for(lambda: self.ended, limit), f"the output does not end: {self.text()!r}"
        return self.text()


class Client(Running):
    """Such a process. `signal`, `stop`, `exec` and `remove` are the engine's to give."""

    def __init__(self, command, tty=False, **options):
        ours, theirs = os.openpty() if tty else os.pipe()
        try:
            self.process = subprocess.Popen(
                [*(["setsid", "--ctty"] if tty else []), *map(str, command)],
                stdin=theirs if tty else subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
                **options,
            )
        finally:
            os.close(theirs)
        self.output = Output(ours)

    def wait_for(self, text, limit=LIMIT):
        return self.output.wait_for(text, limit)

    def write(self, text):
        os.write(self.output.descriptor, text.encode())

    def resize(self, rows, columns):
        fcntl.ioctl(self.output.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def finish(self, limit=LIMIT):
        try:
            status = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end: {self.output.text()!r}") from None
        return Finished(status if status >= 0 else 128 - status, self.output.wait_for_end(limit))

    def signal(self, number):
        raise NotImplementedError

    def stop(self, grace):
        raise NotImplementedError

    def exec(self, command):
        raise NotImplementedError

    def remove(self):
        self.process.kill()
        self.process.wait(LIMIT)

    def stop_by_signals(self, grace: int, terminate):
        """What engines do, for those that leave it to others: `terminate(15)`, and SIGKILL after the grace period."""
        terminate(15)
        deadline = time.monotonic() + grace
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if self.process.poll() is None:
            self.signal(9)
        self.process.wait(LIMIT)
