/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "daemon/daemon.h"

#include <check.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

static char *directory, *path;

static void setup(void)
{
    directory = g_dir_make_tmp("config-XXXXXX", NULL);
    path = g_build_filename(directory, "conf", NULL);
}

static void teardown(void)
{
    g_unlink(path);
    g_rmdir(directory);
    g_free(path);
    g_free(directory);
}

static struct config *load(const char *text, GError **error)
{
    ck_assert(g_file_set_contents(path, text, -1, NULL));
    return config_load(path, error);
}

/* Rule: what is wrong in the configuration is named, with what would be right. */
START_TEST(test_refusals)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"[daemon]\nsockt=/x\n", "[daemon] sockt: there is no such key; right would be one of socket"},
        {"[demon]\n", "[demon]: there is no such group; right would be [daemon] or [host NAME]"},
        {"[host a]\nlabels=x\n", "[host a]: uri is missing; right would be uri="},
        {"[host ..]\nuri=sim:a\n", "is not a name"},
        {"[host a]\nuri=sim:a\ncpu-overcommit=lots\n", "cpu-overcommit: \"lots\" is not a number from 0 to 1000"},
        {"[daemon]\nconnections-max=-1\n", "connections-max: \"-1\" is not a whole number"},
        {"[daemon]\nmodels=yes\n", "models: \"yes\" is not a whole number from 0 to 1"},
        {"[daemon]\nmodel-samples-max=999\n", "model-samples-max: \"999\" is not a whole number from 1000 to 100000"},
        {"[daemon]\nmodel-samples-max=100001\n", "\"100001\" is not a whole number from 1000 to 100000"},
        {"[daemon]\nmodel-half-life-days=-1\n", "model-half-life-days: \"-1\" is not a number from 0 to 36500"},
        {"[daemon]\nkeep-days=0.5\n", "keep-days: \"0.5\" is not a whole number from 0 to 36500"},
        {"[daemon]\ncode-cache=lots\n", "[daemon] code-cache: \"lots\" is not a size; right would be 512M or 1G"},
        {"[daemon]\ncode-cache=-1\n", "is not a size"},
        {"[daemon]\ncode-cache=1X\n", "is not a size"},
        {"[daemon]\ncode-cache=1Mi\n", "is not a size"},
        {"[daemon]\ncode-cache=1025T\n", "at most 1024T"},
        {"[daemon]\ncode-cache=1e999\n", "is not a size"},
        {"[daemon]\ncode-cache=\n", "is not a size"},
        {"[daemon]\nacceleration=warp\n", "acceleration: \"warp\" is not one of auto, kvm, tcg"},
        {"[daemon]\nlog-level=loud\n", "log level \"loud\" is not one of error, warning, info, debug"},
        {"socket=/x\n", "conf: "},
        {"[daemon]\npolicy=/a\\q\n", "[daemon] policy: "},
        {"[host a]\nuri=sim:a\nlabels=a\\q\n", "[host a] labels: "},
        {"[daemon]\nsocket=/\xff\n", "byte 17 is not text in UTF-8"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        struct config *config = load(cases[i].text, &error);
        ck_assert_msg(config == NULL, "case %u was taken", i);
        ck_assert_int_eq(error->code, HBR_ERROR_INVALID);
        ck_assert_msg(strstr(error->message, cases[i].expected) != NULL, "case %u: %s", i, error->message);
        ck_assert_msg(strstr(error->message, path) != NULL, "case %u names no file", i);
    }
}
END_TEST

START_TEST(test_values)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(config_auto) config = load("[daemon]\nsocket=/run/s\nlisten=127.0.0.1:7475\nconnections-max=7\n"
                                         "[host big one]\nuri=qemu:///system\n",
                                         &error);
    ck_assert_ptr_null(config); /* a name holds no blanks */
    g_clear_error(&error);
    g_autoptr(config_auto) good = load("[daemon]\nsocket=/run/s\nlisten=127.0.0.1:7475\nconnections-max=7\n"
                                       "[host big]\nuri=qemu:///system\nlabels=ssd;gpu\nmemory-reserve-mib=512\n",
                                       &error);
    ck_assert_msg(good != NULL, "%s", error != NULL ? error->message : "");
    ck_assert_str_eq(good->socket, "/run/s");
    ck_assert_str_eq(good->listen, "127.0.0.1:7475");
    ck_assert_uint_eq(good->connections_max, 7);
    ck_assert_uint_eq(good->keep_days, 30);
    ck_assert_uint_eq(good->models, 1);
    ck_assert_uint_eq(good->model_samples_max, 20000);
    ck_assert_uint_eq(good->model_train_runs, 50);
    ck_assert(g_str_has_suffix(good->prior, "/prior.model"));
    ck_assert_uint_eq(good->hosts->len, 1);
    const struct host_spec *host = good->hosts->pdata[0];
    ck_assert_str_eq(host->name, "big");
    ck_assert_str_eq(host->labels[1], "gpu");
    ck_assert_uint_eq(host->memory_reserve_mib, 512);
}
END_TEST

/* Rule: sizes are bytes, or powers of 1024. */
START_TEST(test_sizes)
{
    static const struct {
        const char *text;
        guint64 bytes;
    } cases[] = {{"0", 0},         {"4096", 4096},       {"64K", 65536},
                 {"64KiB", 65536}, {"1.5g", 1610612736}, {"1T", G_GUINT64_CONSTANT(1) << 40}};
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strdup_printf("[daemon]\ncode-cache=%s\n", cases[i].text);
        g_autoptr(GError) error = NULL;
        g_autoptr(config_auto) config = load(text, &error);
        ck_assert_msg(config != NULL, "%s", error != NULL ? error->message : "");
        ck_assert_uint_eq(config->code_cache, cases[i].bytes);
    }
    g_autoptr(config_auto) config = load("", NULL);
    ck_assert_uint_eq(config->code_cache, 1 << 30);
}
END_TEST

/* Rule: --check-config looks at policies and templates too, and the shipped ones are right. */
START_TEST(test_check)
{
    const char *source = g_getenv("HBR_SOURCE_DIR");
    g_autofree char *right =
        g_strdup_printf("[daemon]\npolicy=%s/policies/default.yaml\ntemplate-dir=%s/templates\n", source, source);
    g_autoptr(GError) error = NULL;
    g_autoptr(config_auto) config = load(right, &error);
    ck_assert_msg(config != NULL && daemon_check(config, &error), "%s", error != NULL ? error->message : "");
    g_autofree char *broken = g_build_filename(directory, "broken.xml", NULL);
    ck_assert(g_file_set_contents(
        broken, "<!DOCTYPE domain [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain>&x;</domain>", -1, NULL));
    g_free(config->template_dir);
    config->template_dir = g_strdup(directory);
    ck_assert(!daemon_check(config, &error));
    ck_assert_msg(strstr(error->message, "broken.xml:1") != NULL, "%s", error->message);
    g_unlink(broken);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *cases = tcase_create("config");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_refusals);
    tcase_add_test(cases, test_values);
    tcase_add_test(cases, test_sizes);
    tcase_add_test(cases, test_check);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
