/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Code of anybody's: the language in the first line, the source behind it. */
#include "predict/lexer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LANGUAGE_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *line = memchr(data, '\n', size);
    const size_t head = line != NULL ? (size_t)(line - text) : 0;
    if (line == NULL || head > LANGUAGE_MAX)
        return 0;
    g_autofree char *language = g_strndup(text, head);
    struct code_traits traits, again;
    struct code_imports imports;
    code_lex(&traits, &imports, language, line + 1, size - head - 1);
    code_traits_of_source(&again, language, line + 1, size - head - 1);
    if (memcmp(&traits, &again, sizeof traits) != 0)
        abort();
    if (traits.lines > size || traits.calls > size || traits.loop_depth > traits.loops ||
        traits.recursive > traits.functions || imports.count > CODE_IMPORTS_MAX)
        abort();
    for (guint i = 0; i < imports.count; i++)
        if (imports.names[i][0] == '\0' || !g_utf8_validate(imports.names[i], -1, NULL))
            abort();
    return 0;
}
