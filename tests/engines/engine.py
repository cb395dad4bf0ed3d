"""What an engine is to the tests, and what they ask of it."""

from __future__ import annotations

import abc
import itertools
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from image import Image

# Seconds for anything that ends by itself: long, for machines with much else to do.
LIMIT = 60

IDS = itertools.count(1)


class Skipped(Exception):
    """This case can't run here. It says why."""


@dataclass
class Container:
    """One container to run."""

    # Under firstmate.
    command: list[str]
    # Of firstmate, long names: {"kill-after": "1s", "rewrite": ["USR1:USR2"], "kill-process-group": True}.
    options: dict[str, str | list[str] | bool] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    tty: bool = False
    read_only: bool = False
    # UID:GID
    user: str | None = None
    drop_all_capabilities: bool = False
    no_new_privileges: bool = False
    pids_limit: int | None = None
    # In bytes; no swap.
    memory_limit: int | None = None
    # "own", "host", or a running container whose PID namespace to join.
    pid_namespace: str | Running = "own"
    # In one of its own, where its root is nobody outside. Only plain bundles have it.
    user_namespace: bool = False

    def arguments(self) -> list[str]:
        """The whole command line, where firstmate is the image's entry point."""
        options = []
        for name, value in self.options.items():
            values = value if isinstance(value, list) else [value]
            options += [f"--{name}" if each is True else f"--{name}={each}" for each in values]
        return ["/sbin/firstmate", *options, "--", *self.command]

    def environment(self) -> dict[str, str]:
        """All variables, with the options in them: where the engine writes firstmate's command line (`--init`)."""
        lines = {
            name: "\n".join(value) if isinstance(value, list) else "1" if value is True else value
            for name, value in self.options.items()
        }
        return self.env | {f"FIRSTMATE_{name.upper().replace('-', '_')}": value for name, value in lines.items()}


@dataclass
class Finished:
    status: int
    # Standard output and standard error together.
    output: str


class Running(abc.ABC):
    """A container that was started. At the end of its `with` block it is gone, whatever state it was in."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    @abc.abstractmethod
    def wait_for(self, text: str, limit: float = LIMIT) -> str:
        """Waits until the output contains this; the output so far."""

    @abc.abstractmethod
    def write(self, text: str):
        """Types this at the terminal."""

    @abc.abstractmethod
    def resize(self, rows: int, columns: int):
        """Gives the terminal this size."""

    @abc.abstractmethod
    def signal(self, number: int):
        """Sends a signal to firstmate by the engine's own command."""

    @abc.abstractmethod
    def stop(self, grace: int):
        """The engine's own stop: SIGTERM, and SIGKILL after so many seconds. Returns at its end."""

    @abc.abstractmethod
    def exec(self, command: list[str]) -> Running:
        """A further process in the container, from outside, by the engine's own command. It has no `signal`, `stop`, `exec`."""

    @abc.abstractmethod
    def finish(self, limit: float = LIMIT) -> Finished:
        """Waits for the end."""

    @abc.abstractmethod
    def remove(self):
        """Kills it if need be, and removes what the engine keeps of it. No error if it is gone."""


class Engine(abc.ABC):
    """One engine. As a context manager it has its daemon, if it needs one."""

    name: str
    # Debian's, and the programs of theirs that must be there.
    packages: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    # Cases by name that it can't do by its nature, and why.
    impossible: dict[str, str] = {}
    # Cases that only it has, marked by @case as those in cases.py.
    own_cases: tuple = ()
    # What it says of a container that it killed.
    status_of_killed = 137
    # Whether its kernel gives orphans to a firstmate that is not PID 1.
    has_subreapers = True
    # Whether it must be there where no case may be skipped.
    required = True
    # Whether it is run where no engine is named.
    in_each_run = True
    # How many cases at a time.
    workers = 2

    def __init__(self, place: Path, image: Image):
        """`place`: an empty directory for all that it writes."""
        self.place = place
        # For what it starts to be in. Removed with all below when the suite ends.
        self.cgroup = place.parent.name
        self.image = image

    def cases(self) -> list:
        """All that are to run."""
        import cases

        return [*cases.ALL, *self.own_cases]

    def unavailable(self) -> str | None:
        """Why it can't run on this machine, if so."""
        missing = [program for program in self.programs if not shutil.which(program)]
        return f"no {missing[0]} here" if missing else None

    @abc.abstractmethod
    def version(self) -> str:
        """As it tells it itself."""

    def start(self):
        """Starts its daemon, loads the image."""

    def stop(self):
        """Ends what `start` has begun, also if that failed midway."""

    @abc.abstractmethod
    def run(self, container: Container) -> Running:
        """Starts it. Raises `Skipped` for what can't be had here."""

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def new_id(self) -> str:
        """A name for a container that no other has."""
        return f"{self.name}-{next(IDS)}"


def call(*command, limit: float = LIMIT, check=True, **options) -> str:
    """Runs a command to its end; its output. A failure shows what it wrote."""
    command = [str(word) for word in command]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                           stdin=subprocess.DEVNULL, timeout=limit, **options)
    assert not check or ended.returncode == 0, f"{' '.join(command)}: status {ended.returncode}: {ended.stdout}"
    return ended.stdout
