/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api/frame.h"

#include <string.h>

/* Length of the character that `lead` begins (RFC 3629 section 4), 0 when it begins none. */
static guint frame_character_length(guchar lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* The second byte has a narrower range after some first ones: no overlong forms, no surrogates, nothing above U+10FFFF. */
static gboolean frame_second_fits(guchar lead, guchar second)
{
    const guchar low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const guchar high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high;
}

/* TRUE when `length` bytes are the beginning of one character, but not all of it. */
static gboolean frame_is_cut(const guchar *bytes, gsize length)
{
    if (length == 0 || length >= frame_character_length(bytes[0]))
        return FALSE;
    if (length > 1 && !frame_second_fits(bytes[0], bytes[1]))
        return FALSE;
    return length < 3 || (bytes[2] & 0xc0) == 0x80;
}

static void frame_append_escaped(const char *text, gsize length, GString *out)
{
    static const char hex[] = "0123456789abcdef";
    gsize start = 0;
    for (gsize i = 0; i < length; i++) {
        const guchar c = (guchar)text[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        g_string_append_len(out, text + start, (gssize)(i - start));
        start = i + 1;
        if (c == '\n')
            g_string_append_len(out, "\\n", 2);
        else if (c >= 0x20)
            g_string_append_printf(out, "\\%c", c);
        else
            g_string_append_printf(out, "\\u00%c%c", hex[c >> 4], hex[c & 15]);
    }
    g_string_append_len(out, text + start, (gssize)(length - start));
}

static void frame_append_text(const char *event, const char *text, gsize length, GString *out)
{
    if (length == 0)
        return;
    g_string_append_printf(out, "{\"event\":\"%s\",\"data\":\"", event);
    frame_append_escaped(text, length, out);
    g_string_append(out, "\"}\n");
}

static void frame_append_base64(const char *event, gconstpointer data, gsize length, GString *out)
{
    g_autofree char *text = g_base64_encode(data, length);
    g_string_append_printf(out, "{\"event\":\"%s\",\"data_base64\":\"%s\"}\n", event, text);
}

static void frame_append_bytes(struct frame_stream *stream, const char *event, const guchar *bytes, gsize length,
                               GString *out)
{
    const char *end;
    g_utf8_validate_len((const char *)bytes, length, &end);
    const gsize valid = (gsize)(end - (const char *)bytes);
    if (valid < length && !frame_is_cut(bytes + valid, length - valid)) {
        frame_append_base64(event, bytes, length, out);
        return;
    }
    frame_append_text(event, (const char *)bytes, valid, out);
    stream->held_length = (guint)(length - valid);
    memcpy(stream->held, bytes + valid, stream->held_length);
}

void frame_append(struct frame_stream *stream, const char *event, gconstpointer data, gsize length, GString *out)
{
    if (stream->held_length == 0) {
        frame_append_bytes(stream, event, data, length, out);
        return;
    }
    g_autoptr(GByteArray) joined = g_byte_array_sized_new((guint)(stream->held_length + length));
    g_byte_array_append(joined, stream->held, stream->held_length);
    g_byte_array_append(joined, data, (guint)length);
    stream->held_length = 0;
    frame_append_bytes(stream, event, joined->data, joined->len, out);
}

void frame_finish(struct frame_stream *stream, const char *event, GString *out)
{
    if (stream->held_length > 0)
        frame_append_base64(event, stream->held, stream->held_length, out);
    stream->held_length = 0;
}
