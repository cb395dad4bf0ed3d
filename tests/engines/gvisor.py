"""gVisor: a kernel of its own, in user space."""

from engine import call
from oci import OciContainer, OciEngine

# How containerd tells runsc that a container is to run in another's sandbox.
TYPE, SANDBOX = "io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id"


class Gvisor(OciEngine):
    name = "gvisor"
    packages = ("runsc",)
    programs = ("runsc",)
    impossible = OciEngine.impossible | {
        "no new privileges": "its /proc does not tell whether they are in force",
        "the limit of processes is named when the command cannot be started": "a limit is the sandbox's: at it all of the sandbox ends",
        "the memory limit is told when the kernel kills at it": "a limit is the sandbox's: at it all of the sandbox ends",
        "in the hosts pid namespace nobody elses process is touched": "the sandbox has no processes of the host",
    }

    has_subreapers = False

    @property
    def runtime(self):
        options = ["--platform=ptrace", "--network=none", "--ignore-cgroups"]
        return ["runsc", "--root", str(self.place / "state"), *options]

    def version(self):
        return call("runsc", "--version").split()[2]

    def run(self, container):
        return GvisorContainer(self, container)

    def config(self, container, root, name):
        config = super().config(container, root, name)
        config["annotations"] = {TYPE: "sandbox"}
        if container.pid_namespace != "own":
            config["annotations"] = {TYPE: "container", SANDBOX: container.pid_namespace.id}
            # Without one of its own it is in the sandbox's.
            namespaces = config["linux"]["namespaces"]
            namespaces[:] = [namespace for namespace in namespaces if namespace["type"] != "pid"]
        return config


class GvisorContainer(OciContainer):
    def signal(self, number):
        # `runsc kill` knows no real-time signals.
        if number < 32:
            super().signal(number)
        else:
            call(*self.engine.runtime, "exec", self.id, "kill", f"-{number}", 1)


ENGINES = [Gvisor]
