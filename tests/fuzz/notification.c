/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A notification as a client sends it. */
#include "model/notification.h"

#include "json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decode(&notification_codec, data, size, MODEL_NOTIFICATION_MAX);
}
