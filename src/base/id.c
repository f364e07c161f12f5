/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/id.h"

#include <string.h>

static void id_append_base32(char *tail, guint digits, guint64 value)
{
    static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
    for (guint i = digits; i > 0; i--) {
        tail[i - 1] = alphabet[value & 31];
        value >>= 5;
    }
}

char *id_new(const char *prefix, gint64 now, GRand *random)
{
    char tail[19] = {0};
    id_append_base32(tail, 10, (guint64)(now / 1000));
    id_append_base32(tail + 10, 4, g_rand_int(random));
    id_append_base32(tail + 14, 4, g_rand_int(random));
    return g_strconcat(prefix, "-", tail, NULL);
}

gboolean id_is_valid_name(const char *text, gsize max)
{
    if (!g_ascii_isalnum(text[0]))
        return FALSE;
    gsize length = 0;
    for (; text[length] != '\0' && length <= max; length++)
        if (!g_ascii_isalnum(text[length]) && strchr("._:/@+-", text[length]) == NULL)
            return FALSE;
    return length <= max && strstr(text, "..") == NULL;
}
