/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "direct.h"

#include "drive.h"
#include "host/domain-xml.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HELLO_RETRY_MS 500
#define HELLO_MS 10000

static const struct vm_shape shape = {.vcpus = 1, .memory_mib = 256}, maximum = {.vcpus = 3, .memory_mib = 1024};

static char *channel_path(virDomainPtr domain)
{
    char *xml = virDomainGetXMLDesc(domain, 0);
    g_autoptr(domain_live_auto) live = xml != NULL ? domain_live_parse(xml, WIRE_CHANNEL_NAME, NULL) : NULL;
    if (live == NULL || live->channel_path == NULL)
        g_error("a domain without the agent's channel");
    free(xml);
    return g_strdup(live->channel_path);
}

static int connect_channel(virDomainPtr domain)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_autofree char *path = channel_path(domain);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        g_error("%s: %s", path, g_strerror(errno));
    return fd;
}

void direct_start(struct direct *direct, virConnectPtr connection, const char *id, const char *template)
{
    struct wire_hello hello;
    g_autofree char *name = domain_name(id);
    struct drive *drive = drive_new("none", "bench", ACCELERATION_TCG, NULL);
    if (drive == NULL || !drive_start(drive, id, template, &shape, &maximum))
        g_error("no guest");
    drive_free(drive);
    direct->domain = virDomainLookupByName(connection, name);
    if (direct->domain == NULL)
        g_error("the guest is not there");
    peer_open(&direct->peer, connect_channel(direct->domain));
    if (!peer_hello(&direct->peer, HELLO_RETRY_MS, HELLO_MS, &hello))
        g_error("the agent does not answer");
}

void direct_stop(struct direct *direct)
{
    peer_close(&direct->peer);
    virDomainDestroy(direct->domain);
    virDomainFree(direct->domain);
}

#define PING_MS 10000

void direct_ping(struct direct *direct)
{
    const struct wire_ping ping = {.cookie = 7};
    struct wire_frame frame;
    if (!peer_send(&direct->peer, WIRE_TYPE_PING, 0, WIRE_STREAM_CONTROL, &ping) ||
        !peer_expect(&direct->peer, WIRE_TYPE_PONG, WIRE_STREAM_CONTROL, PING_MS, &frame))
        g_error("the agent does not answer");
}
