/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <jansson.h>

/* One table per struct says what its fields are called in JSON, of which kind they are and how large they may be. The same
 * table decodes (with bounds, and errors that carry a JSON pointer), encodes, copies and frees. Any thread. */

enum codec_kind {
    CODEC_STRING, /* char *, at most `max` bytes of UTF-8 without NUL (whoever prints it escapes control characters) */
    CODEC_NAME,   /* char *, id_is_valid_name() of at most `max` bytes */
    CODEC_UINT,   /* guint, `min`..`max` */
    CODEC_INT64,  /* gint64, `min`..`max` */
    CODEC_DOUBLE, /* double, `min`..`max` */
    CODEC_BOOL,   /* gboolean */
    CODEC_TIME,   /* gint64 microseconds since the epoch; RFC 3339 in JSON; 0 is absent */
    CODEC_ENUM,   /* an enum (of the size of guint); a word of `words` in JSON */
    CODEC_STRV,   /* char **, at most `max` strings of at most CODEC_STRV_ITEM_MAX bytes */
    CODEC_ENV,    /* char ** of "NAME=value"; an object in JSON, at most `max` members */
    CODEC_BYTES,  /* GBytes *, base64 in JSON, at most `max` bytes decoded */
    CODEC_STRUCT, /* an embedded struct, by `nested` */
    CODEC_OBJECT, /* a pointer to a struct, by `nested`; NULL is absent */
    CODEC_LIST,   /* GPtrArray * of structs, by `nested`, at most `max`; NULL is empty */
};

#define CODEC_STRV_ITEM_MAX 65536
#define CODEC_DEPTH_MAX 64      /* levels of a JSON document */
#define CODEC_VALUES_MAX 262144 /* values in one */

enum codec_field_flags {
    CODEC_REQUIRED = 1 << 0, /* decoding refuses its absence */
    CODEC_OURS = 1 << 1,     /* set by Harbinger: refused in what a client sends */
    CODEC_SPARSE = 1 << 2,   /* left out of JSON when zero */
    CODEC_PRIVATE = 1 << 3,  /* kept in the store, never shown to a client */
    CODEC_LOWER = 1 << 4,    /* text: case does not matter, and is lower once decoded */
};

/* The words of an enum, indexed by its values. */
struct codec_words {
    const char *const *words;
    guint count;
};

/* What codec_seal() leaves in an object. */
struct codec_seal {
    gint holders;
    gsize length;
    char json[];
};

struct codec;

struct codec_field {
    const char *name;
    enum codec_kind kind;
    gsize offset;
    guint flags;
    gint64 min, max;
    const struct codec *nested;
    const struct codec_words *words;
};

struct codec {
    const char *what; /* for messages: "notification" */
    gsize size;
    const struct codec_field *fields;
    guint field_count;
    gsize seal_offset; /* of a `struct codec_seal *` in it; 0: it cannot be sealed */
};

/* Who wrote the JSON, or who will read it. */
enum codec_side {
    CODEC_CLIENT, /* unknown members and CODEC_OURS are refused; CODEC_PRIVATE is not shown */
    CODEC_STORE, /* our own database: everything in and out; unknown members are skipped (a later version wrote them) */
};

/* The document of `length` bytes: at most `max` bytes and the bounds above, no duplicate keys, UTF-8. NULL with HBR_ERROR_INVALID (line and column) or
 * HBR_ERROR_TOO_LARGE. */
json_t *codec_parse(const char *text, gsize length, gsize max, GError **error);

/* A new struct from a JSON object, or NULL with an error that begins with the JSON pointer of the culprit. `pointer` is the pointer of `json`
 * itself, "" for a whole document. Free with codec_free. */
gpointer codec_decode(const struct codec *codec, const json_t *json, const char *pointer, enum codec_side side,
                      GError **error);

/* Decode from text in one go. */
gpointer codec_decode_text(const struct codec *codec, const char *text, gsize length, gsize max, enum codec_side side,
                           GError **error);

/* Appends the object as compact JSON. Never fails. */
void codec_write(GString *out, const struct codec *codec, gconstpointer object, enum codec_side side);

/* Appends a JSON string; what is not UTF-8 in it is replaced. */
void codec_write_string(GString *out, const char *text);

/* The same as text of its own. Free with g_free. */
char *codec_encode_text(const struct codec *codec, gconstpointer object, enum codec_side side);

/* The same as a new JSON object, for those who go on composing. */
json_t *codec_encode(const struct codec *codec, gconstpointer object, enum codec_side side);

gpointer codec_copy(const struct codec *codec, gconstpointer object);

/* As codec_copy(), of a sealed object too one that may be changed. */
gpointer codec_copy_open(const struct codec *codec, gconstpointer object);

/* Copies each member of `from` that `to` lacks: pointers that are NULL, plain values that are 0. Embedded structs are filled member by
 * member. */
void codec_fill_absent(const struct codec *codec, gpointer to, gconstpointer from);

/* Declares the object complete. From then on nobody changes it; its copies are itself, counted over all threads, and it is written as the text that
 * it had. For what is made once and kept, sent and written many times. No member of it may be CODEC_PRIVATE. */
void codec_seal(const struct codec *codec, gpointer object);

/* NULL when it is not sealed. */
const struct codec_seal *codec_get_seal(const struct codec *codec, gconstpointer object);

/* Frees the members and the struct; of a sealed object only with its last copy. NULL is accepted. */
void codec_free(const struct codec *codec, gpointer object);

/* Frees the members only (embedded structs), leaving zeros. */
void codec_clear(const struct codec *codec, gpointer object);

/* The word of a value, and back (-1 when there is no such word). */
const char *codec_word(const struct codec_words *words, guint value);
int codec_value(const struct codec_words *words, const char *word);

/* Defines `NAME_codec`-based free and copy functions and the autoptr clean-up of `struct NAME`. */
#define CODEC_DECLARE(name)                            \
    extern const struct codec name##_codec;            \
    void name##_free(struct name *name);               \
    struct name *name##_copy(const struct name *name); \
    typedef struct name name##_auto;                   \
    G_DEFINE_AUTOPTR_CLEANUP_FUNC(name##_auto, name##_free)

#define CODEC_DEFINE(name, field_table) CODEC_DEFINE_SEALABLE(name, field_table, 0)

#define CODEC_DEFINE_SEALABLE(name, field_table, seal_offset)                                              \
    const struct codec name##_codec = {#name, sizeof(struct name), field_table, G_N_ELEMENTS(field_table), \
                                       seal_offset};                                                       \
    void name##_free(struct name *name)                                                                    \
    {                                                                                                      \
        codec_free(&name##_codec, name);                                                                   \
    }                                                                                                      \
    struct name *name##_copy(const struct name *name)                                                      \
    {                                                                                                      \
        return codec_copy(&name##_codec, name);                                                            \
    }

#define CODEC_WORDS_DEFINE(name, ...)                       \
    static const char *const name##_list[] = {__VA_ARGS__}; \
    const struct codec_words name = {name##_list, G_N_ELEMENTS(name##_list)}
