/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Typed options of a command, from a table, and the parser that checks a command line against it. One thread. */

enum option_type {
    OPTION_BOOL,
    OPTION_STRING,
    OPTION_INT,      /* `min`..`max` */
    OPTION_REAL,     /* `min`..`max` */
    OPTION_DURATION, /* milliseconds, `min`..`max` (0: no bound) */
    OPTION_SIZE,     /* bytes, `min`..`max` (0: no bound) */
    OPTION_TIME,     /* microseconds since the epoch */
};

enum option_flags {
    OPTION_POSITIONAL = 1 << 0, /* may be given without its name, in the order of the table */
    OPTION_REQUIRED = 1 << 1,
    OPTION_REPEATED = 1 << 2, /* OPTION_STRING only; a positional one takes the rest of the words */
};

struct session;

/* Adds candidates (g_strdup) for a word that begins with `prefix`; others are dropped by the caller. May ask the daemon. */
typedef void (*option_completer)(struct session *session, const char *prefix, GPtrArray *candidates);

struct command_option {
    const char *name; /* "arrival-in" */
    char letter;      /* 'c' for "-c"; 0: none */
    enum option_type type;
    guint flags;
    const char *value; /* what help calls its value: "DURATION"; NULL with OPTION_BOOL */
    const char *help;
    gint64 min, max;
    option_completer complete;
};

/* What was given. */
struct arguments;

/* Options that every command takes: --help, --json, --quiet. */
extern const struct command_option common_options[];
extern const guint common_option_count;

/* Checks `words` (without the command's name) against a table. After "--" every word is positional. `now` is what "+90s" counts
 * from. NULL with SHELL_ERROR_USAGE and a message that says what would be right. Free with arguments_free. */
struct arguments *arguments_parse(const struct command_option *options, guint count, const char *const *words,
                                  gint64 now, GError **error);
void arguments_free(struct arguments *arguments);
typedef struct arguments arguments_auto;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(arguments_auto, arguments_free)

/* Values by option name. Options that were not given: FALSE, NULL, 0. Asking for an option that is not in the table is a programming error. */
gboolean arguments_has(const struct arguments *arguments, const char *name);
const char *arguments_string(const struct arguments *arguments, const char *name);
gint64 arguments_number(const struct arguments *arguments, const char *name);
double arguments_real(const struct arguments *arguments, const char *name);
const char *const *arguments_strings(const struct arguments *arguments,
                                     const char *name); /* never NULL; repeated options */

/* The option of that name ("arrival-in") in the table or among the common ones; NULL when there is none. */
const struct command_option *option_find(const struct command_option *options, guint count, const char *name);
const struct command_option *option_find_letter(const struct command_option *options, guint count, char letter);

/* The positional option which takes the positional word number `index`; NULL when there is none. */
const struct command_option *option_find_positional(const struct command_option *options, guint count, guint index);

/* Of `names` the one that is most like `word`, when it is like enough to be what was meant; else NULL. */
const char *option_guess(const char *word, const char *const *names);
