/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan/path.h"

#define MIB_PER_GIB 1024.0
#define MS_PER_HOUR 3600e3

static double path_stock_cost(const struct policy_paths *costs, enum path path)
{
    if (path == PATH_RUNNING)
        return costs->running_cost;
    return path == PATH_PAUSED ? costs->paused_cost : 0;
}

double path_cost(const struct path_question *question, enum path path)
{
    const struct policy_paths *costs = &question->policy->paths;
    const struct path_offer *offer = &question->offers[path];
    const double held_hours = (double)(offer->ready_ms + question->policy->provisioning.margin_ms) / MS_PER_HOUR;
    const gboolean is_warm = path == PATH_RUNNING || path == PATH_PAUSED;
    const double cpu_seconds = is_warm ? 0 : (double)offer->median_ms / 1000;
    return costs->memory_cost * question->memory_mib / MIB_PER_GIB * held_hours + costs->cpu_cost * cpu_seconds +
           path_stock_cost(costs, path);
}

static gboolean path_is_in_time(const struct path_question *question, enum path path)
{
    return question->offers[path].ready_ms <= question->time_ms;
}

/* Whether `path` is better than `best`. */
static gboolean path_is_better(const struct path_question *question, enum path path, enum path best)
{
    const gboolean is_in_time = path_is_in_time(question, path), best_is_in_time = path_is_in_time(question, best);
    if (is_in_time != best_is_in_time)
        return is_in_time;
    if (is_in_time)
        return path_cost(question, path) < path_cost(question, best);
    return question->offers[path].ready_ms < question->offers[best].ready_ms;
}

static const char *path_verdict(const struct path_question *question, enum path path, int chosen)
{
    const struct path_offer *offer = &question->offers[path];
    if (!offer->is_there)
        return offer->objection != NULL ? offer->objection : "not there";
    if ((int)path == chosen)
        return path_is_in_time(question, path) ? "chosen" : "chosen: the first to be ready";
    if (!path_is_in_time(question, (enum path)chosen))
        return "ready later";
    return path_is_in_time(question, path) ? "costs more" : "not ready in time";
}

int path_choose(const struct path_question *question, GPtrArray **ret_choices)
{
    int chosen = -1;
    for (guint path = 0; path < PATH_COUNT; path++)
        if (question->offers[path].is_there &&
            (chosen < 0 || path_is_better(question, (enum path)path, (enum path)chosen)))
            chosen = (int)path;
    if (ret_choices == NULL)
        return chosen;
    GPtrArray *choices = g_ptr_array_new();
    for (guint path = 0; path < PATH_COUNT; path++) {
        const struct path_offer *offer = &question->offers[path];
        struct path_choice *choice = g_new0(struct path_choice, 1);
        *choice = (struct path_choice){
            .path = (enum path)path,
            .ready_ms = offer->ready_ms,
            .median_ms = offer->median_ms,
            .samples = offer->samples,
            .cost = path_cost(question, (enum path)path),
            .chosen = (int)path == chosen,
            .verdict = g_strdup(path_verdict(question, (enum path)path, chosen)),
        };
        g_ptr_array_add(choices, choice);
    }
    *ret_choices = choices;
    return chosen;
}
