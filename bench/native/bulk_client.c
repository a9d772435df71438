/* bulk_client in|out PORT BYTES: the limit to compare with, blocking 256 KiB calls; prints {"seconds": …, "cpu_seconds": …}. */
#include "net.h"

static void receive_bulk(int fd, char *buffer, long long bytes) {
    long long total = 0;
    ssize_t got;
    if (!write_all(fd, "g", 1)) die("write");
    while ((got = read(fd, buffer, CHUNK_BYTES)) > 0) total += got;
    if (got < 0 || total != bytes) die("read");
}

static void send_bulk(int fd, char *buffer, long long left) {
    while (left > 0) {
        size_t size = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        if (!write_all(fd, buffer, size)) die("write");
        left -= (long long)size;
    }
    if (read_all(fd, buffer, 1) != 1) die("no acknowledgement");
}

int main(int argc, char **argv) {
    if (argc != 4) return 64;
    int fd = connect_loopback(atoi(argv[2]));
    char *buffer = new_chunk();
    double start = now_s();
    clock_t cpu = clock();
    (strcmp(argv[1], "in") == 0 ? receive_bulk : send_bulk)(fd, buffer, atoll(argv[3]));
    print_reading(now_s() - start, (double)(clock() - cpu) / CLOCKS_PER_SEC);
    return 0;
}
