/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/notify.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>

static GSocketAddress *notify_address(const char *path)
{
    if (path[0] != '@')
        return g_unix_socket_address_new(path);
    return g_unix_socket_address_new_with_type(path + 1, -1, G_UNIX_SOCKET_ADDRESS_ABSTRACT);
}

void notify_service_manager(const char *state)
{
    const char *path = g_getenv("NOTIFY_SOCKET");
    if (path == NULL || path[0] == '\0')
        return;
    g_autoptr(GSocketAddress) address = notify_address(path);
    g_autoptr(GSocket) socket =
        g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
    if (socket != NULL)
        g_socket_send_to(socket, address, state, strlen(state), NULL, NULL);
}
