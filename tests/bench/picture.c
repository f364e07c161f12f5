/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "picture.h"

#include <errno.h>

gboolean picture_save(struct svg *svg, const char *name)
{
    const char *build = g_getenv("HBR_BUILD_DIR");
    g_autofree char *directory = g_build_filename(build != NULL ? build : ".", "bench", NULL);
    g_autofree char *file = g_strconcat(name, ".svg", NULL), *path = g_build_filename(directory, file, NULL);
    g_autoptr(GError) error = NULL;
    if (g_mkdir_with_parents(directory, 0777) != 0)
        g_printerr("%s: %s\n", directory, g_strerror(errno));
    else if (g_file_set_contents(path, svg_text(svg), -1, &error))
        g_print("picture: %s\n", path);
    else
        g_printerr("%s\n", error->message);
    return error == NULL;
}
