/* What a control loop in C does, with nothing around it: read the input, compute, write the output, sleep to
 * the next period. `reaction_loop PORT PERIOD_NS COIL`; it dies with whoever started it. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000L
#define PRIORITY 20 /* as the process io */

/* Ask, and take an answer of `size` bytes that is to this request. */
static void ask(int s, unsigned char *request, int length, unsigned char *answer, int size)
{
    static unsigned short number;
    request[0] = ++number >> 8, request[1] = number;
    if (write(s, request, length) != length)
        exit(2);
    for (int have = 0, more; have < size; have += more)
        if ((more = read(s, answer + have, size - have)) <= 0)
            exit(3);
    if (memcmp(request, answer, 2) || answer[7] != request[7])
        exit(4);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    struct sched_param priority = {PRIORITY};
    long period_ns = atol(argv[2]);
    int one = 1, s = socket(AF_INET, SOCK_STREAM, 0);
    unsigned char read_input[12] = {0, 0, 0, 0, 0, 6, 1, 2, 0, 0, 0, 1};
    unsigned char write_coil[14] = {0, 0, 0, 0, 0, 8, 1, 15, 0, atoi(argv[3]), 0, 1, 1}, answer[260];
    struct timespec due;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sched_setscheduler(0, SCHED_FIFO, &priority);
    mlockall(MCL_CURRENT | MCL_FUTURE);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(s, (struct sockaddr *)&at, sizeof at))
        return 1;
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (;;) {
        ask(s, read_input, 12, answer, 10);
        write_coil[13] = answer[9] & 1;
        ask(s, write_coil, 14, answer, 12);
        due.tv_nsec += period_ns;
        due.tv_sec += due.tv_nsec / SECOND, due.tv_nsec %= SECOND;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    }
}
