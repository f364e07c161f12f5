/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tells the service manager that started us, if one did, how we are: "READY=1", "STOPPING=1". The protocol is that of sd_notify(3), one
 * datagram to $NOTIFY_SOCKET. */
void notify_service_manager(const char *state);
