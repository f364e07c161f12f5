/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/kvm-proof.h"

#include <check.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#define SYSTEM "qemu:///system"
#define SESSION "qemu:///session"

static char *state_dir;

static void setup(void)
{
    state_dir = g_dir_make_tmp("kvm-proof-XXXXXX", NULL);
    ck_assert_ptr_nonnull(state_dir);
}

static void teardown(void)
{
    g_autoptr(GDir) dir = g_dir_open(state_dir, 0, NULL);
    for (const char *entry; (entry = g_dir_read_name(dir)) != NULL;) {
        g_autofree char *path = g_build_filename(state_dir, entry, NULL);
        g_unlink(path);
    }
    g_rmdir(state_dir);
    g_free(state_dir);
}

/* Our own device says nothing about a libvirt that opens one of its own: there the proof decides. */
START_TEST(test_device)
{
    g_autofree char *reason = NULL;
    ck_assert_int_eq(kvm_proof_recall(state_dir, SYSTEM, NULL, &reason), ACCELERATION_UNKNOWN);
    ck_assert_ptr_null(reason);
    ck_assert_int_eq(kvm_proof_recall(state_dir, SESSION, "/nonexistent/kvm", &reason), ACCELERATION_TCG);
    ck_assert_str_eq(reason, "there is no /nonexistent/kvm");
    g_clear_pointer(&reason, g_free);
    ck_assert_int_eq(kvm_proof_recall(state_dir, SESSION, "/dev/null", &reason), ACCELERATION_UNKNOWN);
    ck_assert_ptr_null(reason);
}
END_TEST

/* A verdict holds for its URI, and for this boot of the host. */
START_TEST(test_remember)
{
    g_autofree char *reason = NULL;
    kvm_proof_remember(state_dir, SYSTEM, ACCELERATION_KVM, "a guest booted");
    ck_assert_int_eq(kvm_proof_recall(state_dir, SYSTEM, NULL, &reason), ACCELERATION_KVM);
    ck_assert_ptr_nonnull(strstr(reason, "a guest booted"));
    g_clear_pointer(&reason, g_free);
    ck_assert_int_eq(kvm_proof_recall(state_dir, SESSION, NULL, &reason), ACCELERATION_UNKNOWN);
    g_autoptr(GDir) dir = g_dir_open(state_dir, 0, NULL);
    g_autofree char *path = g_build_filename(state_dir, g_dir_read_name(dir), NULL);
    ck_assert(g_file_set_contents(path, "another-boot\nkvm\na guest booted\n", -1, NULL));
    ck_assert_int_eq(kvm_proof_recall(state_dir, SYSTEM, NULL, &reason), ACCELERATION_UNKNOWN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kvm-proof");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_device);
    tcase_add_test(tests, test_remember);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
