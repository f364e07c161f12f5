/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/program.h"

#include "base/error.h"
#include "model/limits.h"

#include <string.h>

#define AT(type, member) G_STRUCT_OFFSET(struct type, member)

static const struct codec_field program_file_fields[] = {
    {"path", CODEC_STRING, AT(program_file, path), CODEC_REQUIRED, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"mode", CODEC_UINT, AT(program_file, mode), CODEC_SPARSE, 0, 0777, NULL, NULL},
    {"content_base64", CODEC_BYTES, AT(program_file, content), CODEC_REQUIRED, 0, MODEL_FILE_MAX, NULL, NULL},
};

CODEC_DEFINE(program_file, program_file_fields)

static const struct codec_field program_fields[] = {
    {"interpreter", CODEC_NAME, AT(program, interpreter), 0, 0, MODEL_NAME_MAX, NULL, NULL},
    {"source", CODEC_STRING, AT(program, source), 0, 0, MODEL_CODE_MAX, NULL, NULL},
    {"argv", CODEC_STRV, AT(program, argv), 0, 0, MODEL_ARGS_MAX, NULL, NULL},
    {"files", CODEC_LIST, AT(program, files), 0, 0, MODEL_FILES_MAX, &program_file_codec, NULL},
    {"env", CODEC_ENV, AT(program, env), 0, 0, MODEL_ARGS_MAX, NULL, NULL},
    {"cwd", CODEC_STRING, AT(program, cwd), 0, 0, MODEL_TEXT_MAX, NULL, NULL},
    {"stdin_base64", CODEC_BYTES, AT(program, stdin_bytes), 0, 0, MODEL_STDIN_MAX, NULL, NULL},
    {"stdin_open", CODEC_BOOL, AT(program, stdin_open), CODEC_SPARSE, 0, 0, NULL, NULL},
    {"source_sha256", CODEC_NAME, AT(program, source_sha256), 0, 0, 64, NULL, NULL},
    {"source_url", CODEC_STRING, AT(program, source_url), 0, 0, MODEL_TEXT_MAX, NULL, NULL},
};

CODEC_DEFINE(program, program_fields)

gboolean program_check_runnable(const struct program *program, GError **error)
{
    const gboolean has_source = program->source != NULL || program->source_sha256 != NULL;
    if (!has_source && (program->argv == NULL || program->argv[0] == NULL)) {
        hbr_error_set(error, HBR_ERROR_INVALID,
                      "/program: says nothing to run; right would be source with interpreter, or argv");
        return FALSE;
    }
    if (has_source && program->interpreter == NULL) {
        hbr_error_set(error, HBR_ERROR_INVALID,
                      "/program/interpreter: is missing; source needs one, such as python3 or sh");
        return FALSE;
    }
    return TRUE;
}

char *program_digest(const struct program *program)
{
    struct program stem = *program; /* borrows all of it */
    g_autofree char *source_sha256 = program->source == NULL
                                         ? g_strdup(program->source_sha256)
                                         : g_compute_checksum_for_string(G_CHECKSUM_SHA256, program->source, -1);
    stem.source = NULL;
    stem.source_sha256 = source_sha256;
    stem.source_url = NULL;
    stem.stdin_bytes = NULL;
    stem.stdin_open = FALSE;
    g_autofree char *text = codec_encode_text(&program_codec, &stem, CODEC_STORE);
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
}
