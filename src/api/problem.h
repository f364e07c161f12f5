/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Errors as problem documents (RFC 9457). Any thread. */

#define PROBLEM_CONTENT_TYPE "application/problem+json"

/* The document of `error`: type, title, status, detail, code, and the pointer where the message starts with a JSON pointer and ": ". */
GBytes *problem_document(const GError *error, guint status);

/* The HTTP status of an error of any domain. */
guint problem_status(const GError *error);
