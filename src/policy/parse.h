/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/policy.h"
#include "policy/yaml.h"

/* What parsing knows while the texts are still at hand: which lines an object was read from. Shared by parse.c and check.c. */

/* `object` of a section is its embedded struct in `policy`. */
struct policy_parse {
    struct policy *policy;
    GPtrArray *roots;  /* struct yaml_node, one for each file */
    GHashTable *nodes; /* object -> struct yaml_node that it was read from */
};

/* An empty policy with one reference, all zeros. */
struct policy *policy_new(void);

/* The node to name in a message about a key of an object: the innermost one of `path` ("demand", "vcpus", NULL) that was written. */
const struct yaml_node *policy_parse_find(const struct policy_parse *parse, gconstpointer object,
                                          const char *const *path);

/* The rules that no single key can break: order, references, ranges. FALSE with "file:line: ...". */
gboolean policy_check(const struct policy_parse *parse, GError **error);
