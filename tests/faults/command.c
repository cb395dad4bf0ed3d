/* A command that needs few system calls of its own: appends what it meets to a file, a word a line.
 *
 *   command FILE WORD...
 *   end            exits with 7
 *   wait           on SIGTERM: "term", and exits with 7; with 8 after four seconds
 *   ignore         SIGTERM; exits with 8 after four seconds
 *   leave          a child that on SIGTERM says "left" and exits, or after four seconds by itself
 *   stop           "stopping", and SIGTERM to the process that MAINPID names; exits with 0
 *   say WORD       exits with 0 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *told = "term\n";
static int file, status = 7;

static void say(const char *word) {
    ssize_t ignored = write(file, word, strlen(word));
    (void)ignored;
}

static void on_term(int signal) {
    (void)signal;
    say(told);
    _exit(status);
}

static void on_alarm(int signal) {
    (void)signal;
    _exit(8);
}

int main(int argc, char **argv) {
    if (argc < 3 || (file = open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666)) < 0) return 9;
    const char *word = argv[2];
    if (!strcmp(word, "say")) {
        say(argv[3]), say("\n");
        return 0;
    }
    if (!strcmp(word, "stop")) {
        const char *main = getenv("MAINPID");
        say("stopping\n");
        return !main || kill(atoi(main), SIGTERM);
    }
    signal(SIGALRM, on_alarm);
    if (!strcmp(word, "leave") && !fork()) told = "left\n", status = 0;
    alarm(4);
    signal(SIGTERM, strcmp(word, "ignore") ? on_term : SIG_IGN);
    say(status ? "ready\n" : "leaves\n");
    if (!strcmp(word, "end")) return 7;
    for (;;) pause();
}
