"""Stores: what was written before the stop, or is being written, must be there after it."""

import subprocess
import time
from pathlib import Path

from attempt import Attempt, Program
from container import wait_for
from web import PORT

PROGRAMS = Path("/usr/lib/postgresql/15/bin")


class Redis(Program):
    """A key. With `save ""` SIGTERM throws it away; a stop command can save it."""

    needs = ("redis-server",)

    def prepare(self, attempt: Attempt):
        attempt.file("saves.conf", f"port {PORT}\nsave 3600 1\ndir {{place}}\n")
        attempt.file("forgets.conf", f'port {PORT}\nsave ""\ndir {{place}}\n')

    def client(self, *words: str) -> str:
        return subprocess.run(["redis-cli", "-p", str(PORT), *words],
                              capture_output=True, text=True, timeout=60).stdout.strip()

    def is_ready(self, attempt: Attempt) -> bool:
        return self.client("ping") == "PONG"

    def begin(self, attempt: Attempt):
        assert self.client("set", "key", "value") == "OK"

    def lost(self, attempt: Attempt) -> str:
        server = attempt.helper("redis-server", attempt.place / "forgets.conf")
        wait_for("redis", lambda: self.client("ping") == "PONG")
        value = self.client("get", "key")
        server.kill()
        return "" if value == "value" else "the key"


class Postgres(Program):
    """A clean shutdown; and a client whose transaction takes 1.5 s if it is waited for."""

    needs = ("postgres",)
    made: Path | None = None

    def __init__(self, client: bool):
        self.client = client

    def prepare(self, attempt: Attempt):
        data = attempt.place / "data"
        if not Postgres.made:
            Postgres.made = attempt.place.parent / "postgres"
            Postgres.made.parent.chmod(0o755)
            subprocess.run(["install", "-d", "-o", "postgres", self.made], check=True, timeout=60)
            words = ["initdb", "-A", "trust", "--no-sync", "-D", self.made]
            self.as_postgres(PROGRAMS / words[0], *words[1:])
        subprocess.run(["cp", "-a", self.made, data], check=True, timeout=60)

    def as_postgres(self, *words) -> str:
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
        return subprocess.run([*user, *words], check=True, timeout=60, text=True,
                              stdout=subprocess.PIPE, cwd="/").stdout

    def psql(self, attempt: Attempt, command: str) -> subprocess.Popen:
        return attempt.helper(PROGRAMS / "psql", "-qAt", "-h", attempt.place, "-U", "postgres",
                              "-v", "ON_ERROR_STOP=1", "-c", command)

    def is_ready(self, attempt: Attempt) -> bool:
        return "ready to accept connections" in attempt.container.log

    def begin(self, attempt: Attempt):
        assert self.psql(attempt, "create table t (n int)").wait(60) == 0
        if self.client:
            attempt.state = self.psql(attempt, "insert into t select 1 from pg_sleep(1.5)")
            time.sleep(0.3)

    def lost(self, attempt: Attempt) -> str:
        state = self.as_postgres(PROGRAMS / "pg_controldata", attempt.place / "data")
        clean = [line for line in state.splitlines()
                 if line.startswith("Database cluster state") and line.endswith(" shut down")]
        lost = [] if clean else ["the shutdown"]
        if self.client and attempt.state.wait(60):
            lost.append("the transaction")
        return ", ".join(lost)


REDIS = Redis()
POSTGRES = Postgres(client=False)
POSTGRES_CLIENT = Postgres(client=True)
