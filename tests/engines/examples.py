"""What the examples are run with, and what is asked of each."""

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
    """firstmate is told the engine's grace period, in seconds; what does not fit into it, it refuses itself."""
    given = environment.get("FIRSTMATE_STOP_TIMEOUT")
    assert given == f"{grace_period}s", f"--stop-timeout is {given}, and the grace period {grace_period}s"
