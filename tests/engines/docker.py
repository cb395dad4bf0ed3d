"""Docker: firstmate as an image's entry point, and as the engine's own init."""

import json
import os
import re
import subprocess

import daemon
import docker_cases
from client import Client
from engine import LIMIT, call
from programs import ROOT
from run_cli import IMAGE, RunContainer, RunEngine


class Docker(RunEngine):
    """The images' ENTRYPOINT is firstmate. `docker run --init` has it too, by the daemon's flag --init-path."""

    name = "docker"
    packages = ("docker.io", "docker-compose", "python3-yaml")
    programs = ("docker", "dockerd", "containerd", "docker-compose")
    own_cases = docker_cases.OF_AN_ENTRY_POINT
    containerd = dockerd = None

    def start(self):
        settings = 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        self.containerd, containerd_socket = daemon.containerd(self.place / "containerd", settings)
        self.socket = f"unix://{self.place}/sock"
        self.dockerd = daemon.Daemon(
            [
                "dockerd",
                f"--host={self.socket}",
                f"--containerd={containerd_socket}",
                f"--data-root={self.place}/root",
                f"--exec-root={self.place}/exec",
                f"--pidfile={self.place}/pid",
                f"--cgroup-parent=/{self.cgroup}",
                "--exec-opt=native.cgroupdriver=cgroupfs",
                "--bridge=none",
                "--iptables=false",
                "--ip6tables=false",
                *self.daemon_options(),
            ],
            self.place / "log",
            lambda: subprocess.run([*self.client, "version"], capture_output=True, timeout=LIMIT).returncode == 0,
        )
        self.docker("import", self.image.tar, "base")
        self.docker("import", "--change", 'ENTRYPOINT ["/sbin/firstmate"]', self.image.tar, IMAGE)

    def daemon_options(self) -> list[str]:
        return [f"--config-file={self.settings({})}", f"--init-path={self.image.firstmate}"]

    def settings(self, settings: dict):
        """A daemon.json of them: the machine's own is not for us."""
        file = self.place / "daemon.json"
        file.write_text(json.dumps(settings))
        return file

    def stop(self):
        for each in (self.dockerd, self.containerd):
            if each:
                each.stop()

    def cases(self):
        # The longest is among its own: the others run beside it.
        return sorted(super().cases(), key=lambda case: case not in self.own_cases)

    def version(self):
        return self.docker("version", "--format", "{{.Server.Version}}").strip()

    @property
    def client(self):
        # With nothing of the user's configuration.
        return ["docker", "--config", str(self.place / "client"), "--host", self.socket]

    def docker(self, *arguments, **options) -> str:
        return call(*self.client, *arguments, **options)

    def build(self, *arguments, **options) -> str:
        """By the builder that is in the daemon: BuildKit is a plug-in that Debian's client has not."""
        output = self.docker("build", *arguments, env=os.environ | {"DOCKER_BUILDKIT": "0"}, **options)
        # It colours what came from standard error, piece by piece.
        return re.sub(r"\x1b\[\d*m", "", output)

    def command(self, container):
        return container.arguments()[1:]

    def run_image(self, image, command=(), options=()):
        """A container of another image, whose own ENTRYPOINT there is."""
        return ImageContainer(self, image, command, options)


class ImageContainer(RunContainer):
    def __init__(self, engine, image, command, options):
        self.engine = engine
        self.name = engine.new_id()
        Client.__init__(self, [*engine.client, "run", f"--name={self.name}", "--network=none", *options, image, *command])


class DockerInit(Docker):
    """By examples/daemon.json and `"init": true`, firstmate is the init of every container, without `--init`."""

    name = "docker-init"
    own_cases = docker_cases.OF_AN_INIT
    impossible = {
        f"in {whose} pid namespace nobody elses process is touched": "Docker gives no init to a PID namespace that is not the container's"
        for whose in ("the hosts", "a shared")
    }
    init = []

    def start(self):
        super().start()
        self.docker("tag", "base", IMAGE)

    def daemon_options(self):
        settings = json.loads((ROOT / "examples/daemon.json").read_text())
        assert "init" not in settings
        settings |= {"init": True, "init-path": str(self.image.firstmate)}
        return [f"--config-file={self.settings(settings)}"]

    def command(self, container):
        return container.command


ENGINES = [Docker, DockerInit]
