"""Process managers, and what else starts the probe `once` from a file of its own."""

from attempt import Attempt
from probes import Saved

SUPERVISORD = """
[supervisord]
nodaemon = true
user = root
logfile = supervisord.log
pidfile = supervisord.pid
[program:once]
command = once
"""
# Both end at once, and tell their child nothing.
NODE_PARENT = """
require("child_process").spawn("once", {stdio: "inherit"});
process.on("SIGTERM", () => process.exit(0));
"""
PYTHON_PARENT = """#!/usr/bin/python3
import signal, subprocess, sys
child = subprocess.Popen(["once"])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
child.wait()
"""
# A second SIGTERM finds no handler any more.
NODE_APP = """
const note = line => require("fs").appendFileSync("journal", line);
process.once("SIGTERM", () => setTimeout(() => { note("node saved\\n"); process.exit(0); }, 800));
setInterval(() => {}, 1000000);
note("node ready\\n");
"""


class Managed(Saved):
    def __init__(self, *needs: str):
        self.needs = needs

    def prepare(self, attempt: Attempt):
        attempt.file("supervisord.conf", SUPERVISORD)
        attempt.file("services/once/run", "#!/bin/sh\nexec once\n", 0o755)
        attempt.file("package.json", '{"name": "app", "scripts": {"start": "once"}}')
        attempt.file("Makefile", "all:\n\t@once\n")
        attempt.file("parent.js", NODE_PARENT)
        attempt.file("app.js", NODE_APP)
        attempt.file("bin/parent", PYTHON_PARENT, 0o755)
