"""Several commands, times, and stops that nobody asked for."""

from probes import ENTERED, MIGRATION, NOTED, Prints
from row import Row

# A helper that ends by itself, when the file `go` is opened.
GO = """--with 'sh -c "read x <go; exit 1"'"""
STOP = r"""--stop-command 'sh -c "echo stop saved >>journal; kill -3 \$MAINPID"'"""
AFTER = """--after 'sh -c "echo after saved >>journal"'"""
MIGRATE = """--before 'sh -c "echo migration ready >>journal; sleep 1;
    echo migration saved >>journal"'"""
BYE = r"""sh -c 'setsid sh -c "trap \"echo bye; exit\" TERM; sleep 300 & wait" & exit 0'"""

ROWS = [
    Row("beside", "prog", GO, stop="go", status=1, signals={"prog": "TERM"}, short=True),
    Row("beside-shell", "sh -c 'prog; true'", GO, stop="go", status=1, signals={"prog": "TERM"}),
    Row("beside-g", "sh -c 'prog; true'", f"-g {GO}", stop="go", status=1,
        signals={"prog": "TERM"}),
    Row("beside-quit", "prog -s 3 -t 7", f"-r TERM:QUIT -t 20s {GO}", stop="go", status=1,
        least=6.9, within=8.5, signals={"prog": "QUIT"}, short=True),
    Row("beside-stop-command", "prog -s 3 -t 1", f"{STOP} -t 20s {GO}", stop="go", ready="prog",
        saves="stop prog", status=1, within=2.5, short=True),
    Row("beside-long", "prog -t 7", GO, stop="go", status=1, least=6.9, within=8.5),
    Row("helper-ignores", "prog -t 0 -x 7", f"--with 'helper -i' --drain 2s {AFTER}",
        ready="prog helper", saves="prog after", status=7, least=1.9, within=3, short=True),
    Row("helper-long", "prog -t 0", "--with 'helper -t 7'", status=0, least=6.9, within=8.5),
    Row("main-long", "prog -t 7", "--with 'helper -t 0'", status=0, least=6.9, within=8.5),
    Row("main-only", "prog -t 1", "--exit-when main --with helper", status=0, within=3,
        signals={"prog": "TERM", "helper": "TERM"}, asked={"helper": (0.9, 1.5)}),
    Row("all", "prog -t 0", "--exit-when all --with 'helper -t 2'", status=0, within=3.2,
        signals={"prog": "TERM", "helper": "TERM"}),
    Row("reload-beside", "prog -l 1,10 -t 0", "--with 'tail -F x'", program=NOTED, status=0,
        short=True),
    Row("reload-before", "prog -t 0", MIGRATE, program=MIGRATION, ready="prog",
        saves="migration prog", status=0, short=True),
    Row("empty", BYE, "--exit-when empty", Prints("bye"), status=0, within=1.5, short=True),
    Row("stop-timeout", "sh -c 'once -i & exec once -i'", "--stop-timeout 5s", lost="-", status=137,
        within=5.0, short=True),
    Row("stop-timeout-sum", "prog", "--stop-timeout 3s -t 5s", stop="", lost="-", status=125,
        says="3s", short=True),
    Row("entered-alone", "prog -t 0", program=ENTERED, status=0, ready="prog", lost="once",
        saves="prog once", within=1),
    Row("entered", "sh -c 'prog; true'", program=ENTERED, ready="prog", saves="prog once",
        signals={"prog": "TERM", "once": "TERM"}),
    Row("entered-pause", "", "-P --drain 3s", program=ENTERED, saves="once", status=0,
        signals={"once": "TERM"}),
]
