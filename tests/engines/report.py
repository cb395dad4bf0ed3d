"""Runs the cases of the engines; a line for each, and a table at the end."""

import os
import signal
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from engine import Skipped

HERE = str(Path(__file__).parent)
REQUIRE_ALL = os.environ.get("REQUIRE_ALL_TESTS") == "1"


@dataclass
class Tally:
    """How one engine did."""

    engine: str
    version: str = "-"
    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    # Case, reason.
    skipped: list[tuple[str, str]] = field(default_factory=list)
    impossible: list[tuple[str, str]] = field(default_factory=list)

    def skip(self, name: str, reason: str, required: bool = True):
        self.skipped.append((name, reason))
        if REQUIRE_ALL and required:
            self.failed.append(name)


def run_all(classes, place, image, only) -> int:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, give_up)
    tallies = [run_engine(engine, place / engine.name, image, only) for engine in classes]
    print_table(tallies)
    return 1 if any(tally.failed for tally in tallies) else 0


def give_up(number, _frame):
    # All that runs is in namespaces that end with us.
    print(f"the tests were ended by {signal.Signals(number).name}", flush=True)
    os._exit(128 + number)


def run_engine(engine_class, place, image, only) -> Tally:
    tally = Tally(engine_class.name)
    place.mkdir()
    engine = engine_class(place, image)
    if reason := engine.unavailable():
        line(tally, "all cases", f"SKIPPED: {reason}")
        tally.skip("all cases", reason, engine.required)
        return tally
    try:
        with engine, ThreadPoolExecutor(engine.workers) as pool:
            tally.version = engine.version()
            # One after the other is told as it ends.
            lock = threading.Lock()
            cases = engine.cases()
            unknown = engine.impossible.keys() - {case.name for case in cases}
            assert not unknown, f"no such cases: {unknown}"
            list(pool.map(lambda case: run_case(engine, case, tally, lock), [case for case in cases if only in case.name]))
    except Exception:
        line(tally, "the engine itself", f"FAILED: {why()}")
        tally.failed.append("the engine itself")
    return tally


def run_case(engine, case, tally, lock):
    if reason := engine.impossible.get(case.name):
        with lock:
            tally.impossible.append((case.name, reason))
            line(tally, case.name, f"impossible: {reason}")
        return
    outcome = check(engine, case)
    with lock:
        if outcome.failure:
            tally.failed.append(case.name)
            line(tally, case.name, f"FAILED: {outcome.failure}")
        elif outcome.skipped:
            tally.skip(case.name, outcome.skipped)
            line(tally, case.name, f"SKIPPED: {outcome.skipped}")
        else:
            tally.passed.append(case.name)
            line(tally, case.name, f"ok ({outcome.seconds:.1f}s)")


@dataclass
class Outcome:
    seconds: float
    failure: str = ""
    skipped: str = ""


def check(engine, case) -> Outcome:
    began = time.monotonic()
    failure = skipped = ""
    try:
        case.check(engine)
    except Skipped as reason:
        skipped = str(reason)
    except Exception:
        failure = why()
    return Outcome(time.monotonic() - began, failure, skipped)


def why() -> str:
    """The exception at hand, and its way through our files."""
    kind, error, trace = sys.exc_info()
    ours = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(trace) if HERE in frame.filename]
    return f"{' > '.join(ours)}: {kind.__name__}: {error}"


def line(tally, name, outcome):
    print(f"{tally.engine}: {name}: {outcome}", flush=True)


def print_table(tallies):
    print(f"\n{'engine':<16} {'version':<28} {'passed':>6} {'failed':>6} {'skipped':>7} {'impossible':>10}")
    for tally in tallies:
        counts = f"{len(tally.passed):>6} {len(tally.failed):>6} {len(tally.skipped):>7} {len(tally.impossible):>10}"
        print(f"{tally.engine:<16} {tally.version:<28} {counts}")
    for tally in tallies:
        for name in tally.failed:
            print(f"{tally.engine}: failed: {name}")
        for name, reason in tally.skipped:
            print(f"{tally.engine}: skipped: {name}: {reason}")
        for name, reason in tally.impossible:
            print(f"{tally.engine}: impossible by its nature: {name}: {reason}")
    sys.stdout.flush()
