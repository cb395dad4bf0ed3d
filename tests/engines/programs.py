"""What must be there before the first engine starts: packages and binaries."""

import json
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def install(packages):
    """Those Debian packages that are missing. Where there is no apt-get, the engines tell what they lack."""
    wanted = sorted({"busybox-static", *packages})
    installed = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *wanted], capture_output=True, text=True, timeout=60
    ).stdout.splitlines() if shutil.which("dpkg-query") else []
    missing = [package for package in wanted if f"installed {package}" not in installed]
    if missing and shutil.which("apt-get"):
        print(f"installing {' '.join(missing)}", flush=True)
        # A package must not start its daemon: each engine starts one of its own.
        subprocess.run(
            ["apt-get", "-o", "DPkg::Lock::Timeout=900", "install", "-y", "-qq", "--no-install-recommends", *missing],
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"},
            stdout=subprocess.DEVNULL,
            timeout=1800,
        )


def build():
    """The paths of firstmate and of the probe, which the containers run, and of firstmate-oci."""
    firstmate, probe = os.environ.get("TESTED_FIRSTMATE"), os.environ.get("TESTED_PROBE")
    firstmate = firstmate or executable("firstmate", "build", "--bin=firstmate")
    # The suite's executable is the probe, by any other name.
    probe = probe or executable("suite", "test", "--no-run", "--test=suite")
    oci = os.environ.get("TESTED_OCI") or executable("firstmate-oci", "build", "--bin=firstmate-oci")
    return tuple(Path(program).resolve() for program in (firstmate, probe, oci))


def executable(name, command, *options) -> str:
    """Where cargo has built that target."""
    built = subprocess.run(
        ["cargo", command, "--release", "--locked", "--message-format=json-render-diagnostics", *options],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=1800,
    )
    messages = map(json.loads, built.stdout.splitlines())
    return next(message["executable"] for message in messages if message.get("target", {}).get("name") == name and message.get("executable"))
