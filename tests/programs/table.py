"""The outcome, as a table of Markdown."""

import sys
from collections import Counter

from tracing import by_process

COLUMNS = "row", "started as", "lost", "seconds", "status", "signals", "outcome"


def cells(*texts: str) -> str:
    return "| " + " | ".join(text.replace("|", "\\|").replace("\n", " ") for text in texts) + " |"


def counted(texts: list[str]) -> str:
    """Each text once, with how often it was seen if there are several."""
    seen = Counter(texts).most_common()
    if len(seen) == 1:
        return seen[0][0]
    return "; ".join(f"{text} ({number} of {len(texts)})" for text, number in seen)


def signals(sent: list | None) -> str:
    """`sh TERM, once TERM<sh`: TERM from the init, TERM from a shell."""
    if sent is None:
        return ""
    seen = Counter(f"{name} {what}" for name, what in by_process(sent))
    return ", ".join(f"{number}× {text}" if number > 1 else text
                     for text, number in sorted(seen.items()))


class Table:
    def __init__(self, init, load: bool, show: bool):
        self.init, self.load, self.show = init, load, show
        self.passed = self.failed = self.skipped = 0
        print(f"Under {init.name}{', beside three busy loops' if load else ''}. `TERM` comes from "
              "the init, `TERM<sh` from sh, `KILL<exit` from the kernel when PID 1 has ended.\n")
        self.line(cells(*COLUMNS))
        self.line(cells(*["---"] * len(COLUMNS)))

    def line(self, text: str):
        print(text, flush=True)

    def skip(self, row, reason: str):
        self.skipped += 1
        shown = f"`{row.options} {row.command}`".replace("{place}", ".")
        self.line(cells(row.name, shown, "", "", "", "", f"skipped: {reason}"))

    def add(self, row, results: list):
        wrong = [row.wrong(result, self.init, self.load) for result in results]
        reasons = counted([", ".join(found) for found in wrong if found]) if any(wrong) else ""
        count = sum(map(bool, wrong))
        many = f" {count} of {len(results)}" if len(results) > 1 else ""
        if row.race:
            outcome = f"not judged: {row.race}"
        elif reasons:
            self.failed += 1
            outcome = f"FAILED{many}: {reasons}"
        else:
            self.passed += 1
            outcome = "ok"
        times = sorted(f"{result.seconds:.1f}" for result in results)
        span = times[0] if times[0] == times[-1] else f"{times[0]}–{times[-1]}"
        statuses = ["hung" if result.status is None else str(result.status) for result in results]
        self.line(cells(
            row.name, f"`{row.started_as(self.init)}`",
            counted([result.lost or "nothing" for result in results]), span, counted(statuses),
            counted([signals(result.sent) for result in results]), outcome,
        ))
        if self.show:
            for result, found in zip(results, wrong):
                if found:
                    print(row.name, *result.log.splitlines()[-40:], sep="\n    ", file=sys.stderr)

    def close(self) -> int:
        print(f"\n{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed else 0
