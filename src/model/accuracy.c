/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/accuracy.h"

#include "model/limits.h"

#include <math.h>

#define AT(type, member) G_STRUCT_OFFSET(struct type, member)
#define AMOUNT_MAX G_GINT64_CONSTANT(1000000000000)
#define GROUPS_MAX 100000

#define FIELD_SHARE(type, name, member)                                    \
    {                                                                      \
        name, CODEC_DOUBLE, AT(type, member), 0, 0, AMOUNT_MAX, NULL, NULL \
    }

static const struct codec_field accuracy_figures_fields[] = {
    {"runs", CODEC_UINT, AT(accuracy_figures, runs), 0, 0, G_MAXINT32, NULL, NULL},
    FIELD_SHARE(accuracy_figures, "ratio_p50", ratio_p50),
    FIELD_SHARE(accuracy_figures, "ratio_p90", ratio_p90),
    FIELD_SHARE(accuracy_figures, "log_error", log_error),
    FIELD_SHARE(accuracy_figures, "within_2", within_2),
    {"coverage", CODEC_STRUCT, AT(accuracy_figures, coverage), 0, 0, 0, &quantiles_codec, NULL},
    FIELD_SHARE(accuracy_figures, "waste", waste),
    FIELD_SHARE(accuracy_figures, "shortage", shortage),
    FIELD_SHARE(accuracy_figures, "shortage_ratio", shortage_ratio),
};

const struct codec accuracy_figures_codec = {"figures", sizeof(struct accuracy_figures), accuracy_figures_fields,
                                             G_N_ELEMENTS(accuracy_figures_fields)};

#define FIELD_NAME(type, member)                                                  \
    {                                                                             \
#member, CODEC_STRING, AT(type, member), 0, 0, MODEL_NAME_MAX, NULL, NULL \
    }
#define FIELD_AMOUNT(type, name, amount, codec)                              \
    {                                                                        \
        name, CODEC_STRUCT, AT(type, amounts[amount]), 0, 0, 0, &codec, NULL \
    }

static const struct codec_field accuracy_group_fields[] = {
    FIELD_NAME(accuracy_group, function),
    FIELD_NAME(accuracy_group, tenant),
    FIELD_NAME(accuracy_group, language),
    FIELD_NAME(accuracy_group, source),
    {"model_version", CODEC_UINT, AT(accuracy_group, model_version), CODEC_SPARSE, 0, G_MAXINT32, NULL, NULL},
    {"runs", CODEC_UINT, AT(accuracy_group, runs), 0, 0, G_MAXINT32, NULL, NULL},
    {"cut_short", CODEC_UINT, AT(accuracy_group, cut_short), 0, 0, G_MAXINT32, NULL, NULL},
    {"oldest_at", CODEC_TIME, AT(accuracy_group, oldest_at), 0, 0, 0, NULL, NULL},
    {"newest_at", CODEC_TIME, AT(accuracy_group, newest_at), 0, 0, 0, NULL, NULL},
    FIELD_AMOUNT(accuracy_group, "vcpus", ACCURACY_VCPUS, accuracy_figures_codec),
    FIELD_AMOUNT(accuracy_group, "memory_mib", ACCURACY_MEMORY, accuracy_figures_codec),
    FIELD_AMOUNT(accuracy_group, "network_mbps", ACCURACY_NETWORK, accuracy_figures_codec),
    FIELD_AMOUNT(accuracy_group, "duration_ms", ACCURACY_DURATION, accuracy_figures_codec),
};

CODEC_DEFINE(accuracy_group, accuracy_group_fields)

CODEC_WORDS_DEFINE(accuracy_by_words, "function", "tenant", "language", "model");

static const struct codec_field accuracy_fields[] = {
    {"by", CODEC_ENUM, AT(accuracy, by), 0, 0, 0, NULL, &accuracy_by_words},
    {"limit", CODEC_UINT, AT(accuracy, limit), 0, 0, G_MAXINT32, NULL, NULL},
    {"total", CODEC_STRUCT, AT(accuracy, total), 0, 0, 0, &accuracy_group_codec, NULL},
    {"groups", CODEC_LIST, AT(accuracy, groups), 0, 0, GROUPS_MAX, &accuracy_group_codec, NULL},
    {"groups_left_out", CODEC_UINT, AT(accuracy, groups_left_out), CODEC_SPARSE, 0, G_MAXINT32, NULL, NULL},
};

CODEC_DEFINE(accuracy, accuracy_fields)

static const struct codec_field accuracy_pair_fields[] = {
    FIELD_SHARE(accuracy_pair, "predicted", predicted),
    FIELD_SHARE(accuracy_pair, "used", used),
};

static const struct codec accuracy_pair_codec = {"pair", sizeof(struct accuracy_pair), accuracy_pair_fields,
                                                 G_N_ELEMENTS(accuracy_pair_fields)};

static const struct codec_field accuracy_point_fields[] = {
    FIELD_NAME(accuracy_point, execution_id),
    FIELD_NAME(accuracy_point, function),
    FIELD_NAME(accuracy_point, tenant),
    FIELD_NAME(accuracy_point, language),
    {"ended_at", CODEC_TIME, AT(accuracy_point, ended_at), 0, 0, 0, NULL, NULL},
    {"cut_short", CODEC_BOOL, AT(accuracy_point, cut_short), CODEC_SPARSE, 0, 0, NULL, NULL},
    FIELD_AMOUNT(accuracy_point, "vcpus", ACCURACY_VCPUS, accuracy_pair_codec),
    FIELD_AMOUNT(accuracy_point, "memory_mib", ACCURACY_MEMORY, accuracy_pair_codec),
    FIELD_AMOUNT(accuracy_point, "network_mbps", ACCURACY_NETWORK, accuracy_pair_codec),
    FIELD_AMOUNT(accuracy_point, "duration_ms", ACCURACY_DURATION, accuracy_pair_codec),
};

CODEC_DEFINE(accuracy_point, accuracy_point_fields)

/* How many of how many. */
struct count {
    guint of, all;
};

struct amount_tally {
    GArray *ratios; /* double */
    double log_errors;
    guint within_2;
    struct count covered[3]; /* p50, p90, p99 */
    struct count short_of;
    double waste, short_ratios;
};

struct accuracy_tally {
    guint runs, cut_short;
    gint64 oldest_at, newest_at;
    struct amount_tally amounts[ACCURACY_AMOUNT_COUNT];
};

struct accuracy_tally *accuracy_tally_new(void)
{
    struct accuracy_tally *tally = g_new0(struct accuracy_tally, 1);
    for (guint i = 0; i < ACCURACY_AMOUNT_COUNT; i++)
        tally->amounts[i].ratios = g_array_new(FALSE, FALSE, sizeof(double));
    return tally;
}

void accuracy_tally_free(struct accuracy_tally *tally)
{
    if (tally == NULL)
        return;
    for (guint i = 0; i < ACCURACY_AMOUNT_COUNT; i++)
        g_array_unref(tally->amounts[i].ratios);
    g_free(tally);
}

static double share(const struct count *count)
{
    return count->all > 0 ? (double)count->of / count->all : NAN;
}

/* Less than this is not told apart. */
static double amount_floored(enum accuracy_amount amount, double value)
{
    static const double least[] = {
        [ACCURACY_VCPUS] = 0.01, [ACCURACY_MEMORY] = 1, [ACCURACY_NETWORK] = 0.1, [ACCURACY_DURATION] = 1};
    return MAX(value, least[amount]);
}

double accuracy_used(const struct accuracy_run *run, enum accuracy_amount amount)
{
    const double used = run->amounts[amount].used;
    return used > 0 || (amount == ACCURACY_NETWORK && used >= 0) ? used : NAN;
}

static void tally_add_error(struct amount_tally *tally, double used, double predicted)
{
    const double ratio = used / predicted;
    g_array_append_val(tally->ratios, ratio);
    tally->log_errors += fabs(log(ratio));
    tally->within_2 += ratio >= 0.5 && ratio <= 2;
}

static void tally_add_coverage(struct count *covered, double used, double quantile, gboolean is_cut_short)
{
    if (!isfinite(quantile) || (is_cut_short && used <= quantile))
        return;
    covered->all++;
    covered->of += used <= quantile;
}

/* What a unit of the amount is, for an hour, in the unit of its waste. */
static double waste_unit(enum accuracy_amount amount)
{
    return amount == ACCURACY_MEMORY ? 1.0 / 1024 : 1;
}

static void tally_add_given(struct amount_tally *tally, const struct accuracy_run *run, enum accuracy_amount amount)
{
    const double given = run->amounts[amount].given, used = accuracy_used(run, amount);
    const double hours = accuracy_used(run, ACCURACY_DURATION) / 3600000;
    if (!isfinite(given) || given <= 0 || !isfinite(hours))
        return;
    tally->short_of.all++;
    tally->waste += MAX(given - used, 0) * hours * waste_unit(amount);
    if (used <= given && !(amount == ACCURACY_MEMORY && run->is_out_of_memory))
        return;
    tally->short_of.of++;
    tally->short_ratios += MAX(used / given, 1);
}

static void tally_add_amount(struct amount_tally *tally, const struct accuracy_run *run, enum accuracy_amount amount)
{
    const struct quantiles *predicted = &run->amounts[amount].predicted;
    const double quantiles[] = {predicted->p50, predicted->p90, predicted->p99};
    if (!isfinite(accuracy_used(run, amount)))
        return;
    const double used = amount_floored(amount, accuracy_used(run, amount));
    if (!run->is_cut_short && isfinite(predicted->p50))
        tally_add_error(tally, used, amount_floored(amount, predicted->p50));
    for (guint i = 0; i < G_N_ELEMENTS(quantiles); i++) {
        const double quantile = isfinite(quantiles[i]) ? amount_floored(amount, quantiles[i]) : NAN;
        tally_add_coverage(&tally->covered[i], used, quantile, run->is_cut_short);
    }
    tally_add_given(tally, run, amount);
}

void accuracy_tally_add(struct accuracy_tally *tally, const struct accuracy_run *run)
{
    tally->runs++;
    tally->cut_short += run->is_cut_short ? 1 : 0;
    tally->oldest_at = tally->runs == 1 ? run->ended_at : MIN(tally->oldest_at, run->ended_at);
    tally->newest_at = MAX(tally->newest_at, run->ended_at);
    for (guint i = 0; i < ACCURACY_AMOUNT_COUNT; i++)
        tally_add_amount(&tally->amounts[i], run, i);
}

static int double_compare(gconstpointer a, gconstpointer b)
{
    const double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

static double sorted_quantile(const GArray *sorted, double quantile)
{
    if (sorted->len == 0)
        return NAN;
    const double at = quantile * (sorted->len - 1);
    const guint below = (guint)at, above = MIN(below + 1, sorted->len - 1);
    const double low = g_array_index(sorted, double, below), high = g_array_index(sorted, double, above);
    return low + (high - low) * (at - below);
}

static void tally_measure_amount(struct amount_tally *tally, struct accuracy_figures *ret_figures)
{
    const guint runs = tally->ratios->len;
    g_array_sort(tally->ratios, double_compare);
    *ret_figures = (struct accuracy_figures){
        .runs = runs,
        .ratio_p50 = sorted_quantile(tally->ratios, 0.5),
        .ratio_p90 = sorted_quantile(tally->ratios, 0.9),
        .log_error = runs > 0 ? tally->log_errors / runs : NAN,
        .within_2 = share(&(struct count){tally->within_2, runs}),
        .coverage = {share(&tally->covered[0]), share(&tally->covered[1]), share(&tally->covered[2])},
        .waste = tally->short_of.all > 0 ? tally->waste / tally->short_of.all : NAN,
        .shortage = share(&tally->short_of),
        .shortage_ratio = tally->short_of.of > 0 ? tally->short_ratios / tally->short_of.of : NAN,
    };
}

void accuracy_tally_measure(struct accuracy_tally *tally, struct accuracy_group *ret_group)
{
    ret_group->runs = tally->runs;
    ret_group->cut_short = tally->cut_short;
    ret_group->oldest_at = tally->oldest_at;
    ret_group->newest_at = tally->newest_at;
    for (guint i = 0; i < ACCURACY_AMOUNT_COUNT; i++)
        tally_measure_amount(&tally->amounts[i], &ret_group->amounts[i]);
}
