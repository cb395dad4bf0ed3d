"""Clients of a web server."""

import http.client
import socket
import threading
import urllib.request

from container import LIMIT

PORT = 8080
# Much more than the buffers between a server and its client hold.
LARGE = 64 << 20


def listens() -> bool:
    try:
        socket.create_connection(("127.0.0.1", PORT), LIMIT).close()
        return True
    except OSError:
        return False


def get(path: str) -> str | None:
    """What the server answers; None if it doesn't."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=LIMIT) as response:
            return response.read().decode()
    except (OSError, http.client.HTTPException):
        return None


class Request(threading.Thread):
    """A request that is under way."""

    def __init__(self, path: str):
        super().__init__(daemon=True)
        self.path = path
        self.start()

    def run(self):
        self.answered = get(self.path)

    def answer(self) -> str | None:
        self.join(LIMIT)
        return self.answered


class Download:
    """A large file of which only the first bytes were read so far."""

    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", PORT), LIMIT)
        self.socket.sendall(b"GET /large HTTP/1.0\r\n\r\n")
        self.begun = b""
        while b"\r\n\r\n" not in self.begun:
            self.begun += self.socket.recv(4096)

    def rest(self) -> int:
        """Reads on; how many bytes of the file have come in all."""
        count = len(self.begun.split(b"\r\n\r\n", 1)[1])
        with self.socket:
            try:
                while part := self.socket.recv(1 << 20):
                    count += len(part)
            except ConnectionResetError:
                pass
        return count
