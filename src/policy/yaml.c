/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/yaml.h"

#include "base/error.h"

#include <string.h>
#include <yaml.h>

struct yaml_reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the present one; cleared by the next */
    gboolean has_event;
    const char *file;
    guint node_count;
    GError **error;
};

gboolean yaml_node_fail(const struct yaml_node *node, GError **error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    g_autofree char *valid = g_utf8_make_valid(message, -1); /* a long value was cut, perhaps inside a character */
    hbr_error_set(error, HBR_ERROR_INVALID, "%s:%u: %s", node->file, node->line, valid);
    return FALSE;
}

void yaml_node_free(struct yaml_node *node)
{
    if (node == NULL)
        return;
    g_clear_pointer(&node->children, g_ptr_array_unref);
    g_free(node->key);
    g_free(node->text);
    g_free(node);
}

static void yaml_node_destroy(gpointer node)
{
    yaml_node_free(node);
}

const struct yaml_node *yaml_node_member(const struct yaml_node *mapping, const char *key)
{
    for (guint i = 0; i < mapping->children->len; i++) {
        const struct yaml_node *member = g_ptr_array_index(mapping->children, i);
        if (strcmp(member->key, key) == 0)
            return member;
    }
    return NULL;
}

gboolean yaml_node_is_null(const struct yaml_node *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    return node->kind == YAML_SCALAR && node->is_plain && g_strv_contains(nulls, node->text);
}

static gboolean yaml_reader_fail(const struct yaml_reader *reader, int code, gsize line, const char *message)
{
    hbr_error_set(reader->error, code, "%s:%" G_GSIZE_FORMAT ": %s", reader->file, line + 1, message);
    return FALSE;
}

static gboolean yaml_reader_next(struct yaml_reader *reader)
{
    if (reader->has_event)
        yaml_event_delete(&reader->event);
    reader->has_event = yaml_parser_parse(&reader->parser, &reader->event) != 0;
    if (reader->has_event)
        return TRUE;
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem != NULL ? parser->problem : "cannot be read";
    const char *context = parser->context != NULL ? parser->context : "";
    g_autofree char *message = g_strdup_printf("not valid YAML: %s%s%s; right would be YAML 1.1 in UTF-8", context,
                                               *context != '\0' ? ", " : "", problem);
    return yaml_reader_fail(reader, HBR_ERROR_INVALID, parser->problem_mark.line, message);
}

/* What a policy never needs, and what makes a small text a large tree. */
static gboolean yaml_reader_refuse_extras(const struct yaml_reader *reader, const yaml_char_t *anchor,
                                          const yaml_char_t *tag)
{
    const gsize line = reader->event.start_mark.line;
    if (anchor != NULL)
        return yaml_reader_fail(reader, HBR_ERROR_INVALID, line,
                                "anchors are not accepted; right would be the value written out "
                                "(text that begins with & stands in quotes)");
    if (tag != NULL)
        return yaml_reader_fail(reader, HBR_ERROR_INVALID, line,
                                "tags are not accepted; right would be the value alone "
                                "(text that begins with ! stands in quotes)");
    return TRUE;
}

static struct yaml_node *yaml_reader_node(struct yaml_reader *reader, guint depth);

static gboolean yaml_reader_items(struct yaml_reader *reader, struct yaml_node *list, guint depth)
{
    while (yaml_reader_next(reader)) {
        if (reader->event.type == YAML_SEQUENCE_END_EVENT)
            return TRUE;
        struct yaml_node *item = yaml_reader_node(reader, depth + 1);
        if (item == NULL)
            return FALSE;
        g_ptr_array_add(list->children, item);
    }
    return FALSE;
}

/* Keys seen so far, so that a mapping of many members is not searched for each. */
static gboolean yaml_reader_check_key(const struct yaml_reader *reader, const struct yaml_node *key, GHashTable *seen)
{
    if (key->kind != YAML_SCALAR)
        return yaml_reader_fail(reader, HBR_ERROR_INVALID, key->line - 1,
                                "a key is a list or a mapping; right would be a word");
    gpointer first = NULL;
    if (!g_hash_table_lookup_extended(seen, key->text, NULL, &first))
        return TRUE;
    g_autofree char *message = g_strdup_printf(
        "\"%s\" is given twice, first in line %u; right would be to give it once", key->text, GPOINTER_TO_UINT(first));
    return yaml_reader_fail(reader, HBR_ERROR_INVALID, key->line - 1, message);
}

static struct yaml_node *yaml_reader_member(struct yaml_reader *reader, GHashTable *seen, guint depth)
{
    g_autoptr(yaml_node_auto) key = yaml_reader_node(reader, depth + 1);
    if (key == NULL || !yaml_reader_check_key(reader, key, seen) || !yaml_reader_next(reader))
        return NULL;
    struct yaml_node *member = yaml_reader_node(reader, depth + 1);
    if (member == NULL)
        return NULL;
    member->key = g_steal_pointer(&key->text);
    member->key_line = key->line;
    g_hash_table_insert(seen, member->key, GUINT_TO_POINTER(member->key_line));
    return member;
}

static gboolean yaml_reader_members(struct yaml_reader *reader, struct yaml_node *mapping, guint depth)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    while (yaml_reader_next(reader)) {
        if (reader->event.type == YAML_MAPPING_END_EVENT)
            return TRUE;
        struct yaml_node *member = yaml_reader_member(reader, seen, depth);
        if (member == NULL)
            return FALSE;
        g_ptr_array_add(mapping->children, member);
    }
    return FALSE;
}

static struct yaml_node *yaml_node_new(struct yaml_reader *reader, enum yaml_kind kind)
{
    struct yaml_node *node = g_new0(struct yaml_node, 1);
    node->kind = kind;
    node->file = reader->file;
    node->line = (guint)reader->event.start_mark.line + 1;
    if (kind != YAML_SCALAR)
        node->children = g_ptr_array_new_with_free_func(yaml_node_destroy);
    return node;
}

static struct yaml_node *yaml_reader_scalar(struct yaml_reader *reader)
{
    const char *value = (const char *)reader->event.data.scalar.value;
    const gsize length = reader->event.data.scalar.length;
    if (!yaml_reader_refuse_extras(reader, reader->event.data.scalar.anchor, reader->event.data.scalar.tag))
        return NULL;
    if (memchr(value, '\0', length) != NULL) {
        yaml_reader_fail(reader, HBR_ERROR_INVALID, reader->event.start_mark.line,
                         "text contains a NUL character; right would be text without it");
        return NULL;
    }
    struct yaml_node *node = yaml_node_new(reader, YAML_SCALAR);
    node->text = g_strndup(value, length);
    node->is_plain = reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return node;
}

static struct yaml_node *yaml_reader_list(struct yaml_reader *reader, guint depth)
{
    if (!yaml_reader_refuse_extras(reader, reader->event.data.sequence_start.anchor,
                                   reader->event.data.sequence_start.tag))
        return NULL;
    g_autoptr(yaml_node_auto) list = yaml_node_new(reader, YAML_LIST);
    return yaml_reader_items(reader, list, depth) ? g_steal_pointer(&list) : NULL;
}

static struct yaml_node *yaml_reader_mapping(struct yaml_reader *reader, guint depth)
{
    if (!yaml_reader_refuse_extras(reader, reader->event.data.mapping_start.anchor,
                                   reader->event.data.mapping_start.tag))
        return NULL;
    g_autoptr(yaml_node_auto) mapping = yaml_node_new(reader, YAML_MAPPING);
    return yaml_reader_members(reader, mapping, depth) ? g_steal_pointer(&mapping) : NULL;
}

static gboolean yaml_reader_check_bounds(struct yaml_reader *reader, guint depth)
{
    const gsize line = reader->event.start_mark.line;
    if (depth > YAML_DEPTH_MAX)
        return yaml_reader_fail(reader, HBR_ERROR_TOO_LARGE, line,
                                "nested too deeply; right would be at most " G_STRINGIFY(YAML_DEPTH_MAX) " levels");
    if (++reader->node_count > YAML_NODES_MAX)
        return yaml_reader_fail(reader, HBR_ERROR_TOO_LARGE, line,
                                "too many values; right would be at most " G_STRINGIFY(YAML_NODES_MAX) " in a file");
    return TRUE;
}

/* The node that begins with the present event. */
static struct yaml_node *yaml_reader_node(struct yaml_reader *reader, guint depth)
{
    if (!yaml_reader_check_bounds(reader, depth))
        return NULL;
    switch (reader->event.type) {
    case YAML_SCALAR_EVENT:
        return yaml_reader_scalar(reader);
    case YAML_SEQUENCE_START_EVENT:
        return yaml_reader_list(reader, depth);
    case YAML_MAPPING_START_EVENT:
        return yaml_reader_mapping(reader, depth);
    case YAML_ALIAS_EVENT:
        yaml_reader_fail(reader, HBR_ERROR_INVALID, reader->event.start_mark.line,
                         "aliases are not accepted; right would be the value written out "
                         "(a pattern that begins with * stands in quotes)");
        return NULL;
    default:
        yaml_reader_fail(reader, HBR_ERROR_INVALID, reader->event.start_mark.line, "a value is missing here");
        return NULL;
    }
}

/* What follows the node of the document: its end, and the end of the stream. */
static gboolean yaml_reader_finish(struct yaml_reader *reader)
{
    if (!yaml_reader_next(reader) || !yaml_reader_next(reader))
        return FALSE;
    if (reader->event.type == YAML_STREAM_END_EVENT)
        return TRUE;
    return yaml_reader_fail(reader, HBR_ERROR_INVALID, reader->event.start_mark.line,
                            "a second document begins here; right would be one document in a file");
}

static struct yaml_node *yaml_reader_document(struct yaml_reader *reader)
{
    if (!yaml_reader_next(reader) || !yaml_reader_next(reader))
        return NULL;
    if (reader->event.type == YAML_STREAM_END_EVENT)
        return yaml_node_new(reader, YAML_MAPPING);
    if (!yaml_reader_next(reader))
        return NULL;
    g_autoptr(yaml_node_auto) root = yaml_reader_node(reader, 0);
    return root != NULL && yaml_reader_finish(reader) ? g_steal_pointer(&root) : NULL;
}

struct yaml_node *yaml_parse(const char *file, const char *text, gsize length, GError **error)
{
    struct yaml_reader reader = {.file = file, .error = error};
    if (length > YAML_TEXT_MAX) {
        hbr_error_set(error, HBR_ERROR_TOO_LARGE,
                      "%s:1: the file has %" G_GSIZE_FORMAT " bytes; right would be at most %d", file, length,
                      YAML_TEXT_MAX);
        return NULL;
    }
    if (!yaml_parser_initialize(&reader.parser)) {
        hbr_error_set(error, HBR_ERROR_INTERNAL, "%s:1: libyaml has no memory for a parser", file);
        return NULL;
    }
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, length);
    struct yaml_node *root = yaml_reader_document(&reader);
    if (reader.has_event)
        yaml_event_delete(&reader.event);
    yaml_parser_delete(&reader.parser);
    return root;
}
