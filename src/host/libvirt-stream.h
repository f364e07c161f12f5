/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/libvirt-link.h"

/* The agent's channel through libvirt, where its UNIX socket cannot be reached: on another machine, or as a user who may not open it. libvirt's
 * event thread copies between the stream and one end of a socket pair; the channel has the other and knows no difference. */

struct stream_call {
    struct link *link;
    char *uuid;
    int fd; /* result: -1, or the channel's end, which is its owner's to close */
};

/* Opens the channel of the domain. A worker's work, in the form of struct job's `run`. */
gboolean stream_call_run(gpointer call, GError **error);
void stream_call_free(gpointer call);
