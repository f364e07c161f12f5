/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/listener.h"

#include "base/error.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTENER_BACKLOG 511
#define LISTENER_MODE 0660

/* Closes and reports in one go, so that errno is still that of the failed call. Always -1. */
static int listener_fail(int fd, const char *what, const char *where, GError **error)
{
    const int problem = errno;
    if (fd >= 0)
        close(fd);
    hbr_error_set(error, HBR_ERROR_UNAVAILABLE, "cannot %s %s: %s", what, where, g_strerror(problem));
    return -1;
}

static int listener_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* TRUE when something answers at the socket, or when that cannot be told. */
static gboolean listener_is_alive(const struct sockaddr_un *address)
{
    const int fd = listener_socket(AF_UNIX);
    if (fd < 0)
        return TRUE;
    const int result = connect(fd, (const struct sockaddr *)address, sizeof *address);
    const gboolean dead = result < 0 && (errno == ECONNREFUSED || errno == ENOENT);
    close(fd);
    return !dead;
}

/* fchmod() on a socket that is not bound yet makes bind() create the file with at most this mode, so that it is never open to all. */
static gboolean listener_bind_unix(int fd, const struct sockaddr_un *address)
{
    return fchmod(fd, LISTENER_MODE) == 0 && bind(fd, (const struct sockaddr *)address, sizeof *address) == 0;
}

/* Makes room for bind() when the socket file is a left-over. */
static gboolean listener_remove_stale(const struct sockaddr_un *address, GError **error)
{
    struct stat info;
    if (lstat(address->sun_path, &info) < 0)
        return errno == ENOENT;
    if (!S_ISSOCK(info.st_mode)) {
        hbr_error_set(error, HBR_ERROR_CONFLICT,
                      "%s exists and is not a socket; right would be another path, or to remove it", address->sun_path);
        return FALSE;
    }
    if (listener_is_alive(address)) {
        hbr_error_set(error, HBR_ERROR_CONFLICT, "another process listens at %s", address->sun_path);
        return FALSE;
    }
    return unlink(address->sun_path) == 0 || errno == ENOENT;
}

int listener_open_unix(const char *path, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path[0] == '\0' || strlen(path) >= sizeof address.sun_path) {
        hbr_error_set(error, HBR_ERROR_INVALID, "\"%s\" cannot be a socket; right would be a path of 1 to %zu bytes",
                      path, sizeof address.sun_path - 1);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    g_autoptr(GError) problem = NULL;
    if (!listener_remove_stale(&address, &problem)) {
        if (problem == NULL)
            return listener_fail(-1, "look at", path, error);
        g_propagate_error(error, g_steal_pointer(&problem));
        return -1;
    }
    const int fd = listener_socket(AF_UNIX);
    if (fd < 0 || !listener_bind_unix(fd, &address) || chmod(path, LISTENER_MODE) < 0 ||
        listen(fd, LISTENER_BACKLOG) < 0)
        return listener_fail(fd, "listen at", path, error);
    return fd;
}

/* A peer that vanished without a word is noticed within about two minutes. Accepted sockets inherit this. */
static void listener_set_keepalive(int fd)
{
    const int on = 1, idle_s = 60, interval_s = 15, probes = 4;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

/* "host:port" or "[address]:port" in its two parts. */
static gboolean listener_split(const char *address, char **ret_host, char **ret_port)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || colon[1] == '\0')
        return FALSE;
    const gboolean bracketed = address[0] == '[' && colon[-1] == ']';
    if (!bracketed && memchr(address, ':', (gsize)(colon - address)) != NULL)
        return FALSE;
    const char *host = bracketed ? address + 1 : address;
    *ret_host = g_strndup(host, (gsize)(colon - host) - (bracketed ? 1 : 0));
    *ret_port = g_strdup(colon + 1);
    return TRUE;
}

static int listener_bind_tcp(const struct addrinfo *info, const char *address, GError **error)
{
    const int fd = listener_socket(info->ai_family);
    if (fd < 0)
        return listener_fail(fd, "listen at", address, error);
    listener_set_keepalive(fd);
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, LISTENER_BACKLOG) < 0)
        return listener_fail(fd, "listen at", address, error);
    return fd;
}

int listener_open_tcp(const char *address, GError **error)
{
    g_autofree char *host = NULL, *port = NULL;
    if (!listener_split(address, &host, &port)) {
        hbr_error_set(error, HBR_ERROR_INVALID, "\"%s\" is not a TCP address; right would be \"127.0.0.1:7475\"",
                      address);
        return -1;
    }
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    const int result = getaddrinfo(host, port, &hints, &found);
    if (result != 0) {
        hbr_error_set(error, HBR_ERROR_INVALID, "\"%s\" is not a TCP address: %s", address, gai_strerror(result));
        return -1;
    }
    const int fd = listener_bind_tcp(found, address, error);
    freeaddrinfo(found);
    return fd;
}

guint listener_port(int fd)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        return 0;
    if (address.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)(const void *)&address)->sin_port);
    return address.ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)(const void *)&address)->sin6_port) : 0;
}
