"""Judges of the probe (probe.c), and of what programs print."""

from collections import Counter
from dataclasses import dataclass

from attempt import Attempt, Program
from container import wait_for


def probes_are_ready(attempt: Attempt) -> bool:
    wanted = Counter(attempt.row.ready.split() or attempt.row.in_command)
    journal = attempt.journal()
    return all(journal.count(f"{name} ready") >= number for name, number in wanted.items())


def unsaved_probes(attempt: Attempt) -> list[str]:
    """By name, with how many there are."""
    row = attempt.row
    wanted = Counter(row.saves.split() or row.ready.split() or row.in_command)
    wanted -= Counter(line.split()[0] for line in attempt.journal() if line.endswith(" saved"))
    return [f"{number} {name}s" if number > 1 else name for name, number in wanted.items()]


class Saved(Program):
    """Each probe has saved."""

    def is_ready(self, attempt: Attempt) -> bool:
        return probes_are_ready(attempt)

    def lost(self, attempt: Attempt) -> str:
        return ", ".join(unsaved_probes(attempt))


SAVED = Saved()


@dataclass(frozen=True)
class Lines(Saved):
    """All that was printed is in the file."""

    lines: int = 10
    prefix: str = "line "
    file: str = "log"

    def lost(self, attempt: Attempt) -> str:
        wanted = {f"{self.prefix}{number + 1}" for number in range(self.lines)}
        lost = len(wanted - set((attempt.place / self.file).read_text().splitlines()))
        return f"{lost} of {self.lines} lines" if lost else ""


@dataclass(frozen=True)
class Prints(Saved):
    """The container has printed these words."""

    words: str

    def lost(self, attempt: Attempt) -> str:
        return "" if self.words in attempt.container.log.splitlines() else repr(self.words)


class Noted(Saved):
    """A reload and a log rotation before the stop: the main command gets them, the helper lives."""

    def begin(self, attempt: Attempt):
        for name in ("HUP", "USR1"):
            attempt.signal(name)
        attempt.settle()
        attempt.state = "tail" in attempt.names_of_processes()

    def lost(self, attempt: Attempt) -> str:
        lost = [] if attempt.state else ["tail"]
        lost += [word for word in ("prog got 1", "prog got 10") if word not in attempt.journal()]
        return ", ".join(lost + unsaved_probes(attempt))


class Migration(Saved):
    """A reload while `--before` runs."""

    def is_ready(self, attempt: Attempt) -> bool:
        return "migration ready" in attempt.journal()

    def begin(self, attempt: Attempt):
        attempt.settle()
        attempt.signal("HUP")
        wait_for("the program", lambda: not attempt.container.runs() or probes_are_ready(attempt))


class Entered(Saved):
    """The probe `once` comes in from outside (`docker exec`)."""

    def begin(self, attempt: Attempt):
        enter = ["nsenter", "-t", attempt.container.init, "-p", "-m", "--"]
        attempt.helper(*enter, attempt.place / "bin/once")
        attempt.wait_for_journal("once ready")


NOTED, MIGRATION, ENTERED = Noted(), Migration(), Entered()
