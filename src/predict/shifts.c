/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/shifts.h"

#include "predict/library.h"
#include "predict/sample.h"

#include <gsl/gsl_sort.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GROUPS_MAX 2048
#define LIBRARIES_MAX 8 /* of one piece of code, that are looked at */
#define VOTES_MIN 3
#define VOTES_MAX 6
#define STEPS_MAX 8
#define SCORE_MAX 3.0
#define STRENGTH_MIN 4.8
#define LEFT_OVER_MIN 0.2 /* of each vote for a shift */
#define SPREAD_MIN 0.05
#define SPREAD_MAX 0.4 /* of what is less sure than that a run proves nothing */

/* How far one voter's newest run was off. */
struct vote {
    guint64 voter;
    guint64 order; /* of the run among all observed */
    gint64 since;  /* the first of its newest runs that were off to the same side */
    double left_over, score;
};

/* The newest first. */
struct votes {
    struct vote votes[VOTES_MAX];
    guint count;
};

/* From `at` on so much more is needed. */
struct step {
    enum history_amount amount;
    gint64 at;
    guint64 found; /* order of the run that showed it */
    double shift;
};

/* A library, of one tenant or of all. */
struct group {
    guint64 key, touched;
    struct votes votes[HISTORY_AMOUNT_COUNT];
    struct step steps[STEPS_MAX];
    guint step_count;
};

struct shifts {
    GHashTable *groups;
    guint64 order;
};

struct shifts *shifts_new(void)
{
    struct shifts *shifts = g_new0(struct shifts, 1);
    shifts->groups = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    return shifts;
}

void shifts_free(struct shifts *shifts)
{
    if (shifts != NULL)
        g_hash_table_unref(shifts->groups);
    g_free(shifts);
}

/* --- Groups --- */

enum { KEY_ALL = 1, KEY_OWN };

/* One library of a piece of code: as all tenants use it, and as its own does. */
struct use {
    guint64 all, own; /* keys */
};

static const char *code_tenant(const struct code_metadata *code)
{
    return code->tenant != NULL ? code->tenant : "default";
}

static gboolean uses_library(const struct use *uses, guint count, guint64 all)
{
    for (guint i = 0; i < count; i++)
        if (uses[i].all == all)
            return TRUE;
    return FALSE;
}

/* Each once. */
static guint code_uses(const struct code_metadata *code, struct use ret_uses[LIBRARIES_MAX])
{
    const guint64 tenant = category_hash(code_tenant(code));
    guint count = 0;
    for (guint i = 0; code->libraries != NULL && code->libraries[i] != NULL && count < LIBRARIES_MAX; i++) {
        const guint64 library = category_hash(code->libraries[i]);
        if (library_is_standard(code->libraries[i]) || uses_library(ret_uses, count, category_join(KEY_ALL, library)))
            continue;
        ret_uses[count++] = (struct use){
            .all = category_join(KEY_ALL, library),
            .own = category_join(category_join(KEY_OWN, tenant), library),
        };
    }
    return count;
}

static struct group *shifts_find(const struct shifts *shifts, guint64 key)
{
    return g_hash_table_lookup(shifts->groups, &key);
}

static gboolean group_is_stale(gpointer key G_GNUC_UNUSED, gpointer value, gpointer data)
{
    const struct group *group = value;
    return group->touched <= *(const guint64 *)data;
}

/* When there are too many, those go that were not touched for long. */
static struct group *shifts_touch(struct shifts *shifts, guint64 key)
{
    struct group *group = shifts_find(shifts, key);
    if (group == NULL) {
        guint64 limit = shifts->order > GROUPS_MAX / 8 ? shifts->order - GROUPS_MAX / 8 : 0;
        if (g_hash_table_size(shifts->groups) >= GROUPS_MAX)
            g_hash_table_foreach_remove(shifts->groups, group_is_stale, &limit);
        group = g_new0(struct group, 1);
        group->key = key;
        g_hash_table_insert(shifts->groups, &group->key, group);
    }
    group->touched = shifts->order;
    return group;
}

/* --- Votes --- */

static gboolean same_side(double left, double right)
{
    return (left > 0) == (right > 0);
}

static gboolean vote_is_off(const struct vote *vote)
{
    return fabs(vote->left_over) >= LEFT_OVER_MIN;
}

/* The voter's newest takes the place of its last. */
static void votes_cast(struct votes *votes, const struct vote *vote)
{
    struct vote newest = *vote;
    guint place = 0;
    while (place < votes->count && votes->votes[place].voter != vote->voter)
        place++;
    if (place < votes->count && vote_is_off(&votes->votes[place]) && same_side(votes->votes[place].score, vote->score))
        newest.since = MIN(votes->votes[place].since, vote->since);
    votes->count = MIN(MAX(votes->count, place + 1), VOTES_MAX);
    for (guint i = MIN(place, VOTES_MAX - 1); i > 0; i--)
        votes->votes[i] = votes->votes[i - 1];
    votes->votes[0] = newest;
}

/* How many of the newest, cast after `order`, show a shift most strongly; 0: none do. */
static guint votes_count_agreed(const struct votes *votes, guint64 order, double *ret_strength)
{
    double sum = 0, strongest = STRENGTH_MIN;
    guint agreed = 0;
    for (guint i = 0; i < votes->count; i++) {
        const struct vote *vote = &votes->votes[i];
        if (vote->order <= order || !vote_is_off(vote) || !same_side(vote->score, votes->votes[0].score))
            break;
        sum += vote->score;
        const double strength = fabs(sum) / sqrt(i + 1);
        if (i + 1 >= VOTES_MIN && strength > strongest) {
            strongest = strength;
            agreed = i + 1;
        }
    }
    *ret_strength = agreed > 0 ? strongest : 0;
    return agreed;
}

static struct step votes_tell(const struct votes *votes, guint count)
{
    double left_over[VOTES_MAX];
    struct step step = {.at = G_MAXINT64};
    for (guint i = 0; i < count; i++) {
        left_over[i] = votes->votes[i].left_over;
        step.at = MIN(step.at, votes->votes[i].since);
    }
    gsl_sort(left_over, 1, count);
    step.shift = (left_over[(count - 1) / 2] + left_over[count / 2]) / 2;
    return step;
}

/* --- Steps --- */

static guint64 group_found(const struct group *group, enum history_amount amount)
{
    guint64 found = 0;
    for (guint i = 0; group != NULL && i < group->step_count; i++)
        if (group->steps[i].amount == amount)
            found = group->steps[i].found;
    return found;
}

/* What the tenant saw alone before all did is the same change. */
static gboolean step_is_superseded(const struct step *own, const struct group *all)
{
    return own->found <= group_found(all, own->amount);
}

static double group_own_shift(const struct group *own, const struct group *all, enum history_amount amount)
{
    double sum = 0;
    for (guint i = 0; i < own->step_count; i++)
        if (own->steps[i].amount == amount && !step_is_superseded(&own->steps[i], all))
            sum += own->steps[i].shift;
    return sum;
}

/* Of too many the oldest goes. */
static void group_add_step(struct group *group, const struct step *step)
{
    if (group->step_count == STEPS_MAX) {
        memmove(group->steps, group->steps + 1, (STEPS_MAX - 1) * sizeof *group->steps);
        group->step_count--;
    }
    group->steps[group->step_count++] = *step;
}

/* --- Observing --- */

/* What one run says of one amount. */
struct ballot {
    enum history_amount amount;
    guint64 function, tenant;
    struct vote vote;
};

static void shifts_cast(struct shifts *shifts, const struct use *use, const struct ballot *ballot)
{
    struct group *own = shifts_touch(shifts, use->own), *all = shifts_touch(shifts, use->all);
    struct vote vote = ballot->vote;
    vote.voter = ballot->function;
    votes_cast(&own->votes[ballot->amount], &vote);
    const double spread = vote.left_over / vote.score, shift = group_own_shift(own, all, ballot->amount);
    vote.voter = ballot->tenant;
    if (shift != 0) {
        vote.left_over += shift;
        vote.score = CLAMP(vote.left_over / spread, -SCORE_MAX, SCORE_MAX);
    }
    votes_cast(&all->votes[ballot->amount], &vote);
}

/* The group among those of the code's libraries whose votes tell a shift most strongly, or NULL. */
static struct group *shifts_find_shifted(const struct shifts *shifts, const struct use *uses, guint count,
                                         enum history_amount amount, guint *ret_agreed)
{
    struct group *shifted = NULL;
    double strongest = 0;
    for (guint i = 0; i < 2 * count; i++) {
        struct group *all = shifts_find(shifts, uses[i / 2].all),
                     *group = i % 2 == 0 ? all : shifts_find(shifts, uses[i / 2].own);
        const guint64 found = MAX(group_found(all, amount), group_found(group, amount));
        double strength = 0;
        const guint agreed = group != NULL ? votes_count_agreed(&group->votes[amount], found, &strength) : 0;
        if (agreed > 0 && strength > strongest) {
            strongest = strength;
            shifted = group;
            *ret_agreed = agreed;
        }
    }
    return shifted;
}

/* What explains the votes of one library explains those of the others that the same code uses. */
static void shifts_forget_votes(struct shifts *shifts, const struct use *uses, guint count, enum history_amount amount)
{
    for (guint i = 0; i < count; i++) {
        struct group *all = shifts_find(shifts, uses[i].all), *own = shifts_find(shifts, uses[i].own);
        if (all != NULL)
            all->votes[amount].count = 0;
        if (own != NULL)
            own->votes[amount].count = 0;
    }
}

static gboolean shifts_observe_amount(struct shifts *shifts, const struct use *uses, guint count,
                                      const struct ballot *ballot)
{
    guint agreed = 0;
    for (guint i = 0; i < count; i++)
        shifts_cast(shifts, &uses[i], ballot);
    struct group *shifted = shifts_find_shifted(shifts, uses, count, ballot->amount, &agreed);
    if (shifted == NULL)
        return FALSE;
    struct step step = votes_tell(&shifted->votes[ballot->amount], agreed);
    step.amount = ballot->amount;
    step.found = shifts->order;
    group_add_step(shifted, &step);
    shifts_forget_votes(shifts, uses, count, ballot->amount);
    return TRUE;
}

gboolean shifts_observe(struct shifts *shifts, const struct code_metadata *code, gint64 at,
                        const struct surprise surprises[HISTORY_AMOUNT_COUNT])
{
    struct use uses[LIBRARIES_MAX];
    const guint count = code_uses(code, uses);
    gboolean is_shifted = FALSE;
    shifts->order++;
    for (guint i = 0; count > 0 && i < HISTORY_AMOUNT_COUNT; i++) {
        const double left_over = surprises[i].left_over, spread = MAX(surprises[i].spread, SPREAD_MIN);
        if (!isfinite(left_over) || !(spread < SPREAD_MAX) || left_over == 0)
            continue;
        const struct ballot ballot = {
            .amount = i,
            .function = category_hash(code->function),
            .tenant = category_hash(code_tenant(code)),
            .vote =
                {
                    .order = shifts->order,
                    .since = at,
                    .left_over = left_over,
                    .score = CLAMP(left_over / spread, -SCORE_MAX, SCORE_MAX),
                },
        };
        is_shifted = shifts_observe_amount(shifts, uses, count, &ballot) || is_shifted;
    }
    return is_shifted;
}

/* --- Asking --- */

static guint shift_list_add(struct history_shift shifts[SHIFTS_MAX], guint count, const struct step *step)
{
    if (count < SHIFTS_MAX)
        shifts[count++] = (struct history_shift){.amount = step->amount, .at = step->at, .shift = step->shift};
    return count;
}

guint shifts_get(const struct shifts *shifts, const struct code_metadata *code,
                 struct history_shift ret_shifts[SHIFTS_MAX])
{
    struct use uses[LIBRARIES_MAX];
    const guint use_count = code_uses(code, uses);
    guint count = 0;
    for (guint i = 0; i < use_count; i++) {
        const struct group *all = shifts_find(shifts, uses[i].all), *own = shifts_find(shifts, uses[i].own);
        for (guint j = all != NULL ? all->step_count : 0; j > 0; j--)
            count = shift_list_add(ret_shifts, count, &all->steps[j - 1]);
        for (guint j = own != NULL ? own->step_count : 0; j > 0; j--)
            if (!step_is_superseded(&own->steps[j - 1], all))
                count = shift_list_add(ret_shifts, count, &own->steps[j - 1]);
    }
    return count;
}
