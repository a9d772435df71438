/* Gets a page over HTTP/1.0 and prints it, head and all: http_get HOST PORT PATH.
   Linked statically: nothing that is preloaded or patched into a C library sees it connect. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found, *one;
    char buffer[4096];
    int sock = -1;
    ssize_t size;
    if (argc != 4) return 64;
    if ((sock = getaddrinfo(argv[1], argv[2], &hints, &found)) != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], gai_strerror(sock));
        return 1;
    }
    for (one = found, sock = -1; one != NULL && sock < 0; one = one->ai_next) {
        sock = socket(one->ai_family, one->ai_socktype, one->ai_protocol);
        if (sock >= 0 && connect(sock, one->ai_addr, one->ai_addrlen) != 0) {
            perror("connect");
            close(sock);
            sock = -1;
        }
    }
    freeaddrinfo(found);
    if (sock < 0) return 1;
    dprintf(sock, "GET %s HTTP/1.0\r\nHost: %s:%s\r\n\r\n", argv[3], argv[1], argv[2]);
    while ((size = read(sock, buffer, sizeof buffer)) > 0)
        if (fwrite(buffer, 1, (size_t)size, stdout) != (size_t)size) return 1;
    close(sock);
    return size < 0;
}
