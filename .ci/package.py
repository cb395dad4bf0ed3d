#!/usr/bin/env python3
"""The parts of a release that are made of its binaries, in dist/:

    .ci/package.py licenses VERSION                 THIRD-PARTY-LICENSES and a CycloneDX bill of materials
    .ci/package.py deb VERSION MACHINE DEBIAN       a Debian package
    .ci/package.py deb-names VERSION                the one that provides tini and dumb-init
    .ci/package.py try-deb VERSION                  installs, runs, upgrades and removes them in a root file system of its own
    .ci/package.py image VERSION MACHINE=IMAGE...   an OCI image for all of them: a layout in a tar archive
"""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
DESCRIPTION = "init of a container that drains and says why"


def dependencies() -> list[dict]:
    """The crates that are in the binaries, by cargo itself."""
    target = "x86_64-unknown-linux-musl"
    metadata = json.loads(call("cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={target}"))
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    wanted, found = [metadata["resolve"]["root"]], set()
    while wanted:
        node = nodes[wanted.pop()]
        for dependency in node["deps"]:
            is_normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if is_normal and dependency["pkg"] not in found:
                found.add(dependency["pkg"])
                wanted.append(dependency["pkg"])
    return sorted((packages[each] for each in found), key=lambda package: package["name"])


def call(*command) -> str:
    return subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout


def licences(version: str):
    crates = dependencies()
    parts = ["What the binaries of firstmate are made of besides firstmate itself, and its licences.\n"]
    for crate in crates:
        folder = Path(crate["manifest_path"]).parent
        texts = sorted(path for path in folder.iterdir() if path.name.upper().startswith(("LICEN", "COPYING", "COPYRIGHT", "UNLICENSE")))
        assert texts, f"{crate['name']} has no licence text"
        parts.append(f"==== {crate['name']} {crate['version']} ({crate['license']})\n")
        parts += [path.read_text(errors="replace") for path in texts if path.is_file()]
    library = Path("/usr/share/doc/rust-web-src/copyright")
    parts.append("==== the standard library of Rust (MIT OR Apache-2.0), with what it contains\n")
    parts.append(library.read_text() if library.exists() else "https://github.com/rust-lang/rust/blob/main/COPYRIGHT\n")
    parts.append("==== musl (MIT)\n")
    parts.append(MUSL)
    (DIST / "THIRD-PARTY-LICENSES").write_text("\n".join(parts))
    components = [
        {
            "type": "library",
            "name": crate["name"],
            "version": crate["version"],
            "licenses": [{"expression": crate["license"].replace("/", " OR ")}],
            "purl": f"pkg:cargo/{crate['name']}@{crate['version']}",
        }
        for crate in crates
    ]
    components += [
        {"type": "library", "name": "rust-std", "licenses": [{"expression": "MIT OR Apache-2.0"}]},
        {"type": "library", "name": "musl", "licenses": [{"expression": "MIT"}]},
    ]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "firstmate", "version": version, "licenses": [{"expression": "MIT"}]}},
        "components": components,
    }
    (DIST / f"firstmate-{version}.cdx.json").write_text(json.dumps(bill, indent=1) + "\n")
    print(f"{len(crates)} crates, the standard library, musl")


MUSL = """Copyright © 2005-2020 Rich Felker, et al.

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to
the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY
CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def deb(version: str, machine: str, architecture: str):
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "root"
        put(root / "usr/bin/firstmate", (DIST / f"firstmate-{version}-linux-{machine}").read_bytes(), 0o755)
        put(root / "usr/bin/firstmate-oci", (DIST / f"firstmate-oci-{version}-linux-{machine}").read_bytes(), 0o755)
        page = gzip.compress((ROOT / "docs/firstmate.1").read_bytes(), 9, mtime=0)
        put(root / "usr/share/man/man1/firstmate.1.gz", page)
        put(root / "usr/share/bash-completion/completions/firstmate", (ROOT / "docs/completions/firstmate.bash").read_bytes())
        put(root / "usr/share/zsh/vendor-completions/_firstmate", (ROOT / "docs/completions/_firstmate").read_bytes())
        put(root / "usr/share/fish/vendor_completions.d/firstmate.fish", (ROOT / "docs/completions/firstmate.fish").read_bytes())
        put(root / "usr/share/doc/firstmate/THIRD-PARTY-LICENSES.gz", gzip.compress((DIST / "THIRD-PARTY-LICENSES").read_bytes(), 9, mtime=0))
        put(root / "usr/share/doc/firstmate/changelog.gz", gzip.compress((ROOT / "CHANGELOG.md").read_bytes(), 9, mtime=0))
        put(root / "usr/share/lintian/overrides/firstmate", b"firstmate: statically-linked-binary [usr/bin/firstmate]\nfirstmate: statically-linked-binary [usr/bin/firstmate-oci]\nfirstmate: no-manual-page [usr/bin/firstmate-oci]\n")
        finish(root, "firstmate", version, architecture, DESCRIPTION, "firstmate starts the command of a container as PID 1, forwards signals, reaps orphans\n and stops everything in good order.")


def deb_names(version: str):
    """For images that install tini or dumb-init by name."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "root"
        (root / "usr/bin").mkdir(parents=True)
        for name in ("tini", "tini-static", "dumb-init"):
            os.symlink("firstmate", root / "usr/bin" / name)
        finish(
            root, "firstmate-tini-dumb-init", version, "all", "firstmate under the names of tini and dumb-init",
            "Links by which firstmate takes the command lines of tini and of dumb-init.",
            f"Depends: firstmate (>= {version})\nProvides: tini, dumb-init\nConflicts: tini, dumb-init\nReplaces: tini, dumb-init\n",
        )  # fmt: skip


def put(path: Path, content: bytes, mode: int = 0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def finish(root: Path, name: str, version: str, architecture: str, short: str, long: str, relations: str = ""):
    copyright = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: firstmate\n\nFiles: *\n"
    licence = (ROOT / "LICENSE").read_text().split("\n\n", 2)
    body = "\n".join(f" {line}" if line else " ." for line in licence[2].strip().splitlines())
    copyright += f"Copyright: The firstmate authors\nLicense: MIT\n{body}\n"
    put(root / f"usr/share/doc/{name}/copyright", copyright.encode())
    size = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file()) // 1024 + 1
    control = (
        f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: The firstmate authors <firstmate@users.noreply.github.com>\n"
        f"Installed-Size: {size}\nSection: admin\nPriority: optional\n{relations}Description: {short}\n {long}\n"
    )
    put(root / "DEBIAN/control", control.encode())
    sums = [
        f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n"
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink() and "DEBIAN" not in path.parts
    ]
    put(root / "DEBIAN/md5sums", "".join(sums).encode())
    for path in [root, *root.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)
    call("dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, DIST / f"{name}_{version}_{architecture}.deb")


def try_deb(version: str):
    """In a chroot that holds dpkg and what that needs of this machine."""
    architecture = call("dpkg", "--print-architecture").strip()
    package = DIST / f"firstmate_{version}_{architecture}.deb"
    names = DIST / f"firstmate-tini-dumb-init_{version}_all.deb"
    if not package.exists():
        return print(f"no package for this machine, {architecture}: not tried")
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        programs = ["dpkg", "dpkg-deb", "dpkg-split", "dpkg-query", "sh", "tar", "rm", "diff", "xz", "ldconfig", "start-stop-daemon", "true", "cat"]
        for program in programs:
            install_program(Path(shutil.which(program, path="/usr/sbin:/sbin:/usr/bin:/bin")), root)
        for directory in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "tmp", "proc", "dev", "etc"):
            (root / directory).mkdir(parents=True, exist_ok=True)
        for file in ("var/lib/dpkg/status", "var/lib/dpkg/available", "dev/null"):
            (root / file).touch()
        # An older one of the same, to upgrade from.
        old = root / "old"
        call("dpkg-deb", "-R", package, old)
        control = old / "DEBIAN/control"
        control.write_text(control.read_text().replace(f"Version: {version}", "Version: 0.0.1"))
        call("dpkg-deb", "--root-owner-group", "--build", old, root / "tmp/old.deb")
        shutil.copy(package, root / "tmp/new.deb")
        shutil.copy(names, root / "tmp/names.deb")

        def run(*command, status=0):
            result = subprocess.run(["chroot", place, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
            assert result.returncode == status, f"{command}: {result.returncode}\n{result.stdout}"
            return result.stdout

        run("dpkg", "-i", "/tmp/old.deb")
        run("dpkg", "-i", "/tmp/new.deb")
        assert f"firstmate {version}" in run("/usr/bin/firstmate", "--version")
        run("/usr/bin/firstmate", "--", "sh", "-c", "exit 3", status=3)
        run("dpkg", "-i", "/tmp/names.deb")
        run("/usr/bin/tini", "-s", "--", "sh", "-c", "exit 4", status=4)
        run("/usr/bin/dumb-init", "-c", "sh", "-c", "exit 5", status=5)
        run("dpkg", "-r", "firstmate-tini-dumb-init")
        run("dpkg", "-r", "firstmate")
        left = [path for path in ("usr/bin/firstmate", "usr/bin/firstmate-oci", "usr/bin/tini") if os.path.lexists(root / path)]
        assert not left, left
        print("installed, upgraded, run under three names, and removed")


def install_program(program: Path, root: Path):
    """With the libraries that it needs."""
    files = {program, *(Path(word) for word in linked(program) if word.startswith("/"))}
    for file in files:
        place = root / str(file).lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            shutil.copy(file, place)


def linked(program: Path) -> list[str]:
    result = subprocess.run(["ldd", str(program)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return result.stdout.split()


MEDIA = "application/vnd.oci.image"


def image(version: str, *machines: str):
    archive = DIST / f"firstmate-{version}-image.tar"
    with tarfile.open(archive, "w") as tar:

        def add(path: str, content: bytes):
            tar.addfile(*entry(path, content, 0o644))

        def blob(kind: str, content: bytes) -> dict:
            digest = hashlib.sha256(content).hexdigest()
            add(f"blobs/sha256/{digest}", content)
            return {"mediaType": f"{MEDIA}.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

        manifests, docker = [], []
        for machine in machines:
            machine, name = machine.split("=")
            architecture, _, variant = name.partition("/")
            layer = blob("layer.v1.tar", layer_of(version, machine))
            labels = {"org.opencontainers.image.title": "firstmate", "org.opencontainers.image.version": version, "org.opencontainers.image.licenses": "MIT"}
            settings = {"Entrypoint": ["/firstmate"], "Labels": labels, "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
            platform = {"architecture": architecture, "os": "linux"} | ({"variant": variant} if variant else {})
            config = blob("config.v1+json", json.dumps(platform | {"config": settings, "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}).encode())
            manifest = {"schemaVersion": 2, "mediaType": f"{MEDIA}.manifest.v1+json", "config": config, "layers": [layer]}
            manifests.append(blob("manifest.v1+json", json.dumps(manifest).encode()) | {"platform": platform})
            docker.append((config, layer))
        index = blob("index.v1+json", json.dumps({"schemaVersion": 2, "mediaType": f"{MEDIA}.index.v1+json", "manifests": manifests}).encode())
        names = {"io.containerd.image.name": f"docker.io/library/firstmate:{version}", "org.opencontainers.image.ref.name": version}
        add("index.json", json.dumps({"schemaVersion": 2, "manifests": [index | {"annotations": names}]}).encode())
        add("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        # `docker load` of older versions reads this file alone, and has one machine.
        (config, layer), path = docker[0], lambda descriptor: "blobs/" + descriptor["digest"].replace(":", "/")
        add("manifest.json", json.dumps([{"Config": path(config), "RepoTags": [f"firstmate:{version}"], "Layers": [path(layer)]}]).encode())
    print(f"{archive.name}: {len(machines)} machines")


def layer_of(version: str, machine: str) -> bytes:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for program in ("firstmate", "firstmate-oci"):
            tar.addfile(*entry(program, (DIST / f"{program}-{version}-linux-{machine}").read_bytes(), 0o755))
        for name, path in (("LICENSE", ROOT / "LICENSE"), ("THIRD-PARTY-LICENSES", DIST / "THIRD-PARTY-LICENSES")):
            tar.addfile(*entry(name, path.read_bytes(), 0o644))
    return layer.getvalue()


def entry(path: str, content: bytes, mode: int):
    info = tarfile.TarInfo(path)
    info.size, info.mode, info.mtime = len(content), mode, EPOCH
    return info, io.BytesIO(content)


COMMANDS = {"licenses": licences, "deb": deb, "deb-names": deb_names, "try-deb": try_deb, "image": image}

if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[sys.argv[1]](*sys.argv[2:])
