/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/parse.h"

#include "base/error.h"
#include "policy/sections.h"

#include <string.h>

enum { POLICY_FILES_MAX = 64, POLICY_ITEMS_MAX = 1000 };

static gpointer top_slot(const struct policy_top *top, struct policy *policy)
{
    return (char *)policy + top->offset;
}

const struct yaml_node *policy_parse_find(const struct policy_parse *parse, gconstpointer object,
                                          const char *const *path)
{
    const struct yaml_node *node = g_hash_table_lookup(parse->nodes, object);
    for (; node != NULL && *path != NULL && node->kind == YAML_MAPPING; path++) {
        const struct yaml_node *member = yaml_node_member(node, *path);
        if (member == NULL)
            break;
        node = member;
    }
    return node != NULL ? node : g_ptr_array_index(parse->roots, 0);
}

/* The structs of all lists have their name as first member. */
static const char *item_name(gconstpointer item)
{
    return *(char *const *)item;
}

static gboolean parse_check_unique(const struct policy_parse *parse, const struct policy_top *top, gconstpointer item,
                                   const struct yaml_node *node, GError **error)
{
    const GPtrArray *list = *(GPtrArray **)top_slot(top, parse->policy);
    for (guint i = 0; i < list->len; i++) {
        if (strcmp(item_name(list->pdata[i]), item_name(item)) != 0)
            continue;
        const struct yaml_node *first = g_hash_table_lookup(parse->nodes, list->pdata[i]);
        return yaml_node_fail(node, error, "%s \"%s\" is defined in %s:%u already; right would be another name",
                              top->section->what, item_name(item), first->file, first->line);
    }
    return TRUE;
}

static gboolean parse_item(struct policy_parse *parse, const struct policy_top *top, const struct yaml_node *node,
                           GError **error)
{
    gpointer item = g_malloc0(top->size);
    policy_section_reset(top->section, item);
    if (!policy_section_parse(top->section, node, item, error) || !parse_check_unique(parse, top, item, node, error)) {
        policy_section_clear(top->section, item);
        g_free(item);
        return FALSE;
    }
    g_ptr_array_add(*(GPtrArray **)top_slot(top, parse->policy), item);
    g_hash_table_insert(parse->nodes, item, (gpointer)node);
    return TRUE;
}

static gboolean parse_list(struct policy_parse *parse, const struct policy_top *top, const struct yaml_node *node,
                           GError **error)
{
    const GPtrArray *list = *(GPtrArray **)top_slot(top, parse->policy);
    if (node->kind != YAML_LIST)
        return yaml_node_fail(node, error, "%s is a %s; right would be a list, each item beginning with \"- name:\"",
                              top->name, node->kind == YAML_MAPPING ? "mapping" : "single value");
    if (list->len + node->children->len > POLICY_ITEMS_MAX)
        return yaml_node_fail(node, error, "%s has more than %d items; right would be fewer", top->name,
                              POLICY_ITEMS_MAX);
    for (guint i = 0; i < node->children->len; i++)
        if (!parse_item(parse, top, g_ptr_array_index(node->children, i), error))
            return FALSE;
    return TRUE;
}

static gboolean parse_section(struct policy_parse *parse, const struct policy_top *top, const struct yaml_node *node,
                              GError **error)
{
    gpointer object = top_slot(top, parse->policy);
    const struct yaml_node *first = g_hash_table_lookup(parse->nodes, object);
    if (first != NULL)
        return yaml_node_fail(node, error, "%s is given in %s:%u already; right would be to give a section once",
                              top->name, first->file, first->line);
    g_hash_table_insert(parse->nodes, object, (gpointer)node);
    return policy_section_parse(top->section, node, object, error);
}

static const struct policy_top *top_find(const char *name)
{
    for (guint i = 0; i < policy_top_count; i++)
        if (strcmp(policy_tops[i].name, name) == 0)
            return &policy_tops[i];
    return NULL;
}

static gboolean parse_member(struct policy_parse *parse, const struct yaml_node *member, GError **error)
{
    const struct policy_top *top = top_find(member->key);
    if (top == NULL) {
        g_autofree const char **names = g_new0(const char *, policy_top_count);
        for (guint i = 0; i < policy_top_count; i++)
            names[i] = policy_tops[i].name;
        return policy_fail_unknown(member, "a policy", names, policy_top_count, error);
    }
    return top->is_list ? parse_list(parse, top, member, error) : parse_section(parse, top, member, error);
}

static gboolean parse_source(struct policy_parse *parse, const struct policy_source *source, GError **error)
{
    struct yaml_node *root = yaml_parse(source->name, source->text, strlen(source->text), error);
    if (root == NULL)
        return FALSE;
    g_ptr_array_add(parse->roots, root);
    if (root->kind != YAML_MAPPING)
        return yaml_node_fail(root, error,
                              "the file is a %s; right would be sections such as profiles, classes and rules",
                              root->kind == YAML_LIST ? "list" : "single value");
    for (guint i = 0; i < root->children->len; i++)
        if (!parse_member(parse, g_ptr_array_index(root->children, i), error))
            return FALSE;
    return TRUE;
}

static gboolean parse_sources(struct policy_parse *parse, const GPtrArray *sources, GError **error)
{
    if (sources->len == 0 || sources->len > POLICY_FILES_MAX) {
        hbr_error_set(error, HBR_ERROR_INVALID, "policy:1: there are %u files; right would be 1 to %d", sources->len,
                      POLICY_FILES_MAX);
        return FALSE;
    }
    for (guint i = 0; i < sources->len; i++)
        if (!parse_source(parse, g_ptr_array_index(sources, i), error))
            return FALSE;
    return policy_check(parse, error);
}

struct policy *policy_parse(const GPtrArray *sources, GError **error)
{
    g_autoptr(policy_auto) policy = policy_new();
    struct policy_parse parse = {
        .policy = policy,
        .roots = g_ptr_array_new_with_free_func((GDestroyNotify)yaml_node_free),
        .nodes = g_hash_table_new(NULL, NULL),
    };
    for (guint i = 0; i < policy_top_count; i++)
        if (!policy_tops[i].is_list)
            policy_section_reset(policy_tops[i].section, top_slot(&policy_tops[i], policy));
    const gboolean is_right = parse_sources(&parse, sources, error);
    g_hash_table_unref(parse.nodes);
    g_ptr_array_unref(parse.roots);
    return is_right ? g_steal_pointer(&policy) : NULL;
}
