"""What only Docker has."""

import os
import shlex
import shutil
import time

import examples
import toolchain
from cases import LEAVES_ONE, a_container_that_only_holds, case, expect, probe, shell
from engine import LIMIT, Container, call
from kubernetes import manifest
from programs import ROOT


def stops(running, *texts):
    """The engine's stop ends it in time; what it left behind has finished its clean-up."""
    running.wait_for("ready")
    running.stop(30)
    expect(running.finish(), 5, "saved", *texts)


@case
def dockerfile_example_builds_without_a_network_and_its_image_works(engine):
    toolchain.import_image(engine)
    build = [
        *("--network=none", "--file", ROOT / "Dockerfile.example"),
        *("--build-arg", "BUILD_IMAGE=toolchain", "--build-arg", "BASE_IMAGE=base", "--build-arg", "FIRSTMATE_GIT_HASH=0123456789ab"),
    ]
    engine.build(*build, "--tag", "example", ROOT, limit=900)
    with engine.run_image("example", ["/sbin/firstmate", "--version"]) as version:
        expect(version.finish(), 0, " - git.0123456789ab\n")
    with engine.run_image("example") as example:
        expect(example.finish(), 0, "running as user 65534, under:\n/sbin/firstmate -- sh -c")
    with engine.run_image("example", probe(*LEAVES_ONE)) as running:
        stops(running)
    added = layers(engine, "example")[len(layers(engine, "base")) :]
    assert len(added) == 1, f"firstmate is one layer on top of the base, not {added}"

    # The block of the README, as it stands there.
    context = engine.place / "readme"
    context.mkdir()
    [block] = [block for block in (ROOT / "README.md").read_text().split("```") if block.startswith("dockerfile\n")]
    (context / "Dockerfile").write_text(block.removeprefix("dockerfile\n"))
    # The names that it has for them.
    engine.docker("tag", "example", "firstmate")
    engine.build("--tag", "debian:bookworm-slim", application_image_context(engine, "base-with-app", "base"))
    engine.build("--network=none", "--tag", "readme", context)
    with engine.run_image("readme") as running:
        running.wait_for("ready --serve")
        running.stop(30)
        expect(running.finish(), 0, "saved")

    # A source that cannot be compiled: the build goes far enough to show what it begins with.
    changed = engine.place / "changed"
    shutil.copytree(ROOT, changed, ignore=shutil.ignore_patterns(".git", "target"))
    with open(changed / "src/lib.rs", "a") as source:
        source.write('compile_error!("changed");\n')
    again = engine.build(*build, changed, limit=900, check=False)
    assert "error: changed" in again and "Compiling firstmate" in again, again
    assert "Compiling clap" not in again, f"a change of the source builds the dependencies again: {again}"


def layers(engine, image):
    return engine.docker("image", "inspect", "--format", "{{join .RootFS.Layers \" \"}}", image).split()


@case
def an_image_from_scratch_needs_firstmate_and_a_program_only(engine):
    context = engine.place / "scratch"
    context.mkdir()
    shutil.copy(engine.image.firstmate, context / "firstmate")
    shutil.copy(engine.image.root / "bin/probe", context)
    dockerfile = 'FROM scratch\nCOPY firstmate probe /\nENTRYPOINT ["/firstmate", "--"]\nCMD ["/probe", "exit", "6"]\n'
    (context / "Dockerfile").write_text(dockerfile)
    engine.build("--tag", "scratch-test", context)
    with engine.run_image("scratch-test") as running:
        expect(running.finish(), 6)
    with engine.run_image("scratch-test", ["/probe", *probe(*LEAVES_ONE)[1:]]) as running:
        stops(running)


@case
def the_example_of_a_pause_image_holds_until_it_is_stopped(engine):
    context = engine.place / "pause"
    context.mkdir()
    shutil.copy(engine.image.firstmate, context / "firstmate")
    engine.build("--tag", "pause", "--file", examples.PLACE / "kubernetes/pause.Dockerfile", context)
    with engine.run_image("pause") as pause:
        # It says nothing by itself.
        state = ("inspect", "--format", "{{.State.Status}}", pause.name)
        wait_until(lambda: engine.docker(*state, check=False) == "running\n", pause.output.text)
        # Another container in its PID namespace.
        with engine.run_image("base", shell("cat /proc/1/cmdline"), [f"--pid=container:{pause.name}"]) as inside:
            expect(inside.finish(), 0, "/firstmate\0--pause\0")
        pause.stop(30)
        expect(pause.finish(), 0)


def leaves_one_under(pid: str) -> list[str]:
    """A command that tells by what name this process was started, and then leaves one behind."""
    return shell(f"tr '\\0' '\\n' </proc/{pid}/cmdline | head -n 1; exec {shlex.join(probe(*LEAVES_ONE))}")


@case
def run_init_takes_the_program_of_the_flag_init_path(engine):
    with engine.run_image("base", leaves_one_under("1"), ["--init"]) as running:
        stops(running, "/sbin/docker-init\n")


@case
def the_log_and_the_termination_message_outlive_the_engines_sigkill(engine):
    file = engine.place / "termination-log"
    file.touch()
    options = [f"--volume={file}:/dev/termination-log", "--env=FIRSTMATE_TERMINATION_MESSAGE=yes"]
    with engine.run_image("localhost/test", probe("ignore 15", "say ready", "forever"), options) as running:
        running.wait_for("ready")
        running.stop(5)
        expect(running.finish(), 137, "has not ended 3s after SIGTERM: it ignores SIGTERM")
    message = file.read_text()
    assert "from outside the container asks the container to stop" in message, message
    assert "it ignores SIGTERM" in message, message


@case
def of_two_inits_the_images_takes_the_place_of_the_engines(engine):
    with engine.run_image("localhost/test", leaves_one_under("1"), ["--init"]) as running:
        stops(running, "/sbin/firstmate\n")


@case
def the_example_for_compose_runs_and_stops(engine):
    example = examples.PLACE / "compose.yaml"
    for service in manifest(example)["services"].values():
        examples.fits(int(service["stop_grace_period"].removesuffix("s")), service["environment"])
    application_image(engine, "my-app:1", "localhost/test")
    application_image(engine, "my-worker:1", "base")
    # There is no network for the tests.
    offline = engine.place / "offline.yaml"
    offline.write_text("services: {app: {network_mode: none}, worker: {network_mode: none}}\n")

    def compose(*arguments, files=(example, offline)):
        options = [word for file in files for word in ("--file", file)]
        environment = os.environ | {"DOCKER_HOST": engine.socket}
        return call("docker-compose", *options, "--project-name=example", *arguments, env=environment)

    compose("config", "--quiet", files=[example])
    try:
        compose("up", "--detach")
        wait_until(lambda: all(text in compose("logs") for text in ("ready --serve", "ready --work")), lambda: compose("logs"))
        compose("stop")
        for service in ("app", "worker"):
            container = compose("ps", "--quiet", service).strip()
            assert engine.docker("inspect", "--format", "{{.State.ExitCode}}", container) == "0\n", compose("logs")
            assert "saved" in compose("logs", service)
    finally:
        compose("down", "--timeout=1")


def application_image(engine, name, base):
    engine.build("--tag", name, application_image_context(engine, base.replace("/", "-"), base))


def application_image_context(engine, place, base):
    """A folder with a Dockerfile that adds the application to this image."""
    context = engine.place / place
    context.mkdir()
    (context / "my-app").write_text(examples.APPLICATION)
    (context / "my-app").chmod(0o755)
    (context / "Dockerfile").write_text(f"FROM {base}\nCOPY my-app /bin/\n")
    return context


def wait_until(condition, explain):
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.1)


@case
def docker_info_shows_the_commit_of_this_firstmate(engine):
    version = call(engine.image.firstmate, "--version").strip()
    assert version.startswith("firstmate "), version
    shown = engine.docker("info", "--format", "{{.InitBinary}} {{.InitCommit.ID}}").strip()
    assert shown == f"{engine.image.firstmate} {version.rpartition('git.')[2]}", f"{shown!r} of {version!r}"


@case
def a_leftover_of_two_forks_finishes_its_clean_up(engine):
    steps = ("block-all", "daemon [ await 15 sleep-ms 300 say saved ]", "say ready", "until 34", "exit 7")
    with engine.run(Container(probe(*steps))) as running:
        running.wait_for("ready")
        running.signal(34)
        expect(running.finish(), 7, "saved")


@case
def a_pause_longer_than_the_grace_period_kills_nobody(engine):
    steps = ("block-all", "say ready", "until 15", "say stopping", "until 10", "exit 3")
    with engine.run(Container(probe(*steps), {"kill-after": "5s"})) as running:
        running.wait_for("ready")
        running.signal(15)
        running.wait_for("stopping")
        engine.docker("pause", running.name)
        # It is the length of time that matters here.
        time.sleep(6)
        engine.docker("unpause", running.name)
        running.signal(10)
        expect(running.finish(), 3)


OF_AN_INIT = (
    docker_info_shows_the_commit_of_this_firstmate,
    a_leftover_of_two_forks_finishes_its_clean_up,
    a_pause_longer_than_the_grace_period_kills_nobody,
)
OF_AN_ENTRY_POINT = (
    # The longest first.
    dockerfile_example_builds_without_a_network_and_its_image_works,
    the_example_for_compose_runs_and_stops,
    an_image_from_scratch_needs_firstmate_and_a_program_only,
    the_example_of_a_pause_image_holds_until_it_is_stopped,
    run_init_takes_the_program_of_the_flag_init_path,
    a_container_that_only_holds,
    of_two_inits_the_images_takes_the_place_of_the_engines,
    the_log_and_the_termination_message_outlive_the_engines_sigkill,
    *OF_AN_INIT,
)
