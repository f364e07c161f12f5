/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The body of a stored object, as a damaged or foreign database gives it. The first byte says which kind it is. */
#include "model/execution.h"
#include "model/host.h"
#include "model/instance.h"
#include "model/reservation.h"

#include "json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct codec *const codecs[] = {&reservation_codec, &execution_codec, &instance_codec, &host_codec,
                                                 &observation_codec};
    if (size == 0)
        return 0;
    return fuzz_decode_from(codecs[data[0] % G_N_ELEMENTS(codecs)], data + 1, size - 1, MODEL_DOCUMENT_MAX,
                            CODEC_STORE);
}
