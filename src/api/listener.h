/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Listening sockets. Any thread. */

/* A listening UNIX socket at `path`, mode 0660. A socket file that nobody listens on is removed first. The descriptor, or -1 with an
 * error that names the path: HBR_ERROR_CONFLICT when somebody listens there, HBR_ERROR_INVALID for a path that cannot be one. */
int listener_open_unix(const char *path, GError **error);

/* A listening TCP socket at "host:port" or "[address]:port"; port 0 takes a free one. The descriptor, or -1 with an error that names the
 * address. */
int listener_open_tcp(const char *address, GError **error);

/* Port of a listening TCP socket. */
guint listener_port(int fd);
