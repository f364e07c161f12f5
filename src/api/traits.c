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

static void traits_fill_source(struct code_metadata *code, struct code_metadata *guess, const char *source,
                               gsize length)
{
    if (code->code_bytes == 0)
        code->code_bytes = (gint64)length;
    if (code->traits != NULL && code->libraries != NULL)
        return;
    struct code_traits traits;
    struct code_imports imports;
    code_lex(&traits, &imports, code->language != NULL ? code->language : guess->language, source, length);
    if (code->traits == NULL)
        code->traits = code_traits_copy(&traits);
    if (code->libraries == NULL)
        guess->libraries = traits_libraries(&imports);
}

void traits_fill(struct code_metadata *code, struct code_metadata *guess, const struct program *program,
                 struct code_store *store)
{
    traits_fill_arguments(code, program);
    if (code->language == NULL && program->interpreter != NULL)
        guess->language = g_strdup(traits_language_of(program->interpreter));
    if (program->source != NULL) {
        traits_fill_source(code, guess, program->source, strlen(program->source));
    } else if (program->source_sha256 != NULL && store != NULL) {
        const char *tenant = code->tenant != NULL ? code->tenant : "default";
        g_autoptr(GBytes) bytes = code_store_get(store, tenant, program->source_sha256);
        gsize length = 0;
        const char *source = bytes != NULL ? g_bytes_get_data(bytes, &length) : NULL;
        if (source != NULL)
            traits_fill_source(code, guess, source, length);
    }
}
