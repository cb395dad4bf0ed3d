"""Debian's packages of the programs that the rows start."""

import os
import shutil
import subprocess
import sys

import packages

PACKAGES = {
    "apache2": "apache2-bin",
    "bash": "bash",
    "catatonit": "catatonit",
    "cc": "gcc libc6-dev",
    "celery": "celery",
    "dumb-init": "dumb-init",
    "gunicorn": "gunicorn",
    "java": "default-jdk-headless",
    "make": "make",
    "nginx": "nginx-light",
    "node": "nodejs",
    "npm": "npm",
    "php-fpm8.2": "php8.2-fpm",
    "postgres": "postgresql",
    "redis-server": "redis-server",
    "rq": "python3-rq python3-redis",
    "runsvdir": "runit",
    "s6-svscan": "s6",
    "screen": "screen",
    "script": "bsdutils",
    "sudo": "sudo",
    "supervisord": "supervisor",
    "tini": "tini",
    "tmux": "tmux",
}
# Hundreds of megabytes, or of packages: only where they are there, or on demand.
LARGE = {"java", "node", "npm"}


def has(program: str) -> bool:
    return bool(shutil.which(program))


def install(programs: set[str], large: bool):
    """Those that are missing."""
    wanted = [program for program in sorted(programs - (set() if large else LARGE))
              if not has(program)]
    if not wanted:
        return
    names = " ".join(PACKAGES[program] for program in wanted).split()
    print(f"installing {' '.join(names)}", file=sys.stderr, flush=True)
    with packages.no_services():
        subprocess.run(
            ["apt-get", "-o", "DPkg::Lock::Timeout=900", "install", "-y", "-qq",
             "--no-install-recommends", *names],
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            stdout=subprocess.DEVNULL, check=True, timeout=1800,
        )
