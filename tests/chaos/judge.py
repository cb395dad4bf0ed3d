"""What a run must have been, by the contract alone: it knows nothing of how firstmate decides."""

from programs import INT, OTHERS, REAL_TIME, STOPS, TERM, Process, Program
from running import Run

# Seconds by which a busy machine may be late.
SLACK = 2.0
# Two things nearer than this may have happened in either order.
NEAR = 0.15
# The kernel's own default for these is to do nothing.
HARMLESS = 28, 18, 17, 23


def judge(program: Program, run: Run) -> list[str]:
    """The faults; none if all was as it should be."""
    if run.status is None:
        return ["it hangs"]
    if any(status in (94, 95, 96, 97, 98, 99) for status in ends_of(run)):
        return ["the test's own program failed"]
    look = Look(program, run)
    checks = (look.log, look.status, look.time, look.zombies, look.left, look.asked_once,
              look.asked_before, look.time_given, look.others, look.order)
    return [fault for check in checks for fault in check()]


def ends_of(run: Run) -> list[int]:
    return [line.values[0] for lines in run.lines.values() for line in lines
            if line.event == "exits"]


class Look:
    def __init__(self, program: Program, run: Run):
        self.program, self.run = program, run
        self.ids = {process.id: process for process in program.all()}
        self.commands = {command.id for command in program.commands()}
        self.hooks = {one.id for hook in program.hooks() for one in hook.all()}
        # When stop signals reached the init, from outside and from inside.
        self.stops = sorted(
            [(at, number) for at, number, _ in run.sent if number in STOPS]
            + [(line.at, line.values[0]) for lines in run.lines.values() for line in lines
               if line.event == "sent" and line.values[1] == run.init and line.values[0] in STOPS])
        self.first_stop = self.stops[0][0] if self.stops else float("inf")
        self.stop_numbers = {*STOPS, *((program.rewrite or ())[1:])}

    def got(self, id: int, numbers, by_init: bool | None = None):
        # A late child has its parent's number for a moment.
        pids = {line.pid for line in self.run.events(id, "ready")}
        return [line for line in self.run.events(id, "got")
                if line.values[0] in numbers and (line.pid in pids or not pids)
                and (by_init is None or self.is_by_init(line) == by_init)]

    def is_by_init(self, line) -> bool:
        """Or what it passes on for somebody outside; the kernel's own signals have the code 128."""
        return line.values[1] in (self.run.init, 0) and line.values[2] != 128

    def ready(self, id: int) -> float | None:
        ready = self.run.events(id, "ready")
        return ready[0].at if ready else None

    def record(self, id: int):
        """How it ended by itself: (when, status)."""
        for line in self.run.lines.get(id, []):
            if line.event in ("exits", "dies"):
                return line.at, line.values[0] + (128 if line.event == "dies" else 0)
        return None

    def statuses(self, id: int) -> set[int]:
        """Those that it may have ended with."""
        record = self.record(id)
        if record:
            return {record[1]}
        found = {137}
        # A signal that it neither catches, blocks nor ignores.
        process = self.ids[id]
        handled = {*process.caught, *process.noted, *process.blocked, *process.ignored}
        told = {number for _, number in self.stops} | {number for _, number, _ in self.run.sent}
        told |= self.stop_numbers if self.stops else set()
        told |= {TERM, INT}
        told |= {line.values[0] for lines in self.run.lines.values() for line in lines
                 if line.event == "sent"}
        if self.program.rewrite:
            told.add(self.program.rewrite[1])
        return found | {128 + number for number in told - handled if number not in HARMLESS}

    # The checks.

    def log(self):
        for line in self.run.log.splitlines():
            if "panicked" in line:
                yield f"a panic: {line}"

    def zombies(self):
        if self.run.zombies:
            yield f"zombies stay: {self.run.zombies}"

    def left(self):
        if self.program.drain and self.run.left:
            yield f"alive after its end: {self.run.left}"

    def status(self):
        program, run = self.program, self.run
        main = self.statuses(program.main.id)
        if program.before and self.ready(program.main.id) is None:
            # Stopped before the main command was started.
            return
        records = {id: self.record(id) for id in self.commands}
        if program.exit_when == "main" or not program.beside:
            wanted = main
        elif program.exit_when == "all":
            wanted = {0} | {one for id in self.commands for one in self.statuses(id)}
        else:
            ends = sorted(record[0] for record in records.values() if record)
            first = ends[0] if ends else float("inf")
            wanted = set()
            if first > self.first_stop - NEAR or not ends:
                wanted |= main
            # Whoever has no record was killed by a signal, and nobody knows when.
            early = {id for id, record in records.items()
                     if not record or record[0] < min(first + NEAR, self.first_stop + NEAR)}
            wanted |= {one for id in early for one in self.statuses(id)}
        if self.record(program.main.id) is None:
            # By our SIGKILL, after another one decided.
            wanted = wanted | {137}
        if run.status not in wanted:
            yield f"status {run.status}, and not {sorted(wanted)}"

    def last_command(self) -> float:
        """When the last of the commands has ended at the latest."""
        program = self.program
        times = [record[0] for id in self.commands if (record := self.record(id))]
        if len(times) == len(self.commands):
            return max(times)
        return float("inf")

    def time(self):
        """The drain and what follows it keep their bound."""
        program = self.program
        after = program.drain / 1000 + self.life(program.after) if program.after else 0
        bound = self.last_command() + program.drain / 1000 + 1 + after + SLACK
        # A stop command has the time of the drain, or what remains of --kill-after.
        if program.stop_command:
            bound += max(5, (program.kill_after or 0) / 1000)
        if self.run.ended > bound:
            yield f"{self.run.ended - bound + SLACK:.2f} s beyond its bound"
        if program.kill_after is not None and self.stops:
            # From the first stop on, whoever survives.
            bound = (self.first_stop + (program.delay + program.kill_after + program.drain) / 1000
                     + 1 + after + SLACK)
            # Others that are asked only now, when nothing remains of it, have the drain's time.
            if program.beside and program.exit_when == "main":
                bound += program.drain / 1000 or 5
            # Commands that are asked when the main one has ended have what remains.
            if not program.stop_command and self.run.ended > bound:
                yield f"{self.run.ended - bound + SLACK:.2f} s beyond the bound of its stop"

    @staticmethod
    def life(process: Process) -> float:
        return process.life / 1000

    def reached_by_group(self, id: int) -> bool:
        """-g and -a reach it with each stop signal."""
        if self.program.reaches == "-a":
            return True
        return self.program.reaches == "-g" and any(
            id in (one.id for one in command.group()) for command in self.program.commands())

    def asked_once(self):
        for id, process in self.ids.items():
            if id in self.hooks:
                continue
            count = len(self.got(id, self.stop_numbers, by_init=True))
            many = len(self.stops)
            if id == self.program.main.id or self.reached_by_group(id):
                # Once by the init itself, when another command has ended; each later one is told.
                allowed = many + 1 if self.may_end_unasked() else max(many, 1)
            else:
                allowed = 1
            # What has no parent in the journal is a late child; ours are those by fork.
            if count > allowed:
                yield f"process {id} was asked {count} times by the init, for {many} stop signals"
        for id in self.run.lines:
            if id >= 500 and len(self.got(id, self.stop_numbers, by_init=True)) > max(1, len(self.stops) if self.program.reaches else 1):
                yield f"late child {id} was asked more than once"

    def may_end_unasked(self) -> bool:
        ends = [record[0] for id in self.commands if (record := self.record(id))]
        # Nobody knows when those without a record ended.
        return len(ends) < len(self.commands) or min(ends) < self.first_stop + NEAR

    def asked_before(self):
        """Nobody that catches SIGTERM is killed without having been asked by anybody."""
        program = self.program
        if not program.drain or program.drain_signal == "none":
            return
        for id, process in self.ids.items():
            ready = self.ready(id)
            if id in self.hooks or ready is None or self.record(id):
                continue
            if TERM not in process.caught or ready > self.run.ended - program.drain / 1000 - 1:
                continue
            if id in self.commands and program.stop_command:
                continue
            if self.killed_by_others(id) or self.got(id, self.stop_numbers):
                continue
            # It was asked with what it ignores.
            if id in self.commands and self.may_get(id, {*process.ignored, *process.blocked}):
                continue
            # Asked with a signal that it does not catch, it died of that.
            deadly = self.stop_numbers - {*process.caught, *process.noted, *process.ignored}
            if deadly and self.may_get(id, deadly):
                continue
            yield f"process {id} catches SIGTERM and was killed unasked"

    def may_get(self, id: int, numbers: set[int]) -> bool:
        if self.program.rewrite:
            return True
        used = {number for _, number in self.stops}
        used |= {line.values[0] for lines in self.run.lines.values() for line in lines
                 if line.event == "sent" and line.values[0] in STOPS}
        return bool(used & numbers)

    def killed_by_others(self, id: int) -> bool:
        """A signal of another process, or of outside, that it does not catch."""
        process = self.ids[id]
        handled = {*process.caught, *process.noted, *process.ignored}
        pids = {line.pid for line in self.run.lines.get(id, [])}
        for lines in self.run.lines.values():
            for line in lines:
                if line.event == "sent" and line.values[1] in pids \
                        and line.values[0] not in handled:
                    return True
        if id == self.program.main.id or self.program.reaches:
            return any(number not in handled and number not in HARMLESS
                       for _, number, _ in self.run.sent)
        return False

    def time_given(self):
        """Whoever was asked, and needed less than the time that there is, has had it."""
        program = self.program
        ended = self.last_command()
        for id, process in self.ids.items():
            asked = self.got(id, process.caught)
            if id in self.hooks or not asked or self.record(id) or self.killed_by_others(id):
                continue
            if process.reaction[0] not in "ek" or self.suspended(id):
                continue
            done = asked[0].at + process.work / 1000
            if id in self.commands:
                if program.kill_after is None:
                    # Nothing but the end of the others limits it.
                    limit = self.first_stop + 5
                else:
                    limit = self.first_stop + program.kill_after / 1000
                if program.beside or not self.stops or program.stop_command:
                    continue
            elif ended == float("inf"):
                continue
            else:
                limit = ended + program.drain / 1000
            # Its own deadly signals come when they come.
            deadly = self.stop_numbers - {*process.caught, *process.noted, *process.ignored,
                                          *process.blocked}
            if deadly and (self.may_get(id, deadly) or program.reaches):
                continue
            if done + 0.25 < min(limit, self.run.ended):
                yield (f"process {id} was asked {self.run.ended - asked[0].at:.2f} s before the "
                       f"end, needed {process.work / 1000} s, and was killed")

    def suspended(self, id: int) -> bool:
        pids = {line.pid for line in self.run.lines.get(id, [])}
        return any(line.event == "sent" and line.values[0] == 19 and line.values[1] in pids
                   for lines in self.run.lines.values() for line in lines)

    def asks_main(self, beside) -> float:
        """When the end of a command beside the main one may have asked that to exit."""
        if self.program.exit_when == "main":
            return float("inf")
        record = self.record(beside.id)
        # Whoever has no record was killed by a signal, and nobody knows when.
        return record[0] - 0.1 if record else float("-inf")

    def others(self):
        """A signal that is no stop signal reaches the main command alone, each once."""
        program = self.program
        for number in OTHERS:
            sent = [(at, value) for at, other, value in self.run.sent if other == number]
            inside = [line for lines in self.run.lines.values() for line in lines
                      if line.event == "sent" and line.values == [number, self.run.init]]
            for id in self.ids:
                count = len(self.got(id, (number,), by_init=True))
                allowed = len(sent) + len(inside)
                if id != program.main.id and not (
                        program.reaches == "-g"
                        and id in (one.id for one in program.main.group())):
                    # A session's terminal hangs up, or an interactive shell is asked by SIGHUP.
                    allowed = 1 if number == 1 and program.has_terminal else 0
                    # What runs before or after the main command has its place at the terminal.
                    if number == 28 and id in (one.id for one in (program.before, program.after) if one):
                        allowed = len(sent)
                if count > allowed and not (number == 1 and program.has_terminal):
                    yield f"process {id} got signal {number} {count} times, not {allowed}"
            if number in program.main.noted and number not in program.main.caught:
                got = self.got(program.main.id, (number,), by_init=True)
                last = self.record(program.main.id)
                ready = self.ready(program.main.id)
                # What is pending together comes in the order of its numbers.
                until = min(last[0] - 0.3 if last else self.first_stop - 0.1,
                            self.deadly(program.main) - 0.1, *map(self.asks_main, program.beside))
                sure = [at for at, _ in sent if ready is not None and ready < at < until]
                # One of a kind is pending once.
                if number < REAL_TIME:
                    sure = [at for last_at, at in zip([0.0, *sure], sure) if at - last_at > 0.1]
                if len(got) < len(sure) and not self.suspended(program.main.id):
                    yield f"signal {number} was sent {len(sure)} times and came {len(got)} times"

    def deadly(self, process: Process) -> float:
        """When it was first sent what it does not expect."""
        expected = {*process.caught, *process.noted, *process.ignored, *HARMLESS}
        return min((at for at, number, _ in self.run.sent if number not in expected),
                   default=float("inf"))

    def order(self):
        """Real-time signals keep their order and their payload."""
        for number in (one for one in OTHERS if one >= REAL_TIME):
            sent = [value for _, other, value in self.run.sent if other == number]
            got = [line.values[3] for line in self.got(self.program.main.id, (number,))
                   if line.values[2] == -1]
            if got != sent[:len(got)] and sorted(got) != sorted(sent)[:0]:
                remaining = iter(sent)
                if not all(value in remaining for value in got):
                    yield f"signal {number} came with {got}, sent were {sent}"
