/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "api/request.h"

/* One function for each row of the route table: decodes what came and posts an event, or answers by itself. See route_handler. */

gboolean handle_notify(struct request *request, GError **error);
gboolean handle_explain(struct request *request, GError **error);
gboolean handle_execute(struct request *request, GError **error);
gboolean handle_stdin(struct request *request, GError **error);
gboolean handle_list(struct request *request, GError **error);
gboolean handle_get(struct request *request, GError **error);
gboolean handle_events(struct request *request, GError **error);
gboolean handle_remove(struct request *request, GError **error);
gboolean handle_host_attach(struct request *request, GError **error);
gboolean handle_metrics(struct request *request, GError **error);
gboolean handle_health(struct request *request, GError **error);
gboolean handle_ready(struct request *request, GError **error);
gboolean handle_version(struct request *request, GError **error);

/* In pools.c. */
gboolean handle_instance_shape(struct request *request, GError **error);
gboolean handle_pool_set(struct request *request, GError **error);
gboolean handle_pool_drain(struct request *request, GError **error);

/* In code.c: what the store of code answers, on the connection's own thread. */
gboolean handle_code_put(struct request *request, GError **error);
gboolean handle_code_get(struct request *request, GError **error);

/* In models.c. What can be read is answered on the connection's own thread; the learner does the rest. */
gboolean handle_model_list(struct request *request, GError **error);
gboolean handle_model_get(struct request *request, GError **error);
gboolean handle_model_content(struct request *request, GError **error);
gboolean handle_model_train(struct request *request, GError **error);
gboolean handle_model_serve(struct request *request, GError **error);
gboolean handle_model_import(struct request *request, GError **error);
void finish_metrics(struct request *request);

/* In reads.c: what the database answers, on the connection's own thread. */
gboolean handle_history(struct request *request, GError **error);
gboolean handle_accuracy(struct request *request, GError **error);
gboolean handle_accuracy_points(struct request *request, GError **error);
gboolean handle_policy_load(struct request *request, GError **error);
gboolean handle_policy_list(struct request *request, GError **error);
gboolean handle_policy_get(struct request *request, GError **error);
gboolean handle_profile_list(struct request *request, GError **error);

/* Finishers: what the core no longer holds comes from the database. */
void finish_list(struct request *request);
void finish_get(struct request *request);
void finish_stdin(struct request *request);
void finish_health(struct request *request);

/* The body, decoded. */
gpointer handler_decode(const struct request *request, const struct codec *codec, GError **error);

/* The path's variable segment, checked. NULL with HBR_ERROR_INVALID. */
const char *handler_get_id(const struct request *request, GError **error);

/* The number of query parameter `name`: `fallback` when it is not given. FALSE with HBR_ERROR_INVALID outside of `min` to `max`. */
gboolean handler_get_number(const struct request *request, const char *name, guint64 min, guint64 max, guint64 fallback,
                            guint64 *ret_value, GError **error);

/* The value of a query parameter by its word: `fallback` when it is not given. FALSE with HBR_ERROR_INVALID and the words that it may be. */
gboolean handler_get_word(const struct request *request, const char *name, const struct codec_words *words,
                          guint fallback, guint *ret_value, GError **error);

/* The time of a query parameter: 0 when it is not given. FALSE with HBR_ERROR_INVALID. */
gboolean handler_get_time(const struct request *request, const char *name, gint64 *ret_at, GError **error);

/* The boolean of a query parameter: "true", "false", or absent (FALSE). */
gboolean handler_get_flag(const struct request *request, const char *name, gboolean *ret_flag, GError **error);
