"""Which engines there are."""

import importlib
import sys

# Each has a list ENGINES of classes.
MODULES = ["runc", "crun", "docker", "podman", "containerd", "bubblewrap", "nspawn", "gvisor", "runtime", "qemu"]


def find(names):
    """The classes of the engines with these names, all without names."""
    engines = {engine.name: engine for module in MODULES for engine in importlib.import_module(module).ENGINES}
    unknown = [name for name in names if name not in engines]
    if unknown:
        sys.exit(f"tests/engines/run: no engine {unknown[0]}: there are {', '.join(engines)}")
    # Without names, those that are to be run each time.
    return [engines[name] for name in names or (name for name, engine in engines.items() if engine.in_each_run)]
