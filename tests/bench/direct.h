/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest-peer.h"

#include <glib.h>
#include <libvirt/libvirt.h>

/* A guest of a template without a daemon: what the channel and the hypervisor take by themselves. */
struct direct {
    virDomainPtr domain;
    struct peer peer;
};

/* Boots it as the daemon does, up to proven readiness, and says HELLO on its channel. Ends the program when that fails. */
void direct_start(struct direct *direct, virConnectPtr connection, const char *id, const char *template);
void direct_stop(struct direct *direct);

/* One round trip. */
void direct_ping(struct direct *direct);
