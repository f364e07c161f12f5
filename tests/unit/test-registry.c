/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "learn-support.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "learn/record.h"
#include "learn/registry.h"

#include <check.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUNS 60

static struct model *trained; /* once for all */
static char *directory, *prior;
static struct registry *registry;

static void train(void)
{
    struct sample samples[RUNS];
    for (guint i = 0; i < RUNS; i++)
        support_make_sample(&samples[i], i, 1 + i % 20, (gint64)i * CLOCK_SECOND);
    const struct model_settings settings = {.info = {.origin = (char *)"trained", .made_at = CLOCK_SECOND}, .seed = 1};
    g_autoptr(GError) error = NULL;
    trained = model_train(samples, RUNS, &settings, NULL, &error);
    if (trained == NULL)
        g_error("%s", error->message);
}

static void reopen(void)
{
    const struct registry_settings settings = {.dir = directory, .prior = prior};
    g_autoptr(GError) error = NULL;
    registry_free(registry);
    registry = registry_open(&settings, &error);
    ck_assert_msg(registry != NULL, "%s", error != NULL ? error->message : "");
}

static void setup(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    directory = support_make_directory();
    prior = g_build_filename(directory, "prior", NULL);
    reopen();
}

static void teardown(void)
{
    g_clear_pointer(&registry, registry_free);
    support_remove_directory(directory);
    g_free(prior);
}

static gboolean keep(guint *ret_version, GError **error)
{
    *ret_version = registry_take_version(registry);
    g_autoptr(model_auto) model = model_rename(trained, *ret_version, "trained");
    return registry_keep(registry, model, model_record_new(model_get_info(model)), error);
}

/* Keeps one more, and lets it serve. */
static guint crown(gboolean is_held)
{
    guint version;
    ck_assert(keep(&version, NULL));
    g_autoptr(model_auto) model = registry_serve(registry, version, is_held, clock_now(), NULL);
    ck_assert_ptr_nonnull(model);
    return version;
}

/* -1: none. */
static int serving(void)
{
    g_autoptr(model_auto) model = registry_get_serving(registry);
    return model != NULL ? (int)model_get_info(model)->version : -1;
}

static void expect_state(guint version, const char *state)
{
    g_autofree char *text = registry_describe(registry, version, NULL);
    g_autofree char *wanted = g_strdup_printf("\"state\":\"%s\"", state);
    ck_assert_msg(text != NULL && strstr(text, wanted) != NULL, "version %u is not %s: %s", version, state, text);
}

static void expect_error(const GError *error, int code, const char *part)
{
    ck_assert_msg(g_error_matches(error, HBR_ERROR, code), "%s", error != NULL ? error->message : "no error");
    ck_assert_msg(strstr(error->message, part) != NULL, "%s", error->message);
}

static void expect_mode(const char *name, guint mode)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    struct stat info;
    ck_assert_int_eq(g_stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, mode);
}

/* Rule: without any model none serves, and nothing is wrong with that. */
START_TEST(test_empty)
{
    guint version;
    g_autoptr(GString) text = g_string_new(NULL);
    ck_assert_int_eq(serving(), -1);
    ck_assert(!registry_find_newest(registry, &version));
    registry_write_list(registry, text);
    ck_assert_str_eq(text->str, "{\"models\":[]}");
}
END_TEST

/* Rule: what serves, serves after a restart; files are the owner's alone. */
START_TEST(test_keep)
{
    ck_assert_uint_eq(crown(FALSE), 1);
    ck_assert_uint_eq(crown(TRUE), 2);
    for (guint i = 0; i < 2; i++, reopen()) {
        ck_assert_int_eq(serving(), 2);
        ck_assert(registry_is_held(registry));
        expect_state(2, "serving");
        expect_state(1, "kept");
    }
    expect_mode(".", 0700);
    expect_mode("000002.model", 0600);
    expect_mode("000002.record", 0600);
    expect_mode("serving", 0600);
    ck_assert(registry_release(registry, NULL));
    reopen();
    ck_assert(!registry_is_held(registry));
    g_autoptr(GBytes) file = support_read(directory, "000002.model"), content = registry_read(registry, 2, NULL);
    ck_assert(g_bytes_equal(file, content));
}
END_TEST

/* Rule: a version is never used again, whatever became of it. */
START_TEST(test_versions)
{
    crown(FALSE);
    g_autoptr(model_auto) loser = model_rename(trained, registry_take_version(registry), "trained");
    registry_note_refused(registry, model_record_new(model_get_info(loser)));
    reopen();
    expect_state(2, "refused");
    ck_assert(!support_has(directory, "000002.model"));
    ck_assert_uint_eq(registry_take_version(registry), 3);
    g_autoptr(GError) refused = NULL, unknown = NULL;
    ck_assert_ptr_null(registry_serve(registry, 2, TRUE, 1, &refused));
    expect_error(refused, HBR_ERROR_CONFLICT, "version 2 of the model is refused");
    ck_assert_ptr_null(registry_serve(registry, 9, TRUE, 1, &unknown));
    expect_error(unknown, HBR_ERROR_NOT_FOUND, "version 9");
    ck_assert_int_eq(serving(), 1);
}
END_TEST

/* Rule: the newest ten are kept, and the one that serves. */
START_TEST(test_prune)
{
    crown(FALSE);
    guint version;
    for (guint i = 0; i < MODELS_KEPT + 3; i++)
        ck_assert(keep(&version, NULL));
    for (guint i = 0; i < 2; i++, reopen()) {
        ck_assert_int_eq(serving(), 1);
        ck_assert_ptr_null(registry_describe(registry, 2, NULL));
        ck_assert_ptr_null(registry_describe(registry, version - MODELS_KEPT, NULL));
        expect_state(version - MODELS_KEPT + 1, "kept");
    }
    ck_assert(!support_has(directory, "000002.model") && !support_has(directory, "000002.record"));
}
END_TEST

/* Rule: what never served, as imports have not, pushes out nothing that did. */
START_TEST(test_prune_imports)
{
    guint version;
    for (guint i = 0; i < MODELS_KEPT; i++)
        crown(FALSE);
    for (guint i = 0; i < MODELS_KEPT + 3; i++)
        ck_assert(keep(&version, NULL));
    for (guint i = 1; i < MODELS_KEPT; i++)
        expect_state(i, "kept");
    ck_assert_ptr_null(registry_describe(registry, MODELS_KEPT + 1, NULL));
    crown(FALSE);
    ck_assert(keep(&version, NULL));
    ck_assert_ptr_null(registry_describe(registry, 1, NULL));
    expect_state(2, "kept");
}
END_TEST

/* Rule: one that never served does not come to serve by itself. */
START_TEST(test_newest)
{
    guint version, newest;
    crown(FALSE);
    crown(FALSE);
    ck_assert(keep(&version, NULL));
    ck_assert(registry_find_newest(registry, &newest));
    ck_assert_uint_eq(newest, 2);
    g_autofree char *path = g_build_filename(directory, "serving", NULL);
    g_unlink(path);
    reopen();
    ck_assert_int_eq(serving(), 2);
}
END_TEST

enum damage { DAMAGE_FLIP, DAMAGE_CUT, DAMAGE_ADD };

static const struct {
    enum damage damage;
    double where; /* share of the file */
} damages[] = {
    {DAMAGE_FLIP, 0},   {DAMAGE_FLIP, 0.00001}, {DAMAGE_FLIP, 0.0001}, {DAMAGE_FLIP, 0.01}, {DAMAGE_FLIP, 0.3},
    {DAMAGE_FLIP, 0.6}, {DAMAGE_FLIP, 0.9},     {DAMAGE_FLIP, 1},      {DAMAGE_CUT, 0},     {DAMAGE_CUT, 0.0001},
    {DAMAGE_CUT, 0.5},  {DAMAGE_CUT, 1},        {DAMAGE_ADD, 1},
};

static void damage_file(const char *name, guint index)
{
    g_autoptr(GBytes) content = support_read(directory, name);
    gsize length;
    const guint8 *data = g_bytes_get_data(content, &length);
    g_autofree guint8 *copy = g_malloc0(length + 1);
    memcpy(copy, data, length);
    const gsize at = MIN((gsize)(damages[index].where * (double)length), length - 1);
    if (damages[index].damage == DAMAGE_FLIP)
        copy[at] ^= 0x10;
    support_write(directory, name, copy,
                  damages[index].damage == DAMAGE_FLIP  ? length
                  : damages[index].damage == DAMAGE_CUT ? at
                                                        : length + 1);
}

/* Rule: a damaged file is refused wherever the damage is, moved aside, and the last good one serves. */
START_TEST(test_damage)
{
    crown(FALSE);
    crown(TRUE);
    log_set_level(LOG_LEVEL_ERROR);
    damage_file("000002.model", (guint)_i);
    reopen();
    ck_assert_int_eq(serving(), 1);
    ck_assert(!registry_is_held(registry));
    expect_state(2, "damaged");
    ck_assert(support_has(directory, "000002.damaged") && !support_has(directory, "000002.model"));
    reopen();
    ck_assert_int_eq(serving(), 1);
    expect_state(2, "damaged");
    ck_assert_uint_eq(registry_take_version(registry), 3);
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(registry_read(registry, 2, &error));
    expect_error(error, HBR_ERROR_CONFLICT, "damaged");
}
END_TEST

/* Rule: a rollback to a damaged version is refused, and changes nothing. */
START_TEST(test_damaged_rollback)
{
    crown(FALSE);
    crown(FALSE);
    damage_file("000001.model", 4);
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(registry_serve(registry, 1, TRUE, 1, &error));
    expect_error(error, HBR_ERROR_INVALID, "000001.model: ");
    ck_assert_int_eq(serving(), 2);
    reopen();
    ck_assert_int_eq(serving(), 2);
    expect_state(1, "damaged");
}
END_TEST

/* Rule: what is damaged or gone is not handed out, and that is told of it from then on, while it is so. */
START_TEST(test_damaged_export)
{
    crown(FALSE);
    crown(FALSE);
    g_autoptr(GBytes) whole = registry_read(registry, 1, NULL);
    g_autofree char *path = g_build_filename(directory, "000001.model", NULL);
    ck_assert_ptr_nonnull(whole);
    for (guint i = 0; i < 2; i++) {
        g_autoptr(GError) error = NULL;
        if (i == 0)
            damage_file("000001.model", 4);
        else
            ck_assert_int_eq(g_unlink(path), 0);
        ck_assert_ptr_null(registry_read(registry, 1, &error));
        expect_error(error, HBR_ERROR_CONFLICT, i == 0 ? "000001.model: it is damaged" : "000001.model: No such file");
        expect_state(1, "damaged");
        expect_state(2, "serving");
    }
    support_write(directory, "000001.model", g_bytes_get_data(whole, NULL), g_bytes_get_size(whole));
    g_autoptr(GBytes) again = registry_read(registry, 1, NULL);
    ck_assert(g_bytes_equal(whole, again));
    expect_state(1, "kept");
}
END_TEST

/* Rule: the shipped model is version 0; it serves while no other did, and when all others are damaged. */
START_TEST(test_shipped)
{
    g_autoptr(GBytes) content = model_save(trained, NULL);
    support_write(directory, "prior", g_bytes_get_data(content, NULL), g_bytes_get_size(content));
    reopen();
    ck_assert_int_eq(serving(), 0);
    crown(FALSE);
    damage_file("000001.model", 0);
    reopen();
    ck_assert_int_eq(serving(), 0);
    crown(FALSE);
    g_autoptr(model_auto) back = registry_serve(registry, 0, TRUE, 1, NULL);
    ck_assert_str_eq(model_get_info(back)->origin, "shipped");
    reopen();
    ck_assert_int_eq(serving(), 0);
    ck_assert(registry_is_held(registry));
    damage_file("prior", 4);
    reopen();
    ck_assert_int_eq(serving(), -1);
    ck_assert(support_has(directory, "prior"));
}
END_TEST

/* Rule: what is told of a model is kept beside it; lost, the model tells what it knows; lost with the model, that is told. */
START_TEST(test_records)
{
    crown(FALSE);
    crown(FALSE);
    support_write(directory, "000001.record", "{", 1);
    support_write(directory, "serving", "two\n", 4);
    g_autofree char *path = g_build_filename(directory, "000002.model", NULL);
    g_unlink(path);
    reopen();
    expect_state(2, "damaged");
    expect_state(1, "kept");
    ck_assert_int_eq(serving(), -1); /* of 1 nobody knows any more that it ever served */
}
END_TEST

static void fill_disk(rlim_t bytes)
{
    const struct rlimit limit = {bytes, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Rule: a full disk refuses the new model, and the old one serves on. */
START_TEST(test_full)
{
    crown(FALSE);
    g_autoptr(GError) error = NULL;
    guint version;
    signal(SIGXFSZ, SIG_IGN);
    fill_disk(1000);
    const gboolean is_kept = keep(&version, &error);
    fill_disk(RLIM_INFINITY);
    ck_assert(!is_kept);
    expect_error(error, HBR_ERROR_STORE, "000002.model");
    for (guint i = 0; i < 2; i++, reopen()) {
        ck_assert_int_eq(serving(), 1);
        ck_assert_ptr_null(registry_describe(registry, 2, NULL));
    }
    g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
    for (const char *name; (name = g_dir_read_name(dir)) != NULL;)
        ck_assert_msg(!g_str_has_prefix(name, "000002"), "%s was left behind", name);
    ck_assert_uint_gt(crown(FALSE), version - 1);
}
END_TEST

/* Rule: whoever dies between writing and renaming leaves the old state, and nothing in the way. */
START_TEST(test_unfinished)
{
    crown(FALSE);
    support_write(directory, "000002.model.X3F9AB", "half", 4);
    support_write(directory, "serving.77AB10", "2", 1);
    support_write(directory, "notes", "mine", 4);
    reopen();
    ck_assert_int_eq(serving(), 1);
    ck_assert(!support_has(directory, "000002.model.X3F9AB") && !support_has(directory, "serving.77AB10"));
    ck_assert(support_has(directory, "notes"));
}
END_TEST

/* Rule: kill -9 at any moment while models are written leaves one that was served. */
START_TEST(test_killed)
{
    crown(FALSE);
    g_clear_pointer(&registry, registry_free);
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        reopen();
        for (guint i = 0;; i++) {
            crown(FALSE);
            if (i == (guint)_i && write(ready[1], "", 1) != 1)
                _exit(1);
        }
    }
    char byte;
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    reopen();
    ck_assert_int_ge(serving(), 2 + _i);
    expect_state((guint)serving(), "serving");
    close(ready[0]);
    close(ready[1]);
}
END_TEST

int main(void)
{
    train();
    Suite *suite = suite_create("registry");
    TCase *tcase = tcase_create("registry");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_empty);
    tcase_add_test(tcase, test_keep);
    tcase_add_test(tcase, test_versions);
    tcase_add_test(tcase, test_prune);
    tcase_add_test(tcase, test_prune_imports);
    tcase_add_test(tcase, test_newest);
    tcase_add_loop_test(tcase, test_damage, 0, (int)G_N_ELEMENTS(damages));
    tcase_add_test(tcase, test_damaged_rollback);
    tcase_add_test(tcase, test_damaged_export);
    tcase_add_test(tcase, test_shipped);
    tcase_add_test(tcase, test_records);
    tcase_add_test(tcase, test_full);
    tcase_add_test(tcase, test_unfinished);
    tcase_add_loop_test(tcase, test_killed, 0, 4);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    model_unref(trained);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
