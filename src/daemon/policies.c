/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/policies.h"

#include "base/log.h"

static struct policy *policies_configured(const char *path, guint version, GPtrArray **ret_new_sources, GError **error)
{
    g_autoptr(GPtrArray) sources = policy_sources_read(path, error);
    g_autoptr(policy_auto) policy = sources != NULL ? policy_parse(sources, error) : NULL;
    if (policy == NULL)
        return NULL;
    *ret_new_sources = g_steal_pointer(&sources);
    return policy_with_version(policy, version);
}

struct policy *policies_initial(struct store *store, const char *path, GPtrArray **ret_new_sources, GError **error)
{
    guint version = 0;
    g_autoptr(GError) problem = NULL;
    g_autoptr(GPtrArray) sources = store_load_policy(store, &version, &problem);
    if (problem != NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    if (sources == NULL)
        return policies_configured(path, version, ret_new_sources, error);
    g_autoptr(policy_auto) policy = policy_parse(sources, &problem);
    if (policy != NULL)
        return policy_with_version(policy, version);
    log_warning("daemon", "policy version %u of the database is not right: %s; %s is loaded in its place", version,
                problem->message, path);
    return policies_configured(path, version, ret_new_sources, error);
}

static struct policy *policies_version(struct store *store, guint version, GError **error)
{
    g_autoptr(GPtrArray) sources = store_load_policy_version(store, version, error);
    g_autoptr(policy_auto) policy = sources != NULL ? policy_parse(sources, error) : NULL;
    return policy != NULL ? policy_with_version(policy, version) : NULL;
}

static void policies_free(gpointer policy)
{
    policy_unref(policy);
}

static void policies_add(GHashTable *policies, struct store *store, guint version)
{
    g_autoptr(GError) problem = NULL;
    struct policy *policy = policies_version(store, version, &problem);
    if (policy == NULL)
        log_warning("daemon", "what is open of policy version %u goes on under the current one: %s", version,
                    problem->message);
    g_hash_table_insert(policies, GUINT_TO_POINTER(version), policy);
}

static gboolean policies_is_missing(gpointer version G_GNUC_UNUSED, gpointer policy, gpointer data G_GNUC_UNUSED)
{
    return policy == NULL;
}

GHashTable *policies_of_records(struct store *store, const struct policy *current, const GPtrArray *records)
{
    GHashTable *policies = g_hash_table_new_full(NULL, NULL, NULL, policies_free);
    for (guint i = 0; i < records->len; i++) {
        const guint version = ((const struct record *)records->pdata[i])->version;
        if (version != 0 && version != current->version && !g_hash_table_contains(policies, GUINT_TO_POINTER(version)))
            policies_add(policies, store, version);
    }
    g_hash_table_foreach_remove(policies, policies_is_missing, NULL);
    return policies;
}
