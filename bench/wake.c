/* wake PERIOD_NS COUNT FILE WORDS: the least that a cyclic program can be. It sleeps to an absolute grid, takes
 * the time, copies an image of WORDS 8-byte words in and out, takes the time again; both differences of every
 * cycle, int64 pairs in ns, go into FILE when it is over. It asks of the system what cellrt asks. */
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define S_NS 1000000000LL

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * S_NS + t.tv_nsec;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    int64_t period_ns = atoll(argv[1]), count = atoll(argv[2]), words = atoll(argv[4]);
    int64_t *told = calloc(2 * count, 8), *field = calloc(words + 1, 8), *image = calloc(words + 1, 8);
    struct sched_param priority = {.sched_priority = 80};
    sched_setscheduler(0, SCHED_FIFO, &priority);
    mlockall(MCL_CURRENT | MCL_FUTURE);
    int32_t none = 0;
    int awake = open("/dev/cpu_dma_latency", O_WRONLY);
    if (awake >= 0 && write(awake, &none, sizeof none) < 0)
        close(awake);
    int64_t due_ns = now_ns() + period_ns;
    for (int64_t n = 0; n < count; n++) {
        struct timespec due = {.tv_sec = due_ns / S_NS, .tv_nsec = due_ns % S_NS};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL))
            ;
        int64_t woke_ns = now_ns();
        memcpy(image, field, words * 8);
        __asm__ volatile("" : : "r"(image) : "memory");
        memcpy(field, image, words * 8);
        __asm__ volatile("" : : "r"(field) : "memory");
        int64_t ended_ns = now_ns();
        told[2 * n] = woke_ns - due_ns;
        told[2 * n + 1] = ended_ns - woke_ns;
        due_ns += period_ns;
        if (due_ns < ended_ns) /* as cyclictest: what is past is not made up for */
            due_ns += (ended_ns - due_ns + period_ns - 1) / period_ns * period_ns;
    }
    FILE *file = fopen(argv[3], "wb");
    return !(file && fwrite(told, 16, count, file) == (size_t)count && fclose(file) == 0);
}
