"""What only pods have, and the examples for Kubernetes."""

import json
import re
import shutil
import subprocess
import time

import examples
from cases import COUNT_ZOMBIES, a_container_that_only_holds, case, expect, probe, shell
from engine import LIMIT, Container, call
from kubernetes import Applied, manifest, pod_spec

PLACE = examples.PLACE / "kubernetes"


@case
def the_status_tells_the_exit_code_and_the_reason(engine):
    for command, limit, status, reason in (
        (probe("exit 0"), None, 0, "Completed"),
        (probe("exit 3"), None, 3, "Error"),
        (probe("die 11"), None, 139, "Error"),
        # tail(1) keeps the last line, which has no end.
        (shell("tail /dev/zero"), 64 << 20, 137, "OOMKilled"),
    ):
        with engine.run(Container(command, memory_limit=limit)) as running:
            expect(running.finish(), status)
            assert running.status().reason == reason, running.status()


@case
def a_probe_of_the_kubelet_gets_its_answer_and_leaves_no_zombie(engine):
    with engine.run(Container(probe("block-all", "say ready", "until 15", "exit 4"))) as running:
        running.wait_for("ready")
        answer = engine.cri.call("ExecSync", container_id=running.id, cmd=shell("echo here; exit 3"), timeout=LIMIT)
        assert (answer.stdout, answer.exit_code) == (b"here\n", 3), answer
        left = engine.cri.call("ExecSync", container_id=running.id, cmd=shell(COUNT_ZOMBIES), timeout=LIMIT)
        assert left.stdout == b"zombies: 0\n", left
        running.stop(30)
        expect(running.finish(), 4)


@case
def the_termination_message_says_why(engine):
    spec = {
        "terminationGracePeriodSeconds": 30,
        "containers": [
            {
                "name": "app",
                "image": "my-app:1",
                "command": ["/sbin/firstmate", "--termination-message", "--kill-after=1s", "--"],
                "args": probe("ignore 15", "say ready", "forever"),
            }
        ],
    }
    with Applied(engine, spec) as pod:
        app = pod.containers["app"]
        app.wait_for("ready")
        pod.delete()
        expect(app.finish(), 137)
        assert app.status().reason == "Error"
        assert "it had not ended 1s after SIGTERM" in pod.message("app"), pod.message("app")


@case
def the_termination_message_outlives_the_engines_sigkill(engine):
    spec = {
        "terminationGracePeriodSeconds": 5,
        "containers": [
            {
                "name": "app",
                "image": "my-app:1",
                "command": ["/sbin/firstmate", "--termination-message", "--"],
                "args": probe("ignore 15", "say ready", "forever"),
            }
        ],
    }
    with Applied(engine, spec) as pod:
        app = pod.containers["app"]
        app.wait_for("ready")
        pod.delete()
        expect(app.finish(), 137, "has not ended 3s after SIGTERM: it ignores SIGTERM")
        message = pod.message("app")
        assert "from outside the container asks the container to stop" in message, message
        assert "it ignores SIGTERM" in message, message


@case
def the_pause_process_reaps_for_a_pod_that_shares_its_processes(engine):
    spec = {
        "shareProcessNamespace": True,
        "containers": [{"name": "app", "image": "my-worker:1", "command": shell(f"tr '\\0' ' ' </proc/1/cmdline; {COUNT_ZOMBIES}")}],
    }
    with Applied(engine, spec) as pod:
        expect(pod.containers["app"].finish(), 0, "/firstmate --pause", "zombies: 0\n")
        # It ends by SIGTERM, as the node's shutdown sends it to everybody.
        engine.ctr("tasks", "kill", "--signal", "SIGTERM", pod.pod.id)
        pod.pod.wait_for_end()


@case
def kubectl_knows_every_field_of_the_examples(engine):
    version = json.loads(call(*KUBECTL, "version", "--client", "--output=json"))["clientVersion"]
    for path in PLACE.glob("*.yaml"):
        if path.name == "image-volume.yaml" and (int(version["major"]), int(re.sub(r"\D", "", version["minor"]))) < (1, 31):
            print(f"{path.name} is not checked: kubectl {version['gitVersion']} is older than what it shows")
            continue
        # Kubernetes' own types: an error for a wrong value, while a field that they have not is missing in the answer.
        answer = json.loads(call(*KUBECTL, "set", "env", "--local", f"--filename={path}", "--output=json", "ADDED=1"))
        missing = list(differences(manifest(path), answer))
        assert not missing, f"{path.name}: {missing}"


KUBECTL = ["env", "KUBECONFIG=/dev/null", "kubectl"]


def differences(given, answer, path="") -> list[str]:
    """Where `answer` has not all that is in `given`."""
    if isinstance(given, dict):
        for key, value in given.items():
            if key not in answer:
                yield f"{path}.{key}"
            else:
                yield from differences(value, answer[key], f"{path}.{key}")
    elif isinstance(given, list):
        for number, (value, other) in enumerate(zip(given, answer)):
            yield from differences(value, other, f"{path}[{number}]")
    elif given != answer:
        yield f"{path}: {answer!r}"


@case
def firstmate_has_its_time_in_the_examples(engine):
    for path in PLACE.glob("*.yaml"):
        spec = pod_spec(path)
        for container in spec["containers"]:
            examples.fits(spec["terminationGracePeriodSeconds"], {entry["name"]: entry["value"] for entry in container.get("env", [])})


@case
def the_example_of_a_deployment(engine):
    with Applied(engine, pod_spec(PLACE / "deployment.yaml")) as pod:
        app = pod.containers["app"]
        app.wait_for("ready --serve")
        began = time.monotonic()
        pod.delete()
        expect(app.finish(), 0, "saved")
        assert time.monotonic() - began >= 5, "the stop was not held"
        # All went well.
        assert pod.message("app") == "", pod.message("app")


@case
def the_example_of_an_init_container(engine):
    with Applied(engine, pod_spec(PLACE / "init-container.yaml")) as pod:
        worker = pod.containers["worker"]
        worker.wait_for("ready --work")
        pod.delete()
        expect(worker.finish(), 0, "saved")


@case
def the_example_of_an_image_volume(engine):
    with Applied(engine, pod_spec(PLACE / "image-volume.yaml")) as pod:
        worker = pod.containers["worker"]
        worker.wait_for("ready --work")
        pod.delete()
        expect(worker.finish(), 0, "saved")


@case
def the_example_of_an_overlay(engine):
    place = engine.place / "overlay"
    shutil.copytree(PLACE / "overlay", place)
    file = place / "kustomization.yaml"
    patched = subprocess.run([*KUBECTL, "kustomize", place], capture_output=True, text=True, timeout=LIMIT)
    if patched.returncode != 0:
        # As versions before 4 have it.
        file.write_text(file.read_text().replace("patches:\n  - path: ", "patchesStrategicMerge:\n  - "))
        patched = subprocess.run([*KUBECTL, "kustomize", place], capture_output=True, text=True, timeout=LIMIT)
    assert patched.returncode == 0, patched
    (place / "patched.yaml").write_text(patched.stdout)
    spec = pod_spec(place / "patched.yaml")
    examples.fits(spec["terminationGracePeriodSeconds"], {entry["name"]: entry["value"] for entry in spec["containers"][0]["env"]})
    with Applied(engine, spec) as pod:
        worker = pod.containers["worker"]
        worker.wait_for("ready --work")
        pod.delete()
        expect(worker.finish(), 0, "saved")


@case
def the_example_of_shared_processes(engine):
    with Applied(engine, pod_spec(PLACE / "shared-processes.yaml")) as pod:
        app, side = pod.containers["app"], pod.containers["side"]
        app.wait_for("ready --serve")
        side.wait_for("ready --watch")
        app.stop(30)
        expect(app.finish(), 0, "saved")
        # It was not for this one.
        alive = engine.cri.call("ExecSync", container_id=side.id, cmd=shell("tr '\\0' ' ' </proc/1/cmdline"), timeout=LIMIT)
        assert alive.stdout == b"/firstmate --pause ", alive
        assert "saved" not in side.text()
        pod.delete()
        expect(side.finish(), 0, "saved")


ALL = (
    the_status_tells_the_exit_code_and_the_reason,
    a_probe_of_the_kubelet_gets_its_answer_and_leaves_no_zombie,
    the_termination_message_says_why,
    the_termination_message_outlives_the_engines_sigkill,
    the_pause_process_reaps_for_a_pod_that_shares_its_processes,
    kubectl_knows_every_field_of_the_examples,
    firstmate_has_its_time_in_the_examples,
    the_example_of_a_deployment,
    the_example_of_an_init_container,
    the_example_of_an_image_volume,
    the_example_of_an_overlay,
    a_container_that_only_holds,
    the_example_of_shared_processes,
)
