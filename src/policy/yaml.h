/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A YAML document as a tree that remembers its lines: what libyaml's events say, bounded in size, depth and count. Anchors, aliases and tags are
 * refused, as are duplicate keys, so that a tree is never larger than its text. Any thread. */

#define YAML_TEXT_MAX (1024 * 1024)
#define YAML_DEPTH_MAX 16
#define YAML_NODES_MAX 100000

enum yaml_kind { YAML_SCALAR, YAML_MAPPING, YAML_LIST };

struct yaml_node {
    enum yaml_kind kind;
    const char *file; /* as given to yaml_parse: the caller's, must outlive the tree */
    guint line;       /* from 1 */
    char *key;        /* of a member of a mapping */
    guint key_line;
    char *text;          /* of a scalar */
    gboolean is_plain;   /* the scalar stands without quotes */
    GPtrArray *children; /* struct yaml_node: members of a mapping, items of a list */
};

/* The one document of `text`; an empty one gives an empty mapping. NULL with HBR_ERROR_INVALID or HBR_ERROR_TOO_LARGE
 * "file:line: what is wrong; what would be right". */
struct yaml_node *yaml_parse(const char *file, const char *text, gsize length, GError **error);
void yaml_node_free(struct yaml_node *node);
typedef struct yaml_node yaml_node_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(yaml_node_auto, yaml_node_free)

/* The member of that name, or NULL. */
const struct yaml_node *yaml_node_member(const struct yaml_node *mapping, const char *key);

/* TRUE for a scalar that YAML reads as null: empty, "~" or "null" without quotes. */
gboolean yaml_node_is_null(const struct yaml_node *node);

/* Sets "file:line: message" with the line of the node; always FALSE. */
gboolean yaml_node_fail(const struct yaml_node *node, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);
