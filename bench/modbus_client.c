/* modbus_client PORT COUNT SIZE: the least that a Modbus TCP client can be. It reads SIZE holding registers COUNT
 * times, one request in flight, and prints what processor time a transaction took in us and the first register
 * of the last answer. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1e6 + t.tv_nsec * 1e-3;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    int count = atoi(argv[2]), size = atoi(argv[3]), one = 1, s = socket(AF_INET, SOCK_STREAM, 0);
    unsigned char asked[12] = {0, 0, 0, 0, 0, 6, 1, 3, 0, 0, 0, size}, got[260];
    unsigned short registers[125];
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(s, (struct sockaddr *)&at, sizeof at))
        return 1;
    double began_us = now_us();
    for (int n = 0; n < count; n++) {
        asked[0] = n >> 8, asked[1] = n;
        if (write(s, asked, sizeof asked) != sizeof asked)
            return 2;
        for (int have = 0, more; have < 9 + 2 * size; have += more)
            if ((more = read(s, got + have, 9 + 2 * size - have)) <= 0)
                return 3;
        if (memcmp(asked, got, 2) || got[7] != 3 || got[8] != 2 * size)
            return 4;
        for (int r = 0; r < size; r++)
            registers[r] = got[9 + 2 * r] << 8 | got[10 + 2 * r];
    }
    printf("%f %d\n", (now_us() - began_us) / count, registers[0]);
}
