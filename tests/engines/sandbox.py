"""Namespaces around the whole suite: however it ends, its processes are gone, and all that they mounted. The network is the machine's."""

import ctypes
import glob
import os
import signal
import subprocess
import sys
import traceback

# linux/sched.h, linux/prctl.h: Python 3.11 has no names for them.
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID = 0x20000, 0x4000000, 0x8000000, 0x20000000
PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL(None, use_errno=True)


def run(work) -> int:
    """The exit status of `work`, which runs in a process of its own, in new namespaces. This process stays where it is: what it
    removes afterwards is not under anybody's mounts."""
    return supervise(lambda: enter(work))


def enter(work) -> int:
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID))
    return supervise(lambda: be_pid_1(work))


def be_pid_1(work) -> int:
    """Reaps the orphans of the engines, beside the process that does the work."""
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
    subprocess.run(["mount", "--make-rprivate", "/"], check=True, timeout=10)
    subprocess.run(["mount", "-t", "proc", "proc", "/proc"], check=True, timeout=10)
    # Where engines keep their state, whatever they are told.
    for place in ("/run", "/dev/shm"):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", place], check=True, timeout=10)
    # crun refuses a machine that has controllers in both versions of cgroups, and Podman runs crun.
    if os.path.ismount("/sys/fs/cgroup/unified"):
        subprocess.run(["umount", "/sys/fs/cgroup/unified"], check=True, timeout=10)
    return supervise(work)


def remove_cgroups(name: str):
    """Those of this name, in each hierarchy, with all below."""
    for place in glob.glob(f"/sys/fs/cgroup/**/{name}", recursive=True):
        for directory, _, _ in os.walk(place, topdown=False):
            try:
                os.rmdir(directory)
            except OSError as error:
                print(f"cannot remove {directory}: {error}", file=sys.stderr)


def supervise(work) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = work()
        except SystemExit as end:
            status = end.code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: os.kill(child, number))
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            if code < 0:
                print(f"the tests themselves were killed by signal {-code}", file=sys.stderr)
            return code if code >= 0 else 128 - code


def check(result: int):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
