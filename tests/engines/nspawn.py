"""systemd-nspawn, on machines with systemd and without."""

import os
from pathlib import Path

from client import Client
from engine import Engine, call

# nspawn asks it, in the container, for the user.
GETENT = """#!/bin/sh
[ "$1" = initgroups ] && echo "$2" && exit
grep "^$2:" "/etc/$1"
"""


class Nspawn(Engine):
    name = "systemd-nspawn"
    packages = ("systemd-container",)
    programs = ("systemd-nspawn",)
    impossible = {
        "a session that entered from outside does not hold the stop": "only machinectl enters, by a systemd in the container",
        "the limit of processes is named when the command cannot be started": "limits are properties of systemd's scope, not nspawn's",
        "the memory limit is told when the kernel kills at it": "limits are properties of systemd's scope, not nspawn's",
        "in a shared pid namespace nobody elses process is touched": "nspawn joins no other container's PID namespace",
    }

    status_of_killed = 1

    def version(self):
        return call("systemd-nspawn", "--version").split()[1]

    def run(self, container):
        return Machine(self, container)


class Machine(Client):
    def __init__(self, engine, container):
        name = engine.new_id()
        root = engine.image.copy(engine.place / name)
        (root / "usr/bin/getent").write_text(GETENT)
        (root / "usr/bin/getent").chmod(0o755)
        options = [
            "--quiet", "--register=no", "--keep-unit", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
            # Without it nspawn, told to end, kills everything at once.
            "--kill-signal=SIGTERM",
            f"--directory={root}", f"--machine={name}",
            f"--console={'interactive' if container.tty else 'pipe'}",
            *(f"--setenv={name}={value}" for name, value in container.env.items()),
            *(["--read-only"] if container.read_only else []),
            *(["--user=nobody"] if container.user else []),
            *(["--drop-capability=all"] if container.drop_all_capabilities else []),
            *(["--no-new-privileges=yes"] if container.no_new_privileges else []),
        ]  # fmt: skip
        environment = os.environ | ({"SYSTEMD_NSPAWN_SHARE_NS_PID": "1"} if container.pid_namespace == "host" else {})
        super().__init__(["systemd-nspawn", *options, *container.arguments()], tty=container.tty, env=environment)

    @property
    def pid(self) -> int:
        """The container's first process: a child of nspawn, as its helpers are."""
        nspawn = self.process.pid
        for child in Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split():
            if os.readlink(f"/proc/{child}/exe").endswith("/sbin/firstmate"):
                return int(child)
        raise AssertionError(f"it has not started: {self.output.text()!r}")

    def signal(self, number):
        os.kill(self.pid, number)

    def stop(self, grace):
        # nspawn passes it on as the --kill-signal: what `systemctl stop` does with the unit of a container.
        self.stop_by_signals(grace, self.process.send_signal)


ENGINES = [Nspawn]
