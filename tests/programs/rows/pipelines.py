"""Pipelines of a shell: the program prints ten lines while it stops, and all are to arrive.

And what reads the last lines of a program that ends by itself.
"""

from probes import Lines
from row import Row

TEN_LINES = Lines()

ROWS = [
    Row("pipe-tee", "sh -c 'app -n 10 2>&1 | tee log; true'", program=TEN_LINES,
        signals={"app": "TERM"}, short=True),
    Row("pipe-tee-g", "sh -c 'app -n 10 2>&1 | tee log; true'", "-g", program=TEN_LINES,
        race="with -g tee is of the group"),
    Row("pipe-tee-last", "sh -c 'app -n 10 2>&1 | tee log'", program=TEN_LINES,
        signals={"app": "TERM"}),
    Row("pipe-tee-bash", "bash -c 'app -n 10 2>&1 | tee log; true'", program=TEN_LINES,
        signals={"app": "TERM"}),
    Row("pipe-cat-cat", "sh -c 'app -n 10 | cat | cat >log; true'", program=TEN_LINES,
        signals={"app": "TERM"}, short=True),
    Row("pipe-while-read", """sh -c 'app -n 10 | while read l; do echo "$l"; done >log; true'""",
        program=TEN_LINES, signals={"app": "TERM"}),
    # As `echo "$(date) $l"`: this reader has children.
    Row("pipe-while-command",
        """sh -c 'app -n 10 | while read l; do sleep .02; echo "$l"; done >log; true'""",
        program=TEN_LINES, signals={"app": "TERM"}, short=True),
    Row("pipe-fifo", "sh -c 'mkfifo f; cat <f >log & app -n 10 >f; true'", program=TEN_LINES,
        signals={"app": "TERM"}),
    # What people do in front of cron: cat has the pipe open for writing too, and sees no end.
    Row("pipe-fifo-both", "sh -c 'mkfifo f; cat <>f >log & exec app -n 10 >f'", status=0,
        program=TEN_LINES, signals={"app": "TERM", "cat": "TERM"}),
    Row("pipe-other-user", "sh -c 'app -n 10 | setpriv --reuid 65534 cat >log; true'",
        program=TEN_LINES, signals={"app": "TERM"}),
    Row("pipe-process-substitution", "bash -c 'exec > >(tee log); app -n 10; true'",
        program=TEN_LINES, signals={"app": "TERM"}, short=True),
    Row("pipe-exec", "bash -c 'exec app -n 10 > >(tee log)'", program=TEN_LINES, status=0,
        signals={"app": "TERM"}),
    Row("pipe-tail-reader", "sh -c 'tail -f log | cat; true'", within=1.2),
    Row("last-lines", "bash -c 'exec > >(tee log); for i in $(seq 2000); do echo $i; done'",
        program=Lines(2000, prefix=""), stop="", status=0, short=True),
    Row("last-lines-late", "bash -c 'exec > >(while sleep .03; read l; do echo $l; done >log); "
        "echo line 1'", program=Lines(1), stop="", status=0),
]
