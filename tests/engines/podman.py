"""Podman, as root: firstmate as the command, behind `--init`, and as what holds a pod."""

import re

import examples
import podman_cases
from engine import call
from run_cli import IMAGE, RunEngine

CONFIGURATION = {
    # The defaults of these limits are more than root may have without CAP_SYS_RESOURCE.
    "containers": '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n',
    "engine": '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\nlock_type = "file"\n',
}


class Podman(RunEngine):
    name = "podman"
    # systemd: for systemd-analyze.
    packages = ("podman", "crun", "conmon", "systemd")
    programs = ("podman", "crun", "conmon", "systemd-analyze")
    own_cases = podman_cases.ALL

    @property
    def client(self):
        return self.client_with(self.place / "containers.conf")

    def client_with(self, configuration) -> list[str]:
        storage = ["--root", self.place / "storage", "--runroot", self.place / "run", "--storage-driver", "vfs"]
        return ["env", f"CONTAINERS_CONF={configuration}", "podman", *map(str, storage), "--tmpdir", str(self.place / "tmp")]

    def client_by_example(self, **settings) -> list[str]:
        """The command with examples/podman/containers.conf, and these settings in the place of its own."""
        text = (examples.PLACE / "podman/containers.conf").read_text()
        for name, value in settings.items():
            text, changed = re.subn(f"^{name} = .*$", f'{name} = "{value}"', text, flags=re.MULTILINE)
            assert changed == 1, f"no {name} in {text}"
        for section in ("containers", "engine"):
            text = text.replace(f"[{section}]\n", CONFIGURATION[section])
        path = self.place / f"{self.new_id()}.conf"
        path.write_text(text)
        return self.client_with(path)

    def version(self):
        return call("podman", "--version").split()[2]

    def start(self):
        (self.place / "containers.conf").write_text("".join(CONFIGURATION.values()))
        call(*self.client, "import", self.image.tar, IMAGE)

    def run_options(self, container):
        return [f"--cgroup-parent=/{self.cgroup}", *super().run_options(container)]


class PodmanInit(Podman):
    name = "podman-init"
    own_cases = ()
    impossible = {
        f"in {whose} pid namespace nobody elses process is touched": "Podman refuses --init where the PID namespace is shared"
        for whose in ("the hosts", "a shared")
    }

    @property
    def init(self):
        return ["--init", f"--init-path={self.image.firstmate}"]


ENGINES = [Podman, PodmanInit]
