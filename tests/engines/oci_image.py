"""An image as a file: https://github.com/opencontainers/image-spec/blob/main/image-layout.md in a tar archive."""

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

TYPE = "application/vnd.oci.image"


def write(archive: Path, name: str, layers: list[bytes], config: dict) -> Path:
    """`layers`: tar archives. `config`: Entrypoint, User and so on, of the image specification."""
    with tarfile.open(archive, "w") as tar:

        def add(path: str, content: bytes):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))

        def blob(kind: str, content: bytes) -> dict:
            digest = hashlib.sha256(content).hexdigest()
            add(f"blobs/sha256/{digest}", content)
            return {"mediaType": f"{TYPE}.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

        layers = [blob("layer.v1.tar", layer) for layer in layers]
        image = {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        }
        manifest = {"schemaVersion": 2, "config": blob("config.v1+json", json.dumps(image).encode()), "layers": layers}
        listed = blob("manifest.v1+json", json.dumps(manifest).encode()) | {"annotations": {"io.containerd.image.name": name}}
        add("index.json", json.dumps({"schemaVersion": 2, "manifests": [listed]}).encode())
        add("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    return archive


def layer_of(files: dict[str, bytes]) -> bytes:
    """A layer with these files, by their paths; all are executable."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            entry.mode = 0o755
            tar.addfile(entry, io.BytesIO(content))
    return layer.getvalue()
