/* A Modbus TCP device with one input, discrete 0, whose edges it makes itself, and a coil for each of its
 * masters. It notes when each coil has followed the input; all times are of its own clock.
 *
 * It prints its port. A line `COUNT SEED JITTER_NS COILS` asks for so many edges, each SETTLE_NS and a random
 * part of JITTER_NS after the first COILS coils have followed the one before. What it prints for each edge is
 * how many ns later each of these did, -1 where one did not within a second, and then how many ticks the host
 * took from this machine until the next edge. It ends with its input. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS 8
#define COILS 2
#define SECOND 1000000000LL
#define SETTLE_NS 5000000 /* in which the kernel counts what was taken */
#define PRIORITY 60 /* above what it measures, below the scan */

static struct pollfd files[2 + CLIENTS] = {{.events = POLLIN}, {.events = POLLIN}};
static int64_t edge_ns, after_ns[COILS];
static uint64_t random_word;
static int input;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

/* Steal time of all processors (proc(5), /proc/stat). */
static long stolen_ticks(void)
{
    char text[256] = "";
    long ticks = 0;
    int fd = open("/proc/stat", O_RDONLY);
    if (fd >= 0 && read(fd, text, sizeof text - 1) > 0)
        sscanf(text, "cpu %*d %*d %*d %*d %*d %*d %*d %ld", &ticks);
    close(fd);
    return ticks;
}

static uint64_t drawn(void) /* xorshift64* */
{
    random_word ^= random_word >> 12, random_word ^= random_word << 25, random_word ^= random_word >> 27;
    return random_word * 0x2545F4914F6CDD1DULL;
}

/* One request: bits read (2) or coils written (15); all others are an illegal function. */
static void serve(struct pollfd *client)
{
    unsigned char q[260];
    ssize_t size = read(client->fd, q, sizeof q);
    int64_t at_ns = now_ns();
    if (size < 12) { /* gone; a request of one line comes whole over loopback */
        close(client->fd);
        client->fd = -1;
        return;
    }
    int coil = q[8] << 8 | q[9], answer = 12;
    if (q[7] == 2)
        q[5] = 4, q[8] = 1, q[9] = input, answer = 10;
    else if (q[7] == 15 && coil < COILS) {
        if ((q[13] & 1) == input && after_ns[coil] < 0)
            after_ns[coil] = at_ns - edge_ns;
        q[5] = 6;
    } else
        q[5] = 3, q[7] |= 0x80, q[8] = 1, answer = 9;
    if (write(client->fd, q, answer) != answer)
        perror("device");
}

/* Serve until `until_ns`, or all of the first `coils` coils have followed. */
static void serve_until(int64_t until_ns, int coils)
{
    for (;;) {
        int following = 0;
        for (int n = 0; n < coils; n++)
            following += after_ns[n] < 0;
        int64_t left_ns = until_ns - now_ns();
        if (left_ns <= 0 || (coils && !following))
            return;
        struct timespec wait = {left_ns / SECOND, left_ns % SECOND};
        if (ppoll(files + 1, 1 + CLIENTS, &wait, NULL) <= 0)
            continue;
        for (int n = 2; n < 2 + CLIENTS; n++)
            if (files[n].fd >= 0 && files[n].revents)
                serve(&files[n]);
        if (files[1].revents) {
            int one = 1, n = 2, fd = accept(files[1].fd, NULL, NULL);
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            while (n < 1 + CLIENTS && files[n].fd >= 0)
                n++;
            files[n].fd = fd;
        }
    }
}

int main(void)
{
    struct sched_param priority = {PRIORITY};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    long count, seed, jitter_ns;
    int coils;
    sched_setscheduler(0, SCHED_FIFO, &priority); /* where there is a right to it */
    files[1].fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(files[1].fd, (struct sockaddr *)&at, size) || listen(files[1].fd, CLIENTS))
        return perror("device"), 1;
    getsockname(files[1].fd, (struct sockaddr *)&at, &size);
    printf("%d\n", ntohs(at.sin_port)), fflush(stdout);
    for (int n = 2; n < 2 + CLIENTS; n++)
        files[n] = (struct pollfd){-1, POLLIN, 0};
    for (;;) {
        while (poll(files, 1, 0) == 0)
            serve_until(now_ns() + SECOND / 100, 0);
        if (scanf("%ld %ld %ld %d", &count, &seed, &jitter_ns, &coils) != 4)
            return 0;
        random_word = seed * 2 + 1;
        for (long n = 0; n < count; n++) {
            long ticks = stolen_ticks();
            for (int k = 0; k < COILS; k++)
                after_ns[k] = -1;
            input = !input, edge_ns = now_ns();
            serve_until(edge_ns + SECOND, coils);
            serve_until(now_ns() + SETTLE_NS + drawn() % jitter_ns, 0);
            for (int k = 0; k < coils; k++)
                printf("%lld ", (long long)after_ns[k]);
            printf("%ld\n", stolen_ticks() - ticks);
        }
        fflush(stdout);
    }
}
