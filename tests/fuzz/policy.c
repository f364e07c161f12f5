/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A policy file as an operator, or whoever may load policies, writes it: it is refused with file and line, or what was read can be dumped and read
 * to the same, and predicts. */
#include "policy/policy.h"

#include "base/error.h"
#include "predict/predictor.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct policy *policy_of_text(char *text, GError **error)
{
    struct policy_source source = {.name = (char *)"fuzz.yaml", .text = text};
    g_autoptr(GPtrArray) sources = g_ptr_array_new();
    g_ptr_array_add(sources, &source);
    return policy_parse(sources, error);
}

static char *policy_text(const struct policy *policy)
{
    json_t *json = policy_to_json(policy);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static void check_dump(const struct policy *policy)
{
    char *text = policy_text(policy);
    struct policy *again = policy_of_text(text, NULL);
    if (again == NULL)
        abort();
    char *text_again = policy_text(again);
    if (strcmp(text, text_again) != 0)
        abort();
    policy_unref(again);
    free(text);
    free(text_again);
}

static void check_prediction(const struct policy *policy)
{
    static const char *const libraries[] = {"numpy", "torch", NULL};
    const struct code_metadata code = {
        .function = (char *)"f",
        .language = (char *)"python",
        .libraries = (char **)libraries,
        .input_bytes = G_MAXINT64,
        .parallelism = 64,
        .gpu = TRUE,
    };
    struct predictor *predictor = predictor_new(1);
    struct demand *demand = predictor_predict(predictor, policy, &code, 0);
    if (!isfinite(demand->memory_mib.p99) || demand->memory_mib.p90 < demand->memory_mib.p50 || demand->score > 100)
        abort();
    demand_free(demand);
    predictor_free(predictor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    GError *error = NULL;
    char *text = g_strndup((const char *)data, size);
    struct policy *policy = policy_of_text(text, &error);
    if ((policy != NULL) == (error != NULL))
        abort();
    if (error != NULL &&
        (!g_str_has_prefix(error->message, "fuzz.yaml:") || !g_utf8_validate(error->message, -1, NULL)))
        abort();
    if (policy != NULL) {
        check_dump(policy);
        check_prediction(policy);
    }
    policy_unref(policy);
    g_clear_error(&error);
    g_free(text);
    return 0;
}
