/* echo_client PORT COUNT: the limit to compare with, blocking 64-byte round trips; prints {"seconds": …, "cpu_seconds": …}. */
#include "net.h"

enum { MESSAGE_BYTES = 64 };

static void round_trips(int fd, long count) {
    char message[MESSAGE_BYTES] = {0};
    for (long i = 0; i < count; i++) {
        if (!write_all(fd, message, sizeof message)) die("write");
        if (read_all(fd, message, sizeof message) != sizeof message) die("read");
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return 64;
    long count = atol(argv[2]);
    int fd = connect_loopback(atoi(argv[1]));
    round_trips(fd, count / 20);
    double start = now_s();
    clock_t cpu = clock();
    round_trips(fd, count);
    print_reading(now_s() - start, (double)(clock() - cpu) / CLOCKS_PER_SEC);
    return 0;
}
