"""What must be there before the first recipe: the programs, of Debian's packages, and firstmate."""

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Program, package.
WANTED = {
    "python3": "python3",
    "nginx": "nginx-light",
    "apache2": "apache2-bin",
    "javac": "default-jdk-headless",
    "/usr/lib/postgresql": "postgresql",
    "gunicorn": "gunicorn",
    "/usr/lib/uwsgi/plugins/python3_plugin.so": "uwsgi-plugin-python3",
    "redis-server": "redis-server",
}
POLICY = Path("/usr/sbin/policy-rc.d")


def install():
    """Those that are missing."""
    missing = [package for program, package in WANTED.items() if not shutil.which(program) and not Path(program).exists()]
    if missing:
        print(f"installing {' '.join(missing)}", flush=True)
        with no_services():
            subprocess.run(
                ["apt-get", "-o", "DPkg::Lock::Timeout=900", "install", "-y", "-qq", "--no-install-recommends", *missing],
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, stdout=subprocess.DEVNULL, check=True, timeout=1800,
            )


@contextmanager
def no_services():
    """No package starts what it installs (invoke-rc.d(8)). Where somebody has a policy, it is theirs."""
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink()


def firstmate() -> Path:
    """The program under test."""
    if given := os.environ.get("TESTED_FIRSTMATE"):
        return Path(given).resolve()
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=ROOT, check=True, timeout=1800)
    return (Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "firstmate").resolve()
