"""firstmate-oci as the runtime: images that know nothing of firstmate have it as their init, and its options in variables."""

import json
import shutil
import threading
from dataclasses import replace

import examples
import gvisor
from containerd import Containerd
from crun import Crun
from docker import Docker
from gvisor import Gvisor
from podman import Podman
from run_cli import IMAGE
from runc import Runc


MADE = threading.Lock()


def runtime(engine, real: str):
    """firstmate-oci under the name for that runtime, with a firstmate beside it."""
    place = engine.place / "runtime"
    link = place / f"firstmate-{real}"
    # Cases run side by side, and the first ones of an engine ask for it at once.
    with MADE:
        if not place.exists():
            place.mkdir()
            shutil.copy(engine.image.firstmate, place / "firstmate")
            shutil.copy(engine.image.oci, place / "firstmate-oci")
            link.symlink_to("firstmate-oci")
    return link


class Bundles:
    """Of a bundle's configuration: the plain command."""

    @property
    def runtime(self):
        real, *options = super().runtime
        return [str(runtime(self, real)), *options]

    def config(self, container, root, name):
        config = super().config(replace(container, env=container.environment()), root, name)
        config["process"]["args"] = container.command
        return config


class RuncRuntime(Bundles, Runc):
    name = "runc-runtime"

    @property
    def runtime(self):
        return [str(runtime(self, "runc")), "--root", str(self.place / "state")]

    def version(self):
        return Runc.version(type("Runc", (), {"name": "runc"})())


class CrunRuntime(Bundles, Crun):
    name = "crun-runtime"
    in_each_run = False

    @property
    def runtime(self):
        return [str(runtime(self, "crun")), "--root", str(self.place / "state")]

    def version(self):
        return Crun.version(type("Crun", (), {"name": "crun"})())


class GvisorRuntime(Bundles, Gvisor):
    name = "gvisor-runtime"
    in_each_run = False

    def config(self, container, root, name):
        config = super().config(container, root, name)
        # A sandbox is left alone; runsc makes one without being told.
        if config["annotations"].get(gvisor.TYPE) == "sandbox":
            del config["annotations"]
        return config


class DockerRuntime(Docker):
    """As `default-runtime`."""

    name = "docker-runtime"
    in_each_run = False
    own_cases = ()
    init = []

    def start(self):
        super().start()
        self.docker("tag", "base", IMAGE)

    def daemon_options(self):
        settings = json.loads((examples.PLACE / "oci/daemon.json").read_text())
        settings["runtimes"]["firstmate"]["path"] = str(runtime(self, "runc"))
        return [f"--config-file={self.settings(settings | {'default-runtime': 'firstmate'})}"]

    def command(self, container):
        return container.command


class PodmanRuntime(Podman):
    name = "podman-runtime"
    in_each_run = False
    own_cases = ()
    init = []

    @property
    def client(self):
        return [*super().client, "--runtime", str(runtime(self, "crun"))]


class ContainerdRuntime(Containerd):
    """As the runtime class of the examples."""

    name = "containerd-runtime"
    own_cases = ()
    runtime_handler = "firstmate"

    def extra_settings(self):
        text = (examples.PLACE / "oci/containerd.toml").read_text()
        text = text.replace("/usr/local/sbin/firstmate-runc", str(runtime(self, "runc")))
        return text.replace("version = 2\n", "")

    def command_of(self, container):
        return container.command

    def environment_of(self, container):
        return container.environment()


ENGINES = [RuncRuntime, CrunRuntime, GvisorRuntime, DockerRuntime, PodmanRuntime, ContainerdRuntime]
