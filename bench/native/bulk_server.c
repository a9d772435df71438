/* bulk_server source|sink BYTES: after one "go" byte sends BYTES and ends, or swallows BYTES and answers one byte. */
#include "net.h"

static void send_bulk(int fd, char *buffer, long long left) {
    if (read_all(fd, buffer, 1) != 1) return;
    while (left > 0) {
        size_t size = left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES;
        if (!write_all(fd, buffer, size)) return;
        left -= (long long)size;
    }
}

static void swallow_bulk(int fd, char *buffer, long long left) {
    while (left > 0) {
        ssize_t got = read(fd, buffer, CHUNK_BYTES);
        if (got <= 0) return;
        left -= got;
    }
    write_all(fd, "!", 1);
}

int main(int argc, char **argv) {
    if (argc != 3) return 64;
    int is_source = strcmp(argv[1], "source") == 0;
    long long bytes = atoll(argv[2]);
    int listener = listen_and_announce();
    char *buffer = new_chunk();
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) die("accept");
        no_delay(fd);
        (is_source ? send_bulk : swallow_bulk)(fd, buffer, bytes);
        shutdown(fd, SHUT_WR);
        while (read(fd, buffer, CHUNK_BYTES) > 0) {} /* closing on unread bytes would reset the connection */
        close(fd);
    }
}
