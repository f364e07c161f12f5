/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/process.h"

#include <check.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the kernel tells of a process that is taken for a QEMU by its arguments. */

#define UUID "3f1b6f6e-6a0f-4d56-8a5e-0c3f5b7a9d10"

static GPid child;
static char *path;

/* A program that writes and computes for ever, named as libvirt names a QEMU. */
static void setup(void)
{
    const char *argv[] = {"/bin/sh", "-c", "while :; do :; done", "qemu", "-uuid", UUID, NULL};
    ck_assert(g_spawn_async(NULL, (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &child, NULL));
    const int fd = g_file_open_tmp("pid-XXXXXX", &path, NULL);
    ck_assert_int_ge(fd, 0);
    close(fd);
    g_autofree char *text = g_strdup_printf("%d", child);
    ck_assert(g_file_set_contents(path, text, -1, NULL));
}

static void end_child(void)
{
    if (child == 0)
        return;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    child = 0;
}

static void teardown(void)
{
    end_child();
    g_unlink(path);
    g_free(path);
}

/* The arguments are there once the program is: until then it is still us. */
static struct process *open_child(const char *device)
{
    struct process *process = NULL;
    while (process == NULL)
        process = process_open(path, UUID, device);
    return process;
}

/* Counters go up with what it does, and it is told when it is gone. */
START_TEST(test_look)
{
    struct process_figures first, next;
    struct process *process = open_child(NULL);
    ck_assert(process_look(process, TRUE, &first));
    do
        ck_assert(process_look(process, TRUE, &next));
    while (next.cpu_us < first.cpu_us + 50000);
    ck_assert_uint_le(next.rss_mib, 1024);
    end_child();
    ck_assert(!process_look(process, FALSE, &next));
    process_free(process);
}
END_TEST

/* Neither another domain's QEMU, nor any process that came to its number, is taken for it. */
START_TEST(test_refused)
{
    struct process *process = open_child(NULL);
    ck_assert_ptr_null(process_open(path, "3f1b6f6e-6a0f-4d56-8a5e-0c3f5b7a9d11", NULL));
    g_autofree char *text = g_strdup_printf("%d\n", getpid());
    ck_assert(g_file_set_contents(path, text, -1, NULL));
    ck_assert_ptr_null(process_open(path, UUID, NULL));
    ck_assert(g_file_set_contents(path, "none", -1, NULL));
    ck_assert_ptr_null(process_open(path, UUID, NULL));
    ck_assert_ptr_null(process_open("/nowhere", UUID, NULL));
    process_free(process);
}
END_TEST

START_TEST(test_device)
{
    static const struct {
        const char *name;
        gboolean is_there;
    } devices[] = {{NULL, FALSE}, {"no-such-device", FALSE}, {"lo", TRUE}};
    for (guint i = 0; i < G_N_ELEMENTS(devices); i++) {
        struct process_figures figures;
        struct process *process = open_child(devices[i].name);
        ck_assert(process_look(process, FALSE, &figures));
        ck_assert_int_eq(figures.has_network, devices[i].is_there);
        process_free(process);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("process");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_look);
    tcase_add_test(tests, test_refused);
    tcase_add_test(tests, test_device);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
