/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libvirt/libvirt.h>

/* libvirt's process-wide parts: its event loop and its errors. */

/* Starts, once for the process, the thread that runs libvirt's default event loop (keepalive and events need it before the first connection
 * is opened), silences libvirt's own printing, and ignores SIGPIPE. Any thread. */
void libvirt_init(void);

/* Copies this thread's last libvirt error, in the very next statement after the call that failed, as "WHAT: message". Always FALSE. */
gboolean libvirt_fail(GError **error, const char *what);

/* libvirt's code of the last error of this thread is that there is no such domain. */
gboolean libvirt_no_domain(void);
