"""What must be there before the first engine starts: packages and binaries."""

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
    """The paths of firstmate and of the probe, which the containers run."""
    built = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    firstmate, probe = os.environ.get("TESTED_FIRSTMATE"), os.environ.get("TESTED_PROBE")
    targets = [*([] if firstmate else ["--bin=firstmate"]), *([] if probe else ["--example=probe"])]
    if targets:
        subprocess.run(["cargo", "build", "--release", "--locked", *targets], cwd=ROOT, check=True, timeout=1800)
    return Path(firstmate or built / "firstmate").resolve(), Path(probe or built / "examples" / "probe").resolve()
