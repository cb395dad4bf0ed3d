/* A program that is asked to stop. Its name is the one that it was called by; what it has done is a
   line in the file `journal` beside its folder: "NAME ready", "NAME asked SIGNAL", "NAME saved".

   -t SECONDS  works this long when it is asked (0.8); then it has saved
   -s SIGNALS  what it catches (15); the first one puts the default of all of them back
   -l SIGNALS  what it catches and only writes down: "NAME got SIGNAL"
   -i          ignores SIGTERM
   -x STATUS   exits with it (0)
   -n LINES    prints as many while it works
   -T          has a timer: wakes up twenty times a second
   -e          its main thread has ended, another one works
   -w          its main thread blocks SIGTERM, another one waits for it by sigwait(3)
   -m          has two workers, which SIGTERM kills: they work when their master is asked */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds = 0.8;
static int lines, timer, status;
static sigset_t caught, noted;
static int asked[2], journal;

static void write_down(const char *name, const char *what, int number) {
    char line[100];
    int length = number ? snprintf(line, sizeof line, "%s %s %d\n", name, what, number)
                        : snprintf(line, sizeof line, "%s %s\n", name, what);
    if (write(journal, line, length) != length)
        exit(1);
}

static void open_journal(void) {
    char path[PATH_MAX + 20];
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX);
    if (length < 0)
        exit(1);
    path[length] = 0;
    dirname(path);
    strcat(path, "/../journal");
    journal = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (journal < 0)
        exit(1);
}

static sigset_t signals(char *list) {
    sigset_t set;
    sigemptyset(&set);
    for (char *word = strtok(list, ","); word; word = strtok(NULL, ","))
        sigaddset(&set, atoi(word));
    return set;
}

static void handle(int number) {
    char byte = number;
    int error = errno;
    if (!sigismember(&noted, number))
        for (int other = 1; other < NSIG; other++)
            if (sigismember(&caught, other))
                signal(other, SIG_DFL);
    if (write(asked[1], &byte, 1) != 1)
        _exit(1);
    errno = error;
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    for (int number = 1; number < NSIG; number++)
        if (sigismember(&caught, number) || sigismember(&noted, number))
            sigaction(number, &action, NULL);
}

static void wait_for(int file) {
    struct pollfd readable = {.fd = file, .events = POLLIN};
    while (poll(&readable, 1, timer ? 50 : -1) <= 0)
        ;
}

static void work(void) {
    int steps = lines ? lines : 1;
    long long part = seconds * 1e9 / steps;
    for (int step = 0; step < steps; step++) {
        struct timespec rest = {part / 1000000000, part % 1000000000};
        while (nanosleep(&rest, &rest))
            ;
        if (lines && dprintf(1, "line %d\n", step + 1) < 0)
            exit(1);
    }
}

static void save(const char *name, int number) {
    write_down(name, "asked", number);
    work();
    write_down(name, "saved", 0);
    exit(status);
}

static void live(const char *name) {
    unsigned char number;
    write_down(name, "ready", 0);
    for (;;) {
        wait_for(asked[0]);
        if (read(asked[0], &number, 1) != 1)
            exit(1);
        if (!sigismember(&noted, number))
            save(name, number);
        write_down(name, "got", number);
    }
}

static void *other_thread(void *name) {
    sigset_t unblocked;
    sigemptyset(&unblocked);
    pthread_sigmask(SIG_SETMASK, &unblocked, NULL);
    live(name);
    return NULL;
}

static void *waiting_thread(void *name) {
    sigset_t none;
    int number;
    sigemptyset(&none);
    write_down(name, "ready", 0);
    sigwait(&caught, &number);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    save(name, number);
    return NULL;
}

static void worker(int told) {
    char byte;
    prctl(PR_SET_NAME, "worker");
    write_down("worker", "ready", 0);
    if (read(told, &byte, 1))
        exit(1);
    work();
    write_down("worker", "saved", 0);
    exit(0);
}

static void master(const char *name, int ignores) {
    int told[2];
    char number = 0;
    if (pipe(told))
        exit(1);
    for (int count = 0; count < 2; count++)
        if (!fork()) {
            signal(SIGTERM, SIG_DFL);
            close(told[1]);
            worker(told[0]);
        }
    close(told[0]);
    if (!ignores) {
        catch_signals();
        write_down(name, "ready", 0);
        if (read(asked[0], &number, 1) != 1)
            exit(1);
        write_down(name, "asked", number);
        close(told[1]);
    } else
        write_down(name, "ready", 0);
    while (wait(NULL) > 0)
        ;
    write_down(name, "saved", 0);
    exit(status);
}

int main(int argc, char **argv) {
    static char term[] = "15";
    int option, ignores = 0, ended = 0, waits = 0, has_workers = 0;
    char *name = basename(strdup(argv[0]));
    pthread_t thread;
    caught = signals(term);
    while ((option = getopt(argc, argv, "t:s:l:ix:n:Tewm")) != -1)
        switch (option) {
        case 't': seconds = atof(optarg); break;
        case 's': caught = signals(optarg); break;
        case 'l': noted = signals(optarg); break;
        case 'i': ignores = 1; break;
        case 'x': status = atoi(optarg); break;
        case 'n': lines = atoi(optarg); break;
        case 'T': timer = 1; break;
        case 'e': ended = 1; break;
        case 'w': waits = 1; break;
        case 'm': has_workers = 1; break;
        default: return 2;
        }
    open_journal();
    if (pipe2(asked, O_CLOEXEC))
        return 1;
    if (ignores)
        signal(SIGTERM, SIG_IGN);
    if (has_workers)
        master(name, ignores);
    if (waits) {
        pthread_sigmask(SIG_BLOCK, &caught, NULL);
        pthread_create(&thread, NULL, waiting_thread, name);
        for (;;)
            pause();
    }
    if (!ignores)
        catch_signals();
    if (ended) {
        pthread_create(&thread, NULL, other_thread, name);
        pthread_exit(NULL);
    }
    live(name);
}
