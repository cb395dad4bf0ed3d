"""firstmate-oci as the runtime: images that know nothing of firstmate have it as their init, and its options in variables."""

import json
import re
import shlex
import shutil
import subprocess
import threading
from dataclasses import replace

import examples
import gvisor
from cases import LEAVES_ONE, case, expect, probe, shell
from containerd import Containerd
from crun import Crun
from docker import Docker
from engine import LIMIT, Container
from gvisor import Gvisor
from kubernetes import Applied
from oci import ROOT_OUTSIDE
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


@case
def in_a_user_namespace_it_is_the_init_too(engine):
    command = shell(f"head -c 18 /proc/1/cmdline; cat /proc/self/uid_map; exec {shlex.join(probe(*LEAVES_ONE))}")
    with engine.run(Container(command, user_namespace=True)) as running:
        text = running.wait_for("ready")
        assert "/dev/.firstmate\0--" in text and str(ROOT_OUTSIDE) in text, text
        running.stop(30)
        expect(running.finish(), 5, "saved")


@case
def what_is_mounted_cannot_be_written_to(engine):
    script = "grep -o ' /dev/.firstmate [^ ]*' /proc/mounts || grep ' /dev/.firstmate ' /proc/self/mountinfo; : >/dev/.firstmate; echo written $?"
    with engine.run(Container(shell(script))) as running:
        finished = running.finish()
    assert "Read-only file system" in finished.output and "written 0" not in finished.output, finished


@case
def checkpoint_and_restore_are_answered_by_the_real_one(engine):
    through, *options = engine.runtime
    real = shutil.which(engine.real)
    with engine.run(Container(probe("say ready", "forever"))) as running:
        running.wait_for("ready")
        for words in (["checkpoint", "--image-path", engine.place / "image", running.id], ["restore", "--bundle", "/nowhere", "none"]):
            answers = []
            for program in (real, through):
                ended = subprocess.run([program, *options, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
                # The time of the log line.
                answers.append((ended.returncode, re.sub(r'time="[^"]*"|\d\S*Z', "", ended.stdout + ended.stderr)))
            assert answers[0] == answers[1] and answers[0][0] != 0, answers
        running.signal(9)
        running.finish()


OF_BUNDLES = (in_a_user_namespace_it_is_the_init_too, what_is_mounted_cannot_be_written_to, checkpoint_and_restore_are_answered_by_the_real_one)


class RuncRuntime(Bundles, Runc):
    name = "runc-runtime"
    real = "runc"
    own_cases = OF_BUNDLES

    @property
    def runtime(self):
        return [str(runtime(self, "runc")), "--root", str(self.place / "state")]

    def version(self):
        return Runc.version(type("Runc", (), {"name": "runc"})())


class CrunRuntime(Bundles, Crun):
    name = "crun-runtime"
    real = "crun"
    own_cases = OF_BUNDLES
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


@case
def one_manifest_with_three_images_that_know_nothing_of_it(engine):
    """Without the runtime class nothing of it, with the class all: the drain, the reasons, the reaping."""
    spec = {
        "terminationGracePeriodSeconds": 30,
        "containers": [
            {"name": "drains", "image": "my-worker:1", "command": ["my-app", "--work"]},
            {"name": "dies", "image": "my-worker:1", "command": shell("echo ready; kill -SEGV $$")},
            {"name": "orphans", "image": "my-worker:1", "command": probe("orphans 200", "say ready", "forever")},
        ],
    }
    for container in spec["containers"]:
        container["env"] = [{"name": "FIRSTMATE_TERMINATION_MESSAGE", "value": "yes"}]
    found = {}
    for handler in ("", "firstmate"):
        engine.runtime_handler = handler
        try:
            with Applied(engine, spec) as pod:
                pod.containers["drains"].wait_for("ready --work")
                died = pod.containers["dies"].finish()
                orphans = pod.containers["orphans"]
                orphans.wait_for("ready")
                zombies = engine.cri.call("ExecSync", container_id=orphans.id, cmd=shell("cat /proc/[0-9]*/status"), timeout=LIMIT)
                orphans.stop(1)
                pod.delete()
                drained = pod.containers["drains"].finish()
                found[handler] = ("saved" in drained.output, died.status, pod.message("dies"), zombies.stdout.count(b"Z (zombie)"))
        finally:
            engine.runtime_handler = "firstmate"
    # The signal does nothing to a PID 1 that does not handle it.
    assert found[""] == (False, 0, "", 200), found
    drained, status, message, zombies = found["firstmate"]
    assert (drained, status, zombies) == (True, 139, 0) and "SIGSEGV" in message, found


class ContainerdRuntime(Containerd):
    """As the runtime class of the examples."""

    name = "containerd-runtime"
    own_cases = (one_manifest_with_three_images_that_know_nothing_of_it,)
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
