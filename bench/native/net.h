/* What the blocking servers and clients of the bench share: loopback sockets, whole reads and writes, a clock. */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

enum { CHUNK_BYTES = 256 * 1024 };

/* A piece of real memory: pages never written to are all the one zero page, which every cache holds. */
static inline char *new_chunk(void) {
    return memset(malloc(CHUNK_BYTES), 'x', CHUNK_BYTES);
}

static inline void die(const char *what) {
    perror(what);
    exit(1);
}

static inline void no_delay(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static inline struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* Listen on a free port, print it, and die with the bench that started us. */
static inline int listen_and_announce(void) {
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    signal(SIGPIPE, SIG_IGN);
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || listen(fd, 4096)) die("listen");
    if (getsockname(fd, (struct sockaddr *)&address, &size)) die("getsockname");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static inline int connect_loopback(int port) {
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) die("connect");
    no_delay(fd);
    return fd;
}

/* 1 when all bytes were written, 0 when the peer went away. */
static inline int write_all(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t taken = write(fd, data, size);
        if (taken <= 0) return 0;
        data += taken;
        size -= (size_t)taken;
    }
    return 1;
}

/* The number of bytes read: `size`, or fewer when the stream ended. */
static inline size_t read_all(int fd, char *data, size_t size) {
    size_t got = 0;
    while (got < size) {
        ssize_t taken = read(fd, data + got, size - got);
        if (taken <= 0) break;
        got += (size_t)taken;
    }
    return got;
}

static inline double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline void print_reading(double seconds, double cpu_seconds) {
    printf("{\"seconds\": %.9f, \"cpu_seconds\": %.9f}\n", seconds, cpu_seconds);
}

#endif
