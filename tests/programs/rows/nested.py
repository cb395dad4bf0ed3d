"""Inits below an init, and programs that only start another one."""

from managers import Managed
from row import Row

SUPERVISOR, RUNIT, S6 = Managed("supervisord"), Managed("runsvdir"), Managed("s6-svscan")
NODE, NPM, TMUX, SCREEN = Managed("node"), Managed("npm"), Managed("tmux"), Managed("screen")
SUDO, SCRIPT, MAKE = Managed("sudo"), Managed("script"), Managed("make")
# Probes that these start from files of theirs.
ONCE = {"ready": "once"}
NODE_SAVES = {"ready": "node"}
GO = """--with 'sh -c "read x <go; exit 1"'"""
TWICE = "dumb-init itself sends two signals"
IN_2_S = "SIGKILL by itself, 2 s after the signal"
GROUP = "with -g it gets the signal from the group and from its manager"

ROWS = [
    Row("nested-tini", "tini -- sh -c 'once; true'", needs=("tini",), signals={"once": "TERM"}),
    Row("nested-tini-shell", """sh -c 'tini -s -- sh -c "once; true"; true'""", needs=("tini",),
        signals={"once": "TERM"}),
    Row("nested-tini-g", """sh -c 'tini -s -g -- sh -c "once; true"; true'""", needs=("tini",),
        signals={"once": "TERM<tini"}),
    Row("nested-catatonit", "catatonit -- sh -c 'once; true'", needs=("catatonit",),
        signals={"once": "TERM"}),
    Row("nested-dumb-init", "dumb-init -- once", needs=("dumb-init",), status=None, race=TWICE),
    Row("nested-dumb-init-shell", "dumb-init -- sh -c 'once; true'", needs=("dumb-init",),
        race=TWICE),
    Row("nested-unshare", """sh -c 'unshare -pf sh -c "once; true"; true'""", within=5.2,
        signals={"once": "TERM"}),

    Row("supervisord", "supervisord -c supervisord.conf", program=SUPERVISOR, **ONCE, status=0,
        within=4, signals={"once": "TERM<supervisord"}),
    Row("supervisord-shell", "sh -c 'supervisord -c supervisord.conf; true'", program=SUPERVISOR,
        **ONCE, within=4, signals={"once": "TERM<supervisord", "supervisord": "TERM"}),
    Row("supervisord-g", "supervisord -c supervisord.conf", "-g", program=SUPERVISOR, **ONCE,
        status=0, within=4, signals={"once": "TERM<supervisord"}),
    Row("supervisord-beside", "supervisord -c supervisord.conf", GO, program=SUPERVISOR, **ONCE,
        stop="go", status=1, within=4, signals={"once": "TERM<supervisord"}),
    Row("runsvdir", "runsvdir services", program=RUNIT, **ONCE, status=0,
        signals={"once": "TERM<runsv"}),
    Row("runsvdir-shell", "sh -c 'runsvdir services; true'", program=RUNIT, **ONCE,
        signals={"once": "TERM<runsv"}),
    Row("runsvdir-g", "runsvdir services", "-g", program=RUNIT, **ONCE, status=0, race=GROUP),
    Row("runsvdir-beside", "runsvdir services", GO, program=RUNIT, **ONCE, stop="go", status=1,
        signals={"once": "TERM<runsv"}),
    Row("s6-svscan", "s6-svscan services", program=S6, **ONCE, status=0,
        signals={"once": "TERM<s6-supervise"}),
    Row("s6-svscan-shell", "sh -c 's6-svscan services; true'", program=S6, **ONCE,
        signals={"once": "TERM<s6-supervise"}),
    Row("s6-svscan-g", "s6-svscan services", "-g", program=S6, **ONCE, status=0, race=GROUP),
    Row("s6-svscan-beside", "s6-svscan services", GO, program=S6, **ONCE, stop="go", status=1,
        signals={"once": "TERM<s6-supervise"}),

    Row("npm", "npm start", program=NPM, **ONCE, status=None, within=3),
    Row("npm-shell", "sh -c 'npm start; true'", program=NPM, **ONCE, within=3),
    Row("npm-g", "npm start", "-g", program=NPM, **ONCE, status=None, race=GROUP),
    Row("npm-beside", "npm start", GO, program=NPM, **ONCE, stop="go", status=1, within=3),

    Row("node", "node app.js", program=NODE, **NODE_SAVES, status=0),
    Row("node-shell", "sh -c 'node app.js; true'", program=NODE, **NODE_SAVES,
        signals={"node": "TERM"}),
    Row("node-shell-g", "sh -c 'node app.js; true'", "-g", program=NODE, **NODE_SAVES,
        signals={"node": "TERM"}),
    Row("node-trap", r"""sh -c 'trap "kill \$p" TERM; node app.js & p=$!; wait $p'""", program=NODE,
        **NODE_SAVES, signals={"node": "TERM<sh"}),
    Row("node-parent", "node parent.js", program=NODE, **ONCE, status=0,
        signals={"once": "TERM"}),
    Row("python-parent", "parent", program=Managed(), **ONCE, status=0,
        signals={"once": "TERM"}),

    Row("tmux", """sh -c 'tmux new-session -d "once -s 1,15"; exec sleep 6h'""", program=TMUX,
        signals={"once": "HUP<kernel"}),
    Row("tmux-term-only", """sh -c 'tmux new-session -d "nohup once"; exec sleep 6h'""",
        program=TMUX, within=5.2),
    Row("screen", "sh -c 'screen -dmS x once -s 1,15; exec sleep 6h'", program=SCREEN,
        signals={"once": "HUP<kernel"}),

    Row("wrapper-exec", "nohup nice env setpriv --reuid 65534 once", status=0,
        signals={"once": "TERM"}),
    Row("setsid-wait", "setsid -w once", signals={"once": "TERM"}),
    Row("flock", "flock lock once", signals={"once": "TERM"}),
    Row("xargs", r"""sh -c 'printf "1\n2\n" | xargs -P 2 -n 1 sh -c "once; true"; true'""",
        ready="once once", signals={"once": "TERM"}),
    Row("xargs-g", r"""sh -c 'printf "1\n2\n" | xargs -P 2 -n 1 sh -c "once; true"; true'""",
        "-g", ready="once once", signals={"once": "TERM"}),
    Row("make", "make -s", program=MAKE, **ONCE, status=None, signals={"once": "TERM<make"}),
    Row("make-shell", "sh -c 'make -s; true'", program=MAKE, **ONCE, status=None,
        signals={"once": "TERM<make"}),
    Row("make-g", "make -s", "-g", program=MAKE, **ONCE, status=None,
        race="make sends one itself"),
    Row("sudo", "sudo -n {place}/bin/once", program=SUDO, status=None),
    Row("sudo-user", "sudo -n -u nobody {place}/bin/once", program=SUDO, status=None),
    Row("sudo-shell", "sh -c 'sudo -n {place}/bin/once; true'", program=SUDO),
    Row("su", "su nobody -s /bin/sh -c {place}/bin/once", status=None, within=4, race=IN_2_S),
    Row("runuser", "runuser -u nobody -- {place}/bin/once", status=None, within=4, race=IN_2_S),
    Row("timeout", "timeout 60 once", status=None, race="timeout sends two signals"),
    Row("script", "script -qc once typescript", program=SCRIPT, status=None, within=4,
        race=IN_2_S),
    Row("setpriv-user", "setpriv --reuid 65534 --regid 65534 --clear-groups once", status=0,
        signals={"once": "TERM"}),
]
