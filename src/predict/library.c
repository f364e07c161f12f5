/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "predict/library.h"

#include <string.h>

/* The heaviest first. */
static const struct {
    const char *family;
    const char *libraries[16];
} family_table[] = {
    {"deep learning",
     {"torch", "pytorch", "tensorflow", "keras", "jax", "transformers", "diffusers", "onnxruntime", "mxnet"}},
    {"learning", {"scikit-learn", "sklearn", "xgboost", "lightgbm", "catboost", "statsmodels"}},
    {"data frames", {"pandas", "polars", "pyarrow", "dask", "modin", "vaex", "duckdb", "pyspark"}},
    {"numeric", {"numpy", "scipy", "numba", "cupy", "eigen", "openblas", "mkl", "ndarray", "sympy"}},
    {"browser", {"selenium", "playwright", "puppeteer"}},
    {"media", {"opencv", "cv2", "pillow", "pil", "scikit-image", "ffmpeg", "moviepy", "sharp", "imagemagick"}},
    {"database", {"sqlalchemy", "psycopg2", "sqlite3", "pymongo", "redis", "mysql", "pg"}},
    {"network",
     {"requests", "httpx", "aiohttp", "urllib3", "axios", "boto3", "scrapy", "paramiko", "flask", "django", "fastapi",
      "express"}},
};

static const char *const standard_table[] = {
    "argparse",    "asyncio",  "base64",    "bisect", "collections", "contextlib", "copy",     "csv",
    "dataclasses", "datetime", "enum",      "errno",  "fs",          "functools",  "glob",     "hashlib",
    "heapq",       "io",       "itertools", "json",   "logging",     "math",       "operator", "os",
    "path",        "pathlib",  "pickle",    "random", "re",          "shutil",     "signal",   "socket",
    "stdio",       "stdlib",   "string",    "struct", "subprocess",  "sys",        "tempfile", "textwrap",
    "threading",   "time",     "traceback", "typing", "util",        "uuid",       "warnings",
};

/* Up to a hyphen, an underscore or a point: "tensorflow-cpu" is tensorflow. */
static gboolean name_begins_with(const char *name, const char *known)
{
    const gsize length = strlen(known);
    return strncmp(name, known, length) == 0 && (name[length] == '\0' || strchr("-_.", name[length]) != NULL);
}

/* Its row in family_table, or that after the last. */
static guint family_row(const char *library)
{
    guint row = 0;
    for (; row < G_N_ELEMENTS(family_table); row++)
        for (guint i = 0; i < G_N_ELEMENTS(family_table[row].libraries); i++)
            if (family_table[row].libraries[i] != NULL && name_begins_with(library, family_table[row].libraries[i]))
                return row;
    return row;
}

const char *library_family(const char *library)
{
    const guint row = family_row(library);
    return row < G_N_ELEMENTS(family_table) ? family_table[row].family : NULL;
}

gboolean library_is_standard(const char *library)
{
    for (guint i = 0; i < G_N_ELEMENTS(standard_table); i++)
        if (g_str_equal(library, standard_table[i]))
            return TRUE;
    return FALSE;
}

const char *library_principal(char *const *libraries)
{
    const char *principal = NULL;
    guint heaviest = G_MAXUINT;
    for (; libraries != NULL && *libraries != NULL; libraries++) {
        const guint row = family_row(*libraries);
        if (library_is_standard(*libraries) || row > heaviest)
            continue;
        if (principal == NULL || row < heaviest || strcmp(*libraries, principal) < 0)
            principal = *libraries;
        heaviest = row;
    }
    return principal;
}
