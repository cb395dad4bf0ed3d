"""What only Podman has."""

import os
import shlex
import shutil
from pathlib import Path

import examples
from cases import COUNT_ZOMBIES, LEAVES_ONE, a_container_that_only_holds, case, expect, probe, shell
from engine import call
from run_cli import IMAGE, RunContainer

QUADLET = Path("/usr/libexec/podman/quadlet")


@case
def a_pod_that_firstmate_holds_by_the_example_of_containers_conf(engine):
    podman, pod = engine.client_by_example(), engine.new_id()
    context = engine.place / "pause"
    context.mkdir()
    shutil.copy(engine.image.firstmate, context / "firstmate")
    dockerfile = examples.PLACE / "kubernetes/pause.Dockerfile"
    call(*podman, "build", "--isolation=chroot", "--tag=localhost/firstmate-pause:1", "--file", dockerfile, context)
    call(*podman, "pod", "create", f"--name={pod}", "--network=none", "--share=pid,ipc,uts", f"--cgroup-parent=/{engine.cgroup}")
    try:
        with RunContainer(engine, [f"--pod={pod}"], IMAGE, shell(f"tr '\\0' ' ' </proc/1/cmdline; {COUNT_ZOMBIES}")) as running:
            expect(running.finish(), 0, "/firstmate --pause", "zombies: 0\n")
        with RunContainer(engine, [f"--pod={pod}"], IMAGE, probe("block-all", "say ready", "until 15", "exit 6")) as running:
            running.wait_for("ready")
            # `pod stop` tells all at once, and the end of the one that holds the PID namespace is everybody's.
            running.stop(30)
            expect(running.finish(), 6)
        call(*podman, "pod", "stop", pod)
        infra = call(*podman, "pod", "inspect", "--format={{.InfraContainerID}}", pod).strip()
        # Not 137: it ended by SIGTERM.
        assert call(*podman, "inspect", "--format={{.State.Status}} {{.State.ExitCode}}", infra) == "exited 0\n"
    finally:
        call(*podman, "pod", "rm", "--force", pod)


@case
def the_init_by_the_example_of_containers_conf(engine):
    client = engine.client_by_example(init_path=str(engine.image.firstmate))
    with RunContainer(engine, ["--init", "--network=none"], IMAGE, probe(*LEAVES_ONE), client=client) as running:
        running.wait_for("ready")
        running.stop(30)
        expect(running.finish(), 5, "saved")


@case
def the_example_of_a_quadlet(engine):
    """Podman has its generator since 4.4. Without it the keys are translated here, by podman-systemd.unit(5)."""
    path = examples.PLACE / "podman/my-app.container"
    unit = sections(path.read_text())
    settings = dict(unit["Container"])
    environment = dict(value.split("=", 1) for key, value in unit["Container"] if key == "Environment")
    options = [
        *(f"--env={name}={value}" for name, value in environment.items()),
        *settings.pop("PodmanArgs").split(),
        f"--user={settings.pop('User')}:{settings.pop('Group')}",
        f"--cap-drop={settings.pop('DropCapability')}",
        *(["--read-only"] if settings.pop("ReadOnly") == "true" else []),
        *(["--security-opt=no-new-privileges"] if settings.pop("NoNewPrivileges") == "true" else []),
    ]
    image, command = settings.pop("Image"), shlex.split(settings.pop("Exec"))
    assert list(settings) == ["Environment"], f"keys that this test does not know: {settings}"

    tree = engine.image.copy(engine.place / "my-app")
    (tree / "bin/my-app").write_text(examples.APPLICATION)
    (tree / "bin/my-app").chmod(0o755)
    call("tar", "-C", tree, "-cf", engine.place / "my-app.tar", ".")
    call(*engine.client, "import", '--change=ENTRYPOINT ["/sbin/firstmate", "--"]', engine.place / "my-app.tar", image)
    with RunContainer(engine, ["--network=none", *options], image, command) as running:
        running.wait_for("ready --serve")
        # With the grace period of the unit.
        grace_period = int(call(*engine.client, "inspect", "--format={{.Config.StopTimeout}}", running.name))
        call(*engine.client, "stop", running.name)
        expect(running.finish(), 0, "saved")
    examples.fits(grace_period, environment)
    assert grace_period < int(dict(unit["Service"])["TimeoutStopSec"])

    verify(engine, path, unit)


def verify(engine, path, unit):
    """No word of complaint about the unit, by the generator or at least by systemd."""
    place = engine.place / "units"
    place.mkdir()
    if QUADLET.exists():
        shutil.copy(path, place)
        generated = call(QUADLET, "-dryrun", env=os.environ | {"QUADLET_UNIT_DIRS": str(place)})
        assert "ExecStart=" in generated and "unsupported" not in generated, generated
        return
    lines = [f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in keys) for name, keys in unit.items() if name != "Container"]
    service = place / "my-app.service"
    service.write_text("".join(lines).replace("[Service]\n", "[Service]\nExecStart=/bin/true\n"))
    complaints = call("systemd-analyze", "verify", "--man=no", service)
    assert not complaints, complaints


def sections(text) -> dict[str, list[tuple[str, str]]]:
    """Of a unit file: keys may repeat."""
    found = {}
    for line in text.splitlines():
        if line.startswith("["):
            keys = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            keys.append(tuple(line.split("=", 1)))
    return found


ALL = (
    a_container_that_only_holds,
    a_pod_that_firstmate_holds_by_the_example_of_containers_conf,
    the_init_by_the_example_of_containers_conf,
    the_example_of_a_quadlet,
)
