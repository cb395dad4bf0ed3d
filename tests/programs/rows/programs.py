"""Servers, stores, pools and queues: directly, behind a shell, with -g, beside one that ends."""

from dataclasses import replace

from attempt import Program
from row import Row
from servers import (APACHE_DOWNLOAD, APACHE_LATE, GUNICORN, JAVA, JAVA_AND_NGINX,
                     NGINX_DOWNLOAD, PHP)
from stores import POSTGRES, POSTGRES_CLIENT, REDIS
from workers import CELERY_JOBS, POOL_JOBS, RQ_JOB

# A helper that ends by itself, when the file `go` is opened.
GO = """--with 'sh -c "read x <go; exit 1"'"""
GROUP = "with -g the workers get it too"
POSTGRES_WORDS = ("setpriv --reuid=postgres --regid=postgres --clear-groups "
                  """postgres -D {place}/data -k {place} -h "" -F""")
NGINX = "nginx -p {place} -c nginx.conf"
JVM = "java -Xmx64m -cp {place} Main"
APACHE = "apache2 -d {place} -f apache.conf -D FOREGROUND"


def four_ways(name: str, command: str, program: Program, options: str = "", *, group: str = "",
              shell: int = 143, short: str = "", **facts) -> list[Row]:
    """`group`: why its outcome with -g is not judged; `shell`: what a shell in front ends with."""
    direct = Row(name, command, options, program, **{"status": 0} | facts)
    quoted = command.replace('"', '\\"')
    rows = [
        direct,
        replace(direct, name=f"{name}-shell", command=f'sh -c "{quoted}; true"', status=shell),
        replace(direct, name=f"{name}-g", options=f"-g {options}".strip(), race=group),
        replace(direct, name=f"{name}-beside", options=f"{options} {GO}".strip(), stop="go",
                status=1),
    ]
    return [replace(row, short=row.name in short.split()) for row in rows]


ROWS = [
    *four_ways("pool", "workers pool", POOL_JOBS, group=GROUP, within=3,
               short="pool-shell"),
    *four_ways("executor", "workers executor", POOL_JOBS, group=GROUP, within=3),
    *four_ways("celery", "celery -A tasks worker -c 2 -l warning", CELERY_JOBS, group=GROUP,
               within=7),
    Row("celery-trap", r"""bash -c 'trap "kill \$p" TERM; celery -A tasks worker -c 2 -l error """
        "& p=$!; wait $p'", program=CELERY_JOBS, within=7),
    *four_ways("rq", "rq worker", RQ_JOB, within=4),

    *four_ways("nginx", NGINX, NGINX_DOWNLOAD, "-r TERM:QUIT", shell=131, within=2.5,
               short="nginx nginx-shell"),
    Row("nginx-tail", "sh -c 'nginx -p {place} -c daemon.conf; exec tail -f error.log'",
        "-r TERM:QUIT", NGINX_DOWNLOAD, status=131, within=2.5,
        short=True),
    Row("nginx-cat", f"sh -c '{NGINX} 2>&1 | cat; true'", "-r TERM:QUIT", NGINX_DOWNLOAD,
        status=131, within=2.5),
    Row("nginx-helper-exec", f"sh -c 'helper & exec {NGINX}'", "-r TERM:QUIT", NGINX_DOWNLOAD,
        status=0, within=3.5, signals={"helper": "TERM"}),
    Row("nginx-helper-shell", f"sh -c 'helper & {NGINX}; true'", "-r TERM:QUIT", NGINX_DOWNLOAD,
        status=131, within=3.5, signals={"helper": "TERM"}),
    Row("nginx-helper-tail",
        "sh -c 'helper & nginx -p {place} -c daemon.conf; exec tail -f error.log'",
        "-r TERM:QUIT", NGINX_DOWNLOAD, status=131, within=3.5, signals={"helper": "TERM"}),
    *[row for row in four_ways("apache", APACHE, APACHE_DOWNLOAD, "-r TERM:WINCH", within=4)
      if row.name != "apache-shell"],
    # sh ignores SIGWINCH.
    Row("apache-shell", f"sh -c '{APACHE}; true'", "-r TERM:WINCH -t 2s", APACHE_LATE, status=137,
        least=2, within=6),
    Row("apache-sleep-exec", f"sh -c 'sleep 6h & exec {APACHE}'", "-r TERM:WINCH",
        APACHE_DOWNLOAD, status=0, within=4, signals={"sleep": "TERM"}),
    Row("apache-helper-exec", f"sh -c 'helper & exec {APACHE}'", "--stop-on WINCH",
        APACHE_DOWNLOAD, stop="WINCH", status=0, within=5, signals={"helper": "TERM"}),
    *four_ways("gunicorn", "gunicorn --bind 127.0.0.1:8080 app:application", GUNICORN, within=3,
               short="gunicorn-shell"),
    *four_ways("php-fpm", "php-fpm8.2 -F -p {place} -y {place}/fpm.conf", PHP, "-r TERM:QUIT",
               shell=131, within=3),

    *four_ways("postgres", POSTGRES_WORDS, POSTGRES_CLIENT, within=4,
               short="postgres-shell"),
    Row("postgres-fast", POSTGRES_WORDS, "-r TERM:INT", POSTGRES, status=0, within=3),
    Row("postgres-fast-shell", f"sh -c '{POSTGRES_WORDS}; true'", "-r TERM:INT -t 3s", POSTGRES,
        status=None, within=4.5),
    *four_ways("redis", "redis-server saves.conf", REDIS),
    Row("redis-stop-command", "redis-server forgets.conf",
        "--stop-command 'redis-cli -p 8080 shutdown save'", REDIS, status=0),
    Row("redis-stop-command-beside", "redis-server forgets.conf",
        f"--stop-command 'redis-cli -p 8080 shutdown save' {GO}", REDIS, stop="go", status=1,
        within=3, short=True),

    *four_ways("java", JVM, JAVA, status=143, within=3),
    Row("java-exec-nginx", f"sh -c '{JVM} & exec {NGINX}'", "-r TERM:QUIT", JAVA_AND_NGINX,
        status=0, within=4.5),
    Row("java-nginx-shell", f"sh -c '{JVM} & {NGINX}; true'", "-r TERM:QUIT", JAVA_AND_NGINX,
        status=131, within=6, race="java takes SIGQUIT for a thread dump"),
]
