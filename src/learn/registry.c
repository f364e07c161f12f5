/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "learn/registry.h"

#include "base/error.h"
#include "base/log.h"
#include "learn/model-dir.h"
#include "learn/record.h"

#include <pthread.h>

#define OTHERS_KEPT 20 /* records of refused and damaged ones */

struct registry {
    struct model_dir *files;
    guint last_version;
    pthread_mutex_t lock;
    GPtrArray
        *records; /* struct model_record, the oldest first; none of them in MODEL_SERVING, which is told by `serving` */
    struct model *serving; /* NULL: none */
    gboolean is_held;
    GHashTable *unsound; /* version: char *, what is wrong with the file of one that seemed kept, as a reader found; the
                            thread that changes the registry sees for itself when it loads the model */
};

static void record_destroy(gpointer record)
{
    model_record_free(record);
}

static GPtrArray *records_new(void)
{
    return g_ptr_array_new_with_free_func(record_destroy);
}

/* Under the lock, or on the thread that alone changes it; so below. Borrowed; NULL: there is none. */
static struct model_record *registry_lookup(const struct registry *registry, guint version)
{
    for (guint i = 0; i < registry->records->len; i++) {
        struct model_record *record = registry->records->pdata[i];
        if (record->version == version)
            return record;
    }
    return NULL;
}

static gboolean registry_is_serving(const struct registry *registry, guint version)
{
    return registry->serving != NULL && model_get_info(registry->serving)->version == version;
}

static void registry_set_state(struct registry *registry, struct model_record *record, enum model_state state,
                               const char *why)
{
    pthread_mutex_lock(&registry->lock);
    record->state = state;
    g_free(record->why);
    record->why = g_strdup(why);
    pthread_mutex_unlock(&registry->lock);
}

/* NULL for one that cannot be read; what is damaged is moved aside. */
static struct model *registry_load(struct registry *registry, struct model_record *record, GError **error)
{
    g_autoptr(GError) problem = NULL;
    struct model *model = model_dir_load(registry->files, record->version, &problem);
    if (model != NULL)
        return model;
    log_error("learn", "%s", problem->message);
    if (problem->code == HBR_ERROR_INVALID && record->version > 0) {
        registry_set_state(registry, record, MODEL_DAMAGED, problem->message);
        model_dir_set_aside(registry->files, record);
    }
    g_propagate_error(error, g_steal_pointer(&problem));
    return NULL;
}

/* The version last chosen, else the newest older one that ever served, else the shipped one. */
static struct model *registry_load_newest(struct registry *registry, guint wanted)
{
    for (guint i = registry->records->len; i > 0; i--) {
        struct model_record *record = registry->records->pdata[i - 1];
        const gboolean is_proven = record->version == wanted || record->version == 0 || record->served_at != 0;
        if (record->version > wanted || record->state != MODEL_KEPT || !is_proven)
            continue;
        struct model *model = registry_load(registry, record, NULL);
        if (model != NULL)
            return model;
    }
    return NULL;
}

static void registry_load_serving(struct registry *registry)
{
    guint wanted = G_MAXUINT;
    const gboolean is_chosen = model_dir_read_serving(registry->files, &wanted, &registry->is_held);
    registry->serving = registry_load_newest(registry, wanted);
    if (is_chosen && !registry_is_serving(registry, wanted)) {
        registry->is_held = FALSE;
        log_warning("learn", "version %u of the model should serve and cannot; %s", wanted,
                    registry->serving != NULL ? "an older one does" : "none does: rules and history predict");
    }
    if (registry->serving != NULL)
        log_info("learn", "version %u of the model serves", model_get_info(registry->serving)->version);
}

struct registry *registry_open(const struct registry_settings *settings, GError **error)
{
    struct model_dir *files = model_dir_open(settings->dir, settings->prior, error);
    if (files == NULL)
        return NULL;
    struct registry *registry = g_new0(struct registry, 1);
    registry->files = files;
    pthread_mutex_init(&registry->lock, NULL);
    registry->records = records_new();
    registry->unsound = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    registry->last_version = model_dir_scan(files, registry->records);
    registry_load_serving(registry);
    return registry;
}

void registry_free(struct registry *registry)
{
    if (registry == NULL)
        return;
    g_ptr_array_unref(registry->records);
    g_hash_table_unref(registry->unsound);
    g_clear_pointer(&registry->serving, model_unref);
    pthread_mutex_destroy(&registry->lock);
    model_dir_free(registry->files);
    g_free(registry);
}

struct model *registry_get_prior(struct registry *registry)
{
    return model_dir_load(registry->files, 0, NULL); /* what is wrong with it was said when the registry was opened */
}

struct model *registry_get_serving(struct registry *registry)
{
    pthread_mutex_lock(&registry->lock);
    struct model *model = registry->serving != NULL ? model_ref(registry->serving) : NULL;
    pthread_mutex_unlock(&registry->lock);
    return model;
}

gboolean registry_is_held(struct registry *registry)
{
    pthread_mutex_lock(&registry->lock);
    const gboolean is_held = registry->is_held;
    pthread_mutex_unlock(&registry->lock);
    return is_held;
}

guint registry_take_version(struct registry *registry)
{
    return ++registry->last_version;
}

static void registry_forget(struct registry *registry, guint index)
{
    const struct model_record *record = registry->records->pdata[index];
    model_dir_remove(registry->files, record->version);
    pthread_mutex_lock(&registry->lock);
    g_hash_table_remove(registry->unsound, GUINT_TO_POINTER(record->version));
    g_ptr_array_remove_index(registry->records, index);
    pthread_mutex_unlock(&registry->lock);
}

/* What is bounded by itself, so that no number of imports pushes out what has proven good. */
enum model_shelf { SHELF_PROVEN, SHELF_UNPROVEN, SHELF_WITHOUT_FILE, SHELF_COUNT };

static enum model_shelf record_shelf(const struct model_record *record)
{
    if (record->state != MODEL_KEPT)
        return SHELF_WITHOUT_FILE;
    return record->served_at != 0 ? SHELF_PROVEN : SHELF_UNPROVEN;
}

/* Removes the oldest of each shelf while it is too full; never the one that serves, nor the shipped one. */
static void registry_bound(struct registry *registry)
{
    static const guint kept[SHELF_COUNT] = {
        [SHELF_PROVEN] = MODELS_KEPT, [SHELF_UNPROVEN] = MODELS_KEPT, [SHELF_WITHOUT_FILE] = OTHERS_KEPT};
    guint counts[SHELF_COUNT] = {0};
    for (guint i = registry->records->len; i > 0; i--) {
        const struct model_record *record = registry->records->pdata[i - 1];
        const enum model_shelf shelf = record_shelf(record);
        if (record->version > 0 && ++counts[shelf] > kept[shelf] && !registry_is_serving(registry, record->version))
            registry_forget(registry, i - 1);
    }
}

static void registry_add(struct registry *registry, struct model_record *record)
{
    pthread_mutex_lock(&registry->lock);
    g_ptr_array_add(registry->records, record);
    pthread_mutex_unlock(&registry->lock);
    registry_bound(registry);
}

gboolean registry_keep(struct registry *registry, struct model *model, struct model_record *record, GError **error)
{
    g_autoptr(model_record_auto) mine = record;
    if (!model_dir_write(registry->files, model, mine, error))
        return FALSE;
    registry_add(registry, g_steal_pointer(&mine));
    return TRUE;
}

void registry_note_refused(struct registry *registry, struct model_record *record)
{
    record->state = MODEL_REFUSED;
    model_dir_note(registry->files, record);
    registry_add(registry, record);
}

gboolean registry_adopt(struct registry *registry, struct model *model, gboolean is_held, gint64 now, GError **error)
{
    const guint version = model_get_info(model)->version;
    if (!model_dir_write_serving(registry->files, version, is_held, error))
        return FALSE;
    struct model *before = registry->serving;
    struct model_record *record = registry_lookup(registry, version);
    pthread_mutex_lock(&registry->lock);
    registry->serving = model_ref(model);
    registry->is_held = is_held;
    record->served_at = now;
    pthread_mutex_unlock(&registry->lock);
    g_clear_pointer(&before, model_unref);
    if (version > 0)
        model_dir_note(registry->files, record);
    return TRUE;
}

/* What has a file that is worth reading. NULL with HBR_ERROR_NOT_FOUND or HBR_ERROR_CONFLICT. */
static struct model_record *registry_find_kept(const struct registry *registry, guint version, GError **error)
{
    struct model_record *record = registry_lookup(registry, version);
    if (record == NULL) {
        hbr_error_set(error, HBR_ERROR_NOT_FOUND, "there is no version %u of the model", version);
        return NULL;
    }
    if (record->state == MODEL_KEPT)
        return record;
    hbr_error_set(error, HBR_ERROR_CONFLICT, "version %u of the model is %s, and its file is not kept: %s", version,
                  codec_word(&model_state_words, record->state), record->why != NULL ? record->why : "");
    return NULL;
}

struct model *registry_serve(struct registry *registry, guint version, gboolean is_held, gint64 now, GError **error)
{
    struct model_record *record = registry_find_kept(registry, version, error);
    if (record == NULL)
        return NULL;
    g_autoptr(model_auto) model =
        registry_is_serving(registry, version) ? model_ref(registry->serving) : registry_load(registry, record, error);
    if (model == NULL || !registry_adopt(registry, model, is_held, now, error))
        return NULL;
    return g_steal_pointer(&model);
}

gboolean registry_release(struct registry *registry, GError **error)
{
    if (!registry->is_held)
        return TRUE;
    if (!model_dir_write_serving(registry->files, model_get_info(registry->serving)->version, FALSE, error))
        return FALSE;
    pthread_mutex_lock(&registry->lock);
    registry->is_held = FALSE;
    pthread_mutex_unlock(&registry->lock);
    return TRUE;
}

gboolean registry_find_newest(struct registry *registry, guint *ret_version)
{
    for (guint i = registry->records->len; i > 0; i--) {
        const struct model_record *record = registry->records->pdata[i - 1];
        if (record->state != MODEL_KEPT || (record->served_at == 0 && record->version > 0))
            continue;
        *ret_version = record->version;
        return TRUE;
    }
    return FALSE;
}

/* Under the lock. */
static struct model_record *registry_copy(const struct registry *registry, const struct model_record *record)
{
    struct model_record *copy = model_record_copy(record);
    const char *unsound = g_hash_table_lookup(registry->unsound, GUINT_TO_POINTER(record->version));
    if (unsound != NULL && copy->state == MODEL_KEPT) {
        copy->state = MODEL_DAMAGED;
        g_free(copy->why);
        copy->why = g_strdup(unsound);
    }
    if (registry_is_serving(registry, record->version)) {
        copy->state = MODEL_SERVING;
        copy->is_held = registry->is_held;
    }
    return copy;
}

void registry_write_list(struct registry *registry, GString *text)
{
    g_string_append(text, "{\"models\":[");
    pthread_mutex_lock(&registry->lock);
    for (guint i = registry->records->len; i > 0; i--) {
        g_autoptr(model_record_auto) record = registry_copy(registry, registry->records->pdata[i - 1]);
        codec_write(text, &model_record_codec, record, CODEC_CLIENT);
        g_string_append(text, i > 1 ? "," : "");
    }
    pthread_mutex_unlock(&registry->lock);
    g_string_append(text, "]}");
}

char *registry_describe(struct registry *registry, guint version, GError **error)
{
    pthread_mutex_lock(&registry->lock);
    const struct model_record *record = registry_lookup(registry, version);
    g_autoptr(model_record_auto) copy = record != NULL ? registry_copy(registry, record) : NULL;
    pthread_mutex_unlock(&registry->lock);
    if (copy != NULL)
        return codec_encode_text(&model_record_codec, copy, CODEC_CLIENT);
    hbr_error_set(error, HBR_ERROR_NOT_FOUND, "there is no version %u of the model", version);
    return NULL;
}

/* On any thread: `problem`, or NULL, is told of the version from now on. */
static void registry_note_sound(struct registry *registry, guint version, const GError *problem)
{
    pthread_mutex_lock(&registry->lock);
    if (problem == NULL)
        g_hash_table_remove(registry->unsound, GUINT_TO_POINTER(version));
    else if (registry_lookup(registry, version) != NULL)
        g_hash_table_insert(registry->unsound, GUINT_TO_POINTER(version), g_strdup(problem->message));
    pthread_mutex_unlock(&registry->lock);
}

GBytes *registry_read(struct registry *registry, guint version, GError **error)
{
    pthread_mutex_lock(&registry->lock);
    const gboolean is_kept = registry_find_kept(registry, version, error) != NULL;
    pthread_mutex_unlock(&registry->lock);
    g_autoptr(GError) problem = NULL;
    GBytes *content = is_kept ? model_dir_read(registry->files, version, &problem) : NULL;
    if (!is_kept)
        return NULL;
    if (content != NULL || g_error_matches(problem, HBR_ERROR, HBR_ERROR_INVALID))
        registry_note_sound(registry, version, problem);
    if (g_error_matches(problem, HBR_ERROR, HBR_ERROR_INVALID))
        hbr_error_set(error, HBR_ERROR_CONFLICT, "version %u of the model is damaged: %s", version, problem->message);
    else if (problem != NULL)
        g_propagate_error(error, g_steal_pointer(&problem));
    return content;
}
