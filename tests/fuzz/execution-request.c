/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An execution request as a client sends it. */
#include "model/execution.h"

#include "json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decode(&execution_request_codec, data, size, MODEL_DOCUMENT_MAX);
}
