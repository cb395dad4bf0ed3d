"""runc."""

from oci import OciEngine


class Runc(OciEngine):
    name = "runc"
    packages = ("runc",)
    programs = ("runc",)


ENGINES = [Runc]
