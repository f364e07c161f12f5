/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "model/limits.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What holds for every decoder of the model: hostile JSON is refused with a place, and what is accepted survives the round trip through
 * the store. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void fuzz_round_trip(const struct codec *codec, gpointer object)
{
    char *text = codec_encode_text(codec, object, CODEC_STORE);
    gpointer again = codec_decode_text(codec, text, strlen(text), 4 * MODEL_DOCUMENT_MAX, CODEC_STORE, NULL);
    if (again == NULL)
        abort();
    char *text_again = codec_encode_text(codec, again, CODEC_STORE);
    if (strcmp(text, text_again) != 0)
        abort();
    codec_free(codec, again);
    free(text);
    free(text_again);
}

static inline int fuzz_decode_from(const struct codec *codec, const uint8_t *data, size_t size, gsize max,
                                   enum codec_side side)
{
    GError *error = NULL;
    gpointer object = codec_decode_text(codec, (const char *)data, size, max, side, &error);
    if ((object != NULL) == (error != NULL))
        abort();
    if (error != NULL &&
        (error->domain != HBR_ERROR || error->message[0] != '/' || !g_utf8_validate(error->message, -1, NULL)))
        abort();
    if (object != NULL)
        fuzz_round_trip(codec, object);
    codec_free(codec, object);
    g_clear_error(&error);
    return 0;
}

static inline int fuzz_decode(const struct codec *codec, const uint8_t *data, size_t size, gsize max)
{
    return fuzz_decode_from(codec, data, size, max, CODEC_CLIENT);
}
