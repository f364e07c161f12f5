/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/table.h"

#include "base/error.h"

static const struct table tables[] = {
    [OBJECT_RESERVATION] = {"reservation", &reservation_state_words, &reservation_codec},
    [OBJECT_EXECUTION] = {"execution", &execution_state_words, &execution_codec},
    [OBJECT_INSTANCE] = {"instance", &instance_state_words, &instance_codec},
    [OBJECT_HOST] = {"host", &host_state_words, &host_codec},
};

const struct table *table_of(enum object_kind object, GError **error)
{
    if ((guint)object < G_N_ELEMENTS(tables))
        return &tables[object];
    hbr_error_set(error, HBR_ERROR_STORE, "objects of kind %u have no table in the database", (guint)object);
    return NULL;
}
