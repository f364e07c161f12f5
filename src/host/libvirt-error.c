/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt-error.h"

#include "base/error.h"
#include "base/log.h"

#include <libvirt/virterror.h>
#include <signal.h>

static gpointer libvirt_loop(gpointer data)
{
    (void)data;
    for (;;) {
        if (virEventRunDefaultImpl() < 0)
            log_error("host", "libvirt's event loop: %s", virGetLastErrorMessage());
    }
    return NULL;
}

static void libvirt_silent(void *data, virErrorPtr error)
{
    (void)data, (void)error;
}

void libvirt_init(void)
{
    static gsize once = 0;
    if (!g_once_init_enter(&once))
        return;
    /* libvirt writes to its sockets without MSG_NOSIGNAL: a libvirtd that dies must not take us along. */
    signal(SIGPIPE, SIG_IGN);
    virInitialize();
    virSetErrorFunc(NULL, libvirt_silent);
    virEventRegisterDefaultImpl();
    g_thread_unref(g_thread_new("libvirt-events", libvirt_loop, NULL));
    g_once_init_leave(&once, 1);
}

static const struct {
    int libvirt, ours;
} libvirt_codes[] = {
    {VIR_ERR_NO_DOMAIN, HBR_ERROR_NOT_FOUND},
    {VIR_ERR_OPERATION_TIMEOUT, HBR_ERROR_TIMEOUT},
    {VIR_ERR_AGENT_UNRESPONSIVE, HBR_ERROR_UNAVAILABLE},
    {VIR_ERR_NO_CONNECT, HBR_ERROR_UNAVAILABLE},
    {VIR_ERR_INVALID_CONN, HBR_ERROR_UNAVAILABLE},
    {VIR_ERR_RPC, HBR_ERROR_UNAVAILABLE},
    {VIR_ERR_SYSTEM_ERROR, HBR_ERROR_UNAVAILABLE},
    {VIR_ERR_NO_SUPPORT, HBR_ERROR_UNSUPPORTED},
    {VIR_ERR_OPERATION_UNSUPPORTED, HBR_ERROR_UNSUPPORTED},
    {VIR_ERR_CONFIG_UNSUPPORTED, HBR_ERROR_UNSUPPORTED},
    {VIR_ERR_ARGUMENT_UNSUPPORTED, HBR_ERROR_UNSUPPORTED},
    {VIR_ERR_AUTH_FAILED, HBR_ERROR_DENIED},
    {VIR_ERR_ACCESS_DENIED, HBR_ERROR_DENIED},
};

gboolean libvirt_fail(GError **error, const char *what)
{
    const int libvirt_code = virGetLastErrorCode();
    int code = HBR_ERROR_HYPERVISOR;
    for (gsize i = 0; i < G_N_ELEMENTS(libvirt_codes); i++) {
        if (libvirt_codes[i].libvirt == libvirt_code)
            code = libvirt_codes[i].ours;
    }
    g_autofree char *message = g_strdup(virGetLastErrorMessage());
    hbr_error_set(error, code, "%s: %s", what, g_strdelimit(g_strstrip(message), "\r\n", ' '));
    return FALSE;
}

gboolean libvirt_no_domain(void)
{
    return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN;
}
