/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shell/command.h"

#define METADATA_ARGUMENT_MAX G_GINT64_CONSTANT(1000000000000000)

/* Options that say what is known of code before it runs; notify, explain and exec share them. One thread. */

#define METADATA_OPTIONS                                                                                            \
    {"tenant", 0, OPTION_STRING, 0, "NAME", "whose code it is (default)", 0, 0, NULL},                              \
        {"language", 'l', OPTION_STRING,    0, "NAME", "programming language: python, javascript, ...",             \
         0,          0,   complete_language},                                                                       \
        {"library", 0, OPTION_STRING, OPTION_REPEATED, "NAME", "a library that the code uses", 0, 0, NULL},         \
        {"algorithm", 0, OPTION_STRING, 0, "KIND", "kind of algorithm: sort, matrix, web, ...", 0, 0, NULL},        \
        {"entry-point", 0, OPTION_STRING, 0, "NAME", "where the code starts", 0, 0, NULL},                          \
        {"payload", 0, OPTION_STRING, 0, "FILE", "a file like its payload: size, and shape if JSON",                \
         0,         0, complete_file},                                                                              \
        {"payload-bytes", 0, OPTION_SIZE, 0, "SIZE", "size of its payload", 0, 0, NULL},                            \
        {"payload-items", 0, OPTION_INT, 0, "COUNT", "longest array of its payload, or rows", 0, G_MAXINT64, NULL}, \
        {"payload-keys", 0, OPTION_INT, 0, "COUNT", "members of all its objects", 0, G_MAXINT64, NULL},             \
        {"payload-numbers", 0, OPTION_INT, 0, "COUNT", "numbers in its payload", 0, G_MAXINT64, NULL},              \
        {"payload-strings", 0, OPTION_INT, 0, "COUNT", "strings in its payload", 0, G_MAXINT64, NULL},              \
        {"payload-depth", 0, OPTION_INT, 0, "COUNT", "how deep its payload is nested", 0, 100000, NULL},            \
        {"argument-count", 0, OPTION_INT, 0, "COUNT", "arguments that it will get", 0, G_MAXUINT32, NULL},          \
        {"argument-max", 0, OPTION_REAL, 0, "NUMBER", "largest of its arguments", 0, METADATA_ARGUMENT_MAX, NULL},  \
        {"input-bytes", 0, OPTION_SIZE, 0, "SIZE", "data that it reads besides the payload", 0, 0, NULL},           \
        {"parallelism", 0, OPTION_INT, 0, "COUNT", "threads or processes that it will use", 1, 1024, NULL},         \
        {"gpu", 0, OPTION_BOOL, 0, NULL, "it wants a GPU", 0, 0, NULL},                                             \
        {"template", 0, OPTION_STRING, 0, "NAME", "VM template wanted (the profile's)", 0, 0, NULL},                \
    {                                                                                                               \
        "label", 0, OPTION_STRING, OPTION_REPEATED, "LABEL", "a label that its host must carry", 0, 0, NULL         \
    }

/* For code that is only looked at (explain): "code", the file. */
#define METADATA_CODE_OPTION                                                                  \
    {                                                                                         \
        "code", 0, OPTION_STRING, 0, "FILE", "the code, to be looked at", 0, 0, complete_file \
    }

/* The "code" member of a notification or request. NULL with SHELL_ERROR_FILE. json_decref it. */
json_t *metadata_new(const struct arguments *arguments, const char *function, GError **error);

/* Adds what a file of code tells: "code_bytes", and "language" unless it is there. FALSE with SHELL_ERROR_FILE. */
gboolean metadata_add_code_file(json_t *code, const char *path, GError **error);

/* Sets `member` to a time, RFC 3339. */
void metadata_set_time(json_t *object, const char *member, gint64 at);
