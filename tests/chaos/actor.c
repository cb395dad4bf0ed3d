/* Plays every process of a random program, and writes down what happens to it.

   actor JOURNAL '[ WORD... [ CHILD ] ... ]'

   A line of the journal is "MICROSECONDS ID PID EVENT ...", by the monotonic clock:
   ready | got SIGNAL SENDER CODE VALUE | sent SIGNAL PID | exits STATUS | dies SIGNAL | gone
   gone STATUS, left PID: by the holder, when what it has started has ended, of all that lives then

   Words of a process:
   iN  its number                         f d s g  how it came to be: fork, an orphan (double fork),
   TN  so many more threads                        in a session, in a process group of its own
   HN IN BN  catches, ignores, blocks signal N     VN  catches it, and only writes it down
   when it is asked (a signal of H):
   ReN RkN Rf Rs  exits with N; puts N's default back and dies of it; passes the signal on to its
                  children and exits once they have ended; goes on
   DN  and works N milliseconds before that        N  has a last child, which catches SIGTERM too
   LN  after N milliseconds of life: Xe N, Xk N    exits with N, dies of signal N
   SN:M:W  after N milliseconds sends signal M to W: p its parent, c its last child, s itself,
           m the main command of a stop command, 1 the init
   C   closes stdout and stderr */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_SENDS = 8, MOST_CHILDREN = 16 };

struct process {
    int id, way, threads, closes, spawns, reaction, value, work, life, end, end_value;
    sigset_t caught, noted, ignored, blocked;
    struct { int after, signal, whom; } sends[MOST_SENDS];
    int send_count;
};

static int journal, id;
static pid_t init;
static volatile sig_atomic_t asked_by;
static sigset_t asks;

static long long microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* Async-signal-safe enough: snprintf(3) of integers in glibc allocates nothing. */
static void note(const char *format, ...) {
    char line[160];
    int length = snprintf(line, sizeof line, "%lld %d %d ", microseconds(), id, getpid());
    va_list values;
    va_start(values, format);
    length += vsnprintf(line + length, sizeof line - length - 1, format, values);
    va_end(values);
    line[length++] = '\n';
    if (write(journal, line, length) != length)
        _exit(99);
}

static void got(int signal, siginfo_t *info, void *unused) {
    (void)unused;
    int saved = errno;
    note("got %d %d %d %d", signal, info->si_pid, info->si_code,
         info->si_code == SI_QUEUE ? info->si_value.sival_int : 0);
    if (!asked_by && sigismember(&asks, signal) == 1)
        asked_by = signal;
    errno = saved;
}

static void *sleep_on(void *unused) {
    for (;;)
        pause();
    return unused;
}

static void die(int signal) {
    note("dies %d", signal);
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigaction(signal, &plain, NULL);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, signal);
    kill(getpid(), signal);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    _exit(98);
}

static void leave(int status) {
    note("exits %d", status);
    _exit(status);
}

static void play(char *word, char **rest);

/* Starts the child whose "[" was just read; gives its pid, 0 for an orphan's. */
static pid_t start_child(char **rest) {
    /* How it is to be made stands right after the bracket. */
    char *way = strtok_r(NULL, " ", rest);
    char text[4096];
    snprintf(text, sizeof text, "%s", *rest ? *rest : "");
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        return 0;
    if (child == 0) {
        if (*way == 'd' && fork() > 0)
            _exit(0);
        if (*way == 's' || *way == 'd')
            setsid();
        if (*way == 'g')
            setpgid(0, 0);
        char *own = text;
        asked_by = 0;
        play(way, &own);
        _exit(97);
    }
    if (*way == 'd') {
        waitpid(child, NULL, 0);
        child = 0;
    }
    int depth = 1;
    while (depth > 0) {
        char *word = strtok_r(NULL, " ", rest);
        if (!word)
            break;
        depth += *word == '[' ? 1 : *word == ']' ? -1 : 0;
    }
    return child;
}

static void take(struct process *self, char *word) {
    int value = atoi(word + 1);
    switch (*word) {
    case 'i': self->id = value; break;
    case 'T': self->threads = value; break;
    case 'H': sigaddset(&self->caught, value); break;
    case 'V': sigaddset(&self->noted, value); break;
    case 'I': sigaddset(&self->ignored, value); break;
    case 'B': sigaddset(&self->blocked, value); break;
    case 'R': self->reaction = word[1]; self->value = atoi(word + 2); break;
    case 'D': self->work = value; break;
    case 'L': self->life = value; break;
    case 'X': self->end = word[1]; self->end_value = atoi(word + 2); break;
    case 'N': self->spawns = 1; break;
    case 'C': self->closes = 1; break;
    case 'S':
        if (self->send_count < MOST_SENDS) {
            char whom = 0;
            sscanf(word + 1, "%d:%d:%c", &self->sends[self->send_count].after,
                   &self->sends[self->send_count].signal, &whom);
            self->sends[self->send_count++].whom = whom;
        }
        break;
    }
}

static void catch_signals(const struct process *self) {
    struct sigaction handler = {.sa_sigaction = got, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigfillset(&handler.sa_mask);
    struct sigaction ignore = {.sa_handler = SIG_IGN}, plain = {.sa_handler = SIG_DFL};
    asks = self->caught;
    for (int signal = 1; signal <= SIGRTMAX; signal++) {
        if (sigismember(&self->caught, signal) == 1 || sigismember(&self->noted, signal) == 1)
            sigaction(signal, &handler, NULL);
        else if (sigismember(&self->ignored, signal) == 1)
            sigaction(signal, &ignore, NULL);
        else if (signal != SIGKILL && signal != SIGSTOP && signal != 32 && signal != 33)
            sigaction(signal, &plain, NULL);
    }
}

static int reap(pid_t *children, int count) {
    pid_t ended;
    while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
        for (int at = 0; at < count; at++)
            if (children[at] == ended)
                children[at] = 0;
    int living = 0;
    for (int at = 0; at < count; at++)
        living += children[at] != 0;
    return living;
}

static void spawn_late(const struct process *self) {
    if (fork() != 0)
        return;
    id = self->id + 500;
    asked_by = 0;
    note("ready");
    sigset_t none;
    sigemptyset(&none);
    long long until = microseconds() + 20000000;
    while (!asked_by && microseconds() < until)
        ppoll(NULL, 0, &(struct timespec){.tv_sec = 1}, &none);
    leave(0);
}

static pid_t main_pid(void) {
    const char *number = getenv("MAINPID");
    return number ? atoi(number) : 0;
}

static void send_due(const struct process *self, int from, int to, pid_t last_child) {
    for (int at = 0; at < self->send_count; at++) {
        int after = self->sends[at].after;
        if (after < from || after >= to)
            continue;
        int whom = self->sends[at].whom;
        pid_t target = whom == 'p'   ? getppid()
                       : whom == 'c' ? last_child
                       : whom == 's' ? getpid()
                      : whom == 'm' ? main_pid()
                                     : init;
        /* Its parent may have ended: never the init by mistake, which is `1`. */
        if (target <= 0 || (whom == 'p' && (target == init || target == 1)))
            continue;
        note("sent %d %d", self->sends[at].signal, target);
        kill(target, self->sends[at].signal);
    }
}

/* Plays the process that begins at `word`, to its end. */
static void play(char *word, char **rest) {
    struct process self = {.reaction = 'e'};
    sigemptyset(&self.caught), sigemptyset(&self.noted);
    sigemptyset(&self.ignored), sigemptyset(&self.blocked);
    pid_t children[MOST_CHILDREN];
    int count = 0;
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    int caught = 0;
    for (; word && *word != ']'; word = strtok_r(NULL, " ", rest)) {
        if (*word != '[') {
            take(&self, word);
            id = self.id;
            continue;
        }
        if (!caught++)
            catch_signals(&self);
        pid_t child = start_child(rest);
        if (child && count < MOST_CHILDREN)
            children[count++] = child;
    }
    catch_signals(&self);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (int at = 0; at < self.threads; at++) {
        pthread_t thread;
        pthread_create(&thread, NULL, sleep_on, NULL);
    }
    if (self.closes) {
        close(1);
        close(2);
    }
    sigset_t outside = self.blocked;
    sigprocmask(SIG_SETMASK, &outside, NULL);
    note("ready");
    long long begun = microseconds();
    int looked = 0, deciding = 0;
    long long asked_at = 0;
    for (;;) {
        int living = reap(children, count);
        long long now = microseconds();
        int age = (now - begun) / 1000;
        send_due(&self, looked, age, count ? children[count - 1] : 0);
        looked = age;
        if (asked_by && !asked_at) {
            asked_at = now;
            if (self.spawns)
                spawn_late(&self);
            if (self.reaction == 'f')
                for (int at = 0; at < count; at++)
                    if (children[at]) {
                        note("sent %d %d", asked_by, children[at]);
                        kill(children[at], asked_by);
                    }
            deciding = self.reaction != 's';
        }
        if (deciding && now - asked_at >= self.work * 1000LL) {
            if (self.reaction == 'e')
                leave(self.value);
            if (self.reaction == 'k')
                die(self.value);
            if (self.reaction == 'f' && !living)
                leave(self.value);
        }
        if (self.life && age >= self.life) {
            if (self.end == 'k')
                die(self.end_value);
            leave(self.end_value);
        }
        /* Asleep until the next thing is due; a child's end or a signal wakes it up. */
        struct timespec pause = {.tv_nsec = 0};
        int due = 10000;
        if (self.life)
            due = self.life - age;
        for (int at = 0; at < self.send_count; at++)
            if (self.sends[at].after >= age && self.sends[at].after - age + 1 < due)
                due = self.sends[at].after - age + 1;
        if (deciding && (asked_at - now) / 1000 + self.work < due)
            due = (asked_at - now) / 1000 + self.work + 1;
        if (deciding && self.reaction == 'f' && due > 20)
            due = 20;
        if (due < 1)
            due = 1;
        pause.tv_sec = due / 1000;
        pause.tv_nsec = due % 1000 * 1000000L;
        sigset_t waiting = self.blocked;
        ppoll(NULL, 0, &pause, &waiting);
    }
}

static void name_the_rest(void) {
    DIR *processes = opendir("/proc");
    for (struct dirent *entry; processes && (entry = readdir(processes));) {
        int pid = atoi(entry->d_name);
        char path[40], text[400] = "";
        snprintf(path, sizeof path, "/proc/%d/stat", pid);
        int file = pid > 1 ? open(path, O_RDONLY) : -1;
        if (file < 0)
            continue;
        char *state = read(file, text, sizeof text - 1) > 0 ? strrchr(text, ')') : NULL;
        if (state && state[2] != 'Z' && state[2] != 'X')
            note("left %d", pid);
        close(file);
    }
}

/* PID 1 of a namespace in which the init is not: tells how it ended, and who is left. */
static int hold(char **command) {
    pid_t started = fork();
    if (started == 0) {
        execvp(command[0], command);
        _exit(127);
    }
    for (;;) {
        int status;
        pid_t ended = waitpid(-1, &status, 0);
        if (ended == started) {
            note("gone %d", status);
            // Whoever was killed by the last signal dies in a moment.
            usleep(100000);
            name_the_rest();
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
    }
}

int main(int count, char **words) {
    if (count < 3)
        return 96;
    journal = open(words[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (journal < 0)
        return 95;
    if (strcmp(words[2], "hold") == 0)
        return hold(words + 3);
    init = getppid();
    char *rest = words[2];
    strtok_r(rest, " ", &rest);
    play(strtok_r(NULL, " ", &rest), &rest);
    return 94;
}
