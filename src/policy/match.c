/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/policy.h"

#include "model/limits.h"

#include <fnmatch.h>
#include <string.h>

/* Most patterns are plain words and most words differ in their first character, so fnmatch is rarely reached. Its time grows with
 * pattern times word, so a word longer than any name matches nothing. */
static gboolean pattern_matches(const char *pattern, const char *word, gboolean fold)
{
    const char first = pattern[0];
    const gboolean is_wild = first == '*' || first == '?' || first == '[' || first == '\\';
    if (!is_wild && first != word[0] && (!fold || g_ascii_tolower(first) != g_ascii_tolower(word[0])))
        return FALSE;
    if (fold ? g_ascii_strcasecmp(pattern, word) == 0 : strcmp(pattern, word) == 0)
        return TRUE;
    return strpbrk(pattern, "*?[\\") != NULL && strnlen(word, MODEL_NAME_MAX + 1) <= MODEL_NAME_MAX &&
           fnmatch(pattern, word, fold ? FNM_CASEFOLD : 0) == 0;
}

static gboolean word_matches(char **patterns, const char *word, gboolean fold)
{
    if (patterns == NULL)
        return TRUE;
    if (word == NULL)
        return FALSE;
    for (; *patterns != NULL; patterns++)
        if (pattern_matches(*patterns, word, fold))
            return TRUE;
    return FALSE;
}

static gboolean any_word_matches(char **patterns, char **words, gboolean fold)
{
    if (patterns == NULL)
        return TRUE;
    for (; words != NULL && *words != NULL; words++)
        if (word_matches(patterns, *words, fold))
            return TRUE;
    return FALSE;
}

static gboolean range_matches(gint64 min, gint64 max, gint64 value)
{
    if (min < 0 && max < 0)
        return TRUE;
    return value > 0 && value >= min && (max < 0 || value <= max);
}

static const struct policy_function function_default = {
    .retry_memory = 1.5,
    .name = (char *)"default",
    .reuse_max = 1,
    .stage = TRUE,
};

const struct policy_function *policy_function_of(const struct policy *policy, const struct code_metadata *code)
{
    const char *tenant = code->tenant != NULL ? code->tenant : "default";
    for (guint i = 0; i < policy->functions->len; i++) {
        const struct policy_function *function = g_ptr_array_index(policy->functions, i);
        if (word_matches(function->functions, code->function, FALSE) &&
            word_matches(function->tenants, tenant, FALSE) && word_matches(function->languages, code->language, TRUE))
            return function;
    }
    return &function_default;
}

gboolean policy_rule_matches(const struct policy_rule *rule, const struct code_metadata *code)
{
    return (rule->gpu < 0 || (rule->gpu != 0) == (code->gpu != FALSE)) &&
           range_matches(rule->code_bytes_min, rule->code_bytes_max, code->code_bytes) &&
           range_matches(rule->payload_bytes_min, rule->payload_bytes_max, code->payload_bytes) &&
           range_matches(rule->input_bytes_min, rule->input_bytes_max, code->input_bytes) &&
           range_matches(rule->payload_items_min, rule->payload_items_max, code->payload_items) &&
           range_matches(rule->payload_depth_min, rule->payload_depth_max, code->payload_depth) &&
           range_matches(rule->parallelism_min, rule->parallelism_max, code->parallelism) &&
           word_matches(rule->languages, code->language, TRUE) &&
           word_matches(rule->algorithms, code->algorithm, TRUE) &&
           word_matches(rule->functions, code->function, FALSE) &&
           word_matches(rule->tenants, code->tenant != NULL ? code->tenant : "default", FALSE) &&
           any_word_matches(rule->libraries, code->libraries, TRUE);
}
