/* dial_client PORT COUNT: connect, read the byte and the end, close; COUNT times; prints {"seconds": …, "cpu_seconds": …}. */
#include "net.h"

static void dials(int port, long count) {
    for (long i = 0; i < count; i++) {
        char buffer[2];
        int fd = connect_loopback(port);
        if (read_all(fd, buffer, sizeof buffer) != 1) die("read");
        close(fd);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return 64;
    long count = atol(argv[2]);
    dials(atoi(argv[1]), count / 20);
    double start = now_s();
    clock_t cpu = clock();
    dials(atoi(argv[1]), count);
    print_reading(now_s() - start, (double)(clock() - cpu) / CLOCKS_PER_SEC);
    return 0;
}
