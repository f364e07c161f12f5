/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "policy/policy.h"

#include <check.h>

/* Policies for tests, from text and from the files that are shipped. */

static inline struct policy *policy_of_text(const char *name, const char *text, GError **error)
{
    g_autoptr(GPtrArray) sources = g_ptr_array_new();
    struct policy_source source = {.name = (char *)name, .text = (char *)text};
    g_ptr_array_add(sources, &source);
    return policy_parse(sources, error);
}

static inline char *policy_shipped_path(const char *name)
{
    const char *directory = g_getenv("HBR_SOURCE_DIR");
    return g_build_filename(directory != NULL ? directory : ".", "policies", name, NULL);
}

static inline struct policy *policy_shipped(const char *name)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = policy_shipped_path(name);
    g_autoptr(GPtrArray) sources = policy_sources_read(path, &error);
    ck_assert_msg(sources != NULL, "%s", error != NULL ? error->message : "");
    struct policy *policy = policy_parse(sources, &error);
    ck_assert_msg(policy != NULL, "%s", error != NULL ? error->message : "");
    return policy;
}
