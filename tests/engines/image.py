"""The root file system of the containers: busybox, firstmate and the probe."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path


class Image:
    """A directory tree, `root`, and the same as a tar archive."""

    def __init__(self, place: Path, firstmate: Path, probe: Path, oci: Path):
        self.root = place / "root"
        self.firstmate, self.oci = firstmate, oci
        for directory in ("bin", "dev", "etc", "proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr/bin", "var"):
            (self.root / directory).mkdir(parents=True)
        # Everybody may write to srv, and no engine mounts anything there: only a read-only root refuses.
        for directory in ("srv", "tmp"):
            (self.root / directory).chmod(0o1777)
        shutil.copy(shutil.which("busybox"), self.root / "bin/busybox")
        for applet in subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True, timeout=10).stdout.split():
            if applet != "busybox":
                os.symlink("busybox", self.root / "bin" / applet)
        shutil.copy(firstmate, self.root / "sbin/firstmate")
        shutil.copy(probe, self.root / "bin/probe")
        (self.root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
        (self.root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
        # systemd-nspawn takes no tree without it for an operating system's.
        (self.root / "etc/os-release").write_text("ID=firstmate-test\n")

    @property
    def tar(self) -> Path:
        """The tree as an archive, to import as an image."""
        archive = self.root.with_suffix(".tar")
        if not archive.exists():
            with tarfile.open(archive, "w") as tar:
                tar.add(self.root, arcname=".")
        return archive

    def copy(self, place: Path) -> Path:
        """A tree of its own for one container, made of hard links."""
        shutil.copytree(self.root, place, symlinks=True, copy_function=os.link)
        return place
