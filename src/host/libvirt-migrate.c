/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "base/log.h"
#include "host/libvirt-calls.h"
#include "host/libvirt-error.h"

#include <libvirt/virterror.h>

/* Moving a domain to another libvirt, which is connected to for that alone. The two daemons need not know each other: we speak with both, and if
 * we die meanwhile, the target drops what it has got and the source goes on. QEMU speaks with QEMU by TCP, in the clear. */

#define KEEPALIVE_SECONDS 2
#define KEEPALIVE_COUNT 3

/* The domain there, or NULL with an error. */
static virDomainPtr migrate_domain(const struct migrate_call *call, virDomainPtr domain, virConnectPtr target,
                                   GError **error)
{
    virTypedParameterPtr params = NULL;
    int count = 0, room = 0;
    if (call->address != NULL &&
        virTypedParamsAddString(&params, &count, &room, VIR_MIGRATE_PARAM_URI, call->address) < 0) {
        libvirt_fail(error, "name the address to migrate to");
        return NULL;
    }
    virDomainPtr moved =
        virDomainMigrate3(domain, target, params, (unsigned)count, VIR_MIGRATE_LIVE | VIR_MIGRATE_ABORT_ON_ERROR);
    if (moved == NULL)
        libvirt_fail(error, "migrate the domain");
    virTypedParamsFree(params, count);
    return moved;
}

gboolean migrate_call_run(gpointer data, GError **error)
{
    const struct migrate_call *call = data;
    g_autoptr(virDomain) domain = link_find(call->link, LINK_SLOW, call->uuid, error);
    if (domain == NULL)
        return FALSE;
    virConnectPtr target = virConnectOpen(call->target_uri);
    if (target == NULL) {
        g_autofree char *what = g_strdup_printf("connect to %s", call->target_uri);
        return libvirt_fail(error, what);
    }
    if (virConnectSetKeepAlive(target, KEEPALIVE_SECONDS, KEEPALIVE_COUNT) < 0)
        log_debug("host", "%s has no keepalive: %s", call->target_uri, virGetLastErrorMessage());
    virDomainPtr moved = migrate_domain(call, domain, target, error);
    const gboolean is_done = moved != NULL;
    if (is_done)
        virDomainFree(moved);
    virConnectClose(target);
    return is_done;
}

void migrate_call_free(gpointer data)
{
    struct migrate_call *call = data;
    link_unref(call->link);
    g_free(call->uuid);
    g_free(call->target_uri);
    g_free(call->address);
    g_free(call);
}

gboolean abort_call_run(gpointer data, GError **error)
{
    const struct power_call *call = data;
    g_autoptr(virDomain) domain = link_find(call->link, call->lane, call->uuid, error);
    return domain != NULL && (virDomainAbortJob(domain) == 0 || libvirt_fail(error, "abort the migration"));
}
