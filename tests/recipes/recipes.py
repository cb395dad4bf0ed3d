"""The recipes of docs/, each on the program that it is for; and what happens without it, where that shows what it is worth."""

import shlex
import subprocess
import time
from pathlib import Path

from container import wait_for
from web import LARGE, PORT, Download, Request, get, listens

JAVA = """
public class Main {
    public static void main(String[] args) throws Exception {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("the hook has run")));
        System.out.println("ready");
        Thread.sleep(Long.MAX_VALUE);
    }
}
"""
# A request that lasts until there is a file "go".
SLOW_APP = """
import pathlib, time

def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        print("a slow request has begun", flush=True)
        while not pathlib.Path("go").exists():
            time.sleep(0.02)
    start_response("200 OK", [("Content-Length", "6")])
    return [b"served"]
"""
NGINX = """
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr;
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
GUNICORN = ["gunicorn", "--bind", f"127.0.0.1:{PORT}", "app:application"]
UWSGI = ["uwsgi-core", "--plugin", "python3", "--http-socket", f"127.0.0.1:{PORT}", "--master", "--wsgi-file", "app.py"]


def rollout(case):
    """A server without a graceful stop serves on until no load balancer sends requests any more."""
    delay = 3
    case.file("www/index.html", "served")
    with case.run("-v", "--stop-delay", f"{delay}s", "--", "python3", "-m", "http.server", "--directory", "www", PORT) as container:
        wait_for("the server", listens)
        container.signal("TERM")
        container.wait_for_log(f"it is held for {delay}s")
        served = 0
        while get("/") == "served":
            served += 1
            time.sleep(0.1)
        refused = time.monotonic() - container.since
        ended = container.ended()
    case.note(f"{served} requests were served after SIGTERM; {refused:.1f}s after it the first one was refused")
    assert served > 0 and refused >= delay
    assert ended.status == 143


def nginx(case):
    """A download that is under way is finished."""
    command = ["nginx", "-p", case.place, "-c", case.file("nginx.conf", NGINX % PORT)]
    assert stop_with_download(case, "QUIT", "--stop-on", "QUIT", "--", *command) == LARGE
    assert stop_with_download(case, "TERM", "-r", "TERM:QUIT", "--", *command) == LARGE
    assert stop_with_download(case, "TERM", "--stop-command", shlex.join([*map(str, command), "-s", "quit"]), "--", *command) == LARGE
    assert stop_with_download(case, "TERM", "--stop-command", "sh -c 'kill -QUIT $MAINPID'", "--", *command) == LARGE
    assert stop_with_download(case, "TERM", "--", *command) < LARGE


def apache(case):
    """A download that is under way is finished."""
    command = ["apache2", "-d", case.place, "-f", case.file("apache.conf", APACHE % PORT), "-D", "FOREGROUND"]
    assert stop_with_download(case, "WINCH", "--stop-on", "WINCH", "--", *command) == LARGE
    assert stop_with_download(case, "TERM", "-r", "TERM:WINCH", "--", *command) == LARGE


def java(case):
    """The shutdown hooks run, and the end of a JVM that was asked to stop is a success."""
    subprocess.run(["javac", case.file("Main.java", JAVA)], check=True, timeout=120)
    for options, status in [([], 143), (["-e", "143"], 0)]:
        with case.run(*options, "--", "java", "-cp", case.place, "Main") as container:
            container.wait_for_log("ready")
            ended = container.stop("TERM")
            assert "the hook has run" in container.log
        assert ended.status == status


def postgresql(case):
    """A client that stays connected does not hold the stop."""
    (programs,) = Path("/usr/lib/postgresql").glob("*/bin")
    database = case.place / "database"
    subprocess.run(["install", "-d", "-o", "postgres", database], check=True, timeout=60)
    with case.run("--user", "postgres", "--", programs / "initdb", "-A", "trust", "--no-sync", "-D", database) as container:
        assert container.ended().status == 0
    server = [programs / "postgres", "-D", database, "-k", database, "-h", "127.0.0.1", "-p", PORT, "-F"]

    def connect():
        client = subprocess.Popen(
            [programs / "psql", "-qAt", "-h", "127.0.0.1", "-p", str(PORT), "-U", "postgres"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        client.stdin.write("select 'connected';\n")
        client.stdin.flush()
        assert client.stdout.readline() == "connected\n"
        return client

    for signal, options in [("INT", []), ("TERM", ["-r", "TERM:INT"])]:
        with case.run("--user", "postgres", *options, "--", *server) as container:
            container.wait_for_log("ready to accept connections")
            with connect() as client:
                ended = container.stop(signal)
                client.stdin.close()
            container.wait_for_log("received fast shutdown request")
            container.wait_for_log("database system is shut down")
        case.note(f"{signal} {' '.join(options)}: {ended.seconds:.1f}s")
        assert ended.status == 0
    with case.run("--user", "postgres", "--", *server) as container:
        container.wait_for_log("ready to accept connections")
        with connect() as client:
            container.signal("TERM")
            container.wait_for_log("received smart shutdown request")
            client.stdin.write("select 'still connected';\n")
            client.stdin.flush()
            assert client.stdout.readline() == "still connected\n"
            assert container.runs()
            client.stdin.close()
            assert container.ended().status == 0


def gunicorn(case):
    """SIGTERM lets a request that has begun finish, and SIGQUIT does not."""
    case.file("app.py", SLOW_APP)
    assert stop_with_slow_request(case, "Handling signal: term", "--", *GUNICORN) == ("served", 0)
    with case.run("-r", "TERM:QUIT", "--", *GUNICORN) as container:
        request = slow_request(container)
        assert container.stop("TERM").status == 0
        assert request.answer() is None


def uwsgi(case):
    """SIGTERM, which is a reload to it, ends it."""
    case.file("app.py", SLOW_APP)
    with case.run("--", *UWSGI) as container:
        wait_for("uWSGI", lambda: uwsgi_is_ready(container))
        container.signal("TERM")
        container.wait_for_log("binary reloading uWSGI")
    for options, more in [(["-r", "TERM:QUIT"], []), ([], ["--die-on-term"])]:
        with case.run(*options, "--", *UWSGI, *more) as container:
            wait_for("uWSGI", lambda: uwsgi_is_ready(container))
            ended = container.stop("TERM")
        assert ended.status == 0
    graceful = ["--hook-master-start", "unix_signal:15 gracefully_kill_them_all"]
    assert stop_with_slow_request(case, "graceful shutdown triggered", "--", *UWSGI, *graceful, ready=uwsgi_is_ready) == ("served", 0)


def uwsgi_is_ready(container) -> bool:
    """Signals that come earlier get lost: the handler is the last one of its master, and a worker that serves has all of its own."""
    return container.command_catches("USR1") and serves(container)


def entrypoint_script(case):
    """A program below a shell that does not forward signals has the time that it needs."""
    case.file("app.py", SLOW_APP)
    script = case.file("entrypoint.sh", f"#!/bin/sh\necho preparing\n{' '.join(GUNICORN)}\necho ended\n", 0o755)
    assert stop_with_slow_request(case, "Handling signal: term", "-v", "--drain", "50s", "--", script) == ("served", 143)
    with case.run("--drain", "1s", "--", script) as container:
        request = slow_request(container)
        ended = container.stop("TERM")
        assert request.answer() is None
        container.wait_for_log("left 1s after SIGTERM, and killed")
    assert ended.status == 143


def redis(case):
    """The stop command saves what SIGTERM would lose."""
    server = ["redis-server", "--port", PORT, "--save", "", "--dir", case.place]

    def client(*words):
        return subprocess.run(["redis-cli", "-p", str(PORT), *words], capture_output=True, text=True, timeout=60).stdout.strip()

    def keeps(*options):
        with case.run(*options, "--", *server) as container:
            wait_for("redis", lambda: client("ping") == "PONG")
            client("set", "key", "value")
            assert container.stop("TERM").status == 0
        with case.run("--", *server) as container:
            wait_for("redis", lambda: client("ping") == "PONG")
            return client("get", "key") == "value"

    assert not keeps()
    assert keeps("--stop-command", f"redis-cli -p {PORT} shutdown save")


def root_first(case):
    """What needs root is done before the program runs as another user."""
    data = case.place / "data"
    data.mkdir()
    with case.run("--before", f"chown -R nobody {data}", "--user", "nobody", "--", "touch", data / "file") as container:
        assert container.ended().status == 0, container.log
    assert (data / "file").owner() == "nobody"


RECIPES = [rollout, apache, gunicorn, java, nginx, postgresql, redis, entrypoint_script, uwsgi, root_first]


def stop_with_download(case, signal: str, *words) -> int:
    """Stops a web server, and reads a large file from it only when it does not listen any more; how many bytes have come."""
    case.file("www/large", "x" * LARGE)
    with case.run(*words) as container:
        wait_for("the server", listens)
        download = Download()
        container.signal(signal)
        wait_for("the end of the listening", lambda: not listens())
        size = download.rest()
        assert container.ended().status == 0
    case.note(f"{signal} {shlex.join(map(str, words))}: {size} of {LARGE} bytes have come")
    return size


def serves(_) -> bool:
    return get("/") is not None


def slow_request(container, ready=serves) -> Request:
    wait_for("the server", lambda: ready(container))
    request = Request("/slow")
    container.wait_for_log("a slow request has begun")
    return request


def stop_with_slow_request(case, stopping: str, *words, ready=serves):
    """Stops the container, and lets a slow request go on only when the program has said that it is stopping."""
    go = case.place / "go"
    with case.run(*words) as container:
        request = slow_request(container, ready)
        container.signal("TERM")
        container.wait_for_log(stopping)
        go.touch()
        ended = container.ended()
    go.unlink()
    return request.answer(), ended.status
