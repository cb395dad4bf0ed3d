"""The inits that the programs are started under."""

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import packages
from tracing import signal_name

# Options that a peer does without; a row with any other is skipped: the option is its subject.
WITHOUT = {"-t", "--drain", "--stop-timeout", "--stop-command", "--stop-on"}
NUMBERS = {signal_name(number): number for number in (1, 2, 3, 15, 28)}


@dataclass(frozen=True)
class Init:
    name: str
    path: Path
    words: tuple[str, ...] = ()
    is_firstmate: bool = False
    rewrites: bool = False

    def options(self, wanted: str) -> list[str] | None:
        """Its own for those of firstmate; None where it has no such thing."""
        if self.is_firstmate:
            return shlex.split(wanted)
        own = list(self.words)
        words = iter(shlex.split(wanted))
        for word in words:
            if word == "-r":
                pair = ":".join(str(NUMBERS[name]) for name in next(words).split(":"))
                own += ["-r", pair] if self.rewrites else []
            elif word in WITHOUT:
                next(words)
            else:
                return None
        return own


def find(name: str) -> Init:
    """By the name of a peer, or the path of a firstmate."""
    program, _, option = name.partition("-g")
    words = ("-g",) if name.endswith("-g") else ()
    if name == "firstmate":
        return Init(name, packages.firstmate(), is_firstmate=True)
    if program in ("tini", "catatonit") and not option or name == "dumb-init":
        found = shutil.which(program if name != "dumb-init" else name)
        if not found:
            raise FileNotFoundError(f"no {name} in PATH")
        return Init(name, Path(found).resolve(), words, rewrites=name == "dumb-init")
    return Init(name, Path(name).resolve(strict=True), is_firstmate=True)
