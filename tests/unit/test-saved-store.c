/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "host/file-copy.h"
#include "host/saved-store.h"

#include <check.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The directory of saved states: what is in it is whole and fits, or is removed. */

static char *home, *directory;
static struct saved_origin origin;

static void put(const char *path, const char *text)
{
    ck_assert(g_file_set_contents(path, text, -1, NULL));
}

static void setup(void)
{
    home = g_dir_make_tmp("hbr-saved.XXXXXX", NULL);
    directory = g_build_filename(home, "saved", "here", NULL);
    origin = (struct saved_origin){.template_dir = g_strdup(home),
                                   .image_dir = g_strdup(home),
                                   .libvirt_version = 9000000,
                                   .qemu_version = 7002000,
                                   .acceleration = ACCELERATION_TCG};
    g_autofree char *template = g_build_filename(home, "base.xml", NULL);
    g_autofree char *kernel = g_build_filename(home, "vmlinuz", NULL);
    put(template, "<domain><os><kernel>vmlinuz</kernel></os></domain>");
    put(kernel, "kernel");
    ck_assert(saved_prepare(directory, NULL));
}

static void teardown(void)
{
    const char *const remove[] = {"rm", "-rf", home, NULL};
    ck_assert(g_spawn_sync(NULL, (char **)remove, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
    saved_origin_clear(&origin);
    g_free(directory);
    g_free(home);
}

static char *path_of(const char *id, const char *suffix)
{
    return saved_path(directory, id, suffix);
}

static gboolean exists(const char *id, const char *suffix)
{
    g_autofree char *path = path_of(id, suffix);
    return g_access(path, F_OK) == 0;
}

static void keep(const char *id, gboolean has_disk)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *state = path_of(id, ".state.part");
    g_autofree char *disk = path_of(id, ".disk.part");
    struct saved_record *record = g_new0(struct saved_record, 1);
    record->state = g_new0(struct saved_state, 1);
    record->state->id = g_strdup(id);
    record->state->template = g_strdup("base");
    record->state->fingerprint = saved_fingerprint(&origin, "base", &error);
    record->owner = g_strdup("me");
    put(state, "the state");
    if (has_disk)
        put(disk, "the disk");
    ck_assert_msg(saved_commit(directory, record, has_disk, &error), "%s", error != NULL ? error->message : "");
    ck_assert_int_eq(record->state->bytes >= 9, TRUE);
    saved_record_free(record);
}

static GPtrArray *list(const char *owner)
{
    return saved_list(directory, owner, &origin, G_MAXINT64);
}

static void append(const char *id, const char *suffix)
{
    g_autofree char *path = path_of(id, suffix);
    FILE *file = fopen(path, "a");
    ck_assert(file != NULL && fputc('!', file) == '!' && fclose(file) == 0);
}

/* As many bytes, but others; written until the kernel's coarse clock gives the file another time. */
static void spoil(const char *id, const char *suffix)
{
    g_autofree char *path = path_of(id, suffix);
    struct stat before, after;
    ck_assert_int_eq(stat(path, &before), 0);
    do {
        FILE *file = fopen(path, "r+");
        ck_assert(file != NULL && fputc('!', file) == '!' && fclose(file) == 0 && stat(path, &after) == 0);
    } while (before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
}

/* What was kept is found, is nobody else's to read, and is gone when it is removed. */
START_TEST(test_keep)
{
    keep("saved-1", TRUE);
    g_autoptr(saved_record_auto) record = saved_verify(directory, "saved-1", NULL);
    ck_assert(record != NULL && record->disk_sha256 != NULL && record->state_bytes == 9);
    static const char *const suffixes[] = {".json", ".state", ".disk"};
    for (gsize i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *path = path_of("saved-1", suffixes[i]);
        struct stat info;
        ck_assert(stat(path, &info) == 0 && (info.st_mode & 0777) == 0600);
    }
    g_autoptr(GPtrArray) states = list("me");
    ck_assert_uint_eq(states->len, 1);
    saved_remove(directory, "saved-1");
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(saved_verify(directory, "saved-1", &error));
    ck_assert_int_eq(error->code, HBR_ERROR_NOT_FOUND);
    for (gsize i = 0; i < G_N_ELEMENTS(suffixes); i++)
        ck_assert(!exists("saved-1", suffixes[i]));
}
END_TEST

/* A state that is given up is not to be used from that moment on, whenever its files go. */
START_TEST(test_disown)
{
    keep("saved-1", FALSE);
    saved_disown(directory, "saved-1");
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(saved_verify(directory, "saved-1", &error));
    ck_assert_int_eq(error->code, HBR_ERROR_NOT_FOUND);
    ck_assert(exists("saved-1", ".state"));
    saved_remove(directory, "saved-1");
    ck_assert(!exists("saved-1", ".state"));
}
END_TEST

static void lose_disk(void)
{
    g_autofree char *path = path_of("saved-1", ".disk");
    g_unlink(path);
}

static void cut_record(void)
{
    g_autofree char *path = path_of("saved-1", ".json");
    ck_assert_int_eq(truncate(path, 20), 0);
}

static void grow_state(void)
{
    append("saved-1", ".state");
}

static void rename_record(void)
{
    g_autofree char *from = path_of("saved-1", ".json");
    g_autofree char *other = path_of("saved-2", ".json");
    g_autofree char *text = NULL;
    ck_assert(g_file_get_contents(other, &text, NULL, NULL) && g_file_set_contents(from, text, -1, NULL));
}

static void spoil_state(void)
{
    spoil("saved-1", ".state");
}

static void spoil_disk(void)
{
    spoil("saved-1", ".disk");
}

static const struct {
    void (*damage)(void);
    gboolean is_listed; /* checksums are looked at before use alone */
} damages[] = {
    {lose_disk, FALSE},     {cut_record, FALSE}, {grow_state, FALSE},
    {rename_record, FALSE}, {spoil_state, TRUE}, {spoil_disk, TRUE},
};

/* A damaged state is never used, though it was whole a moment ago; the others are not harmed. */
START_TEST(test_damaged)
{
    keep("saved-1", TRUE);
    keep("saved-2", FALSE);
    g_autoptr(saved_record_auto) before = saved_verify(directory, "saved-1", NULL);
    ck_assert_ptr_nonnull(before);
    damages[_i].damage();
    g_autoptr(GError) error = NULL;
    ck_assert_ptr_null(saved_verify(directory, "saved-1", &error));
    ck_assert_ptr_nonnull(error);
    g_autoptr(GPtrArray) states = list("me");
    ck_assert_uint_eq(states->len, damages[_i].is_listed ? 2 : 1);
    ck_assert(exists("saved-1", ".state") == damages[_i].is_listed);
    g_autoptr(saved_record_auto) other = saved_verify(directory, "saved-2", NULL);
    ck_assert_ptr_nonnull(other);
}
END_TEST

static void change_template(void)
{
    g_autofree char *path = g_build_filename(home, "base.xml", NULL);
    put(path, "<domain><os><kernel>vmlinuz</kernel></os><features/></domain>");
}

static void change_kernel(void)
{
    g_autofree char *path = g_build_filename(home, "vmlinuz", NULL);
    put(path, "a newer kernel");
}

static void lose_kernel(void)
{
    g_autofree char *path = g_build_filename(home, "vmlinuz", NULL);
    g_unlink(path);
}

static void change_libvirt(void)
{
    origin.libvirt_version++;
}

static void change_qemu(void)
{
    origin.qemu_version++;
}

static void change_acceleration(void)
{
    origin.acceleration = ACCELERATION_KVM;
}

static void change_network(void)
{
    origin.network = g_strdup("user");
}

static void (*const changes[])(void) = {change_template, change_kernel,       lose_kernel,   change_libvirt,
                                        change_qemu,     change_acceleration, change_network};

/* A state that was made from anything else than what is there now is removed. */
START_TEST(test_stale)
{
    keep("saved-1", FALSE);
    changes[_i]();
    g_autoptr(GPtrArray) states = list("me");
    ck_assert(states->len == 0 && !exists("saved-1", ".state") && !exists("saved-1", ".json"));
}
END_TEST

/* So is another owner's, and what belongs to nobody, unless it is so young that it may be in the making. */
START_TEST(test_strays)
{
    keep("saved-1", FALSE);
    g_autofree char *part = path_of("saved-9", ".state.part");
    put(part, "half");
    g_autoptr(GPtrArray) young = saved_list(directory, "me", &origin, 1);
    ck_assert(young->len == 1 && exists("saved-9", ".state.part"));
    g_autoptr(GPtrArray) old = list("me");
    ck_assert(old->len == 1 && !exists("saved-9", ".state.part"));
    g_autoptr(GPtrArray) others = list("somebody else");
    ck_assert(others->len == 0 && !exists("saved-1", ".state"));
}
END_TEST

/* An id never leads out of the directory. */
START_TEST(test_ids)
{
    static const char *const ids[] = {"../saved-1", "a/b", "", "."};
    for (gsize i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_autoptr(GError) error = NULL;
        ck_assert_ptr_null(saved_verify(directory, ids[i], &error));
        ck_assert_int_eq(error->code, HBR_ERROR_INVALID);
    }
}
END_TEST

/* Holes are neither copied nor do they matter for the digest; data do. */
START_TEST(test_sparse)
{
    g_autofree char *from = g_build_filename(home, "from", NULL);
    g_autofree char *to = g_build_filename(home, "to", NULL);
    struct stat a, b;
    FILE *file = fopen(from, "w");
    ck_assert(file != NULL && fseek(file, 5000000, SEEK_SET) == 0 && fputs("data", file) > 0);
    ck_assert(ftruncate(fileno(file), 64 << 20) == 0 && fclose(file) == 0);
    ck_assert(file_copy_sparse(from, to, NULL) && stat(from, &a) == 0 && stat(to, &b) == 0);
    ck_assert(a.st_size == b.st_size && b.st_blocks * 512 < 1 << 20 && (b.st_mode & 0777) == 0600);
    g_autofree char *first = file_digest_sparse(from, NULL);
    g_autofree char *second = file_digest_sparse(to, NULL);
    ck_assert_str_eq(first, second);
    file = fopen(to, "r+"); /* zeros in place of a hole */
    ck_assert(file != NULL && fseek(file, 9000000, SEEK_SET) == 0 && fputc(0, file) == 0 && fclose(file) == 0);
    g_autofree char *filled = file_digest_sparse(to, NULL);
    ck_assert_str_eq(first, filled);
    file = fopen(to, "r+");
    ck_assert(file != NULL && fseek(file, 9000000, SEEK_SET) == 0 && fputc('x', file) == 'x' && fclose(file) == 0);
    g_autofree char *changed = file_digest_sparse(to, NULL);
    ck_assert_str_ne(first, changed);
    g_autofree char *whole = file_digest(from, NULL);
    g_autofree char *other = file_digest(to, NULL);
    ck_assert_str_ne(whole, other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("saved-store");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_keep);
    tcase_add_loop_test(tests, test_damaged, 0, G_N_ELEMENTS(damages));
    tcase_add_loop_test(tests, test_stale, 0, G_N_ELEMENTS(changes));
    tcase_add_test(tests, test_disown);
    tcase_add_test(tests, test_strays);
    tcase_add_test(tests, test_ids);
    tcase_add_test(tests, test_sparse);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
