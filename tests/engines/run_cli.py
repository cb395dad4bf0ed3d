"""The command line that Docker and Podman share: run, kill, stop, exec, rm."""

from client import Client
from engine import Container, Engine, call

IMAGE = "localhost/test"


class RunEngine(Engine):
    """`start` is to leave an image `IMAGE` of `self.image`."""

    # Options of `run` that make firstmate the engine's own init; without them it is the container's command.
    init: list[str] | None = None

    @property
    def client(self) -> list[str]:
        """The command, with the options that lead it to our daemon or storage."""
        raise NotImplementedError

    def run(self, container):
        return RunContainer(self, self.run_options(container), IMAGE, self.command(container), tty=container.tty)

    def run_options(self, container: Container) -> list[str]:
        """For `run`, all that the container asks for."""
        environment = container.env if self.init is None else container.environment()
        pid = container.pid_namespace
        return [
            *(self.init or []),
            "--network=none",
            *(f"--env={name}={value}" for name, value in environment.items()),
            *(["--interactive", "--tty"] if container.tty else []),
            *(["--read-only"] if container.read_only else []),
            *([f"--user={container.user}"] if container.user else []),
            *(["--cap-drop=ALL"] if container.drop_all_capabilities else []),
            *(["--security-opt=no-new-privileges"] if container.no_new_privileges else []),
            *([f"--pids-limit={container.pids_limit}"] if container.pids_limit else []),
            *([f"--memory={container.memory_limit}", f"--memory-swap={container.memory_limit}"] if container.memory_limit else []),
            *([] if pid == "own" else ["--pid=host"] if pid == "host" else [f"--pid=container:{pid.name}"]),
        ]

    def command(self, container: Container) -> list[str]:
        return container.arguments() if self.init is None else container.command


class RunContainer(Client):
    """In the foreground: the client passes the container's output and status on."""

    def __init__(self, engine: RunEngine, options, image, command, tty=False, client=None):
        self.engine = engine
        self.name = engine.new_id()
        super().__init__([*(client or engine.client), "run", f"--name={self.name}", *options, image, *command], tty=tty)

    def signal(self, number):
        call(*self.engine.client, "kill", f"--signal={number}", self.name)

    def stop(self, grace):
        call(*self.engine.client, "stop", f"--time={grace}", self.name)

    def exec(self, command):
        return Client([*self.engine.client, "exec", self.name, *command])

    def remove(self):
        call(*self.engine.client, "rm", "--force", self.name, check=False)
        super().remove()
