/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/codec.h"

/* A file put beside the code before it runs. */
struct program_file {
    char *path; /* relative to the working directory, without ".." */
    guint mode; /* permission bits; 0: 0644 */
    GBytes *content;
};

CODEC_DECLARE(program_file)

/* What runs: `source` by `interpreter`, or `argv` (which, with an interpreter, are the arguments of the source). */
struct program {
    char *interpreter;
    char *source;
    char **argv;
    GPtrArray *files; /* struct program_file */
    char **env;       /* "NAME=value" */
    char *cwd;
    GBytes *stdin_bytes;
    gboolean stdin_open; /* more input follows, by POST /v1/executions/ID/stdin */
    char *source_sha256; /* in place of `source`: the digest of what it is, 64 lower-case hexadecimal digits */
    char *source_url;    /* where that can be fetched when it is not known yet; http or https */
};

CODEC_DECLARE(program)

/* Whether it says what to run; HBR_ERROR_INVALID. */
gboolean program_check_runnable(const struct program *program, GError **error);

/* What has to stand in an instance so that only standard input is missing: a SHA-256 over everything else of the program, its source by its own
 * digest. Free with g_free. */
char *program_digest(const struct program *program);
