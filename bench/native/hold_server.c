/* hold_server: accepts and keeps connections, says nothing on them, closes one when its peer goes (Linux: epoll). */
#define _GNU_SOURCE
#include "net.h"
#include <sys/epoll.h>
#include <sys/resource.h>

static void raise_descriptor_limit(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void watch(int epoll, int fd) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

int main(void) {
    raise_descriptor_limit();
    int listener = listen_and_announce(), epoll = epoll_create1(0);
    struct epoll_event events[256];
    watch(epoll, listener);
    for (;;) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd != listener) {
                close(events[i].data.fd);
                continue;
            }
            int fd = accept(listener, NULL, NULL);
            if (fd < 0) die("accept");
            watch(epoll, fd);
        }
    }
}
