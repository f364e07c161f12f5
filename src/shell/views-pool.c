/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/render.h"
#include "shell/units.h"
#include "shell/views.h"

#define FIELDS(table) table, G_N_ELEMENTS(table)

/* A count of which 0 says something. */
static void render_number(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    cell->text = g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
}

/* "2/1/1": running, paused, saved. */
static void render_stock(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    cell->text = g_strdup_printf("%.0f/%.0f/%.0f", output_number_at(value, "running"),
                                 output_number_at(value, "paused"), output_number_at(value, "saved"));
}

static void render_stock_words(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    cell->text = g_strdup_printf("%.0f running, %.0f paused, %.0f saved", output_number_at(value, "running"),
                                 output_number_at(value, "paused"), output_number_at(value, "saved"));
}

/* What is out of the ordinary. */
static void render_mode(const struct output *output, const json_t *pool, struct cell *cell)
{
    (void)output;
    if (json_is_true(json_object_get(pool, "draining")))
        *cell = (struct cell){g_strdup("draining"), TONE_WORK};
    else if (json_is_true(json_object_get(pool, "overridden")))
        *cell = (struct cell){g_strdup("set by hand"), TONE_WORK};
}

static char *share_text(double part, double whole)
{
    return whole > 0 ? g_strdup_printf("%.0f %%", 100 * part / whole) : NULL;
}

static void render_hit_share(const struct output *output, const json_t *pool, struct cell *cell)
{
    (void)output;
    const double hits = output_number_at(pool, "hits");
    g_autofree char *share = share_text(hits, hits + output_number_at(pool, "misses"));
    cell->text = share != NULL ? g_strdup_printf("%.0f, %s of what was asked of it", hits, share)
                               : g_strdup_printf("%.0f", hits);
}

static void render_wasted(const struct output *output, const json_t *pool, struct cell *cell)
{
    (void)output;
    cell->text = g_strdup_printf("%.0f of %.0f that were made warm", output_number_at(pool, "wasted"),
                                 output_number_at(pool, "warmed"));
}

static void render_mib_hours(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    g_autofree char *amount = units_format_real(json_number_value(value), 1);
    cell->text = g_strconcat(amount, " MiB-hours", NULL);
}

/* MiB-hours in an hour are MiB. */
static void render_budget(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    g_autofree char *amount = units_format_mib(json_number_value(value));
    if (json_number_value(value) > 0)
        cell->text = g_strconcat("at most ", amount, NULL);
}

static void render_kept(const struct output *output, const json_t *entry, struct cell *cell)
{
    (void)output;
    cell->text = share_text(output_number_at(entry, "kept"), output_number_at(entry, "count"));
}

static const struct field pool_columns[] = {
    {"POOL", "id", render_text, TABLE_LEFT},         {"TEMPLATE", "template", render_text, TABLE_LEFT},
    {"MODE", ".", render_mode, TABLE_LEFT},          {"STOCK", "stock", render_stock, TABLE_RIGHT},
    {"TARGET", "target", render_stock, TABLE_RIGHT}, {"WARMING", "warming", render_number, TABLE_RIGHT},
    {"HITS", "hits", render_number, TABLE_RIGHT},    {"MISSES", "misses", render_number, TABLE_RIGHT},
    {"IDLE", "idle_mib", render_mib, TABLE_RIGHT},
};

static const struct field pool_fields[] = {
    {"Pool", "id", render_text, TABLE_LEFT},
    {"Template", "template", render_text, TABLE_LEFT},
    {"Host", "host", render_text, TABLE_LEFT},
    {"Shape", "shape", render_shape, TABLE_LEFT},
    {"Grows up to", "maximum", render_shape, TABLE_LEFT},
    {"Mode", ".", render_mode, TABLE_LEFT},
    {"Stock", "stock", render_stock_words, TABLE_LEFT},
    {"Target", "target", render_stock_words, TABLE_LEFT},
    {"Because", "why", render_text, TABLE_LEFT},
    {"Held back", "held_back", render_text, TABLE_LEFT},
    {"No saved state", "saved_error", render_error, TABLE_LEFT},
    {"Warming", "warming", render_number, TABLE_LEFT},
    {"Hits", ".", render_hit_share, TABLE_LEFT},
    {"Misses", "misses", render_number, TABLE_LEFT},
    {"Never claimed", ".", render_wasted, TABLE_LEFT},
    {"Idle now", "idle_mib", render_mib, TABLE_LEFT},
    {"Idle budget", "idle_budget_mib", render_budget, TABLE_LEFT},
    {"Idle so far", "idle_mib_hours", render_mib_hours, TABLE_LEFT},
};

static const struct field miss_fields[] = {
    {"reason", "reason", render_text, TABLE_LEFT},
    {"count", "count", render_number, TABLE_RIGHT},
};

static const struct field ledger_fields[] = {
    {"path", "path", render_text, TABLE_LEFT},       {"taken", "count", render_number, TABLE_RIGHT},
    {"in time", ".", render_kept, TABLE_RIGHT},      {"given up", "overruns", render_count, TABLE_RIGHT},
    {"median", "median_ms", render_ms, TABLE_RIGHT}, {"p95", "p95_ms", render_ms, TABLE_RIGHT},
};

static void pool_details(struct output *output, const json_t *pool)
{
    const json_t *misses = json_object_get(pool, "miss_reasons"), *ledger = json_object_get(pool, "ledger");
    if (json_array_size(misses) > 0) {
        output_heading(output, "Misses");
        output_rows(output, FIELDS(miss_fields), misses, 2);
    }
    if (json_array_size(ledger) > 0) {
        output_heading(output, "Paths, as predicted and taken");
        output_rows(output, FIELDS(ledger_fields), ledger, 2);
    }
}

const struct view pool_list_view = {"pools", "no pools: the policy keeps nothing warm", FIELDS(pool_columns), NULL};
const struct view pool_view = {NULL, NULL, FIELDS(pool_fields), pool_details};
