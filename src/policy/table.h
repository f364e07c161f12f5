/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/codec.h"
#include "policy/quantity.h"
#include "policy/yaml.h"

/* One table per section of a policy file says what its keys are called, of which type, unit and bounds they are, and what they default to. The
 * same table parses, dumps, frees, and is what the manual's tables are checked against. Any thread. */

enum policy_type {
    POLICY_UINT,    /* guint; an amount of `quantity` */
    POLICY_INT64,   /* gint64; the same */
    POLICY_DOUBLE,  /* double; the same */
    POLICY_BOOL,    /* gboolean */
    POLICY_NAME,    /* char *, as an object is called */
    POLICY_CHOICE,  /* an enum; one of `words` */
    POLICY_WORDS,   /* char **; one glob(7) pattern or a list of them */
    POLICY_SECTION, /* a mapping with the keys of `nested`, in an embedded struct or, with offset 0, in this one */
};

enum policy_key_flags {
    POLICY_REQUIRED = 1 << 0,
    POLICY_SPARSE = 1 << 1, /* its default means "not set": it is not dumped */
};

struct policy_section;

struct policy_key {
    const char *name;
    const char *help; /* one sentence fragment, for the manual */
    enum policy_type type;
    enum quantity quantity;
    guint flags;
    gsize offset;
    double fallback; /* of amounts, booleans and choices */
    double min, max;
    const struct policy_section *nested;
    const struct codec_words *words;
};

struct policy_section {
    const char *what; /* "profile" */
    const struct policy_key *keys;
    guint key_count;
};

#define POLICY_WORDS_MAX 256

/* Sets every key to its default. */
void policy_section_reset(const struct policy_section *section, gpointer object);

/* Reads a mapping into an object that was reset. FALSE with "file:line: what is wrong; what would be right". */
gboolean policy_section_parse(const struct policy_section *section, const struct yaml_node *node, gpointer object,
                              GError **error);

/* The object in the form of a policy file (JSON is YAML): parsing it gives the same again. */
json_t *policy_section_dump(const struct policy_section *section, gconstpointer object);

/* Frees the strings of the object. */
void policy_section_clear(const struct policy_section *section, gpointer object);

/* The default of a key as one would write it; NULL where there is none. Free with g_free. */
char *policy_key_default(const struct policy_key *key);

/* "1 s to 1 h", "true or false", ... Free with g_free. */
char *policy_key_range(const struct policy_key *key);

/* Fails at the node: `what` has no key of that name, with the nearest name or all of them. */
gboolean policy_fail_unknown(const struct yaml_node *node, const char *what, const char *const *names, guint count,
                             GError **error);
