"""bubblewrap: no daemon and nothing to manage; firstmate is the first process of its namespace (`--as-pid-1`)."""

import json
import os

from client import Client
from engine import Engine, call


class Bubblewrap(Engine):
    name = "bubblewrap"
    packages = ("bubblewrap",)
    programs = ("bwrap",)
    impossible = {
        "the engines stop ends in time": "bubblewrap has no command to stop",
        "the engines stop kills at the end of its grace period": "bubblewrap has no command to stop",
        "each key of the terminal is one signal": "^C kills bwrap itself, which shares the terminal's foreground group",
        "a session that entered from outside does not hold the stop": "bubblewrap has no command to enter",
        "the default seccomp profile": "bubblewrap has no profile of its own",
        "the limit of processes is named when the command cannot be started": "bubblewrap sets no limits",
        "the memory limit is told when the kernel kills at it": "bubblewrap sets no limits",
    }

    def version(self):
        return call("bwrap", "--version").split()[1]

    def run(self, container):
        return Sandbox(self, container)


class Sandbox(Client):
    def __init__(self, engine, container):
        root = engine.image.copy(engine.place / engine.new_id())
        user, group = (container.user or ":").split(":")
        pid = container.pid_namespace
        information, theirs = os.pipe()
        descriptors = [theirs]
        options = [
            # Not the host's, as in the other engines.
            "--clearenv", "--setenv", "PATH", "/bin:/sbin", "--setenv", "TERM", "xterm",
            *(word for name, value in container.env.items() for word in ("--setenv", name, value)),
            "--ro-bind" if container.read_only else "--bind", root, "/",
            *(["--unshare-user", "--uid", user, "--gid", group] if user else []),
            *(["--cap-drop", "ALL"] if container.drop_all_capabilities else []),
        ]  # fmt: skip
        if pid == "own":
            options += ["--unshare-pid", "--as-pid-1"]
        elif pid != "host":
            descriptors.append(os.open(f"/proc/{pid.pid}/ns/pid", os.O_RDONLY))
            options += ["--pidns", descriptors[-1]]
        options += ["--proc", "/proc", "--dev", "/dev", "--info-fd", theirs]
        try:
            super().__init__(["bwrap", *options, *container.arguments()], tty=container.tty, pass_fds=descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        with os.fdopen(information) as file:
            text = file.read()
        # Empty if it could not start: the output tells why.
        self.pid = json.loads(text)["child-pid"] if text else None

    def signal(self, number):
        os.kill(self.pid, number)


ENGINES = [Bubblewrap]
