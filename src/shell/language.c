/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/language.h"

#include <string.h>

#define SHEBANG_MAX 256

static const struct language {
    const char *name;
    const char *extensions;  /* separated by blanks */
    const char *interpreter; /* NULL: it is compiled, or none is common */
    const char *stem;        /* what the names of its interpreters begin with */
} languages[] = {
    {"python", "py", "python3", "python"},
    {"perl", "pl pm", "perl", "perl"},
    {"lua", "lua", "lua", "lua"},
    {"javascript", "js mjs cjs", "node", "node"},
    {"shell", "sh", "sh", "sh"},
    {"ruby", "rb", "ruby", "ruby"},
    {"bash", "bash", "bash", "bash"},
    {"php", "php", "php", "php"},
    {"c", "c h", NULL, NULL},
    {"c++", "cc cpp cxx c++ hh hpp hxx", NULL, NULL},
    {"chapel", "chpl", NULL, NULL},
    {"clojure", "clj", NULL, NULL},
    {"coffeescript", "coffee", NULL, NULL},
    {"crystal", "cr", NULL, NULL},
    {"csharp", "cs", NULL, NULL},
    {"cuda", "cu", NULL, NULL},
    {"d", "d", NULL, NULL},
    {"dart", "dart", NULL, NULL},
    {"elixir", "ex exs", NULL, NULL},
    {"erlang", "erl", NULL, NULL},
    {"fsharp", "fs fsx", NULL, NULL},
    {"go", "go", NULL, NULL},
    {"groovy", "groovy", NULL, NULL},
    {"haskell", "hs", NULL, NULL},
    {"java", "java", NULL, NULL},
    {"julia", "jl", NULL, NULL},
    {"kotlin", "kt kts", NULL, NULL},
    {"lisp", "lisp lsp cl", NULL, NULL},
    {"nim", "nim", NULL, NULL},
    {"ocaml", "ml", NULL, NULL},
    {"pascal", "pas pp", NULL, NULL},
    {"r", "r R", NULL, NULL},
    {"racket", "rkt", NULL, NULL},
    {"rust", "rs", NULL, NULL},
    {"scala", "scala sc", NULL, NULL},
    {"scheme", "scm ss", NULL, NULL},
    {"swift", "swift", NULL, NULL},
    {"typescript", "ts mts cts", NULL, NULL},
    {"vala", "vala", NULL, NULL},
    {"zig", "zig", NULL, NULL},
};

const char *language_name(guint index)
{
    return index < G_N_ELEMENTS(languages) ? languages[index].name : NULL;
}

const char *language_of_file(const char *path)
{
    const char *dot = strrchr(path, '.');
    if (dot == NULL || strchr(dot, '/') != NULL)
        return NULL;
    for (guint i = 0; i < G_N_ELEMENTS(languages); i++) {
        g_auto(GStrv) extensions = g_strsplit(languages[i].extensions, " ", -1);
        if (g_strv_contains((const char *const *)extensions, dot + 1))
            return languages[i].name;
    }
    return NULL;
}

const char *language_of_interpreter(const char *interpreter)
{
    const char *slash = strrchr(interpreter, '/');
    const char *base = slash != NULL ? slash + 1 : interpreter;
    for (guint i = 0; i < G_N_ELEMENTS(languages); i++) {
        gsize length = languages[i].stem != NULL ? strlen(languages[i].stem) : 0;
        if (length > 0 && strncmp(base, languages[i].stem, length) == 0 &&
            strspn(base + length, "0123456789.") == strlen(base + length))
            return languages[i].name;
    }
    return NULL;
}

const char *language_canonical(const char *language)
{
    for (guint i = 0; i < G_N_ELEMENTS(languages); i++)
        if (g_ascii_strcasecmp(languages[i].name, language) == 0)
            return languages[i].name;
    return language;
}

const char *language_interpreter(const char *language)
{
    for (guint i = 0; i < G_N_ELEMENTS(languages); i++)
        if (strcmp(languages[i].name, language) == 0)
            return languages[i].interpreter;
    return NULL;
}

const char *language_program(const char *language)
{
    const char *known = language_interpreter(language);
    return known != NULL ? known : language;
}

char *language_shebang(const char *source, gsize length)
{
    if (length < 3 || memcmp(source, "#!", 2) != 0)
        return NULL;
    const char *end = memchr(source, '\n', MIN(length, SHEBANG_MAX));
    g_autofree char *line = g_strndup(source + 2, (end != NULL ? (gsize)(end - source) : MIN(length, SHEBANG_MAX)) - 2);
    g_auto(GStrv) words = g_strsplit_set(g_strstrip(line), " \t", -1);
    for (guint i = 0; words[i] != NULL; i++) {
        g_autofree char *base = g_path_get_basename(words[i]);
        if (*words[i] != '\0' && *words[i] != '-' && strcmp(base, "env") != 0)
            return g_steal_pointer(&base);
    }
    return NULL;
}
