"""crun."""

from oci import OciEngine


class Crun(OciEngine):
    name = "crun"
    packages = ("crun",)
    programs = ("crun",)


ENGINES = [Crun]
