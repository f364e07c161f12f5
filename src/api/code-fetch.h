/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/command.h"

#include <curl/curl.h>

/* One piece of code being fetched over HTTP, as an easy handle for a multi handle that its owner drives. What comes is bounded while it comes, and
 * is nobody's before its digest is checked. The owner's thread. */

struct code_fetch;

/* Begins to fetch `code` (its url is not NULL), which must outlive it. A server that sends less than a trickle for `low_speed_s` is given up. NULL with
 * HBR_ERROR_INTERNAL. */
struct code_fetch *code_fetch_begin(CURLM *multi, const struct code_ref *code, guint low_speed_s, GError **error);

/* Breaks off what is not done. NULL is accepted. */
void code_fetch_free(struct code_fetch *fetch);

/* The fetch of a handle that the multi handle reports on. */
struct code_fetch *code_fetch_of(CURL *easy);

/* What came, once libcurl is done with `result`: text, of the right digest. NULL with an error that says what was wrong, where, and what would be
 * right. */
GBytes *code_fetch_finish(struct code_fetch *fetch, CURLcode result, GError **error);
