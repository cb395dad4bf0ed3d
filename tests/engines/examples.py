"""What the examples are run with, and what is asked of each."""

import re

from programs import ROOT

PLACE = ROOT / "examples"

# `my-app` and `my-worker`. Its child in a session of its own tells the arguments when both are ready, and "saved" after it was told to
# end: it does not live as long without an init that waits for it.
APPLICATION = """#!/bin/sh
trap 'exit 0' TERM
setsid sh -c 'trap "sleep 0.3; echo saved; exit" TERM; echo "ready $*"; while :; do sleep 0.1; done' child "$@" &
while :; do sleep 0.1; done
"""


def fits(grace_period: int, environment: dict[str, str]):
    """What the README asks: the engine's grace period, in seconds, is longer than all that firstmate may take."""
    times = {"STOP_DELAY": "0s", "KILL_AFTER": None, "DRAIN": "5s"}
    times = {name: environment.get(f"FIRSTMATE_{name}", default) for name, default in times.items()}
    assert times["KILL_AFTER"], "without --kill-after there is no such time"
    longest = sum(int(re.fullmatch(r"(\d+)s", time)[1]) for time in times.values()) + 1
    assert longest < grace_period, f"{times} with 1s are not less than {grace_period}s"
