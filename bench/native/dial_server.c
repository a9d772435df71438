/* dial_server: accepts, sends one byte and closes, so that TIME_WAIT is on this side and the client's ports stay free. */
#include "net.h"

int main(void) {
    int listener = listen_and_announce();
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) continue; /* the client was faster and gave up */
        write_all(fd, "!", 1);
        close(fd);
    }
}
