/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/pools.h"

#include "base/clock.h"

#include <string.h>

#define DAY_MINUTES (24 * 60)

static const char *const day_names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

int pools_day_of(const char *word)
{
    for (guint i = 0; i < G_N_ELEMENTS(day_names); i++)
        if (strcmp(word, day_names[i]) == 0)
            return (int)i;
    return -1;
}

int pools_minute_of(const char *text)
{
    if (strlen(text) != strlen("08:00") || text[2] != ':')
        return -1;
    for (guint i = 0; i < 5; i++)
        if (i != 2 && !g_ascii_isdigit(text[i]))
            return -1;
    const int minute = (text[0] - '0') * 600 + (text[1] - '0') * 60 + (text[3] - '0') * 10 + (text[4] - '0');
    return minute <= DAY_MINUTES && text[3] < '6' ? minute : -1;
}

static gboolean window_begins_on(const struct policy_window *window, int day)
{
    if (window->days == NULL)
        return TRUE;
    for (char **word = window->days; *word != NULL; word++)
        if (pools_day_of(*word) == day)
            return TRUE;
    return FALSE;
}

GTimeZone *pools_zone_of(const char *name)
{
    static GHashTable *zones;
    G_LOCK_DEFINE_STATIC(zones);
    if (!g_ascii_isupper(name[0]))
        return NULL; /* the other files of that directory */
    G_LOCK(zones);
    if (zones == NULL)
        zones = g_hash_table_new(g_str_hash, g_str_equal);
    GTimeZone *zone = g_hash_table_lookup(zones, name);
    if (zone == NULL)
        zone = strcmp(name, "UTC") == 0 ? g_time_zone_new_utc() : g_time_zone_new_identifier(name);
    if (zone != NULL && !g_hash_table_contains(zones, name))
        g_hash_table_insert(zones, g_strdup(name), zone);
    G_UNLOCK(zones);
    return zone;
}

static GDateTime *window_date(const struct policy_window *window, gint64 now)
{
    GTimeZone *zone = pools_zone_of(window->time_zone != NULL ? window->time_zone : "UTC");
    g_autoptr(GDateTime) date = g_date_time_new_from_unix_utc(now / CLOCK_SECOND);
    return zone != NULL && date != NULL ? g_date_time_to_timezone(date, zone) : NULL;
}

/* Minutes are those that the clock on the wall shows: on the days of a change to summer time a window is an hour longer or shorter. */
static gboolean window_is_open(const struct policy_window *window, gint64 now)
{
    g_autoptr(GDateTime) date = window_date(window, now);
    if (date == NULL)
        return FALSE;
    const int minute = g_date_time_get_hour(date) * 60 + g_date_time_get_minute(date);
    const int today = g_date_time_get_day_of_week(date) - 1, yesterday = (today + 6) % 7;
    const int from = pools_minute_of(window->from), to = pools_minute_of(window->to);
    if (from < to)
        return window_begins_on(window, today) && minute >= from && minute < to;
    return (window_begins_on(window, today) && minute >= from) || (window_begins_on(window, yesterday) && minute < to);
}

static gboolean window_is_of(const struct policy_window *window, const struct policy_pool *pool)
{
    return strcmp(window->pool, pool->name) == 0;
}

static gboolean stock_raise(struct pool_stock *stock, const struct pool_stock *floor)
{
    const struct pool_stock before = *stock;
    stock->running = MAX(stock->running, floor->running);
    stock->paused = MAX(stock->paused, floor->paused);
    stock->saved = MAX(stock->saved, floor->saved);
    return memcmp(&before, stock, sizeof before) != 0;
}

struct pool_stock policy_pool_floor(const struct policy *policy, const struct policy_pool *pool, gint64 now,
                                    const char **ret_window)
{
    struct pool_stock floor = pool->floor;
    const char *counts = NULL;
    for (guint i = 0; i < policy->windows->len; i++) {
        const struct policy_window *window = g_ptr_array_index(policy->windows, i);
        if (window_is_of(window, pool) && window_is_open(window, now) && stock_raise(&floor, &window->floor))
            counts = window->name;
    }
    if (ret_window != NULL)
        *ret_window = counts;
    return floor;
}

/* The next full minute at which the clock of the window shows `minute`, by looking ahead from now's. */
static gint64 window_next(const struct policy_window *window, gint64 now, int minute)
{
    g_autoptr(GDateTime) date = window_date(window, now);
    if (date == NULL)
        return CLOCK_NEVER;
    const int present = g_date_time_get_hour(date) * 60 + g_date_time_get_minute(date);
    const int ahead = (minute - present + 2 * DAY_MINUTES - 1) % DAY_MINUTES + 1;
    const gint64 full_minute = now - now % CLOCK_MINUTE;
    return full_minute + ahead * CLOCK_MINUTE;
}

gint64 policy_pool_changes_at(const struct policy *policy, const struct policy_pool *pool, gint64 now)
{
    gint64 next_at = CLOCK_NEVER;
    for (guint i = 0; i < policy->windows->len; i++) {
        const struct policy_window *window = g_ptr_array_index(policy->windows, i);
        if (!window_is_of(window, pool))
            continue;
        next_at = MIN(next_at, window_next(window, now, pools_minute_of(window->from)));
        next_at = MIN(next_at, window_next(window, now, pools_minute_of(window->to)));
    }
    return next_at;
}

const struct policy_pool *policy_find_pool(const struct policy *policy, const char *name)
{
    for (guint i = 0; i < policy->pools->len; i++) {
        const struct policy_pool *pool = g_ptr_array_index(policy->pools, i);
        if (g_strcmp0(pool->name, name) == 0)
            return pool;
    }
    return NULL;
}
