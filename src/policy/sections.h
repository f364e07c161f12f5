/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/table.h"

/* The sections of a policy file, as one table. Any thread. */

struct policy_top {
    const char *name;                     /* of the section in the file */
    const struct policy_section *section; /* of it, or of one item of it */
    gboolean is_list; /* `offset` is that of a GPtrArray * of items of `size` bytes; else of the embedded struct */
    gsize offset;     /* in struct policy */
    gsize size;
};

extern const struct policy_top policy_tops[];
extern const guint policy_top_count;

/* Those that are spoken of elsewhere, by their place in policy_tops. */
enum policy_top_index {
    POLICY_TOP_PROFILES,
    POLICY_TOP_CLASSES,
    POLICY_TOP_RULES,
    POLICY_TOP_POOLS,
    POLICY_TOP_WINDOWS,
    POLICY_TOP_FUNCTIONS,
    POLICY_TOP_PROVISIONING
};
