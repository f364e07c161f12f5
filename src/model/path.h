/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/codec.h"

/* The ladder: the ways in which a reservation gets its instance, the fastest first. */
enum path {
    PATH_RUNNING, /* a warm instance that runs idle: identity is bound, the rest of the shape hotplugged */
    PATH_PAUSED,  /* the same, suspended: resumed before */
    PATH_SAVED,   /* a clone of a saved state is restored */
    PATH_BOOT,    /* a domain is defined and started */
    PATH_COUNT
};

extern const struct codec_words path_words;

/* One path as it stood when that of a reservation was chosen. */
struct path_choice {
    enum path path;
    gint64 ready_ms;  /* how long it takes, at the policy's confidence */
    gint64 median_ms; /* in half of the cases */
    guint samples;    /* durations that this rests on; 0: the policy's estimate */
    double cost;      /* in the policy's units; see harbinger-policy(5) */
    gboolean chosen;
    char *verdict; /* "chosen", "dearer", "not ready in time", "nothing in stock", ... */
};

CODEC_DECLARE(path_choice)
