/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/language.h"

#include <string.h>

#define SHEBANG_MAX 256

static const struct language {
    const char *name;
    const char *interpreter;
    const char *extensions; /* separated by blanks */
    const char *stem;       /* what the names of its interpreters begin with */
} languages[] = {
    {"python", "python3", "py", "python"}, {"perl", "perl", "pl pm", "perl"},
    {"lua", "lua", "lua", "lua"},          {"javascript", "node", "js mjs cjs", "node"},
    {"shell", "sh", "sh", "sh"},           {"ruby", "ruby", "rb", "ruby"},
    {"bash", "bash", "bash", "bash"},      {"php", "php", "php", "php"},
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
        gsize length = strlen(languages[i].stem);
        if (strncmp(base, languages[i].stem, length) == 0 &&
            strspn(base + length, "0123456789.") == strlen(base + length))
            return languages[i].name;
    }
    return NULL;
}

const char *language_interpreter(const char *language)
{
    for (guint i = 0; i < G_N_ELEMENTS(languages); i++)
        if (strcmp(languages[i].name, language) == 0)
            return languages[i].interpreter;
    return NULL;
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
