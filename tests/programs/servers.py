"""Servers, each with a request under way when it is stopped."""

import socket
import struct
import subprocess
import time
from dataclasses import dataclass

from attempt import Attempt, Program
from probes import probes_are_ready, unsaved_probes
from web import LARGE, PORT, Download, get, listens

NGINX = """
%s
user www-data;
worker_processes 2;
pid nginx.pid;
error_log error.log;
events {}
http {
    access_log off;
    server {
        listen 127.0.0.1:%d;
        root www;
    }
}
"""
APACHE = """
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
Listen 127.0.0.1:%d
ServerName localhost
User www-data
Group www-data
DefaultRuntimeDir .
PidFile apache.pid
ErrorLog /dev/stderr
DocumentRoot www
"""
SLOW_APP = """
import time

def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        open("journal", "a").write("request begun\\n")
        time.sleep(1.5)
    start_response("200 OK", [("Content-Length", "6")])
    return [b"served"]
"""
SLOW_PHP = """<?php
file_put_contents("{place}/journal", "request begun\\n", FILE_APPEND);
// A signal cuts a sleep short.
for ($end = microtime(true) + 1.5; microtime(true) < $end; usleep(10000));
echo "served";
"""
PHP_FPM = """
[global]
error_log = /dev/stderr
process_control_timeout = 10s
[www]
user = www-data
listen = 127.0.0.1:%d
pm = static
pm.max_children = 2
"""


@dataclass(frozen=True)
class SlowDownload(Program):
    """A client that reads on only some time after the stop."""

    needs: tuple[str, ...]
    seconds: float = 1.0

    def prepare(self, attempt: Attempt):
        attempt.file("www/large", "x" * LARGE)
        attempt.file("nginx.conf", NGINX % ("daemon off;", PORT))
        attempt.file("daemon.conf", NGINX % ("daemon on;", PORT))
        attempt.file("apache.conf", APACHE % PORT)
        attempt.file("error.log", "", 0o666)

    def is_ready(self, attempt: Attempt) -> bool:
        return probes_are_ready(attempt) and listens()

    def begin(self, attempt: Attempt):
        attempt.state = {"download": Download(), "bytes": 0}

    def go_on(self, attempt: Attempt):
        time.sleep(self.seconds)
        attempt.state["bytes"] = attempt.state["download"].rest()

    def lost(self, attempt: Attempt) -> str:
        lost = LARGE - attempt.state["bytes"]
        what = [f"{lost / LARGE:.0%} of the download"] if lost else []
        return ", ".join(what + unsaved_probes(attempt))


class SlowRequest(Program):
    """An answer that takes 1.5 s."""

    needs = ("gunicorn",)

    def prepare(self, attempt: Attempt):
        attempt.file("app.py", SLOW_APP)

    def is_ready(self, attempt: Attempt) -> bool:
        return get("/") == "served"

    def begin(self, attempt: Attempt):
        attempt.state = attempt.in_thread(lambda: self.ask(attempt))
        attempt.wait_for_journal("request begun")

    def ask(self, attempt: Attempt) -> str | None:
        return get("/slow")

    def lost(self, attempt: Attempt) -> str:
        return "" if attempt.state() == "served" else "the request"


class Php(SlowRequest):
    needs = ("php-fpm8.2",)

    def prepare(self, attempt: Attempt):
        attempt.file("fpm.conf", PHP_FPM % PORT)
        attempt.file("slow.php", SLOW_PHP)

    def is_ready(self, attempt: Attempt) -> bool:
        return listens()

    def ask(self, attempt: Attempt) -> str | None:
        """By FastCGI, version 1, request 1, as a responder."""
        script = str(attempt.place / "slow.php")
        given = {"SCRIPT_FILENAME": script, "REQUEST_METHOD": "GET"}
        pairs = b"".join(bytes([len(name), len(value)]) + f"{name}{value}".encode()
                         for name, value in given.items())
        begin, parameters, end_of_input = (1, struct.pack("!HB5x", 1, 0)), (4, pairs), (5, b"")
        answer = b""
        with socket.create_connection(("127.0.0.1", PORT), 10) as connection:
            for kind, content in [begin, parameters, (4, b""), end_of_input]:
                connection.sendall(struct.pack("!BBHHBx", 1, kind, 1, len(content), 0) + content)
            try:
                while part := connection.recv(4096):
                    answer += part
            except ConnectionResetError:
                pass
        return "served" if b"served" in answer else None


class Java(Program):
    """A JVM with a shutdown hook that takes its time."""

    needs = ("java",)
    source = """
public class Main {
    static void note(String line) throws Exception {
        java.nio.file.Files.writeString(java.nio.file.Path.of("journal"), line,
            java.nio.file.StandardOpenOption.APPEND);
    }
    public static void main(String[] args) throws Exception {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try { Thread.sleep(800); note("hook run\\n"); } catch (Exception e) {}
        }));
        note("java ready\\n");
        Thread.sleep(Long.MAX_VALUE);
    }
}
"""

    def prepare(self, attempt: Attempt):
        source = attempt.file("Main.java", self.source)
        subprocess.run(["javac", source], check=True, timeout=120)

    def is_ready(self, attempt: Attempt) -> bool:
        return "java ready" in attempt.journal()

    def lost(self, attempt: Attempt) -> str:
        return "" if "hook run" in attempt.journal() else "the hook"


class Both(Program):
    def __init__(self, *programs: Program):
        self.programs = programs
        self.needs = tuple(need for program in programs for need in program.needs)

    def prepare(self, attempt: Attempt):
        for program in self.programs:
            program.prepare(attempt)

    def is_ready(self, attempt: Attempt) -> bool:
        return all(program.is_ready(attempt) for program in self.programs)

    def begin(self, attempt: Attempt):
        for program in self.programs:
            program.begin(attempt)

    def go_on(self, attempt: Attempt):
        for program in self.programs:
            program.go_on(attempt)

    def lost(self, attempt: Attempt) -> str:
        return ", ".join(filter(None, (program.lost(attempt) for program in self.programs)))


NGINX_DOWNLOAD = SlowDownload(("nginx",))
APACHE_DOWNLOAD = SlowDownload(("apache2",))
APACHE_LATE = SlowDownload(("apache2",), seconds=2.5)
GUNICORN = SlowRequest()
PHP = Php()
JAVA = Java()
JAVA_AND_NGINX = Both(JAVA, NGINX_DOWNLOAD)
