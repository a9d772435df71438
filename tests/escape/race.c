/* One thread makes connect(2) calls, another changes the address, and the descriptor, under them.
 *
 * race MODE ALLOWED DENIED TRIES: ports of 127.0.0.1. Prints each outcome and how often it was had; "escaped" is one
 * that must not be.
 *   port    the port changes between an allowed and a denied one
 *   family  the family changes between AF_UNIX and AF_INET with a denied port, on a TCP socket
 *   socket  an AF_UNIX address and socket change into a denied address and a TCP socket
 *   unspec  an AF_UNIX address and socket change into AF_UNSPEC and a connection of the host
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static union { struct sockaddr_in in; struct sockaddr_un un; char raw[32]; } address, first, second;
static volatile int is_over;
static int contested = -1, first_fd = -1, second_fd = -1;
static const char *mode;

static void *flip(void *unused) {
    while (!is_over) {
        memcpy((void *)&address, &second, 16);
        if (contested >= 0) dup2(second_fd, contested);
        for (volatile int pause = rand() % 400; pause > 0; pause--) {}
        memcpy((void *)&address, &first, 16);
        if (contested >= 0) dup2(first_fd, contested);
        for (volatile int pause = rand() % 400; pause > 0; pause--) {}
    }
    return unused;
}

static void set_inet(void *target, int port) {
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    memcpy(target, &in, sizeof in);
}

static int connected(int fd) { /* the port of the peer, or 0 */
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    return getpeername(fd, (struct sockaddr *)&peer, &length) ? 0 : ntohs(peer.sin_port);
}

int main(int count, char **words) {
    if (count != 5) return 2;
    mode = words[1];
    int allowed = atoi(words[2]), denied = atoi(words[3]);
    long tries = atol(words[4]), connections = 0, escaped = 0, by_errno[256] = {0}, dissolved = 0;
    int is_port = !strcmp(mode, "port"), is_unspec = !strcmp(mode, "unspec"), is_socket = !strcmp(mode, "socket");
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    if (is_port) {
        set_inet(&first, allowed);
        set_inet(&second, denied);
    } else {
        first.un.sun_family = AF_UNIX;
        strcpy(first.un.sun_path, "/no");
        if (!is_unspec) set_inet(&second, denied);
        if (!strcmp(mode, "family")) { /* only the family differs */
            memcpy(&first, &second, 16);
            first.un.sun_family = AF_UNIX;
        }
    }
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (is_socket || is_unspec) {
        second_fd = fd;
        first_fd = socket(AF_UNIX, SOCK_STREAM, 0);
        contested = dup(first_fd);
        if (is_unspec) {
            struct sockaddr_in there;
            set_inet(&there, allowed);
            if (connect(fd, (struct sockaddr *)&there, sizeof there)) return 3;
        }
    }
    memcpy(&address, &first, sizeof first);
    pthread_t thread;
    pthread_create(&thread, NULL, flip, NULL);
    for (long i = 0; i < tries; i++) {
        int target = contested >= 0 ? contested : fd;
        if (connect(target, (struct sockaddr *)&address, 16) == 0) connections++;
        else by_errno[errno & 255]++;
        int port = is_unspec ? 0 : connected(fd);
        if (port == denied) escaped++;
        if (port) {
            close(fd);
            fd = socket(AF_INET, SOCK_STREAM, 0);
            if (is_socket) second_fd = fd;
        }
    }
    is_over = 1;
    pthread_join(thread, NULL);
    if (is_unspec && !connected(fd)) { /* the association is dissolved; what is left must be of no use */
        struct sockaddr_in there;
        dissolved = 1;
        set_inet(&there, denied);
        if (connect(fd, (struct sockaddr *)&there, sizeof there) == 0) escaped++;
        if (sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&there, sizeof there) >= 0) escaped++;
        unsigned long cookie = 0, own = 0;
        socklen_t length = sizeof cookie;
        if (listen(fd, 5) == 0) { /* inside is its own affair */
            int plain = socket(AF_INET, SOCK_DGRAM, 0);
            getsockopt(fd, SOL_SOCKET, 71, &cookie, &length);
            length = sizeof own;
            getsockopt(plain, SOL_SOCKET, 71, &own, &length);
            if (cookie != own) escaped++;
        }
    }
    printf("connected %ld\nescaped %ld\ndissolved %ld\n", connections, escaped, dissolved);
    for (int i = 0; i < 256; i++)
        if (by_errno[i]) printf("%s %ld\n", strerrorname_np(i), by_errno[i]);
    return 0;
}
