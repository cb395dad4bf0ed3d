"""Pools and queues: two jobs are at work when the stop comes, and both are to be done."""

import subprocess

from attempt import Attempt, Program
from container import wait_for

# SIGTERM kills the workers: they were started before their master has its handler.
POOL = """#!/usr/bin/python3
import concurrent.futures, multiprocessing, signal, sys, threading, time

def note(line):
    with open("journal", "a") as journal:
        journal.write(line + "\\n")

def job(number):
    note("job begun")
    time.sleep(1.5)
    return number

stop = threading.Event()
if sys.argv[1] == "pool":
    pool = multiprocessing.Pool(2)
    results = [pool.apply_async(job, [number]) for number in range(2)]
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    pool.close()
    for result in results:
        result.get()
        note("job done")
    pool.join()
else:
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        results = [pool.submit(job, number) for number in range(2)]
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        stop.wait()
        for result in results:
            result.result()
            note("job done")
"""
CELERY = """
import time
from celery import Celery

app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control",
}

@app.task
def job():
    with open("journal", "a") as journal:
        journal.write("job begun\\n")
    time.sleep(2.5)
    with open("journal", "a") as journal:
        journal.write("job done\\n")
"""
RQ = """
import time

def job():
    with open("journal", "a") as journal:
        journal.write("job begun\\n")
    time.sleep(1.5)
    with open("journal", "a") as journal:
        journal.write("job done\\n")
"""


class Jobs(Program):
    number = 2

    def is_ready(self, attempt: Attempt) -> bool:
        return attempt.journal().count("job begun") == self.number

    def lost(self, attempt: Attempt) -> str:
        lost = self.number - attempt.journal().count("job done")
        return f"{lost} of {self.number} jobs" if lost else ""


class Pool(Jobs):
    """Of Python: `workers pool`, `workers executor`."""

    def prepare(self, attempt: Attempt):
        attempt.file("bin/workers", POOL, 0o755)


class Celery(Jobs):
    needs = ("celery",)

    def prepare(self, attempt: Attempt):
        attempt.file("tasks.py", CELERY)
        for folder in ("queue", "control"):
            (attempt.place / folder).mkdir()
        submit = "import tasks; [tasks.job.delay() for _ in range(2)]"
        attempt.helper("/usr/bin/python3", "-c", submit).wait(60)


class Rq(Jobs):
    """Its worker takes a second SIGTERM as "quit now"."""

    needs = ("redis-server", "rq")
    number = 1

    def prepare(self, attempt: Attempt):
        attempt.file("jobs.py", RQ)
        attempt.helper("redis-server", "--save", "", "--dir", attempt.place)
        ping = ["redis-cli", "ping"]
        wait_for("redis", lambda: subprocess.run(ping, capture_output=True).stdout == b"PONG\n")
        submit = "import redis, rq; rq.Queue(connection=redis.Redis()).enqueue('jobs.job')"
        attempt.helper("/usr/bin/python3", "-c", submit).wait(60)


POOL_JOBS = Pool()
CELERY_JOBS = Celery()
RQ_JOB = Rq()
