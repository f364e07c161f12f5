/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/log.h"

#include "core-replay.h"
#include "picture.h"
#include "scaler-baselines.h"

#include <math.h>
#include <stdlib.h>

/* What a way of scaling holds for nothing, and how often it is short, over real usage courses: one data point is one look of a controller. Each has
 * a knob, so each is a curve on the plane of the two. Asked is how much less this one holds at the same shortage as another. */

#define KNOBS_MAX 20
#define PLANES_MAX 4
#define CONTROLLERS_MAX 8
#define OURS 0
#define SAMPLE_SEED 1
#define SAMPLE_COURSES 100
#define CORE_PLANES 3
#define CORE_KNOBS 3
#define CORE_USUAL 20 /* as the policy by default */

struct result {
    double knob, slack, shortage;
    guint64 looks;
};

struct curve {
    const struct controller *controller;
    struct result results[KNOBS_MAX];
    guint count;
};

/* One resource of one set of courses. */
struct plane {
    const struct trace_set *set;
    enum resource resource;
    const char *key;
    struct curve curves[CONTROLLERS_MAX];
};

struct job {
    const struct plane *plane;
    const struct controller *controller;
    struct result *result;
};

static void job_run(gpointer data, gpointer unused)
{
    (void)unused;
    g_autofree struct job *job = data;
    struct tally tally = {0};
    for (guint i = 0; i < job->plane->set->trials->len; i++)
        controller_replay(job->controller, job->plane->set->trials->pdata[i], job->plane->resource, job->result->knob,
                          &tally);
    job->result->slack = tally.idle / tally.used;
    job->result->shortage = (double)tally.shortages / (double)tally.looks;
    job->result->looks = tally.looks;
}

static gboolean is_for(const struct controller *controller, const struct plane *plane)
{
    return controller->is_for == NULL || controller->is_for(plane->set->trials->pdata[0], plane->resource);
}

static void plane_begin(struct plane *plane, GThreadPool *pool)
{
    for (guint i = 0; i < controller_count; i++) {
        struct curve *curve = &plane->curves[i];
        curve->controller = &controllers[i];
        for (guint k = 0; is_for(curve->controller, plane) && curve->controller->knobs[k] != 0; k++) {
            struct result *result = &curve->results[curve->count++];
            result->knob = curve->controller->knobs[k];
            struct job *job = g_new(struct job, 1);
            *job = (struct job){.plane = plane, .controller = curve->controller, .result = result};
            g_thread_pool_push(pool, job, NULL);
        }
    }
}

/* The least slack of the curve at that shortage, between its points; NAN when it does not reach there. */
static double curve_slack_at(const struct curve *curve, double shortage)
{
    double least = NAN;
    for (guint i = 0; i + 1 < curve->count; i++) {
        const struct result *a = &curve->results[i], *b = &curve->results[i + 1];
        const double low = MIN(a->shortage, b->shortage), high = MAX(a->shortage, b->shortage);
        if (shortage < low || shortage > high || low <= 0)
            continue;
        const double share = high > low ? log(shortage / a->shortage) / log(b->shortage / a->shortage) : 0;
        least = fmin(least, a->slack + (b->slack - a->slack) * share);
    }
    return least;
}

static double plane_ratio(const struct plane *plane, const struct result *result)
{
    return curve_slack_at(&plane->curves[OURS], result->shortage) / result->slack;
}

static void plane_print(const struct plane *plane)
{
    g_print("\n%-24s %10s %11s %11s %13s %9s\n", plane->key, "knob", "shortage", "slack", "ours there", "ratio");
    for (guint i = 0; i < controller_count; i++)
        for (guint k = 0; k < plane->curves[i].count; k++) {
            const struct curve *curve = &plane->curves[i];
            const struct result *result = &curve->results[k];
            g_print("%-22s%-2s %10g %10.3f%% %11.4f", curve->controller->name,
                    result->knob == curve->controller->usual ? " *" : "", result->knob, 100 * result->shortage,
                    result->slack);
            if (i != OURS)
                g_print(" %13.4f %9.3f", curve_slack_at(&plane->curves[OURS], result->shortage),
                        plane_ratio(plane, result));
            g_print("\n");
        }
}

/* Adds one key for each controller that this one is compared with, and gives the worst; 0: none was comparable. */
static double plane_report(const struct plane *plane, GString *report)
{
    double worst = 0;
    for (guint i = 0; i < controller_count; i++) {
        const struct curve *curve = &plane->curves[i];
        for (guint k = 0; k < curve->count; k++) {
            const double ratio = plane_ratio(plane, &curve->results[k]);
            if (i == OURS || curve->results[k].knob != curve->controller->usual)
                continue;
            g_string_append_printf(report, " %s_%s=%.3f", curve->controller->name, plane->key, ratio);
            if (!curve->controller->is_bound)
                worst = isnan(ratio) ? INFINITY : MAX(worst, ratio);
        }
    }
    return worst;
}

static void plane_draw(const struct plane *plane, struct svg *svg)
{
    const struct svg_panel panel = {
        .title = plane->key,
        .x = {"time in shortage, %", 0.01, 50, TRUE},
        .y = {"slack: idle / used", 0.02, 100, TRUE},
    };
    svg_begin_panel(svg, &panel);
    for (guint i = 0; i < controller_count; i++) {
        const struct curve *curve = &plane->curves[i];
        struct svg_point points[KNOBS_MAX];
        for (guint k = 0; k < curve->count; k++) {
            points[k] = (struct svg_point){100 * curve->results[k].shortage, curve->results[k].slack};
            if (curve->results[k].knob == curve->controller->usual)
                svg_mark(svg, i, points[k]);
        }
        svg_draw(svg, i, curve->controller->is_bound ? SVG_DASHED : SVG_LINE, points, curve->count);
    }
}

static gboolean draw(const struct plane *planes, guint count)
{
    g_autoptr(svg_auto) svg = svg_new("Slack at equal shortage (dots: as published)", count, 2);
    for (guint i = 0; i < count; i++)
        plane_draw(&planes[i], svg);
    for (guint i = 0; i < controller_count; i++)
        svg_explain(svg, i, controllers[i].name);
    return picture_save(svg, "slack-shortage");
}

/* So many stretches of CORE_REPLAY_POINTS points, by chance. */
static struct trace_set *sample_new(const struct trace_set *set)
{
    struct trace_set *sample = g_new0(struct trace_set, 1);
    GRand *random = g_rand_new_with_seed(SAMPLE_SEED);
    sample->name = set->name;
    sample->vms = g_ptr_array_new();
    sample->trials = g_ptr_array_new_with_free_func(g_free);
    while (sample->trials->len < SAMPLE_COURSES) {
        struct trial *trial =
            g_memdup2(set->trials->pdata[g_rand_int_range(random, 0, (gint32)set->trials->len)], sizeof(struct trial));
        const gint32 spare = (gint32)(trial->end - trial->begin) - CORE_REPLAY_POINTS;
        trial->begin += spare > 0 ? (guint)g_rand_int_range(random, 0, spare + 1) : 0;
        trial->end = trial->begin + CORE_REPLAY_POINTS;
        if (spare < 0)
            g_free(trial);
        else
            g_ptr_array_add(sample->trials, trial);
    }
    g_rand_free(random);
    return sample;
}

static struct result core_result(const struct trace_set *sample, enum resource resource, double knob,
                                 double *ret_time_short)
{
    struct core_tally tallies[RESOURCE_COUNT] = {0};
    for (guint i = 0; i < sample->trials->len; i++)
        core_replay(sample->trials->pdata[i], knob, tallies);
    const struct tally *tally = &tallies[resource].points;
    *ret_time_short = tallies[resource].short_s / (double)tally->looks;
    return (struct result){
        .knob = knob, .slack = tally->idle / tally->used, .shortage = (double)tally->shortages / (double)tally->looks};
}

/* The same, or of the nearest of its points where the curve does not reach there: static p99.5 is never as seldom short. */
static double curve_slack_near(const struct curve *curve, double shortage)
{
    const double there = curve_slack_at(curve, shortage);
    double nearest = NAN, least = INFINITY;
    for (guint i = 0; i < curve->count; i++) {
        const struct result *result = &curve->results[i];
        const double distance = fabs(log(result->shortage / shortage));
        if (distance < least) {
            least = distance;
            nearest = result->slack;
        }
    }
    return isnan(there) ? nearest : there;
}

/* What the core holds, beside what each controller by itself does at that shortage; `key` NULL: for no report. */
static void core_compare_at(const struct plane *plane, double slack, double shortage, const char *key, GString *report)
{
    for (guint i = 0; i < controller_count; i++) {
        const double other = curve_slack_near(&plane->curves[i], shortage);
        g_print(" %s %.4f", controllers[i].name, other);
        if (key != NULL && !controllers[i].is_bound)
            g_string_append_printf(report, " %s%s_vs_%s=%.3f", plane->key, key, controllers[i].name, slack / other);
    }
    g_print("\n");
}

/* The same courses through the core. By the time in shortage, which for the others are whole points; and as if each point that is short for any part of it
 * were short for all of it. */
static void core_compare(const struct plane *plane, GString *report)
{
    static const double knobs[CORE_KNOBS] = {4, CORE_USUAL, 100};
    g_print("\n%-24s %10s %16s %11s   slack of the others there\n", plane->key, "knob", "shortage", "slack");
    for (guint k = 0; k < CORE_KNOBS; k++) {
        const gboolean is_usual = knobs[k] == CORE_USUAL;
        double time_short;
        const struct result core = core_result(plane->set, plane->resource, knobs[k], &time_short);
        g_print("%-24s %10g %8.3f%% of time %11.4f  ", "core", knobs[k], 100 * time_short, core.slack);
        core_compare_at(plane, core.slack, time_short, is_usual ? "" : NULL, report);
        g_print("%-24s %10s %7.3f%% of points %10s  ", "", "", 100 * core.shortage, "");
        core_compare_at(plane, core.slack, core.shortage, is_usual ? "_points" : NULL, report);
    }
}

static void replay_core(const struct trace_set *planetlab, const struct trace_set *bitbrains, GString *report)
{
    struct trace_set *samples[] = {sample_new(planetlab), sample_new(bitbrains)};
    struct plane planes[CORE_PLANES] = {
        {.set = samples[0], .resource = RESOURCE_CPU, .key = "core_planetlab_cpu"},
        {.set = samples[1], .resource = RESOURCE_CPU, .key = "core_bitbrains_cpu"},
        {.set = samples[1], .resource = RESOURCE_MEMORY, .key = "core_bitbrains_memory"},
    };
    for (guint i = 0; i < CORE_PLANES; i++) {
        GThreadPool *pool = g_thread_pool_new(job_run, NULL, (gint)g_get_num_processors(), FALSE, NULL);
        plane_begin(&planes[i], pool);
        g_thread_pool_free(pool, FALSE, TRUE);
        core_compare(&planes[i], report);
    }
    for (guint i = 0; i < G_N_ELEMENTS(samples); i++)
        trace_set_free(samples[i]);
}

static guint64 replay_all(struct plane *planes, guint count)
{
    guint64 looks = 0;
    for (guint i = 0; i < count; i++) {
        GThreadPool *pool = g_thread_pool_new(job_run, NULL, (gint)g_get_num_processors(), FALSE, NULL);
        plane_begin(&planes[i], pool);
        g_thread_pool_free(pool, FALSE, TRUE);
        plane_print(&planes[i]);
        looks += planes[i].curves[OURS].results[0].looks;
    }
    return looks;
}

int main(void)
{
    g_autoptr(GError) error = NULL;
    struct trace_set *planetlab = trace_planetlab(&error);
    struct trace_set *bitbrains = planetlab != NULL ? trace_bitbrains(&error) : NULL;
    if (bitbrains == NULL) {
        g_printerr("%s\n", error != NULL ? error->message : "a usage course is empty");
        trace_set_free(planetlab);
        return EXIT_FAILURE;
    }
    struct plane planes[PLANES_MAX] = {
        {.set = planetlab, .resource = RESOURCE_CPU, .key = "planetlab_cpu"},
        {.set = bitbrains, .resource = RESOURCE_CPU, .key = "bitbrains_cpu"},
        {.set = bitbrains, .resource = RESOURCE_MEMORY, .key = "bitbrains_memory"},
        {.set = bitbrains, .resource = RESOURCE_NETWORK, .key = "bitbrains_network"},
    };
    log_set_level(LOG_LEVEL_ERROR);
    const guint64 looks = replay_all(planes, PLANES_MAX);
    g_autoptr(GString) report = g_string_new(NULL);
    double worst = 0;
    for (guint i = 0; i < PLANES_MAX; i++)
        worst = fmax(worst, plane_report(&planes[i], report));
    const gboolean is_drawn = draw(planes, PLANES_MAX);
    replay_core(planetlab, bitbrains, report);
    g_print("bench slack-shortage n=%" G_GUINT64_FORMAT " ratio=%.3f%s\n", looks, worst, report->str);
    trace_set_free(bitbrains);
    trace_set_free(planetlab);
    return is_drawn ? EXIT_SUCCESS : EXIT_FAILURE;
}
