/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "learn-support.h"

#include <check.h>
#include <glib/gstdio.h>
#include <math.h>

void support_make_sample(struct sample *ret_sample, guint i, double level, gint64 at)
{
    g_autofree char *function = g_strdup_printf("f%u", i % 20);
    const struct code_metadata code = {.tenant = (char *)"acme", .function = function, .language = (char *)"python"};
    sample_of_code(ret_sample, &code, at);
    for (guint target = 0; target < TARGET_COUNT; target++)
        ret_sample->targets[target] = (float)(level + 0.1 * sin(i));
}

char *support_make_directory(void)
{
    char *path = g_dir_make_tmp("hbr-learn-XXXXXX", NULL);
    ck_assert_ptr_nonnull(path);
    return path;
}

static void remove_tree(const char *path)
{
    g_autoptr(GDir) directory = g_dir_open(path, 0, NULL);
    for (const char *name; directory != NULL && (name = g_dir_read_name(directory)) != NULL;) {
        g_autofree char *inner = g_build_filename(path, name, NULL);
        remove_tree(inner);
    }
    g_remove(path);
}

void support_remove_directory(char *path)
{
    remove_tree(path);
    g_free(path);
}

GBytes *support_read(const char *directory, const char *name)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    char *text = NULL;
    gsize length;
    ck_assert_msg(g_file_get_contents(path, &text, &length, NULL), "%s", path);
    return g_bytes_new_take(text, length);
}

void support_write(const char *directory, const char *name, gconstpointer data, gsize length)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    ck_assert(g_file_set_contents(path, length > 0 ? data : "", (gssize)length, NULL));
}

gboolean support_has(const char *directory, const char *name)
{
    g_autofree char *path = g_build_filename(directory, name, NULL);
    return g_file_test(path, G_FILE_TEST_EXISTS);
}
