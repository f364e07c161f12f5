/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon-bed.h"

#include "base/clock.h"
#include "model/execution.h"

#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define FUNCTIONS 40

/* The daemon that learns, with XGBoost behind it. */

static struct daemon_bed bed;
static struct hbr_error error;

static void setup(void)
{
    daemon_bed_init(&bed);
    error = (struct hbr_error)HBR_ERROR_INIT;
}

static void teardown(void)
{
    hbr_error_clear(&error);
    daemon_bed_clear(&bed);
}

static void append_run(GString *sql, guint i)
{
    g_autofree char *id = g_strdup_printf("exec-%06u", i), *function = g_strdup_printf("f%u", i % FUNCTIONS);
    const double need = exp(0.1 * (i % FUNCTIONS)) * (1 + 0.05 * sin(i));
    const struct observation observation = {
        .execution_id = id,
        .code = {.function = function, .tenant = (char *)"acme", .language = (char *)(i % 2 ? "python" : "c")},
        .ended_at = clock_now() - (gint64)(100000 - i) * CLOCK_SECOND,
        .reason = EXIT_EXITED,
        .vcpus = 1 + need / 50,
        .cpu_seconds = need,
        .memory_mib = 50 + need,
        .network_mbps = need / 10,
        .duration_ms = 1000 * need,
        .shape = {.vcpus = 2, .memory_mib = 512},
    };
    g_autofree char *body = codec_encode_text(&observation_codec, &observation, CODEC_STORE);
    g_string_append_printf(sql,
                           "INSERT INTO observation(execution_id, function, tenant, code_bytes, payload_bytes, "
                           "payload_items, payload_depth, input_bytes, parallelism, gpu, libraries, ended_at, reason, "
                           "status, vcpus, cpu_seconds, memory_mib, network_mbps, duration_ms, shape_vcpus, "
                           "shape_memory_mib, body) VALUES('%s', '%s', 'acme', 0, 0, 0, 0, 0, 0, 0, '[]', "
                           "%" G_GINT64_FORMAT ", 'exited', 0, 1, 1, 1, 1, 1, 2, 512, '%s');",
                           id, function, observation.ended_at, body);
}

/* A database with so many runs in it. The daemon does not run after that. */
static void remember(guint count)
{
    daemon_bed_start(&bed);
    daemon_bed_stop(&bed, SIGTERM);
    g_autoptr(GString) sql = g_string_new("BEGIN;");
    for (guint i = 0; i < count; i++)
        append_run(sql, i);
    g_string_append(sql, "COMMIT;");
    daemon_bed_sql(&bed, sql->str);
}

static json_t *take_json(bool is_done, char *text)
{
    g_autofree char *log = is_done ? NULL : daemon_bed_log(&bed);
    ck_assert_msg(is_done, "%s: %s", error.message, log);
    json_t *json = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(json);
    hbr_free(text);
    return json;
}

static json_t *train(void)
{
    char *text = NULL;
    const bool is_done = hbr_model_train(bed.client, true, &text, &error);
    return take_json(is_done, text);
}

static void expect_state(const char *version, const char *state)
{
    char *text = NULL;
    const bool is_done = hbr_model_get(bed.client, version, &text, &error);
    json_auto_t *model = take_json(is_done, text);
    ck_assert_str_eq(json_string_value(json_object_get(model, "state")), state);
}

static void expect_metric(const char *line)
{
    char *text = NULL;
    ck_assert(hbr_metrics(bed.client, &text, &error));
    ck_assert_msg(strstr(text, line) != NULL, "%s is not in %s", line, text);
    hbr_free(text);
}

static void expect_clean_stop(void)
{
    const int status = daemon_bed_stop(&bed, SIGTERM);
    g_autofree char *log = daemon_bed_log(&bed);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x: %s", (guint)status, log);
}

/* Rule: what the database remembers is learned from without being asked, and predicts, also after a restart. */
START_TEST(test_learns)
{
    remember(240);
    daemon_bed_start(&bed);
    json_auto_t *model = train(); /* that which is under way, or a second one */
    expect_state("1", "serving");
    ck_assert_uint_gt(json_array_size(json_object_get(model, "scores")), 0);
    json_auto_t *receipt = daemon_bed_notify(&bed, "never-seen", NULL, 3600 * 1000);
    json_auto_t *reservation = daemon_bed_get(&bed, HBR_RESERVATION, json_string_value(json_object_get(receipt, "id")));
    const json_t *demand = json_object_get(reservation, "demand");
    ck_assert_int_eq(json_integer_value(json_object_get(demand, "model_version")), 1);
    expect_metric("\nharbinger_model_version 1\n");
    expect_metric("\nharbinger_model_samples 240\n");
    expect_clean_stop();
    daemon_bed_start(&bed);
    expect_state("1", "serving");
    expect_clean_stop();
}
END_TEST

/* Rule: each run that ends is learned from. */
START_TEST(test_run)
{
    static const char request[] = "{\"code\":{\"function\":\"f\"},\"program\":{\"interpreter\":\"sh\","
                                  "\"source\":\"# sim: duration_ms=5\"}}";
    struct hbr_exec_result result = HBR_EXEC_RESULT_INIT;
    daemon_bed_start(&bed);
    ck_assert_msg(hbr_execute(bed.client, request, NULL, &result, &error), "%s", error.message);
    hbr_exec_result_clear(&result);
    for (guint i = 0; i < 2; i++) { /* answered in its turn; by the second answer the figures are out */
        ck_assert(!hbr_model_serve(bed.client, NULL, NULL, &error));
        ck_assert_str_eq(error.id, "not-found");
    }
    expect_metric("\nharbinger_model_samples 1\n");
    ck_assert(!hbr_model_train(bed.client, true, NULL, &error));
    ck_assert_msg(strstr(error.message, "runs to learn from: 1;") != NULL, "%s", error.message);
    expect_clean_stop();
}
END_TEST

/* A model that this daemon has learned, as a file. Free with hbr_free. */
static char *train_and_export(size_t *ret_length)
{
    remember(240);
    daemon_bed_start(&bed);
    json_decref(train());
    void *data = NULL;
    ck_assert_msg(hbr_model_export(bed.client, "1", &data, ret_length, &error), "%s", error.message);
    return data;
}

/* Rule: a model goes out of one daemon and into another; what was damaged on the way is refused; what is chosen is held. */
START_TEST(test_exchange)
{
    size_t length;
    char *data = train_and_export(&length), *text = NULL;
    ck_assert(!hbr_model_import(bed.client, data, length - 1, true, NULL, &error));
    ck_assert_str_eq(error.id, "invalid");
    ck_assert_str_eq(error.pointer, "");
    expect_state("1", "serving");
    hbr_error_clear(&error);
    const bool is_imported = hbr_model_import(bed.client, data, length, true, &text, &error);
    json_auto_t *imported = take_json(is_imported, text);
    ck_assert_str_eq(json_string_value(json_object_get(imported, "origin")), "imported");
    expect_state("1", "kept");
    const bool is_back = hbr_model_serve(bed.client, "1", &text, &error);
    json_auto_t *back = take_json(is_back, text);
    ck_assert(json_is_true(json_object_get(back, "held")));
    hbr_free(data);
    expect_clean_stop();
    daemon_bed_start(&bed);
    expect_state("1", "serving");
}
END_TEST

/* Makes the parent of one node of the first tree one that there is not, and the digest right again. */
static void forge(char *data, size_t length)
{
    static const char header[] = "parents[$l#L"; /* UBJSON: an array of 32-bit numbers; their count has 64 bits */
    char *body = (char *)memchr(data, '\n', length) + 1;
    const size_t size = length - (size_t)(body - data);
    char *array = memmem(body, size, header, strlen(header));
    ck_assert_ptr_nonnull(array);
    array[strlen(header) + 8 + 4] = 'D'; /* the highest byte of the second */
    g_autofree char *digest = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *)body, size);
    memcpy(body - 1 - strlen(digest), digest, strlen(digest));
}

/* Rule: a model that was made to end the process that reads it ends another one than the daemon. */
START_TEST(test_forged)
{
    size_t length;
    char *data = train_and_export(&length);
    forge(data, length);
    ck_assert(!hbr_model_import(bed.client, data, length, true, NULL, &error));
    hbr_free(data);
    ck_assert_str_eq(error.id, "invalid");
    ck_assert_msg(strstr(error.message, "it is not sound") != NULL, "%s", error.message);
    expect_state("1", "serving");
    expect_clean_stop();
}
END_TEST

/* Rule: killed while it trains, the last good model serves after it; told to stop while it trains, it stops. */
START_TEST(test_killed)
{
    remember(2000);
    daemon_bed_start(&bed);
    json_decref(train());
    ck_assert_msg(hbr_model_train(bed.client, false, NULL, &error), "%s", error.message);
    if (_i == 0)
        daemon_bed_stop(&bed, SIGKILL);
    else
        expect_clean_stop();
    daemon_bed_start(&bed);
    expect_state("1", "serving");
    expect_clean_stop();
}
END_TEST

/* Rule: who wants no models gets none, and is told so. */
START_TEST(test_off)
{
    bed.keys = (char *)"models=0";
    daemon_bed_start(&bed);
    ck_assert(!hbr_model_list(bed.client, NULL, &error));
    ck_assert_str_eq(error.id, "unsupported");
    hbr_error_clear(&error);
    ck_assert(!hbr_model_train(bed.client, true, NULL, &error));
    ck_assert_str_eq(error.id, "unsupported");
    expect_metric("harbinger_policy_version");
    expect_clean_stop();
    bed.keys = NULL;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("daemon-models");
    TCase *tcase = tcase_create("models");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_learns);
    tcase_add_test(tcase, test_run);
    tcase_add_test(tcase, test_exchange);
    tcase_add_test(tcase, test_forged);
    tcase_add_loop_test(tcase, test_killed, 0, 2);
    tcase_add_test(tcase, test_off);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
