/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A host as a client attaches it. */
#include "model/host.h"

#include "json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decode(&host_spec_codec, data, size, MODEL_DOCUMENT_MAX);
}
