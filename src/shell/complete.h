/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shell/command.h"

/* Completion by asking the tables, for the interactive shell and for bash alike. One thread. */

/* Candidates for the last of `words` (the command line after "harbinger", the last word perhaps empty), sorted, each once. A candidate that ends
 * in "/" or "=" is to be continued without a blank. Free with g_ptr_array_unref. */
GPtrArray *complete_words(struct session *session, const char *const *words);

/* Completers of option values. */
void complete_file(struct session *session, const char *prefix, GPtrArray *candidates);
void complete_command(struct session *session, const char *prefix, GPtrArray *candidates);
void complete_reservation(struct session *session, const char *prefix, GPtrArray *candidates);
void complete_execution(struct session *session, const char *prefix, GPtrArray *candidates);
void complete_instance(struct session *session, const char *prefix, GPtrArray *candidates);
void complete_host(struct session *session, const char *prefix, GPtrArray *candidates);
void complete_pool(struct session *session, const char *prefix, GPtrArray *candidates);
void complete_any_id(struct session *session, const char *prefix, GPtrArray *candidates);
void complete_function(struct session *session, const char *prefix, GPtrArray *candidates);
void complete_policy_version(struct session *session, const char *prefix, GPtrArray *candidates);
void complete_model_version(struct session *session, const char *prefix, GPtrArray *candidates);
void complete_model_file(struct session *session, const char *prefix,
                         GPtrArray *candidates); /* of one that has its file */
void complete_language(struct session *session, const char *prefix, GPtrArray *candidates);
void complete_object_kind(struct session *session, const char *prefix, GPtrArray *candidates);
void complete_accuracy_by(struct session *session, const char *prefix, GPtrArray *candidates);
void complete_reservation_state(struct session *session, const char *prefix, GPtrArray *candidates);
void complete_execution_state(struct session *session, const char *prefix, GPtrArray *candidates);
void complete_instance_state(struct session *session, const char *prefix, GPtrArray *candidates);
void complete_wait_state(struct session *session, const char *prefix, GPtrArray *candidates);
