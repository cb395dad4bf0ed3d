"""What the kubelet does with a pod's specification, as far as the examples need it. A field that is not done here is an error."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pods import CriContainer, Pod, full


def manifest(path: Path) -> dict:
    # Not there before the tests have installed it.
    import yaml

    return yaml.safe_load(path.read_text())


def pod_spec(path: Path) -> dict:
    whole = manifest(path)
    return whole["spec"]["template"]["spec"] if whole["kind"] == "Deployment" else whole["spec"]


def only(given: dict, *known) -> dict:
    assert not given.keys() - set(known), f"the tests do not know {given.keys() - set(known)}"
    return given


def bind(source: Path, place: str, readonly=False) -> dict:
    return {"host_path": str(source), "container_path": place, "readonly": readonly}


class Applied:
    """A pod of this specification, once its init containers have ended and the others have been started."""

    def __init__(self, engine, spec: dict):
        self.spec = only(
            spec, "containers", "initContainers", "volumes", "securityContext", "shareProcessNamespace", "terminationGracePeriodSeconds"
        )
        self.pod = Pod(engine, "POD" if spec.get("shareProcessNamespace") else "CONTAINER")
        self.place = engine.place / f"{self.pod.name}.volumes"
        self.place.mkdir()
        for volume in spec.get("volumes", []):
            self.file(volume["name"]).mkdir()
            self.file(volume["name"]).chmod(0o777)
            if image := volume.get("image"):
                # What it means: no engine here has it.
                assert image["reference"].startswith("firstmate:")
                shutil.copy(engine.image.firstmate, self.file(volume["name"]) / "firstmate")
            else:
                assert volume["emptyDir"] == {}
        self.containers = {}

    def __enter__(self):
        try:
            for container in self.spec.get("initContainers", []):
                status = self.start(container).finish()
                assert status.status == 0, status
            self.containers = {container["name"]: self.start(container) for container in self.spec["containers"]}
        except BaseException:
            self.pod.remove()
            raise
        return self

    def __exit__(self, *_):
        self.pod.remove()

    def file(self, name: str) -> Path:
        return self.place / name

    def start(self, spec: dict) -> CriContainer:
        only(spec, "name", "image", "command", "args", "env", "volumeMounts", "securityContext", "terminationMessagePath")
        message = self.file(f"{spec['name']}-message")
        message.touch()
        message.chmod(0o666)
        return CriContainer(
            self.pod,
            {
                "image": {"image": full(spec["image"])},
                "command": spec.get("command", []),
                "args": spec.get("args", []),
                "envs": [{"key": entry["name"], "value": entry["value"]} for entry in spec.get("env", [])],
                "mounts": [
                    bind(message, spec.get("terminationMessagePath", "/dev/termination-log")),
                    *(
                        bind(self.file(mount["name"]), mount["mountPath"], mount.get("readOnly", False))
                        for mount in spec.get("volumeMounts", [])
                    ),
                ],
                "linux": {"security_context": self.security(spec.get("securityContext", {}))},
            },
        )

    def security(self, own: dict) -> dict:
        asked = self.spec.get("securityContext", {}) | own
        only(
            asked,
            *("runAsNonRoot", "runAsUser", "runAsGroup", "seccompProfile"),
            *("allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities"),
        )
        assert not asked.get("runAsNonRoot") or asked["runAsUser"] != 0
        return {
            "namespace_options": {"pid": self.pod.pid},
            "run_as_user": {"value": asked.get("runAsUser", 0)},
            "run_as_group": {"value": asked.get("runAsGroup", 0)},
            "seccomp": {"profile_type": asked.get("seccompProfile", {"type": "Unconfined"})["type"]},
            "no_new_privs": not asked.get("allowPrivilegeEscalation", True),
            "readonly_rootfs": asked.get("readOnlyRootFilesystem", False),
            "capabilities": {"drop_capabilities": asked.get("capabilities", {"drop": []})["drop"]},
        }

    def delete(self):
        """`kubectl delete pod`: all are told at once, and have the grace period. Returns when they have ended."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda container: container.stop(self.spec["terminationGracePeriodSeconds"]), self.containers.values()))

    def message(self, name: str) -> str:
        """The termination message of this container."""
        return self.file(f"{name}-message").read_text()
