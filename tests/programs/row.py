"""A row of the table: a program, how it is started and stopped, and what is right."""

import re
import shlex
from dataclasses import dataclass, field

import probes
from attempt import Program, Result
from tracing import by_process

# The names that the probe goes by.
PROBES = re.compile(r"(?<![\w.-])(once|app|prog|helper|master)(?![\w.:=-])")
# What the machine's other work may add to the times of a row.
UNDER_LOAD = 1.5


@dataclass(frozen=True)
class Row:
    name: str
    command: str
    options: str = ""
    program: Program = probes.SAVED
    # A signal; `go`: whoever reads the file of this name ends by itself; empty: nothing is done.
    stop: str = "TERM"
    # Probes, by name: those to wait for, and those that are to save. Empty: all in the command.
    ready: str = ""
    saves: str = ""
    # What is right: what is lost (`-`: whatever), the status, the time in seconds.
    lost: str = ""
    status: int | None = 143
    within: float = 2.0
    least: float = 0.0
    # What each process of a name gets ("TERM<sh TERM": from a shell, then from the init), and
    # when its first signal comes, in seconds.
    signals: dict[str, str] = field(default_factory=dict)
    asked: dict[str, tuple[float, float]] = field(default_factory=dict)
    # Text in the log.
    says: str = ""
    # Why its outcome is the program's own, and not judged.
    race: str = ""
    short: bool = False
    needs: tuple[str, ...] = ()

    @property
    def in_command(self) -> list[str]:
        names = PROBES.findall(f"{self.command} {self.options}")
        workers = ["worker"] * 2 if " -m" in self.command else []
        return names + workers

    @property
    def needed(self) -> set[str]:
        """Programs, by the names in PACKAGES."""
        return {*self.needs, *self.program.needs}

    @property
    def names(self) -> set[str]:
        return {"once", *self.in_command, *self.ready.split()} - {"worker"}

    def wrong(self, result: Result, init, load: bool) -> list[str]:
        """What is not as it should be: of a peer's, only what is lost."""
        if result.troubles:
            return result.troubles
        found = []
        slack = UNDER_LOAD if load else 1
        if self.lost != "-" and result.lost != self.lost:
            found.append(f"lost {result.lost or 'nothing'}, not {self.lost or 'nothing'}")
        if not init.is_firstmate:
            return found
        if self.status is not None and result.status != self.status:
            found.append(f"status {result.status}, not {self.status}")
        if not self.least <= result.seconds <= self.within * slack:
            found.append(f"{result.seconds:.1f} s, not {self.least:g} to {self.within:g}")
        if self.says and self.says not in result.log:
            found.append(f"no {self.says!r} in the log")
        return found + ([] if result.sent is None else self.wrong_signals(result.sent, slack))

    def wrong_signals(self, sent: list, slack: float) -> list[str]:
        found = []
        processes = by_process(sent)
        for name, right in self.signals.items():
            got = [what for who, what in processes if who == name] or [""]
            wrong = [what for what in got if without_exit(what) != right]
            found += [f"{name} got {what or 'none'}, not {right or 'none'}" for what in wrong[:1]]
        for name, (low, high) in self.asked.items():
            first = {}
            for one in sent:
                if one.name == name:
                    first.setdefault(one.pid, one.when)
            wrong = [when for when in first.values() if not low <= when <= high * slack]
            if wrong or not first:
                when = f"after {wrong[0]:.1f} s" if wrong else "never"
                found.append(f"{name} asked {when}, not after {low:g} to {high:g} s")
        return found

    def started_as(self, init) -> str:
        words = init.options(self.options)
        options = f"{shlex.join(words)} -- " if words else ""
        return (options + self.command).replace("{place}", ".")


def without_exit(signals: str) -> str:
    """But for the SIGKILL that goes to all when PID 1 has ended."""
    return " ".join(word for word in signals.split() if word != "KILL<exit")
