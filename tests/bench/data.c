/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

GDataInputStream *data_open(const char *name, GError **error)
{
    const char *directory = g_getenv("HBR_DATA_DIR"), *source = g_getenv("HBR_SOURCE_DIR");
    g_autofree char *path = directory != NULL
                                ? g_build_filename(directory, name, NULL)
                                : g_build_filename(source != NULL ? source : ".", "..", "shared", "data", name, NULL);
    g_autoptr(GFile) file = g_file_new_for_path(path);
    g_autoptr(GFileInputStream) stored = g_file_read(file, NULL, error);
    if (stored == NULL) {
        g_prefix_error(error, "recorded data is missing, HBR_DATA_DIR names its directory: ");
        return NULL;
    }
    if (!g_str_has_suffix(name, ".gz"))
        return g_data_input_stream_new(G_INPUT_STREAM(stored));
    g_autoptr(GZlibDecompressor) decompressor = g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP);
    g_autoptr(GInputStream) plain = g_converter_input_stream_new(G_INPUT_STREAM(stored), G_CONVERTER(decompressor));
    return g_data_input_stream_new(plain);
}

char **data_read_cells(GDataInputStream *stream, const char *name, guint columns, GError **error)
{
    g_autofree char *line = g_data_input_stream_read_line(stream, NULL, NULL, error);
    if (line == NULL)
        return NULL;
    g_auto(GStrv) cells = g_strsplit(line, ",", -1);
    if (g_strv_length(cells) >= columns)
        return g_steal_pointer(&cells);
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s: \"%s\" has not %u cells", name, line, columns);
    return NULL;
}
