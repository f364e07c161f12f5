/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <check.h>
#include <glib.h>
#include <stdlib.h>

/* Golden files: tests/golden/NAME holds what `text` must be. HBR_REGENERATE=1 in the environment writes the files anew instead, for
 * `git diff` to judge. */

static inline char *golden_tests_path(const char *name)
{
    const char *directory = g_getenv("HBR_TESTS_DIR");
    return g_build_filename(directory != NULL ? directory : "tests", name, NULL);
}

static inline void golden_check(const char *name, const char *text)
{
    g_autofree char *relative = g_build_filename("golden", name, NULL);
    g_autofree char *path = golden_tests_path(relative);
    g_autofree char *expected = NULL;
    if (g_strcmp0(g_getenv("HBR_REGENERATE"), "1") == 0) {
        g_autofree char *directory = g_path_get_dirname(path);
        ck_assert_int_eq(g_mkdir_with_parents(directory, 0755), 0);
        ck_assert(g_file_set_contents(path, text, -1, NULL));
    }
    ck_assert_msg(g_file_get_contents(path, &expected, NULL, NULL), "%s: cannot be read; HBR_REGENERATE=1 makes it",
                  path);
    ck_assert_msg(g_str_equal(expected, text), "%s differs from:\n%s", path, text);
}
