/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/sim-model.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

#define DAYS_MS (30.0 * 86400 * 1000)

struct sim_key {
    const char *name;
    gsize offset;
    gboolean is_uint;
    double fallback, min, max;
};

#define UINT_KEY(name, fallback, min, max)                                       \
    {                                                                            \
#name, G_STRUCT_OFFSET(struct sim_model, name), TRUE, fallback, min, max \
    }
#define DOUBLE_KEY(name, fallback, min, max)                                      \
    {                                                                             \
#name, G_STRUCT_OFFSET(struct sim_model, name), FALSE, fallback, min, max \
    }

/* The latencies are those measured under TCG. */
static const struct sim_key sim_keys[] = {
    UINT_KEY(seed, 1, 0, G_MAXUINT32),
    UINT_KEY(vcpus, 8, 1, 4096),
    UINT_KEY(memory_mib, 16384, 64, 64 * 1024 * 1024),
    DOUBLE_KEY(connect_ms, 20, 0, DAYS_MS),
    DOUBLE_KEY(boot_ms, 1000, 0, DAYS_MS),
    DOUBLE_KEY(boot_sigma, 0.2, 0, 5),
    DOUBLE_KEY(clone_ms, 170, 0, DAYS_MS),
    DOUBLE_KEY(pause_ms, 3, 0, DAYS_MS),
    DOUBLE_KEY(save_ms, 300, 0, DAYS_MS),
    DOUBLE_KEY(resume_ms, 3, 0, DAYS_MS),
    DOUBLE_KEY(claim_ms, 4, 0, DAYS_MS),
    DOUBLE_KEY(stage_ms, 40, 0, DAYS_MS),
    DOUBLE_KEY(migrate_ms, 1000, 0, DAYS_MS),
    DOUBLE_KEY(go_ms, 2, 0, DAYS_MS),
    DOUBLE_KEY(warm_sigma, 0.2, 0, 5),
    DOUBLE_KEY(saved_mib, 31, 0, 64 * 1024 * 1024),
    UINT_KEY(saves, 1, 0, 1),
    UINT_KEY(contention, 0, 0, 1),
    DOUBLE_KEY(shape_cpu_ms, 200, 0, DAYS_MS),
    DOUBLE_KEY(shape_memory_ms, 15, 0, DAYS_MS),
    DOUBLE_KEY(shape_other_ms, 3, 0, DAYS_MS),
    DOUBLE_KEY(shape_sigma, 0.2, 0, 5),
    DOUBLE_KEY(destroy_ms, 200, 0, DAYS_MS),
    DOUBLE_KEY(run_overhead_ms, 3, 0, DAYS_MS),
    DOUBLE_KEY(inventory_s, 60, 0, DAYS_MS / 1000),
    DOUBLE_KEY(run_ms, 1000, 0, DAYS_MS),
    DOUBLE_KEY(run_sigma, 0, 0, 5),
    DOUBLE_KEY(run_cpu, 1, 0, 1024),
    DOUBLE_KEY(run_memory_mib, 64, 0, 64 * 1024 * 1024),
    DOUBLE_KEY(fail_boot, 0, 0, 1),
    DOUBLE_KEY(hang_boot, 0, 0, 1),
    DOUBLE_KEY(fail_clone, 0, 0, 1),
    DOUBLE_KEY(hang_clone, 0, 0, 1),
    DOUBLE_KEY(fail_claim, 0, 0, 1),
    DOUBLE_KEY(hang_claim, 0, 0, 1),
    DOUBLE_KEY(fail_pause, 0, 0, 1),
    DOUBLE_KEY(fail_save, 0, 0, 1),
    DOUBLE_KEY(fail_stage, 0, 0, 1),
    DOUBLE_KEY(fail_shape, 0, 0, 1),
    DOUBLE_KEY(fail_migrate, 0, 0, 1),
    DOUBLE_KEY(hang_migrate, 0, 0, 1),
    DOUBLE_KEY(refuse_shrink, 0, 0, 1),
    DOUBLE_KEY(hang_shrink, 0, 0, 1),
    DOUBLE_KEY(lie_shrink, 0, 0, 1),
    DOUBLE_KEY(hold_ms, 2000, 0, DAYS_MS),
    DOUBLE_KEY(damage, 0, 0, 1),
    DOUBLE_KEY(crash, 0, 0, 1),
    DOUBLE_KEY(lose_event, 0, 0, 1),
    DOUBLE_KEY(down_at_s, 0, 0, DAYS_MS / 1000),
    DOUBLE_KEY(up_at_s, 0, 0, DAYS_MS / 1000),
    UINT_KEY(down_kills, 0, 0, 1),
};

static void sim_key_set(const struct sim_key *key, struct sim_model *model, double value)
{
    void *slot = (char *)model + key->offset;
    if (key->is_uint)
        *(guint *)slot = (guint)value;
    else
        *(double *)slot = value;
}

static const struct sim_key *sim_key_find(const char *name)
{
    for (guint i = 0; i < G_N_ELEMENTS(sim_keys); i++)
        if (strcmp(sim_keys[i].name, name) == 0)
            return &sim_keys[i];
    return NULL;
}

static gboolean sim_refuse_key(const char *uri, const char *name, GError **error)
{
    g_autoptr(GString) names = g_string_new(NULL);
    for (guint i = 0; i < G_N_ELEMENTS(sim_keys); i++)
        g_string_append_printf(names, "%s%s", i > 0 ? ", " : "", sim_keys[i].name);
    hbr_error_set(error, HBR_ERROR_INVALID, "%s: there is no key \"%s\"; right would be one of %s", uri, name,
                  names->str);
    return FALSE;
}

static gboolean sim_parse_key(const char *uri, const char *name, const char *text, struct sim_model *model,
                              GError **error)
{
    const struct sim_key *key = sim_key_find(name);
    if (key == NULL)
        return sim_refuse_key(uri, name, error);
    char *end;
    const double value = g_ascii_strtod(text, &end);
    const gboolean is_number =
        end != text && *end == '\0' && isfinite(value) && (!key->is_uint || floor(value) == value);
    if (!is_number || value < key->min || value > key->max) {
        hbr_error_set(error, HBR_ERROR_INVALID, "%s: %s=%s; right would be %s from %.0f to %.0f", uri, name, text,
                      key->is_uint ? "a whole number" : "a number", key->min, key->max);
        return FALSE;
    }
    sim_key_set(key, model, value);
    return TRUE;
}

gboolean sim_model_parse(const char *uri, struct sim_model *ret_model, GError **error)
{
    if (uri == NULL || !g_str_has_prefix(uri, "sim:")) {
        hbr_error_set(error, HBR_ERROR_INVALID, "%s: right would be sim:NAME?key=value&...",
                      uri != NULL ? uri : "(none)");
        return FALSE;
    }
    struct sim_model model = {0};
    for (guint i = 0; i < G_N_ELEMENTS(sim_keys); i++)
        sim_key_set(&sim_keys[i], &model, sim_keys[i].fallback);
    const char *query = strchr(uri, '?');
    g_auto(GStrv) pairs = g_strsplit(query != NULL ? query + 1 : "", "&", -1);
    for (guint i = 0; pairs[i] != NULL; i++) {
        if (pairs[i][0] == '\0')
            continue;
        char *equals = strchr(pairs[i], '=');
        if (equals != NULL)
            *equals = '\0';
        if (!sim_parse_key(uri, pairs[i], equals != NULL ? equals + 1 : "", &model, error))
            return FALSE;
    }
    if (model.up_at_s != 0 && model.up_at_s <= model.down_at_s) {
        hbr_error_set(error, HBR_ERROR_INVALID, "%s: up_at_s is not after down_at_s; right would be a later time, or 0",
                      uri);
        return FALSE;
    }
    *ret_model = model;
    return TRUE;
}

/* Box and Muller's method; the second of its two numbers is left. */
static double sim_draw_normal(GRand *random)
{
    const double u = 1 - g_rand_double(random), v = g_rand_double(random);
    return sqrt(-2 * log(u)) * cos(2 * G_PI * v);
}

gint64 sim_draw_us(GRand *random, double median_ms, double sigma)
{
    const double factor = exp(sigma * sim_draw_normal(random));
    return (gint64)llround(MIN(median_ms * factor, DAYS_MS) * 1000);
}

gboolean sim_draw_fault(GRand *random, double probability)
{
    return g_rand_double(random) < probability;
}
