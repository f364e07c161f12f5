/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/table.h"

#include "base/id.h"
#include "model/limits.h"

#include <math.h>
#include <string.h>

static gboolean key_is_amount(const struct policy_key *key)
{
    return key->type == POLICY_UINT || key->type == POLICY_INT64 || key->type == POLICY_DOUBLE;
}

static gpointer key_slot(const struct policy_key *key, gpointer object)
{
    return (char *)object + key->offset;
}

static double key_get(const struct policy_key *key, gconstpointer object)
{
    gconstpointer slot = (const char *)object + key->offset;
    switch (key->type) {
    case POLICY_INT64:
        return (double)*(const gint64 *)slot;
    case POLICY_DOUBLE:
        return *(const double *)slot;
    case POLICY_BOOL:
        return *(const gint *)slot;
    default:
        return *(const guint *)slot;
    }
}

static void key_set(const struct policy_key *key, gpointer object, double value)
{
    gpointer slot = key_slot(key, object);
    switch (key->type) {
    case POLICY_INT64:
        *(gint64 *)slot = (gint64)value;
        break;
    case POLICY_DOUBLE:
        *(double *)slot = value;
        break;
    case POLICY_BOOL:
        *(gint *)slot = (gint)value;
        break;
    default:
        *(guint *)slot = (guint)value;
        break;
    }
}

void policy_section_reset(const struct policy_section *section, gpointer object)
{
    for (guint i = 0; i < section->key_count; i++) {
        const struct policy_key *key = &section->keys[i];
        if (key->type == POLICY_SECTION)
            policy_section_reset(key->nested, key_slot(key, object));
        else if (key->type != POLICY_NAME && key->type != POLICY_WORDS)
            key_set(key, object, key->fallback);
    }
}

void policy_section_clear(const struct policy_section *section, gpointer object)
{
    for (guint i = 0; i < section->key_count; i++) {
        const struct policy_key *key = &section->keys[i];
        if (key->type == POLICY_SECTION)
            policy_section_clear(key->nested, key_slot(key, object));
        else if (key->type == POLICY_NAME)
            g_clear_pointer((char **)key_slot(key, object), g_free);
        else if (key->type == POLICY_WORDS)
            g_clear_pointer((char ***)key_slot(key, object), g_strfreev);
    }
}

/* Levenshtein's distance of two short words. */
static guint word_distance(const char *a, const char *b)
{
    enum { WORD_MAX = 32 };
    guint row[WORD_MAX + 1];
    const gsize a_length = strlen(a), b_length = strlen(b);
    if (a_length > WORD_MAX || b_length > WORD_MAX)
        return G_MAXUINT;
    for (guint j = 0; j <= b_length; j++)
        row[j] = j;
    for (guint i = 1; i <= a_length; i++) {
        guint diagonal = row[0];
        row[0] = i;
        for (guint j = 1; j <= b_length; j++) {
            const guint replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = MIN(replaced, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[b_length];
}

static const char *word_nearest(const char *word, const char *const *names, guint count)
{
    const char *nearest = NULL;
    guint least = 3;
    for (guint i = 0; i < count; i++) {
        const guint distance = word_distance(word, names[i]);
        if (distance < least && distance < strlen(word)) {
            least = distance;
            nearest = names[i];
        }
    }
    return nearest;
}

gboolean policy_fail_unknown(const struct yaml_node *node, const char *what, const char *const *names, guint count,
                             GError **error)
{
    const struct yaml_node at_key = {.file = node->file, .line = node->key_line};
    const char *nearest = word_nearest(node->key, names, count);
    if (nearest != NULL)
        return yaml_node_fail(&at_key, error, "%s has no key \"%.64s\"; did you mean \"%s\"?", what, node->key,
                              nearest);
    g_autoptr(GString) all = g_string_new(NULL);
    for (guint i = 0; i < count; i++)
        g_string_append_printf(all, "%s%s", i > 0 ? ", " : "", names[i]);
    return yaml_node_fail(&at_key, error, "%s has no key \"%.64s\"; right would be one of: %s", what, node->key,
                          all->str);
}

/* TRUE when the node is a scalar with a value. */
static gboolean key_expect_scalar(const struct policy_key *key, const struct yaml_node *node, const char *wanted,
                                  GError **error)
{
    if (node->kind == YAML_SCALAR)
        return TRUE;
    return yaml_node_fail(node, error, "%s is a %s; right would be %s", key->name,
                          node->kind == YAML_LIST ? "list" : "mapping", wanted);
}

static gboolean key_parse_amount(const struct policy_key *key, const struct yaml_node *node, gpointer object,
                                 GError **error)
{
    g_autofree char *range = policy_key_range(key);
    if (!key_expect_scalar(key, node, range, error))
        return FALSE;
    g_autoptr(GError) problem = NULL;
    double value = 0;
    if (!quantity_parse(key->quantity, node->text, &value, &problem))
        return yaml_node_fail(node, error, "%s %s", key->name, problem->message);
    if (value < key->min || value > key->max)
        return yaml_node_fail(node, error, "%s is \"%.64s\"; right would be %s", key->name, node->text, range);
    if (key->type != POLICY_DOUBLE && value != floor(value))
        return yaml_node_fail(node, error, "%s is \"%.64s\"; right would be a whole number of %s", key->name,
                              node->text,
                              key->quantity == QUANTITY_MEMORY       ? "MiB"
                              : key->quantity == QUANTITY_DURATION   ? "ms"
                              : key->quantity == QUANTITY_RATE       ? "Mbit/s"
                              : key->quantity == QUANTITY_THROUGHPUT ? "MB/s"
                              : key->quantity == QUANTITY_BYTES      ? "bytes"
                                                                     : "percent");
    key_set(key, object, value);
    return TRUE;
}

static gboolean key_parse_bool(const struct policy_key *key, const struct yaml_node *node, gpointer object,
                               GError **error)
{
    if (!key_expect_scalar(key, node, "true or false", error))
        return FALSE;
    const gboolean is_true = strcmp(node->text, "true") == 0;
    if (!node->is_plain || (!is_true && strcmp(node->text, "false") != 0))
        return yaml_node_fail(node, error, "%s is \"%.64s\"; right would be true or false", key->name, node->text);
    key_set(key, object, is_true);
    return TRUE;
}

static gboolean key_parse_name(const struct policy_key *key, const struct yaml_node *node, gpointer object,
                               GError **error)
{
    if (!key_expect_scalar(key, node, "a name", error))
        return FALSE;
    if (!id_is_valid_name(node->text, MODEL_NAME_MAX))
        return yaml_node_fail(
            node, error,
            "%s is \"%.64s\"; right would be a name of letters, digits and ._:/@+- that begins with a "
            "letter or digit and holds no \"..\"",
            key->name, node->text);
    *(char **)key_slot(key, object) = g_strdup(node->text);
    return TRUE;
}

static gboolean key_parse_choice(const struct policy_key *key, const struct yaml_node *node, gpointer object,
                                 GError **error)
{
    g_autofree char *range = policy_key_range(key);
    if (!key_expect_scalar(key, node, range, error))
        return FALSE;
    const int value = codec_value(key->words, node->text);
    if (value < 0)
        return yaml_node_fail(node, error, "%s is \"%.64s\"; right would be %s", key->name, node->text, range);
    key_set(key, object, value);
    return TRUE;
}

static gboolean key_add_pattern(const struct policy_key *key, const struct yaml_node *node, GStrvBuilder *builder,
                                GError **error)
{
    if (!key_expect_scalar(key, node, "a pattern", error))
        return FALSE;
    const gsize length = strlen(node->text);
    if (length == 0 || length > MODEL_NAME_MAX || !g_utf8_validate(node->text, -1, NULL))
        return yaml_node_fail(node, error, "%s has a pattern of %" G_GSIZE_FORMAT " bytes; right would be 1 to %d",
                              key->name, length, MODEL_NAME_MAX);
    g_strv_builder_add(builder, node->text);
    return TRUE;
}

static gboolean key_parse_words(const struct policy_key *key, const struct yaml_node *node, gpointer object,
                                GError **error)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    if (node->kind == YAML_SCALAR) {
        if (!key_add_pattern(key, node, builder, error))
            return FALSE;
    } else {
        if (node->kind == YAML_MAPPING || node->children->len == 0 || node->children->len > POLICY_WORDS_MAX)
            return yaml_node_fail(node, error, "%s is %s; right would be a pattern, or a list of at most %d of them",
                                  key->name,
                                  node->kind == YAML_MAPPING ? "a mapping"
                                  : node->children->len == 0 ? "an empty list"
                                                             : "a longer list",
                                  POLICY_WORDS_MAX);
        for (guint i = 0; i < node->children->len; i++)
            if (!key_add_pattern(key, g_ptr_array_index(node->children, i), builder, error))
                return FALSE;
    }
    *(char ***)key_slot(key, object) = g_strv_builder_end(builder);
    return TRUE;
}

static gboolean key_parse(const struct policy_key *key, const struct yaml_node *node, gpointer object, GError **error)
{
    if (yaml_node_is_null(node)) {
        g_autofree char *range = policy_key_range(key);
        return yaml_node_fail(node, error, "%s has no value; right would be %s", key->name, range);
    }
    switch (key->type) {
    case POLICY_BOOL:
        return key_parse_bool(key, node, object, error);
    case POLICY_NAME:
        return key_parse_name(key, node, object, error);
    case POLICY_CHOICE:
        return key_parse_choice(key, node, object, error);
    case POLICY_WORDS:
        return key_parse_words(key, node, object, error);
    case POLICY_SECTION:
        return policy_section_parse(key->nested, node, key_slot(key, object), error);
    default:
        return key_parse_amount(key, node, object, error);
    }
}

static const struct policy_key *section_find_key(const struct policy_section *section, const char *name)
{
    for (guint i = 0; i < section->key_count; i++)
        if (strcmp(section->keys[i].name, name) == 0)
            return &section->keys[i];
    return NULL;
}

static gboolean section_fail_unknown(const struct policy_section *section, const struct yaml_node *member,
                                     GError **error)
{
    g_autofree const char **names = g_new0(const char *, section->key_count);
    for (guint i = 0; i < section->key_count; i++)
        names[i] = section->keys[i].name;
    return policy_fail_unknown(member, section->what, names, section->key_count, error);
}

static gboolean section_check_required(const struct policy_section *section, const struct yaml_node *node,
                                       GError **error)
{
    for (guint i = 0; i < section->key_count; i++) {
        const struct policy_key *key = &section->keys[i];
        if ((key->flags & POLICY_REQUIRED) == 0 || yaml_node_member(node, key->name) != NULL)
            continue;
        g_autofree char *range = policy_key_range(key);
        return yaml_node_fail(node, error, "%s has no %s; right would be %s", section->what, key->name, range);
    }
    return TRUE;
}

gboolean policy_section_parse(const struct policy_section *section, const struct yaml_node *node, gpointer object,
                              GError **error)
{
    if (node->kind != YAML_MAPPING)
        return yaml_node_fail(node, error, "%s is a %s; right would be a mapping of keys to values", section->what,
                              node->kind == YAML_LIST ? "list" : "single value");
    for (guint i = 0; i < node->children->len; i++) {
        const struct yaml_node *member = g_ptr_array_index(node->children, i);
        const struct policy_key *key = section_find_key(section, member->key);
        if (key == NULL)
            return section_fail_unknown(section, member, error);
        if (!key_parse(key, member, object, error))
            return FALSE;
    }
    return section_check_required(section, node, error);
}

static json_t *words_dump(char **words)
{
    if (words == NULL)
        return NULL;
    json_t *array = json_array();
    for (; *words != NULL; words++)
        json_array_append_new(array, json_string(*words));
    return array;
}

static json_t *amount_dump(const struct policy_key *key, double value)
{
    if (quantity_units(key->quantity) == NULL)
        return value == floor(value) ? json_integer((json_int_t)value) : json_real(value);
    g_autofree char *text = quantity_format(key->quantity, value);
    return json_string_nocheck(text);
}

static json_t *section_dump_nested(const struct policy_section *section, gconstpointer object)
{
    json_t *json = policy_section_dump(section, object);
    if (json_object_size(json) > 0)
        return json;
    json_decref(json);
    return NULL;
}

/* NULL when the key is not set. */
static json_t *key_dump(const struct policy_key *key, gconstpointer object)
{
    gconstpointer slot = (const char *)object + key->offset;
    switch (key->type) {
    case POLICY_NAME:
        return *(char *const *)slot != NULL ? json_string(*(char *const *)slot) : NULL;
    case POLICY_WORDS:
        return words_dump(*(char **const *)slot);
    case POLICY_SECTION:
        return section_dump_nested(key->nested, slot);
    default:
        break;
    }
    const double value = key_get(key, object);
    if ((key->flags & POLICY_SPARSE) != 0 && value == key->fallback)
        return NULL;
    if (key->type == POLICY_BOOL)
        return json_boolean(value != 0);
    if (key->type == POLICY_CHOICE)
        return json_string_nocheck(codec_word(key->words, (guint)value));
    return amount_dump(key, value);
}

json_t *policy_section_dump(const struct policy_section *section, gconstpointer object)
{
    json_t *json = json_object();
    for (guint i = 0; i < section->key_count; i++) {
        json_t *value = key_dump(&section->keys[i], object);
        if (value != NULL)
            json_object_set_new_nocheck(json, section->keys[i].name, value);
    }
    return json;
}

char *policy_key_default(const struct policy_key *key)
{
    if ((key->flags & (POLICY_REQUIRED | POLICY_SPARSE)) != 0)
        return NULL;
    if (key_is_amount(key))
        return quantity_format(key->quantity, key->fallback);
    if (key->type == POLICY_BOOL)
        return g_strdup(key->fallback != 0 ? "true" : "false");
    if (key->type == POLICY_CHOICE)
        return g_strdup(codec_word(key->words, (guint)key->fallback));
    return NULL;
}

static char *words_range(const struct codec_words *words)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < words->count; i++)
        g_string_append_printf(text, "%s%s", i == 0 ? "" : i + 1 < words->count ? ", " : " or ", words->words[i]);
    return g_string_free(text, FALSE);
}

char *policy_key_range(const struct policy_key *key)
{
    switch (key->type) {
    case POLICY_BOOL:
        return g_strdup("true or false");
    case POLICY_NAME:
        return g_strdup("a name");
    case POLICY_CHOICE:
        return words_range(key->words);
    case POLICY_WORDS:
        return g_strdup("a pattern, or a list of them");
    case POLICY_SECTION:
        return g_strdup("a mapping");
    default:
        break;
    }
    g_autofree char *min = quantity_format(key->quantity, key->min);
    g_autofree char *max = quantity_format(key->quantity, key->max);
    return g_strdup_printf("%s to %s", min, max);
}
