"""containerd by its CRI: pods with firstmate as their pause process, and containers in them, as the kubelet makes them."""

import shutil

import containerd_cases
import daemon
import examples
import oci_image
from cri import Cri
from engine import Engine, call
from pods import CriContainer, Pod, full


class Containerd(Engine):
    name = "containerd"
    packages = (
        *("containerd", "protobuf-compiler", "python3-grpcio", "python3-protobuf", "python3-yaml"),
        # It may be there from elsewhere, which the package would clash with.
        *(() if shutil.which("kubectl") else ("kubernetes-client",)),
    )
    programs = ("containerd", "ctr", "protoc", "kubectl")
    own_cases = containerd_cases.ALL
    containerd = cri = None

    def start(self):
        # Its sandbox_image is the pods' pause process.
        settings = (examples.PLACE / "kubernetes/containerd.toml").read_text()
        # For machines without CAP_SYS_RESOURCE, or without AppArmor's tools.
        settings += "restrict_oom_score_adj = true\ndisable_apparmor = true\n" + self.extra_settings()
        self.containerd, self.socket = daemon.containerd(self.place / "containerd", settings)
        [pause] = [line.split('"')[1] for line in settings.splitlines() if line.lstrip().startswith("sandbox_image")]
        # As pause.Dockerfile makes it.
        only_firstmate = oci_image.layer_of({"firstmate": self.image.firstmate.read_bytes()})
        self.load(pause, [only_firstmate], {"Entrypoint": ["/firstmate", "--pause"], "User": "65535:65535"})
        application = oci_image.layer_of({"bin/my-app": examples.APPLICATION.encode()})
        image = self.image.tar.read_bytes()
        self.load("test", [image], {})
        # Those of the examples.
        for name in ("my-app:1", "my-worker:1"):
            self.load(name, [image, application], {})
        self.cri = Cri(self.socket, self.place)

    # Of the pods; empty is the default.
    runtime_handler = ""

    def extra_settings(self) -> str:
        return ""

    def command_of(self, container) -> list[str]:
        return container.arguments()

    def environment_of(self, container) -> dict[str, str]:
        return container.env

    def load(self, name: str, layers: list[bytes], config: dict):
        archive = oci_image.write(self.place / "image.tar", full(name), layers, config)
        self.ctr("images", "import", archive)

    def stop(self):
        if self.cri:
            self.cri.close()
        if self.containerd:
            self.containerd.stop()

    def version(self):
        return self.cri.call("Version").runtime_version

    def ctr(self, *arguments) -> str:
        return call("ctr", "--address", self.socket, "--namespace", "k8s.io", *arguments)

    def run(self, container):
        """In the pod of the container whose processes it shares, or in one of its own."""
        shared = container.pid_namespace
        if isinstance(shared, CriContainer):
            return shared.pod.start(container, {"pid": "TARGET", "target_id": shared.id})
        # As the kubelet does it: a limit of processes is the pod's.
        pod = Pod(self, {"own": "CONTAINER", "host": "NODE"}[shared], container.pids_limit)
        running = pod.start(container, {"pid": pod.pid})
        running.owns_pod = True
        return running


ENGINES = [Containerd]
