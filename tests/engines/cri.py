"""The Container Runtime Interface, as the kubelet speaks it: gRPC over a socket, and streams for terminals and sessions."""

import base64
import json
import os
import socket
import struct
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

from engine import LIMIT

PROTOCOL = Path(__file__).with_name("cri.proto")
SERVICE = "runtime.v1.RuntimeService"


class Cri:
    """The calls of cri.proto at this socket."""

    def __init__(self, address: Path, place: Path):
        # It has no business with the processes that the tests start.
        os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
        # Not there before the tests have installed it.
        import grpc
        from google.protobuf import descriptor_pb2, json_format, message_factory
        from google.protobuf.descriptor_pool import DescriptorPool

        self.parse, self.failure = json_format.ParseDict, grpc.RpcError
        compiled = place / "cri.binpb"
        command = ["protoc", f"--proto_path={PROTOCOL.parent}", f"--descriptor_set_out={compiled}", PROTOCOL.name]
        subprocess.run(command, check=True, timeout=LIMIT)
        pool = DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes()).file:
            pool.Add(file)
        messages = message_factory.MessageFactory(pool)
        self.channel = grpc.insecure_channel(f"unix://{address}")
        self.methods = {}
        for method in pool.FindServiceByName(SERVICE).methods:
            request, response = (messages.GetPrototype(kind) for kind in (method.input_type, method.output_type))
            function = self.channel.unary_unary(
                f"/{SERVICE}/{method.name}",
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString,
            )
            self.methods[method.name] = request, function

    def call(self, method: str, limit: float = LIMIT, **fields):
        """The response. The request's fields, with messages as dictionaries; an unknown one is an error."""
        request, function = self.methods[method]
        try:
            return function(self.parse(fields, request()), timeout=limit)
        except self.failure as error:
            raise AssertionError(f"{method}: {error.code().name}: {error.details()}") from None

    def close(self):
        self.channel.close()


class Stream:
    """The other side of an Exec or Attach: a WebSocket (RFC 6455) whose messages begin with the number of a channel."""

    STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)

    def __init__(self, url: str):
        place = urlsplit(url)
        self.socket = socket.create_connection((place.hostname, place.port), LIMIT)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n".encode()
        )
        self.incoming = self.socket.makefile("rb")
        answer = self.incoming.readline()
        assert b" 101 " in answer, answer
        while self.incoming.readline().strip():
            pass
        self.socket.settimeout(None)
        self.output = b""
        self.error = b""
        self.ended = False
        self.changed = threading.Condition()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            while message := self.message():
                with self.changed:
                    if message[0] == self.ERROR:
                        self.error += message[1:]
                    else:
                        self.output += message[1:]
                    self.changed.notify_all()
        except OSError:
            pass
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def message(self) -> bytes:
        """The next one; nothing at the end. The server never splits one, and masks none."""
        while head := self.incoming.read(2):
            kind, length = head[0] & 0x0F, head[1]
            if length >= 126:
                form = ">H" if length == 126 else ">Q"
                [length] = struct.unpack(form, self.incoming.read(struct.calcsize(form)))
            content = self.incoming.read(length)
            # 2: a binary message. 8: the end. Each channel begins with an empty message.
            if kind == 2 and len(content) > 1:
                return content
            if kind == 8:
                break
        return b""

    def send(self, channel: int, content: bytes):
        payload = bytes([channel]) + content
        assert len(payload) < 126
        # A client masks what it sends; with zeros, that changes nothing.
        self.socket.sendall(bytes([0x82, 0x80 | len(payload)]) + bytes(4) + payload)

    def resize(self, rows: int, columns: int):
        self.send(self.RESIZE, json.dumps({"Width": columns, "Height": rows}).encode())

    def text(self) -> str:
        with self.changed:
            return self.output.decode(errors="replace")

    def wait_for(self, text: str, limit: float) -> str:
        with self.changed:
            self.changed.wait_for(lambda: text.encode() in self.output or self.ended, limit)
        assert text in self.text(), f"{text!r} does not come: {self.text()!r} {self.error!r}"
        return self.text()

    def status(self, limit: float) -> int:
        """The exit status of the process at the other side, when that has ended."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.ended, limit), f"the stream does not end: {self.output!r}"
        result = json.loads(self.error)
        if result["status"] == "Success":
            return 0
        [code] = [cause["message"] for cause in result["details"]["causes"] if cause["reason"] == "ExitCode"]
        return int(code)

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
