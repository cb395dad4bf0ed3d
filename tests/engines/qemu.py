"""Other kernels: machines in QEMU whose PID 1 is firstmate. The kernels are Debian's; KVM is not needed."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import cases
import qemu_cases
from client import Client
from engine import LIMIT, Engine, Finished, call

# What the kernel starts. runc can't pivot from an initramfs, so all moves to a tmpfs. A shell is left that does what comes through the
# second serial port: a child that firstmate finds when it starts.
INIT = """#!/bin/sh
export PATH=/bin:/sbin:/usr/sbin
mkdir /new && mount -t tmpfs tmpfs /new && cp -a /bin /sbin /lib* /usr /etc /command /start /new && exec switch_root /new /start
"""
START = """#!/bin/sh
mkdir /proc /sys /dev /tmp /run /root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo +memory +pids > /sys/fs/cgroup/cgroup.subtree_control
mount -t devtmpfs devtmpfs /dev
# runc executes a descriptor, and TOMOYO, which Debian's older kernels have on, looks it up here.
ln -s /proc/self/fd /dev/fd
exec 3</dev/ttyS1
while read -r line; do $line; done <&3 &
exec 3<&-
. /command
"""

MACHINE = [
    "qemu-system-x86_64", "-accel", "tcg", "-M", "pc", "-smp", "1", "-m", "512", "-display", "none", "-nodefaults", "-no-reboot",
    # QEMU 7.2 corrupts the flags register at some cmpxchg16b instructions, and the kernel dies of a double fault.
    "-cpu", "qemu64,-cx16",
]  # fmt: skip

# How the kernel tells the wait status of its PID 1.
DEATH = re.compile(r"\[[ .\d]+\] Kernel panic - not syncing: Attempted to kill init! exitcode=0x([0-9a-f]{8})")


class Machine(Client):
    """Its console is the output; its status is what the kernel says of PID 1, for whose end it panics."""

    def __init__(self, kernel, container):
        variables = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in container.environment().items())
        initramfs = kernel.initramfs(f"{variables}exec {shlex.join(container.arguments())}\n")
        self.agent, theirs = socket.socketpair()
        with theirs:
            super().__init__(
                [
                    *MACHINE, "-kernel", kernel.image_of_kernel, "-initrd", initramfs, "-append", "console=ttyS0 loglevel=1 panic=-1",
                    "-serial", "stdio", "-chardev", f"socket,id=agent,fd={theirs.fileno()}", "-serial", "chardev:agent",
                ],
                pass_fds=[theirs.fileno()],
            )  # fmt: skip

    def signal(self, number):
        self.agent.sendall(f"kill -{number} 1\n".encode())

    def finish(self, limit=LIMIT):
        finished = super().finish(limit)
        output = finished.output.replace("\r\n", "\n")
        death = DEATH.search(output)
        assert death, f"the machine did not die of the end of its PID 1: {output!r}"
        code, signal = int(death[1], 16) >> 8, int(death[1], 16) & 0x7F
        return Finished(128 + signal if signal else code, output[: death.start()])

    def remove(self):
        self.agent.close()
        super().remove()


class Kernel(Engine):
    """The machines with one kernel, that of the cloud flavour in a suite of Debian's."""

    suite: str
    packages = ("qemu-system-x86", "runc")
    programs = ("qemu-system-x86_64", "runc", "apt-get", "dpkg-deb")

    def cases(self):
        # Of the others those in which a kernel could differ.
        return [
            cases.the_exit_code_is_the_commands,
            cases.a_death_by_signal_is_128_and_its_number,
            cases.a_handled_sigterm,
            cases.an_ignored_sigterm_is_escalated,
            cases.real_time_signals,
            cases.rewritten_signals,
            cases.a_grandchild_in_its_own_session_finishes_its_clean_up,
            cases.no_zombie_is_left_of_many_orphans,
            *qemu_cases.OWN_CASES,
        ]

    def unavailable(self):
        if reason := super().unavailable():
            return reason
        if os.uname().machine != "x86_64":
            return "the machines are of x86_64"
        try:
            self.fetch()
        except (AssertionError, subprocess.TimeoutExpired) as error:
            return f"no kernel from Debian's {self.suite}: {error}"

    def fetch(self):
        """Takes the kernel out of its package, which is not installed."""
        sites = call("apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Created-By: Packages").split()
        site = next((site for site in sites if "security" not in site), "http://deb.debian.org/debian/")
        for directory in ("lists/partial", "cache/archives/partial"):
            (self.place / directory).mkdir(parents=True)
        sources = self.place / "sources.list"
        sources.write_text(f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {site} {self.suite} main\n")
        options = [
            *("-o", f"Dir::Etc::SourceList={sources}", "-o", "Dir::Etc::SourceParts=/dev/null"),
            *("-o", f"Dir::State::Lists={self.place}/lists", "-o", f"Dir::Cache={self.place}/cache"),
            *("-o", "APT::Architectures=amd64", "-o", "Acquire::Languages=none", "-o", "APT::Sandbox::User=root"),
            # An update without its index is a failure.
            *("-o", "APT::Update::Error-Mode=any"),
        ]
        call("apt-get", *options, "update", limit=300)
        depends = call("apt-cache", *options, "depends", "--important", "linux-image-cloud-amd64")
        package = re.search(r"Depends: (linux-image-\S+)", depends)
        assert package, f"no kernel in {depends!r}"
        call("apt-get", *options, "download", package[1], cwd=self.place, limit=300)
        [archive] = self.place.glob("*.deb")
        self.release = package[1].removeprefix("linux-image-")
        self.image_of_kernel = self.place / "vmlinuz"
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as content:
            with self.image_of_kernel.open("wb") as image:
                path = f"./boot/vmlinuz-{self.release}"
                subprocess.run(["tar", "-xO", path], stdin=content.stdout, stdout=image, check=True, timeout=LIMIT)

    def version(self):
        return self.release

    def start(self):
        root = self.image.copy(self.place / "root")
        (root / "usr/sbin").mkdir(exist_ok=True)
        runc = shutil.which("runc")
        shutil.copy(runc, root / "usr/sbin")
        for library in re.findall(r"/\S+", call("ldd", runc)):
            (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, root / library[1:])
        for name, text in (("init", INIT), ("start", START)):
            (root / name).write_text(text)
            (root / name).chmod(0o755)
        (root / "etc/config.json").write_text(json.dumps(qemu_cases.CONTAINER))
        self.base = archive(root)

    def initramfs(self, command: str) -> Path:
        """Archives in a row unpack over one another."""
        place = self.place / self.new_id()
        (place / "files").mkdir(parents=True)
        (place / "files/command").write_text(command)
        initramfs = place / "initramfs"
        initramfs.write_bytes(self.base + archive(place / "files"))
        return initramfs

    def run(self, container):
        return Machine(self, container)


def archive(directory: Path) -> bytes:
    names = "\n".join(str(path.relative_to(directory)) for path in sorted(directory.rglob("*")))
    cpio = ["busybox", "cpio", "-o", "-H", "newc"]
    return subprocess.run(cpio, cwd=directory, input=names.encode(), capture_output=True, check=True, timeout=LIMIT).stdout


class Linux510(Kernel):
    name = "linux-5.10"
    suite = "bullseye"
    # Some day Debian moves old suites to its archive.
    required = False


class Linux61(Kernel):
    name = "linux-6.1"
    suite = "bookworm"


class Linux612(Kernel):
    name = "linux-6.12"
    suite = "bookworm-backports"
    required = False


ENGINES = [Linux510, Linux61, Linux612]
