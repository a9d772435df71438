/* echo_server: sends back what arrives, one connection after the other, blocking: no syscall but read and write. */
#include "net.h"

int main(void) {
    int listener = listen_and_announce();
    char *buffer = new_chunk();
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) die("accept");
        no_delay(fd);
        ssize_t got;
        while ((got = read(fd, buffer, CHUNK_BYTES)) > 0 && write_all(fd, buffer, (size_t)got)) {}
        close(fd);
    }
}
