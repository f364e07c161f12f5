/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/traits.h"

#include "model/limits.h"
#include "predict/lexer.h"

#include <math.h>
#include <string.h>

const char *traits_language_of(const char *interpreter)
{
    static const struct {
        const char *stem, *language; /* a version follows the stem */
    } known[] = {
        {"python", "python"},  {"pypy", "python"},     {"perl", "perl"},         {"lua", "lua"},
        {"luajit", "lua"},     {"node", "javascript"}, {"nodejs", "javascript"}, {"deno", "javascript"},
        {"bun", "javascript"}, {"sh", "shell"},        {"dash", "shell"},        {"ash", "shell"},
        {"bash", "bash"},      {"ruby", "ruby"},       {"php", "php"},           {"Rscript", "r"},
        {"julia", "julia"},    {"escript", "erlang"},  {"elixir", "elixir"},     {"guile", "scheme"},
        {"racket", "racket"},  {"sbcl", "lisp"},       {"ocaml", "ocaml"},
    };
    const char *slash = strrchr(interpreter, '/');
    const char *base = slash != NULL ? slash + 1 : interpreter;
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        const gsize length = strlen(known[i].stem);
        if (strncmp(base, known[i].stem, length) == 0 && base[length + strspn(base + length, "0123456789.-")] == '\0')
            return known[i].language;
    }
    return NULL;
}

/* "12", "-n=12" and "1e6" are numbers; 0 for what is none, or less. */
static double traits_number(const char *argument)
{
    const char *equals = strrchr(argument, '=');
    const char *text = equals != NULL ? equals + 1 : argument;
    char *end;
    const double value = g_ascii_strtod(text, &end);
    return end != text && *end == '\0' && isfinite(value) ? CLAMP(value, 0, (double)MODEL_ARGUMENT_MAX) : 0;
}

/* Without a source, the first word is what runs. */
static void traits_fill_arguments(struct code_metadata *code, const struct program *program)
{
    if (code->argument_count > 0 || code->argument_max > 0 || program->argv == NULL)
        return;
    const gboolean has_source = program->source != NULL || program->source_sha256 != NULL;
    for (guint i = has_source ? 0 : 1; i < g_strv_length(program->argv); i++) {
        code->argument_count++;
        code->argument_max = MAX(code->argument_max, traits_number(program->argv[i]));
    }
}

static char **traits_libraries(const struct code_imports *imports)
{
    if (imports->count == 0)
        return NULL;
    char **libraries = g_new0(char *, imports->count + 1);
    for (guint i = 0; i < imports->count; i++)
        libraries[i] = g_strdup(imports->names[i]);
    return libraries;
}

/* The source is at hand, or in the store. FALSE when it is nowhere. */
static gboolean traits_read(const struct traits_sources *sources, const char *tenant, const char *language,
                            const struct program *program, const char *sha256, struct code_look *ret_look)
{
    g_autoptr(GBytes) bytes = NULL;
    gsize length = program->source != NULL ? strlen(program->source) : 0;
    const char *source = program->source;
    if (source == NULL && sources->store != NULL)
        bytes = code_store_get(sources->store, tenant, sha256);
    if (bytes != NULL)
        source = g_bytes_get_data(bytes, &length);
    if (source == NULL)
        return FALSE;
    struct code_imports imports;
    code_lex(&ret_look->traits, &imports, language, source, length);
    ret_look->code_bytes = (gint64)length;
    ret_look->libraries = traits_libraries(&imports);
    return TRUE;
}

static gboolean traits_look(const struct traits_sources *sources, const char *tenant, const char *language,
                            const struct program *program, struct code_look *ret_look)
{
    g_autofree char *sha256 = program->source != NULL
                                  ? g_compute_checksum_for_string(G_CHECKSUM_SHA256, program->source, -1)
                                  : g_strdup(program->source_sha256);
    if (sha256 == NULL)
        return FALSE;
    if (traits_cache_get(sources->cache, tenant, language, sha256, ret_look))
        return TRUE;
    if (!traits_read(sources, tenant, language, program, sha256, ret_look))
        return FALSE;
    traits_cache_put(sources->cache, tenant, language, sha256, ret_look);
    return TRUE;
}

void traits_fill(struct code_metadata *code, struct code_metadata *guess, const struct program *program,
                 const struct traits_sources *sources)
{
    traits_fill_arguments(code, program);
    if (code->language == NULL && program->interpreter != NULL)
        guess->language = g_strdup(traits_language_of(program->interpreter));
    if (code->traits != NULL && code->libraries != NULL && code->code_bytes > 0)
        return;
    const char *language = code->language != NULL ? code->language : guess->language;
    struct code_look look = {0};
    if (!traits_look(sources, code->tenant != NULL ? code->tenant : "default", language, program, &look))
        return;
    if (code->code_bytes == 0)
        code->code_bytes = look.code_bytes;
    if (code->traits == NULL)
        code->traits = code_traits_copy(&look.traits);
    if (code->libraries == NULL)
        guess->libraries = g_steal_pointer(&look.libraries);
    code_look_clear(&look);
}
