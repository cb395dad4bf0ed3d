"""An image with this machine's Rust and linker, in the place of Docker Hub's `rust`, for builds without a network."""

import subprocess
from pathlib import Path

from engine import call
from programs import ROOT

# What a Dockerfile's RUN needs.
PROGRAMS = ["/bin/sh", "/bin/mkdir", "/bin/touch", "/usr/bin/cc", "/usr/bin/ld"]


def import_image(engine):
    """Makes it, under the name `toolchain`. Its files lie where this machine has them."""
    sysroot = Path(call("rustc", "--print", "sysroot", cwd=ROOT).strip())
    cargo_home = engine.place / "cargo"
    # All the crates of Cargo.lock.
    call("cargo", "vendor", "--locked", cargo_home / "vendor", cwd=ROOT, limit=600)
    (cargo_home / "config.toml").write_text(
        f'[source.crates-io]\nreplace-with = "vendor"\n[source.vendor]\ndirectory = "{cargo_home}/vendor"\n'
    )
    tar = subprocess.Popen(
        # Links become the files that they stand for.
        ["tar", "--create", "--dereference", "--absolute-names", cargo_home, *files(sysroot)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    environment = f"ENV PATH={sysroot}/bin:/usr/bin:/bin CARGO_HOME={cargo_home} CARGO_NET_OFFLINE=true"
    with tar:
        subprocess.run(
            [*engine.client, "import", "--change", environment, "-", "toolchain"],
            stdin=tar.stdout,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=600,
        )
    assert tar.returncode == 0, "tar failed"


def files(sysroot: Path) -> list[str]:
    rust = [sysroot / "bin/cargo", sysroot / "bin/rustc"]
    libraries = [*sysroot.glob("lib/*.so*"), *sysroot.glob("lib/rustlib/*-linux-*/lib"), *sysroot.glob("lib/rustlib/*-linux-*/bin")]
    gcc = [compiler("prog", name) for name in ("collect2", "lto-wrapper")]
    start_files = compiler("file", "crt1.o").parent
    gcc_files = compiler("file", "crtbeginT.o").parent
    objects = [file for place in (start_files, gcc_files) for pattern in ("*.a", "*.o") for file in place.glob(pattern)]
    programs = [*map(Path, PROGRAMS), *gcc, *rust]
    shared = {file for program in programs for file in shared_libraries(program) if sysroot not in file.parents}
    return list(map(str, [*programs, *libraries, compiler("file", "liblto_plugin.so"), *objects, *sorted(shared)]))


def compiler(kind: str, name: str) -> Path:
    return Path(call("cc", f"-print-{kind}-name={name}").strip())


def shared_libraries(program: Path) -> list[Path]:
    """By ldd(1): `libc.so.6 => /lib/.../libc.so.6 (0x...)`, and the dynamic linker without an arrow."""
    words = call("ldd", program).split()
    return [Path(word) for word in words if word.startswith("/")]
