"""The parent of an OCI container, in the place of an engine's shim: creates it, starts it, waits, exits with its status.

Arguments: PID_FILE ID BUNDLE [OPTION...] -- RUNTIME...
"""

import ctypes
import json
import os
import subprocess
import sys

PR_SET_CHILD_SUBREAPER = 36
LIMIT = 60


def main() -> int:
    split = sys.argv.index("--")
    (pid_file, name, bundle, *options), runtime = sys.argv[1:split], sys.argv[split + 1 :]
    # `create` leaves the container's first process an orphan.
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1) == 0
    created = subprocess.run([*runtime, "create", "--bundle", bundle, "--pid-file", pid_file, *options, name], timeout=LIMIT)
    if created.returncode != 0:
        return created.returncode
    with open(pid_file) as file:
        pid = int(file.read())
    subprocess.run([*runtime, "start", name], check=True, timeout=LIMIT)
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        # gVisor: of several containers in a sandbox only the first has a process of its own.
        return json.loads(subprocess.run([*runtime, "wait", name], stdout=subprocess.PIPE, check=True).stdout)["exitStatus"]
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
