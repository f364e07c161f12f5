/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/policy.h"

/* The words of windows. */

/* 0 for "mon" to 6 for "sun"; -1 for other words. */
int pools_day_of(const char *word);

/* Minutes from midnight of "08:00" to "24:00"; -1 for what is no such time. */
int pools_minute_of(const char *text);

/* A zone of the IANA database that this system knows, kept for good, since reading one takes a while; NULL: none of that name. Any thread. */
GTimeZone *pools_zone_of(const char *name);
