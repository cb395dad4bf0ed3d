"""The OCI runtimes' command line: create, start, kill, delete, on a plain bundle."""

import json
import os
import socket
import sys
from pathlib import Path

from client import Client, Output
from engine import LIMIT, Container, Engine, call

PARENT = Path(__file__).with_name("oci_parent.py")


class OciEngine(Engine):
    """`self.runtime` is its command with options."""

    impossible = {
        "the default seccomp profile": "an OCI runtime has no profile of its own",
    }

    @property
    def runtime(self) -> list[str]:
        return [self.name, "--root", str(self.place / "state")]

    def version(self):
        return call(self.name, "--version").split()[2]

    def run(self, container):
        return OciContainer(self, container)

    def bundle(self, container: Container, name: str) -> Path:
        bundle = self.place / name
        bundle.mkdir()
        root = self.image.copy(bundle / "root")
        if container.user_namespace:
            call("chown", "-R", f"{ROOT_OUTSIDE}:{ROOT_OUTSIDE}", root)
        (bundle / "config.json").write_text(json.dumps(self.config(container, root, name)))
        return bundle

    def config(self, container, root, name) -> dict:
        """By the runtime specification; what `runc spec` writes, where the container doesn't say otherwise."""
        user, group = (int(number) for number in (container.user or "0:0").split(":"))
        capabilities = [] if container.drop_all_capabilities else DEFAULT_CAPABILITIES
        pid = container.pid_namespace
        namespaces = [{"type": kind} for kind in ("mount", "ipc", "uts", "network")]
        if pid == "own":
            namespaces.append({"type": "pid"})
        elif pid != "host":
            namespaces.append({"type": "pid", "path": f"/proc/{pid.pid}/ns/pid"})
        resources = {}
        if container.pids_limit:
            resources["pids"] = {"limit": container.pids_limit}
        if container.memory_limit:
            resources["memory"] = {"limit": container.memory_limit, "swap": container.memory_limit}
        mappings = {}
        if container.user_namespace:
            namespaces.append({"type": "user"})
            mapping = [{"containerID": 0, "hostID": ROOT_OUTSIDE, "size": 65536}]
            mappings = {"uidMappings": mapping, "gidMappings": mapping}
        environment = {"PATH": "/bin:/sbin", "TERM": "xterm"} | container.env
        return {
            "ociVersion": "1.0.2",
            "process": {
                "terminal": container.tty,
                "user": {"uid": user, "gid": group},
                "args": container.arguments(),
                "env": [f"{key}={value}" for key, value in environment.items()],
                "cwd": "/",
                "capabilities": {kind: capabilities for kind in ("bounding", "effective", "permitted")},
                "noNewPrivileges": container.no_new_privileges,
            },
            "root": {"path": str(root), "readonly": container.read_only},
            "hostname": "test",
            "mounts": [
                mount("proc", "/proc", "proc"),
                mount("tmpfs", "/dev", "tmpfs", "nosuid", "mode=755", "size=65536k"),
                mount("sysfs", "/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
                mount("cgroup", "/sys/fs/cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro"),
                mount("devpts", "/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
            ],
            "linux": {"cgroupsPath": f"/{self.cgroup}/{name}", "resources": resources, "namespaces": namespaces} | mappings,
        }


# Of a user namespace.
ROOT_OUTSIDE = 100000

# Docker's.
DEFAULT_CAPABILITIES = [
    f"CAP_{name}"
    for name in (
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID",
        "SETPCAP", "SETUID", "SYS_CHROOT",
    )
]  # fmt: skip


def mount(kind, where, source, *options) -> dict:
    return {"destination": where, "type": kind, "source": source, "options": list(options)}


class OciContainer(Client):
    def __init__(self, engine: OciEngine, container: Container):
        self.engine = engine
        self.id = engine.new_id()
        bundle = engine.bundle(container, self.id)
        self.pid_file = bundle / "pid"
        console = Console(bundle / "console") if container.tty else None
        options = ["--console-socket", console.path] if console else []
        super().__init__([sys.executable, PARENT, self.pid_file, self.id, bundle, *options, "--", *engine.runtime])
        if console:
            # What the runtime itself says goes elsewhere.
            self.output = Output(console.receive())

    @property
    def pid(self) -> int:
        return int(self.pid_file.read_text())

    def signal(self, number):
        call(*self.engine.runtime, "kill", self.id, number)

    def stop(self, grace):
        self.stop_by_signals(grace, self.signal)

    def exec(self, command):
        return Client([*self.engine.runtime, "exec", self.id, *command])

    def remove(self):
        call(*self.engine.runtime, "delete", "--force", self.id, check=False)
        super().remove()


class Console:
    """The socket through which the runtime hands over the master side of the container's terminal."""

    def __init__(self, path: Path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.socket.settimeout(LIMIT)

    def receive(self) -> int:
        with self.socket, self.socket.accept()[0] as connection:
            connection.settimeout(LIMIT)
            _, [descriptor], _, _ = socket.recv_fds(connection, 4096, 1)
            os.set_inheritable(descriptor, False)
            return descriptor
