"""Pods and their containers, by calls of the CRI. Their engine has `cri`, `ctr` and what all engines have."""

import time
from pathlib import Path

from cri import Stream
from engine import LIMIT, Finished, Running


def full(image: str) -> str:
    """The name as containerd keeps it."""
    tagged = image if ":" in image else f"{image}:latest"
    return tagged if "/" in tagged else f"docker.io/library/{tagged}"


# PodSandboxState and ContainerState of cri.proto.
READY = 0
EXITED = 2


class Pod:
    """A sandbox: the pause process, and what its containers share."""

    def __init__(self, engine, pid: str = "CONTAINER", pids_limit: int | None = None):
        self.engine = engine
        self.pid = pid
        self.name = engine.new_id()
        self.logs = engine.place / f"{self.name}.logs"
        cgroup = f"/{engine.cgroup}/{self.name}"
        if pids_limit:
            limit_processes(cgroup, pids_limit)
        self.config = {
            "metadata": {"name": self.name, "uid": self.name, "namespace": "test"},
            "log_directory": str(self.logs),
            "linux": {"cgroup_parent": cgroup, "security_context": {"namespace_options": {"network": "NODE", "pid": pid}}},
        }
        self.id = engine.cri.call("RunPodSandbox", config=self.config, runtime_handler=engine.runtime_handler).pod_sandbox_id

    def start(self, container, namespaces: dict) -> "CriContainer":
        """A container of the image `test`."""
        user, group = (container.user or "0:0").split(":")
        return CriContainer(
            self,
            {
                "image": {"image": full("test")},
                "command": self.engine.command_of(container),
                "envs": [{"key": key, "value": value} for key, value in self.engine.environment_of(container).items()],
                "stdin": container.tty,
                "tty": container.tty,
                "linux": {
                    "resources": {
                        "memory_limit_in_bytes": container.memory_limit or 0,
                        "memory_swap_limit_in_bytes": container.memory_limit or 0,
                    },
                    "security_context": {
                        "namespace_options": namespaces,
                        "capabilities": {"drop_capabilities": ["ALL"] if container.drop_all_capabilities else []},
                        "run_as_user": {"value": int(user)},
                        "run_as_group": {"value": int(group)},
                        "readonly_rootfs": container.read_only,
                        "no_new_privs": container.no_new_privileges,
                        "seccomp": {"profile_type": "RuntimeDefault"},
                    },
                },
            },
        )

    def wait_for_end(self):
        deadline = time.monotonic() + LIMIT
        while self.engine.cri.call("PodSandboxStatus", pod_sandbox_id=self.id).status.state == READY:
            assert time.monotonic() < deadline, "the pause process does not end"
            time.sleep(0.05)

    def remove(self):
        """With all containers in it."""
        self.engine.cri.call("StopPodSandbox", pod_sandbox_id=self.id)
        self.engine.cri.call("RemovePodSandbox", pod_sandbox_id=self.id)


class CriContainer(Running):
    """A container of this configuration: a ContainerConfig of cri.proto."""

    # Whether the pod is removed with it.
    owns_pod = False

    def __init__(self, pod: Pod, config: dict):
        self.pod = pod
        self.cri = pod.engine.cri
        name = pod.engine.new_id()
        self.log = pod.logs / name
        config = {"metadata": {"name": name}, "log_path": name} | config
        # A machine without a network plug-in: the node's, for all.
        config["linux"]["security_context"]["namespace_options"]["network"] = "NODE"
        self.id = self.cri.call("CreateContainer", pod_sandbox_id=pod.id, config=config, sandbox_config=pod.config).container_id
        self.cri.call("StartContainer", container_id=self.id)
        self.terminal = None
        if config.get("tty"):
            self.terminal = Stream(self.cri.call("Attach", container_id=self.id, stdin=True, stdout=True, tty=True).url)
            # As kubectl says: "If you don't see a command prompt, try pressing enter."
            self.write("\r")

    def status(self):
        return self.cri.call("ContainerStatus", container_id=self.id).status

    def text(self) -> str:
        """What is in the log file: https://kubernetes.io/docs/concepts/cluster-administration/logging/"""
        text = ""
        for line in self.log.read_text(errors="replace").split("\n")[:-1] if self.log.exists() else []:
            _time, _stream, tag, content = line.split(" ", 3)
            text += content + ("\n" if tag == "F" else "")
        return text

    def wait_for(self, text, limit=LIMIT):
        deadline = time.monotonic() + limit
        while True:
            ended = self.status().state == EXITED
            # What is not a whole line yet, such as a prompt, is not in the log.
            for output in (self.text(), self.terminal.text() if self.terminal else ""):
                if text in output:
                    return output
            assert not ended and time.monotonic() < deadline, f"{text!r} does not come: {self.text()!r}"
            time.sleep(0.05)

    def write(self, text):
        for start in range(0, len(text), 100):
            self.terminal.send(Stream.STDIN, text[start : start + 100].encode())

    def resize(self, rows, columns):
        self.terminal.resize(rows, columns)

    def signal(self, number):
        # The kubelet has no signals but those of its stop: by containerd's own client.
        self.pod.engine.ctr("tasks", "kill", "--signal", number, self.id)

    def stop(self, grace):
        self.cri.call("StopContainer", limit=grace + LIMIT, container_id=self.id, timeout=grace)

    def exec(self, command):
        return Session(Stream(self.cri.call("Exec", container_id=self.id, cmd=command, stdout=True, stderr=True).url))

    def finish(self, limit=LIMIT):
        deadline = time.monotonic() + limit
        while (status := self.status()).state != EXITED:
            assert time.monotonic() < deadline, f"it does not end: {self.text()!r}"
            time.sleep(0.05)
        return Finished(status.exit_code, self.text())

    def remove(self):
        if self.terminal:
            self.terminal.close()
        if self.owns_pod:
            self.pod.remove()
        else:
            self.cri.call("StopContainer", container_id=self.id)
            self.cri.call("RemoveContainer", container_id=self.id)


class Session(Running):
    """`kubectl exec`."""

    def __init__(self, stream: Stream):
        self.stream = stream

    def wait_for(self, text, limit=LIMIT):
        return self.stream.wait_for(text, limit)

    def finish(self, limit=LIMIT):
        return Finished(self.stream.status(limit), self.stream.text())

    def remove(self):
        self.stream.close()

    def write(self, text):
        raise NotImplementedError

    resize = signal = stop = exec = write


def limit_processes(cgroup: str, limit: int):
    """Makes this control group, with a limit: in the hierarchy of version 1 if there is one."""
    root = Path("/sys/fs/cgroup/pids")
    version_1 = root.is_dir()
    root = root if version_1 else root.parent
    place = root
    for part in cgroup.strip("/").split("/"):
        if not version_1:
            (place / "cgroup.subtree_control").write_text("+pids")
        place /= part
        place.mkdir(exist_ok=True)
    (place / "pids.max").write_text(str(limit))
