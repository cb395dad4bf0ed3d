/* Makes system calls of a program fail, by ptrace(2).
 *
 *   inject [--container] [--child] [--count FILE] [--fail CALL ERRNO FIRST STEP] PROGRAM ARGUMENT...
 *   inject --filter CALL ERRNO ... PROGRAM ARGUMENT...
 *
 * CALL and ERRNO are numbers. The call fails the FIRST time from the program's exec on, and then each STEP-th time; 0: never again.
 * --child: in the processes that the program forks, each counted by itself, until they execute something; not in the program.
 * --filter: every call of the program and of all below it, by seccomp(2).
 * --container: as PID 1 of a PID namespace, with its own /proc.
 * FILE gets a line "CALL TIMES" for each call that was made where a fault would be, and "signal N" if the program died of one.
 * SIGTERM goes on to the program. The exit status is the program's; 250: the program made more calls than any sane run does. */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLS = 1024, PROCESSES = 64, SPINS = 250, MOST_CALLS = 20000 };

static pid_t program;
static int in_children, filtered, call = -1, error, first, step;
static long made[CALLS], of_the_program;

/* One traced process. */
struct process {
    pid_t pid;
    int times, fails;
};
static struct process processes[PROCESSES];

static void forward(int signal) {
    kill(program, signal);
}

static struct process *find(pid_t pid) {
    struct process *empty = NULL;
    for (int at = 0; at < PROCESSES; at++) {
        if (processes[at].pid == pid) return &processes[at];
        if (!processes[at].pid && !empty) empty = &processes[at];
    }
    if (!empty) errx(249, "too many processes");
    *empty = (struct process){.pid = pid};
    return empty;
}

static int is_meant(struct process *process) {
    return in_children ? process->pid != program : process->pid == program;
}

static void enter(struct process *process, long number) {
    if (process->pid == program && ++of_the_program > MOST_CALLS) {
        kill(program, SIGKILL);
        exit(SPINS);
    }
    process->fails = 0;
    if (!is_meant(process) || number < 0 || number >= CALLS) return;
    made[number]++;
    if (number != call) return;
    process->times++;
    process->fails = process->times == first || (step && process->times > first && (process->times - first) % step == 0);
    if (!process->fails) return;
    struct user_regs_struct registers;
    ptrace(PTRACE_GETREGS, process->pid, 0, &registers);
    registers.orig_rax = -1;
    ptrace(PTRACE_SETREGS, process->pid, 0, &registers);
}

static void leave(struct process *process) {
    if (!process->fails) return;
    process->fails = 0;
    struct user_regs_struct registers;
    ptrace(PTRACE_GETREGS, process->pid, 0, &registers);
    registers.rax = -error;
    ptrace(PTRACE_SETREGS, process->pid, 0, &registers);
}

static void stop_at_calls(struct process *process) {
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, process->pid, sizeof info, &info) <= 0) return;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) enter(process, (long)info.entry.nr);
    else if (info.op == PTRACE_SYSCALL_INFO_EXIT) leave(process);
}

static void filter(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog rules = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &rules)) err(249, "seccomp");
}

static int trace(void) {
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR;) {
        if (pid < 0) continue;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (pid == program) return status;
            find(pid)->pid = 0;
            continue;
        }
        struct process *process = find(pid);
        int signal = WSTOPSIG(status), event = status >> 16;
        if (signal == (SIGTRAP | 0x80)) {
            stop_at_calls(process);
            signal = 0;
        } else if (event == PTRACE_EVENT_EXEC && pid != program) {
            process->pid = 0;
            ptrace(PTRACE_DETACH, pid, 0, 0);
            continue;
        } else if (event == PTRACE_EVENT_STOP && (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU)) {
            ptrace(PTRACE_LISTEN, pid, 0, 0);
            continue;
        } else if (event) {
            signal = 0;
        }
        ptrace(PTRACE_SYSCALL, pid, 0, signal);
    }
    errx(249, "the program is gone");
}

int main(int argc, char **argv) {
    char *count = NULL;
    int container = 0, go[2];
    for (argv++; *argv && !strncmp(*argv, "--", 2); argv++) {
        if (!strcmp(*argv, "--container")) container = 1;
        else if (!strcmp(*argv, "--child")) in_children = 1;
        else if (!strcmp(*argv, "--count")) count = *++argv;
        else if (!strcmp(*argv, "--fail") || !strcmp(*argv, "--filter")) {
            filtered = !strcmp(*argv, "--filter");
            call = atoi(*++argv), error = atoi(*++argv);
            if (!filtered) first = atoi(*++argv), step = atoi(*++argv);
        } else errx(249, "%s: unknown", *argv);
    }
    if (argc < 2 || !*argv) errx(249, "what program?");
    struct sigaction action = {.sa_handler = forward};
    if (pipe(go) || (container && unshare(CLONE_NEWPID | CLONE_NEWNS))) err(249, "set-up");
    program = fork();
    if (!program) {
        char byte;
        close(go[1]);
        if (container && (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("proc", "/proc", "proc", 0, NULL))) err(249, "mount");
        if (read(go[0], &byte, 1) != 1) _exit(249);
        close(go[0]);
        if (filtered) filter(), call = -1;
        execv(*argv, argv);
        err(249, "%s", *argv);
    }
    close(go[0]);
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (in_children) options |= PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
    if (ptrace(PTRACE_SEIZE, program, 0, options)) err(249, "ptrace");
    sigaction(SIGTERM, &action, NULL);
    if (filtered) call = -1;
    if (write(go[1], "", 1) != 1) err(249, "write");
    close(go[1]);
    int status = trace();
    FILE *file = count ? fopen(count, "w") : NULL;
    for (int number = 0; file && number < CALLS; number++)
        if (made[number]) fprintf(file, "%d %ld\n", number, made[number]);
    if (file && WIFSIGNALED(status)) fprintf(file, "signal %d\n", WTERMSIG(status));
    if (file) fclose(file);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
