"""Random programs: a tree of processes, options of the init, and signals at some moments."""

import copy
import random
import shlex
from dataclasses import dataclass, field

TERM, INT, QUIT, HUP, USR1, USR2, WINCH = 15, 2, 3, 1, 10, 12, 28
REAL_TIME = 34
STOPS = TERM, INT
# Signals that are told, and stop nothing.
OTHERS = HUP, USR1, USR2, WINCH, REAL_TIME, REAL_TIME + 3


@dataclass
class Process:
    id: int
    way: str = "f"
    caught: list[int] = field(default_factory=list)
    noted: list[int] = field(default_factory=list)
    ignored: list[int] = field(default_factory=list)
    blocked: list[int] = field(default_factory=list)
    threads: int = 0
    reaction: str = "e0"
    work: int = 0
    spawns: bool = False
    life: int = 0
    end: str = "e0"
    # (after, signal, whom)
    sends: list[tuple[int, int, str]] = field(default_factory=list)
    closes: bool = False
    children: list["Process"] = field(default_factory=list)

    def words(self, is_child: bool = False) -> str:
        words = ["["] + ([self.way] if is_child else []) + [f"i{self.id}"]
        for letter, numbers in zip("HVIB", (self.caught, self.noted, self.ignored, self.blocked)):
            words += [f"{letter}{number}" for number in numbers]
        words += [f"T{self.threads}"] if self.threads else []
        words += [f"R{self.reaction}", f"D{self.work}"]
        words += ["N"] if self.spawns else []
        words += [f"L{self.life}", f"X{self.end}"] if self.life else []
        words += [f"S{after}:{number}:{whom}" for after, number, whom in self.sends]
        words += ["C"] if self.closes else []
        words += [child.words(True) for child in self.children]
        return " ".join(words + ["]"])

    def all(self) -> list["Process"]:
        return [self] + [one for child in self.children for one in child.all()]

    def group(self) -> list["Process"]:
        """Those that share its process group."""
        shared = (one for child in self.children if child.way == "f" for one in child.group())
        return [self, *shared]


@dataclass
class Program:
    seed: int
    main: Process
    beside: list[Process] = field(default_factory=list)
    before: Process | None = None
    after: Process | None = None
    stop_command: Process | None = None
    is_pid_1: bool = True
    has_terminal: bool = False
    placement: str = ""
    reaches: str = ""
    kill_after: int | None = None
    drain: int = 1000
    drain_signal: str = "TERM"
    delay: int = 0
    rewrite: tuple[int, int] | None = None
    exit_when: str = "any"
    # (milliseconds after the main command is ready, signal)
    signals: list[tuple[int, int]] = field(default_factory=list)

    def commands(self) -> list[Process]:
        return [self.main, *self.beside]

    def hooks(self) -> list[Process]:
        return [hook for hook in (self.before, self.after, self.stop_command) if hook]

    def all(self) -> list[Process]:
        return [one for root in self.commands() + self.hooks() for one in root.all()]

    def arguments(self, actor: str, journal: str) -> list[str]:
        def quoted(process: Process) -> str:
            return shlex.join([actor, journal, process.words()])

        words = ["--drain", f"{self.drain}ms", "--drain-signal", self.drain_signal]
        words += [self.reaches] if self.reaches else []
        words += [self.placement] if self.placement else []
        words += ["-t", f"{self.kill_after}ms"] if self.kill_after is not None else []
        words += ["--stop-delay", f"{self.delay}ms"] if self.delay else []
        words += ["-r", "{}:{}".format(*self.rewrite)] if self.rewrite else []
        words += ["--exit-when", self.exit_when]
        for option, hook in (("--before", self.before), ("--after", self.after),
                             ("--stop-command", self.stop_command)):
            words += [option, quoted(hook)] if hook else []
        for process in self.beside:
            words += ["--with", quoted(process)]
        return words + ["-v", "--", actor, journal, self.main.words()]


class Maker:
    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.seed = seed
        self.id = 0

    def chance(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def process(self, depth: int, bounded: bool = False) -> Process:
        """One that ends when it is asked by SIGTERM or SIGINT, if it is bounded."""
        pick = self.random
        self.id += 1
        made = Process(self.id, way=pick.choice("ffffdsg"))
        made.caught = [number for number in (TERM, INT, QUIT) if self.chance(75)]
        if bounded or self.chance(60):
            made.caught = sorted({TERM, INT, *made.caught})
        made.noted = [number for number in OTHERS if self.chance(80)]
        if not bounded:
            rest = [number for number in (TERM, INT, QUIT) if number not in made.caught]
            made.ignored = [number for number in rest if self.chance(20)]
            rest = [number for number in rest if number not in made.ignored]
            made.blocked = [number for number in rest if self.chance(15)]
        made.threads = pick.choice((0, 0, 0, 0, 1, 3))
        made.reaction = pick.choice(("e0", "e0", f"e{pick.randrange(1, 90)}", f"k{TERM}", "k6", "f0"))
        if not bounded and self.chance(15):
            made.reaction = "s"
        made.work = pick.choice((0, 0, 0, 20, 100, 250, 400))
        made.spawns = self.chance(8)
        made.closes = self.chance(15)
        if depth:
            made.children = [self.process(depth - 1) for _ in range(pick.choice((0, 0, 1, 1, 2, 3)))]
        # Reaping its own children only: "f" waits for those that may never end.
        if made.reaction == "f0" and bounded:
            made.reaction = "e0" if made.children else "f0"
        if self.chance(30):
            made.life = pick.randrange(30, 900)
            made.end = pick.choice(("e0", f"e{pick.randrange(1, 90)}", "k9", "k15", "k10"))
        if self.chance(10):
            made.sends.append((pick.randrange(10, 600), pick.choice((TERM, HUP, USR1)),
                               pick.choice("pcs")))
        if self.chance(4):
            made.sends.append((pick.randrange(10, 600), 19, pick.choice("cs")))
        return made

    def root(self, depth: int, bounded: bool) -> Process:
        made = self.process(depth, bounded)
        made.way = ""
        made.noted = [number for number in OTHERS if self.chance(96)]
        # Whoever suspends itself or is killed by its own child is another story.
        made.sends = [send for send in made.sends if send[1] != 19 and send[2] != "s"]
        for one in made.all():
            for child in one.children:
                child.sends = [send for send in child.sends if one is not made or send[2] != "p"]
        return made

    def hook(self) -> Process:
        made = self.root(1, True)
        made.life = self.random.choice((1, 30, 150))
        made.end, made.sends = "e0", []
        return made

    def program(self) -> Program:
        pick = self.random
        kill_after = pick.choice((None, 300, 600, 1200))
        bounded = kill_after is None
        made = Program(self.seed, self.root(pick.choice((0, 1, 2, 3)), bounded))
        made.kill_after = kill_after
        made.is_pid_1 = self.chance(65)
        made.has_terminal = self.chance(25)
        made.placement = "-S" if self.chance(10) else ""
        made.reaches = pick.choice(("", "", "", "-g", "-a"))
        made.drain = pick.choice((0, 300, 800, 800, 1500, 1500))
        made.drain_signal = "none" if self.chance(7) else "TERM"
        made.delay = 200 if self.chance(10) else 0
        if self.chance(10):
            made.rewrite = (TERM, pick.choice((INT, QUIT)))
            made.main.caught = sorted({*made.main.caught, made.rewrite[1]})
            made.main.ignored = made.main.blocked = []
        if self.chance(30):
            made.beside = [self.root(pick.choice((0, 1, 2)), bounded)
                           for _ in range(pick.choice((1, 1, 2)))]
            for one in made.beside:
                one.caught = sorted({*one.caught, *(made.rewrite or ())[1:]})
                if made.rewrite:
                    one.ignored = one.blocked = []
        made.exit_when = pick.choice(("any", "any", "any", "main", "all"))
        if self.chance(12):
            made.before = self.hook()
            # It is alone: nothing of it is to disturb what comes.
            made.before.children = []
        if self.chance(12) and made.drain:
            made.after = self.hook()
        # One that tells nobody is followed by nothing but --kill-after.
        if self.chance(15) and kill_after is not None:
            made.stop_command = self.hook()
            if self.chance(50):
                made.stop_command.life += 10
                made.stop_command.sends = [(1, TERM, "m")]
        at = 0
        for _ in range(pick.choice((0, 0, 1, 2, 3, 5))):
            at += pick.choice((0, 1, 5, 30, 120, 300))
            made.signals.append((at, pick.choice(OTHERS)))
        at += pick.choice((0, 1, 30, 120, 300, 600))
        made.signals.append((at, pick.choice((TERM, TERM, TERM, INT))))
        for _ in range(pick.choice((0, 0, 0, 1, 2))):
            at += pick.choice((0, 5, 60, 200))
            made.signals.append((at, pick.choice((TERM, INT, HUP, USR1))))
        return made


def make(seed: int) -> Program:
    return Maker(seed).program()


def smaller(program: Program):
    """Each program with one thing less, the largest parts first."""
    def changed(change) -> Program:
        other = copy.deepcopy(program)
        change(other)
        return other

    for name in ("before", "after", "stop_command", "rewrite"):
        if getattr(program, name) is not None:
            yield changed(lambda other: setattr(other, name, None))
    for at in range(len(program.beside)):
        yield changed(lambda other: other.beside.pop(at))
    for at in range(len(program.signals) - 1):
        yield changed(lambda other: other.signals.pop(at))
    plain = Program(0, program.main)
    for name in ("has_terminal", "placement", "reaches", "delay", "exit_when", "drain_signal"):
        if getattr(program, name) != getattr(plain, name):
            yield changed(lambda other: setattr(other, name, getattr(plain, name)))
    for at, process in enumerate(program.all()):
        for child in range(len(process.children)):
            yield changed(lambda other: other.all()[at].children.pop(child))
        for name in ("threads", "spawns", "closes", "sends", "work", "life"):
            value = getattr(process, name)
            if value:
                yield changed(lambda other: setattr(other.all()[at], name, type(value)()))
