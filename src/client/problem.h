/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "harbinger/harbinger.h"
#include <glib.h>

/* Errors of the client. Any thread. */

/* Fills `error` (NULL is accepted) with a code of base/error.h. Always false, so that callers can return it. */
bool problem_set(struct hbr_error *error, int code, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* Fills it from an answer with an HTTP status from 400 on: a problem document (RFC 9457), or whatever it is. Always false. */
bool problem_from_answer(struct hbr_error *error, int http_status, const char *body, size_t length);
