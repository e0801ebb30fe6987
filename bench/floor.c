/* The floor: a forwarder that does nothing but move bytes between a client and the server, in one thread, with no more system
 * calls than any proxy needs (epoll_wait, recv, send). Usage: floor PORT SERVER_PORT, both on 127.0.0.1. For measurements only:
 * it sends without minding that a socket may be full, beyond waiting for it. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILES 16384

static int peer[FILES];
static char buffer[65536];

static int tcp(void) {
    int file = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (file < 0 || file >= FILES) exit(1);
    setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return file;
}

static struct sockaddr_in local(const char *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void watch(int epoll, int file) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = file};
    epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event);
}

static int pass(int from, int to) {
    ssize_t count = recv(from, buffer, sizeof buffer, MSG_DONTWAIT);
    /* Told of a file that was closed since, and is another one now. */
    if (count < 0 && errno == EAGAIN) return 1;
    for (ssize_t at = 0; at < count;) {
        ssize_t sent = send(to, buffer + at, count - at, MSG_NOSIGNAL);
        if (sent < 0) {
            struct pollfd full = {.fd = to, .events = POLLOUT};
            if (errno != EAGAIN || poll(&full, 1, -1) < 0) return 0;
        } else {
            at += sent;
        }
    }
    return count > 0;
}

int main(int count, char **arguments) {
    if (count != 3) return 1;
    struct sockaddr_in here = local(arguments[1]), server = local(arguments[2]);
    int listener = tcp(), epoll = epoll_create1(0), on = 1;
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 512)) return 1;
    watch(epoll, listener);
    for (;;) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int at = 0; at < ready; at++) {
            int file = events[at].data.fd;
            if (file == listener) {
                int client = accept(listener, 0, 0), upstream = tcp();
                if (client < 0 || client >= FILES || connect(upstream, (struct sockaddr *)&server, sizeof server)) return 1;
                setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                setsockopt(upstream, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                peer[client] = upstream, peer[upstream] = client;
                watch(epoll, client), watch(epoll, upstream);
            } else if (peer[file] && !pass(file, peer[file])) {
                int other = peer[file];
                peer[file] = peer[other] = 0;
                close(file), close(other);
            }
        }
    }
}
