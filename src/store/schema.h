/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store/database.h"

/* The tables, and how a database of an earlier version gets them: one table of migrations, applied one transaction each, counted in
 * PRAGMA user_version. */

/* Brings the schema up to date. Refuses a database that is not ours (application_id), damaged or of a later version. */
gboolean schema_migrate(struct database *database, GError **error);

/* The version that this build makes. */
guint schema_version(void);
