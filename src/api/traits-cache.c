/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/traits-cache.h"

#include <pthread.h>

struct traits_entry {
    char *key;
    struct code_look look;
    GList link; /* in `used` */
};

struct traits_cache {
    guint entries_max;
    pthread_mutex_t lock;
    GHashTable *entries; /* by key */
    GQueue used;         /* struct traits_entry, the longest unused first */
};

/* Names hold no blanks, and a digest none either. */
static char *traits_key(const char *tenant, const char *language, const char *sha256)
{
    return g_strconcat(tenant, " ", language != NULL ? language : "", " ", sha256, NULL);
}

void code_look_clear(struct code_look *look)
{
    g_clear_pointer(&look->libraries, g_strfreev);
}

static void code_look_copy(const struct code_look *from, struct code_look *to)
{
    *to = *from;
    to->libraries = g_strdupv(from->libraries);
}

static void traits_entry_free(gpointer data)
{
    struct traits_entry *entry = data;
    code_look_clear(&entry->look);
    g_free(entry->key);
    g_free(entry);
}

struct traits_cache *traits_cache_new(guint entries_max)
{
    struct traits_cache *cache = g_new0(struct traits_cache, 1);
    cache->entries_max = entries_max;
    pthread_mutex_init(&cache->lock, NULL);
    cache->entries = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, traits_entry_free);
    g_queue_init(&cache->used);
    return cache;
}

void traits_cache_free(struct traits_cache *cache)
{
    if (cache == NULL)
        return;
    g_hash_table_unref(cache->entries); /* the links of `used` lie in the entries */
    pthread_mutex_destroy(&cache->lock);
    g_free(cache);
}

gboolean traits_cache_get(struct traits_cache *cache, const char *tenant, const char *language, const char *sha256,
                          struct code_look *ret_look)
{
    g_autofree char *key = traits_key(tenant, language, sha256);
    pthread_mutex_lock(&cache->lock);
    struct traits_entry *entry = g_hash_table_lookup(cache->entries, key);
    if (entry != NULL) {
        code_look_copy(&entry->look, ret_look);
        g_queue_unlink(&cache->used, &entry->link);
        g_queue_push_tail_link(&cache->used, &entry->link);
    }
    pthread_mutex_unlock(&cache->lock);
    return entry != NULL;
}

/* Under the lock. */
static void traits_cache_forget(struct traits_cache *cache, struct traits_entry *entry)
{
    g_queue_unlink(&cache->used, &entry->link);
    g_hash_table_remove(cache->entries, entry->key);
}

void traits_cache_put(struct traits_cache *cache, const char *tenant, const char *language, const char *sha256,
                      const struct code_look *look)
{
    struct traits_entry *entry = g_new0(struct traits_entry, 1);
    entry->key = traits_key(tenant, language, sha256);
    entry->link.data = entry;
    code_look_copy(look, &entry->look);
    pthread_mutex_lock(&cache->lock);
    struct traits_entry *known = g_hash_table_lookup(cache->entries, entry->key);
    if (known != NULL)
        traits_cache_forget(cache, known);
    g_hash_table_insert(cache->entries, entry->key, entry);
    g_queue_push_tail_link(&cache->used, &entry->link);
    if (cache->used.length > cache->entries_max)
        traits_cache_forget(cache, cache->used.head->data);
    pthread_mutex_unlock(&cache->lock);
}
