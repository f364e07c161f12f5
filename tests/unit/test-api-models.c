/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api-harness.h"

#include "base/error.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define CONTENT "application/octet-stream"

/* Says what the learner would be asked. */
static void script(struct harness *harness, const struct event *event)
{
    g_autofree char *json = NULL;
    gsize length = 0;
    switch (event->kind) {
    case EVENT_MODEL_TRAIN:
        json = g_strdup_printf("{\"asked\":\"train %d\"}", event->eof);
        break;
    case EVENT_MODEL_SERVE:
        json = g_strdup_printf("{\"asked\":\"serve %d\"}", (int)event->count);
        break;
    case EVENT_MODEL_IMPORT:
        if (strcmp(g_bytes_get_data(event->bytes, &length), "bad") == 0) {
            harness_reply_error(harness, event->request, HBR_ERROR_INVALID, "/: it is damaged");
            return;
        }
        json = g_strdup_printf("{\"asked\":\"import %d %d\"}", (int)length, event->eof);
        break;
    default:
        return;
    }
    harness_reply(harness, event->request, 200, json);
}

static struct harness *fixture;

static void setup(void)
{
    fixture = harness_new(script, NULL);
}

static void teardown(void)
{
    harness_free(fixture);
}

static const struct {
    const char *method, *target, *body;
    guint status;
    const char *part; /* of the answer */
} cases[] = {
    {"GET", "/v1/models", NULL, 200, "{\"models\":[]}"},
    {"GET", "/v1/models?all=true", NULL, 400, "\\\"all\\\" is not known here"},
    {"GET", "/v1/models/1", NULL, 404, "there is no version 1 of the model"},
    {"GET", "/v1/models/0", NULL, 404, "there is no version 0 of the model"},
    {"GET", "/v1/models/-1", NULL, 400, "\\\"-1\\\" is not a version"},
    {"GET", "/v1/models/1x", NULL, 400, "is not a version"},
    {"GET", "/v1/models/99999999999", NULL, 400, "is not a version"},
    {"GET", "/v1/models/latest", NULL, 400, "is not a version"},
    {"GET", "/v1/models/1/content", NULL, 404, "there is no version 1 of the model"},
    {"POST", "/v1/models/train", NULL, 200, "train 0"},
    {"POST", "/v1/models/train?wait=true", NULL, 200, "train 1"},
    {"POST", "/v1/models/train?wait=30", NULL, 400, "right would be true or false"},
    {"POST", "/v1/models/3/serve", NULL, 200, "serve 3"},
    {"POST", "/v1/models/0/serve", NULL, 200, "serve 0"},
    {"POST", "/v1/models/latest/serve", NULL, 200, "serve -1"},
    {"POST", "/v1/models/newest/serve", NULL, 400, "is not a version"},
    {"POST", "/v1/models", "model", 200, "import 5 0"},
    {"POST", "/v1/models?serve=true", "model", 200, "import 5 1"},
    {"POST", "/v1/models?serve=yes", "model", 400, "right would be true or false"},
    {"POST", "/v1/models", "bad", 400, "it is damaged"},
    {"POST", "/v1/models", NULL, 400, "there is no model"},
    {"PUT", "/v1/models", "model", 405, "right would be: GET, HEAD, POST"},
    {"DELETE", "/v1/models/1", NULL, 405, "right would be: GET, HEAD"},
};

/* Rule: what was asked for is what the learner is asked; what is wrong is refused with what would be right. */
START_TEST(test_asked)
{
    struct http *http = http_connect(fixture);
    http_request(http, cases[_i].method, cases[_i].target, cases[_i].body != NULL ? CONTENT : NULL, cases[_i].body);
    struct http_answer *answer = http_read(http);
    g_autofree char *body = g_strndup((const char *)answer->body->data, answer->body->len);
    ck_assert_msg(answer->status == cases[_i].status, "%u: %s", answer->status, body);
    ck_assert_msg(strstr(body, cases[_i].part) != NULL, "%s", body);
    http_answer_free(answer);
    http_close(http);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api-models");
    TCase *tcase = tcase_create("models");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_asked, 0, (int)G_N_ELEMENTS(cases));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
