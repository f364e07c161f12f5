/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "api-harness.h"

#include "api/code-store.h"
#include "base/error.h"
#include "base/log.h"
#include "model/limits.h"

#include <check.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#define NOWHERE "0000000000000000000000000000000000000000000000000000000000000000"

static char *directory;
static struct code_store *store;

static void open_store(guint64 bytes_max, guint entries_max)
{
    g_autofree char *dir = g_build_filename(directory, "code", NULL);
    const struct code_store_settings settings = {.dir = dir, .bytes_max = bytes_max, .entries_max = entries_max};
    g_autoptr(GError) error = NULL;
    code_store_free(store);
    store = code_store_open(&settings, &error);
    ck_assert_msg(store != NULL, "%s", error != NULL ? error->message : "");
}

static void setup(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    directory = g_dir_make_tmp("hbr-code-XXXXXX", NULL);
    open_store(1024, 0);
}

static void teardown(void)
{
    g_clear_pointer(&store, code_store_free);
    harness_remove_tree(directory);
    g_free(directory);
}

static char *put(const char *tenant, const char *text)
{
    g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
    g_autoptr(GError) error = NULL;
    char *sha256 = NULL;
    ck_assert_msg(code_store_put(store, tenant, bytes, &sha256, &error), "%s", error != NULL ? error->message : "");
    return sha256;
}

static gboolean has(const char *tenant, const char *sha256)
{
    g_autoptr(GBytes) bytes = code_store_get(store, tenant, sha256);
    return bytes != NULL;
}

/* Calls `visit` for each file of the store; how many there are. */
static guint visit_files(const char *path, void (*visit)(const char *path))
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    guint count = 0;
    if (dir == NULL) {
        if (visit != NULL)
            visit(path);
        return 1;
    }
    for (const char *name; (name = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *inner = g_build_filename(path, name, NULL);
        count += visit_files(inner, visit);
    }
    return count;
}

static guint mode_of(const char *path)
{
    struct stat info;
    ck_assert_int_eq(g_lstat(path, &info), 0);
    return info.st_mode & 0777;
}

static void check_private(const char *path)
{
    g_autofree char *folder = g_path_get_dirname(path);
    ck_assert_uint_eq(mode_of(path), 0600);
    ck_assert_uint_eq(mode_of(folder), 0700);
}

/* Rule: code comes out by its digest as it went in, in files that are the owner's alone. */
START_TEST(test_keep)
{
    g_autofree char *sha256 = put("acme", "print(1)\n");
    ck_assert_str_eq(sha256, "cc42155088fca5730758db72b2a5bca33112a941dfaa2d43098ec422ce4ea213");
    g_autoptr(GBytes) bytes = code_store_get(store, "acme", sha256);
    ck_assert_mem_eq(g_bytes_get_data(bytes, NULL), "print(1)\n", g_bytes_get_size(bytes));
    g_autofree char *again = put("acme", "print(1)\n");
    ck_assert_str_eq(again, sha256);
    ck_assert_uint_eq(code_store_entries(store), 1);
    ck_assert_uint_eq(code_store_bytes(store), 9);
    ck_assert_uint_eq(visit_files(directory, check_private), 1);
    ck_assert(!has("acme", NOWHERE));
}
END_TEST

/* Rule: who knows a digest does not thereby have another tenant's code; what is shared is apart. */
START_TEST(test_tenants)
{
    g_autofree char *own = put("acme/team", "a"), *shared = put(NULL, "b");
    ck_assert(has("acme/team", own) && !has("acme", own) && !has("umbrella", own));
    ck_assert(!has(NULL, own) && has(NULL, shared));
    ck_assert(!has("acme/team", shared));
    g_autofree char *other = put("umbrella", "a");
    ck_assert_uint_eq(code_store_entries(store), 2 + 1);
    ck_assert(has("umbrella", other));
}
END_TEST

static const struct {
    const char *bytes;
    gsize length;
    int code; /* -1: taken */
    const char *message;
} refusals[] = {
    {"a\0b", 3, HBR_ERROR_INVALID, "byte 1 is a NUL"},
    {"ab\377", 3, HBR_ERROR_INVALID, "byte 2 is not UTF-8"},
    {"\355\240\200", 3, HBR_ERROR_INVALID, "byte 0"},
    {"\303\244", 2, -1, NULL},
    {"\f\033", 2, -1, NULL},
};

/* Rule: what cannot be the source of a program is not kept. */
START_TEST(test_text)
{
    g_autoptr(GBytes) bytes = g_bytes_new(refusals[_i].bytes, refusals[_i].length);
    g_autoptr(GError) error = NULL;
    ck_assert_int_eq(code_store_put(store, "t", bytes, NULL, &error), refusals[_i].code < 0);
    if (refusals[_i].code < 0)
        return;
    ck_assert_int_eq(error->code, refusals[_i].code);
    ck_assert_msg(strstr(error->message, refusals[_i].message) != NULL, "%s", error->message);
    ck_assert_uint_eq(visit_files(directory, NULL), 0);
}
END_TEST

/* Rule: one piece of code is no larger than a program may have, nor than all that is kept. */
START_TEST(test_too_large)
{
    g_autofree char *text = g_strnfill(MODEL_CODE_MAX + 1, 'x');
    g_autoptr(GBytes) large = g_bytes_new(text, 1025), huge = g_bytes_new(text, MODEL_CODE_MAX + 1);
    g_autoptr(GError) error = NULL;
    ck_assert(!code_store_put(store, "t", large, NULL, &error));
    ck_assert_int_eq(error->code, HBR_ERROR_TOO_LARGE);
    g_clear_error(&error);
    open_store(G_GUINT64_CONSTANT(1) << 30, 0);
    ck_assert(code_store_put(store, "t", large, NULL, &error));
    ck_assert(!code_store_put(store, "t", huge, NULL, &error));
    ck_assert_int_eq(error->code, HBR_ERROR_TOO_LARGE);
}
END_TEST

static char *put_filled(const char *tenant, char fill, gsize length)
{
    g_autofree char *text = g_strnfill(length, fill);
    return put(tenant, text);
}

static void set_age(const char *sha256, const char *tenant, gint64 age_s)
{
    g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, tenant, -1);
    g_autofree char *folder = g_strconcat("tenant-", digest, NULL);
    g_autofree char *path = g_build_filename(directory, "code", folder, sha256, NULL);
    const time_t at = (time_t)(g_get_real_time() / G_USEC_PER_SEC - age_s);
    struct utimbuf times = {.actime = at, .modtime = at};
    ck_assert_int_eq(g_utime(path, &times), 0);
}

/* Rule: what was not asked for the longest makes room, in bytes and in entries, whoever's it is. */
START_TEST(test_evict)
{
    g_autofree char *a = put_filled("t", 'a', 400), *b = put_filled("u", 'b', 400);
    ck_assert(has("t", a));
    g_autofree char *c = put_filled("t", 'c', 400);
    ck_assert(has("t", a) && !has("u", b) && has("t", c));
    ck_assert_uint_eq(code_store_bytes(store), 800);
    ck_assert_uint_eq(visit_files(directory, NULL), 2);
    set_age(a, "t", 20);
    set_age(c, "t", 10);
    open_store(1024, 3);
    g_autofree char *d = put_filled("t", 'd', 1), *e = put_filled("t", 'e', 1);
    ck_assert(!has("t", a) && has("t", c) && has("t", d) && has("t", e));
    ck_assert_uint_eq(visit_files(directory, NULL), 3);
}
END_TEST

static void damage_last_byte(const char *path)
{
    g_autofree char *text = NULL;
    gsize length;
    ck_assert(g_file_get_contents(path, &text, &length, NULL));
    text[length - 1] ^= 1;
    ck_assert(g_file_set_contents(path, text, (gssize)length, NULL));
}

static void damage_length(const char *path)
{
    ck_assert(g_file_set_contents(path, "print(", -1, NULL));
}

static void damage_gone(const char *path)
{
    ck_assert_int_eq(g_unlink(path), 0);
}

/* It would be read as whatever it leads to. */
static void damage_link(const char *path)
{
    g_autofree char *elsewhere = g_strconcat(path, "-moved", NULL);
    ck_assert_int_eq(g_rename(path, elsewhere), 0);
    ck_assert_int_eq(symlink(elsewhere, path), 0);
}

static void (*const damages[])(const char *) = {damage_last_byte, damage_length, damage_gone, damage_link};

/* Rule: what is no longer what it was is removed and not there; it can be put again. */
START_TEST(test_damage)
{
    g_autofree char *sha256 = put("t", "print(1)\n");
    visit_files(directory, damages[_i]);
    ck_assert(!has("t", sha256));
    ck_assert_uint_eq(code_store_entries(store), 0);
    ck_assert_uint_eq(code_store_bytes(store), 0);
    g_autofree char *again = put("t", "print(1)\n");
    ck_assert(has("t", again));
}
END_TEST

/* Rule: a restart keeps what is there with the order of its use, takes away what was half written, and holds a bound that was made narrower. */
START_TEST(test_restart)
{
    g_autofree char *a = put_filled("t", 'a', 300), *b = put_filled("t", 'b', 300), *c = put_filled("u", 'c', 300);
    set_age(a, "t", 20);
    set_age(b, "t", 30);
    set_age(c, "u", 10);
    g_autofree char *half = g_build_filename(directory, "code", "shared", "0123456789abcdef.ABCDEF", NULL);
    g_autofree char *shared = g_path_get_dirname(half);
    ck_assert_int_eq(g_mkdir(shared, 0700), 0);
    ck_assert(g_file_set_contents(half, "pri", -1, NULL));
    open_store(1024, 0);
    ck_assert_uint_eq(code_store_bytes(store), 900);
    ck_assert(!g_file_test(half, G_FILE_TEST_EXISTS));
    open_store(700, 0);
    ck_assert(has("t", a) && !has("t", b) && has("u", c));
}
END_TEST

/* Rule: a store of nothing keeps nothing; a directory that cannot be made is an error that names it. */
START_TEST(test_none)
{
    g_autoptr(GBytes) bytes = g_bytes_new_static("x", 1);
    g_autoptr(GError) error = NULL;
    open_store(0, 0);
    ck_assert(!code_store_put(store, "t", bytes, NULL, &error));
    ck_assert_int_eq(error->code, HBR_ERROR_TOO_LARGE);
    g_clear_error(&error);
    const struct code_store_settings nowhere = {.dir = "/proc/none/code", .bytes_max = 1};
    ck_assert_ptr_null(code_store_open(&nowhere, &error));
    ck_assert_int_eq(error->code, HBR_ERROR_STORE);
    ck_assert_ptr_nonnull(strstr(error->message, "/proc/none/code"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("code-store");
    TCase *cases = tcase_create("code-store");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, test_keep);
    tcase_add_test(cases, test_tenants);
    tcase_add_loop_test(cases, test_text, 0, G_N_ELEMENTS(refusals));
    tcase_add_test(cases, test_too_large);
    tcase_add_test(cases, test_evict);
    tcase_add_loop_test(cases, test_damage, 0, G_N_ELEMENTS(damages));
    tcase_add_test(cases, test_restart);
    tcase_add_test(cases, test_none);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
