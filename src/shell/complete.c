/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/complete.h"

#include "shell/global.h"
#include "shell/language.h"

#include <string.h>

/* Whoever presses Tab does not wait for a daemon that hangs. */
#define COMPLETE_TIMEOUT_MS 2000

static void complete_add_all(const char *const *words, guint count, GPtrArray *candidates)
{
    for (guint i = 0; i < count; i++)
        g_ptr_array_add(candidates, g_strdup(words[i]));
}

#define COMPLETE_WORDS(name, ...)                                                 \
    void name(struct session *session, const char *prefix, GPtrArray *candidates) \
    {                                                                             \
        static const char *const words[] = {__VA_ARGS__};                         \
        (void)session;                                                            \
        (void)prefix;                                                             \
        complete_add_all(words, G_N_ELEMENTS(words), candidates);                 \
    }

COMPLETE_WORDS(complete_reservation_state, "scheduled", "waiting", "starting", "ready", "claimed", "done", "expired",
               "cancelled", "failed")
COMPLETE_WORDS(complete_execution_state, "queued", "starting", "running", "finished", "failed", "cancelled",
               "interrupted")
COMPLETE_WORDS(complete_instance_state, "starting", "warm", "paused", "claiming", "ready", "busy", "stopping", "gone")
COMPLETE_WORDS(complete_accuracy_by, "function", "language", "model", "tenant")
COMPLETE_WORDS(complete_object_kind, "reservation", "execution", "instance", "host")
COMPLETE_WORDS(complete_wait_state, "ready", "claimed", "done")

void complete_language(struct session *session, const char *prefix, GPtrArray *candidates)
{
    (void)session;
    (void)prefix;
    for (guint i = 0; language_name(i) != NULL; i++)
        g_ptr_array_add(candidates, g_strdup(language_name(i)));
}

void complete_file(struct session *session, const char *prefix, GPtrArray *candidates)
{
    (void)session;
    const char *slash = strrchr(prefix, '/');
    g_autofree char *folder = slash != NULL ? g_strndup(prefix, (gsize)(slash - prefix) + 1) : g_strdup("");
    g_autoptr(GDir) directory = g_dir_open(*folder != '\0' ? folder : ".", 0, NULL);
    const char *typed = slash != NULL ? slash + 1 : prefix;
    for (const char *name = NULL; directory != NULL && (name = g_dir_read_name(directory)) != NULL;) {
        if (name[0] == '.' && typed[0] != '.')
            continue;
        g_autofree char *path = g_strconcat(folder, name, NULL);
        g_ptr_array_add(candidates, g_strconcat(path, g_file_test(path, G_FILE_TEST_IS_DIR) ? "/" : "", NULL));
    }
}

void complete_command(struct session *session, const char *prefix, GPtrArray *candidates)
{
    (void)session;
    (void)prefix;
    for (guint i = 0; command_groups[i] != NULL; i++)
        for (guint j = 0; j < command_groups[i]->command_count; j++)
            if (!command_groups[i]->commands[j].hidden)
                g_ptr_array_add(candidates, g_strdup(command_groups[i]->commands[j].name));
}

static void complete_add_members(const json_t *rows, const char *path, GPtrArray *candidates)
{
    size_t index = 0;
    const json_t *row = NULL;
    json_array_foreach (rows, index, row) {
        const char *text = output_string_at(row, path);
        if (text != NULL)
            g_ptr_array_add(candidates, g_strdup(text));
    }
}

static void complete_objects(struct session *session, enum hbr_kind kind, const char *member, const char *path,
                             GPtrArray *candidates)
{
    g_autoptr(json_auto) answer = session_list(session, kind, NULL, NULL);
    complete_add_members(json_object_get(answer, member), path, candidates);
}

void complete_reservation(struct session *session, const char *prefix, GPtrArray *candidates)
{
    (void)prefix;
    complete_objects(session, HBR_RESERVATION, "reservations", "id", candidates);
}

void complete_execution(struct session *session, const char *prefix, GPtrArray *candidates)
{
    (void)prefix;
    complete_objects(session, HBR_EXECUTION, "executions", "id", candidates);
}

void complete_instance(struct session *session, const char *prefix, GPtrArray *candidates)
{
    (void)prefix;
    complete_objects(session, HBR_INSTANCE, "instances", "id", candidates);
}

void complete_host(struct session *session, const char *prefix, GPtrArray *candidates)
{
    (void)prefix;
    complete_objects(session, HBR_HOST, "hosts", "spec/name", candidates);
}

void complete_pool(struct session *session, const char *prefix, GPtrArray *candidates)
{
    (void)prefix;
    complete_objects(session, HBR_POOL, "pools", "id", candidates);
}

void complete_any_id(struct session *session, const char *prefix, GPtrArray *candidates)
{
    complete_reservation(session, prefix, candidates);
    complete_execution(session, prefix, candidates);
    complete_instance(session, prefix, candidates);
}

void complete_function(struct session *session, const char *prefix, GPtrArray *candidates)
{
    (void)prefix;
    complete_objects(session, HBR_RESERVATION, "reservations", "notification/code/function", candidates);
    complete_objects(session, HBR_EXECUTION, "executions", "code/function", candidates);
}

void complete_policy_version(struct session *session, const char *prefix, GPtrArray *candidates)
{
    (void)prefix;
    g_autoptr(json_auto) answer = session_ask(session, hbr_policy_list, NULL);
    size_t index = 0;
    const json_t *row = NULL;
    g_ptr_array_add(candidates, g_strdup("current"));
    json_array_foreach (json_object_get(answer, "policies"), index, row)
        g_ptr_array_add(candidates, g_strdup_printf("%.0f", output_number_at(row, "version")));
}

static void complete_models(struct session *session, const char *const *states, GPtrArray *candidates)
{
    g_autoptr(json_auto) answer = session_ask(session, hbr_model_list, NULL);
    size_t index = 0;
    const json_t *row = NULL;
    json_array_foreach (json_object_get(answer, "models"), index, row) {
        const char *state = output_string_at(row, "state");
        if (states == NULL || (state != NULL && g_strv_contains(states, state)))
            g_ptr_array_add(candidates, g_strdup_printf("%.0f", output_number_at(row, "version")));
    }
}

void complete_model_version(struct session *session, const char *prefix, GPtrArray *candidates)
{
    (void)prefix;
    complete_models(session, NULL, candidates);
}

void complete_model_file(struct session *session, const char *prefix, GPtrArray *candidates)
{
    static const char *const states[] = {"serving", "kept", NULL};
    (void)prefix;
    complete_models(session, states, candidates);
}

static int complete_compare(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What begins with `prefix`, sorted, each once. */
static GPtrArray *complete_select(GPtrArray *candidates, const char *prefix)
{
    GPtrArray *selected = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_sort(candidates, complete_compare);
    for (guint i = 0; i < candidates->len; i++) {
        const char *candidate = g_ptr_array_index(candidates, i);
        const char *last = selected->len > 0 ? g_ptr_array_index(selected, selected->len - 1) : NULL;
        if (g_str_has_prefix(candidate, prefix) && g_strcmp0(candidate, last) != 0)
            g_ptr_array_add(selected, g_strdup(candidate));
    }
    return selected;
}

static void complete_option_names(const struct command_option *options, guint count, GPtrArray *candidates)
{
    for (guint i = 0; i < count; i++)
        if (!(options[i].flags & OPTION_POSITIONAL))
            g_ptr_array_add(candidates, g_strconcat("--", options[i].name, NULL));
}

static void complete_value(struct session *session, const struct command_option *option, const char *prefix,
                           GPtrArray *candidates)
{
    if (option != NULL && option->complete != NULL)
        option->complete(session, prefix, candidates);
}

/* The option that `word` names when its value is the next word; NULL when it is no such option. */
static const struct command_option *complete_pending(const struct command_option *options, guint count,
                                                     const char *word)
{
    const struct command_option *option = NULL;
    if (g_str_has_prefix(word, "--") && strchr(word, '=') == NULL)
        option = option_find(options, count, word + 2);
    else if (word[0] == '-' && word[1] != '\0' && word[2] == '\0')
        option = option_find_letter(options, count, word[1]);
    return option != NULL && option->type != OPTION_BOOL ? option : NULL;
}

/* `words` follow the command's name. */
static void complete_arguments(struct session *session, const struct command *command, const char *const *words,
                               GPtrArray *candidates)
{
    guint positional = 0;
    const struct command_option *pending = NULL;
    gboolean only_positional = FALSE;
    for (; words[1] != NULL; words++) {
        if (pending != NULL)
            pending = NULL;
        else if (!only_positional && strcmp(words[0], "--") == 0)
            only_positional = TRUE;
        else if (!only_positional && words[0][0] == '-')
            pending = complete_pending(command->options, command->option_count, words[0]);
        else
            positional++;
    }
    if (pending != NULL) {
        complete_value(session, pending, words[0], candidates);
    } else if (!only_positional && words[0][0] == '-') {
        complete_option_names(command->options, command->option_count, candidates);
        complete_option_names(common_options, common_option_count, candidates);
    } else {
        complete_value(session, option_find_positional(command->options, command->option_count, positional), words[0],
                       candidates);
    }
}

/* Skips the global options; takes the address from them. */
static const char *const *complete_skip_global(struct session *session, const char *const *words)
{
    while (words[0] != NULL && words[1] != NULL && words[0][0] == '-') {
        const struct command_option *pending = complete_pending(global_options, global_option_count, words[0]);
        if (g_str_has_prefix(words[0], "--connect=")) {
            g_free(session->address);
            session->address = g_strdup(words[0] + strlen("--connect="));
        }
        if (pending != NULL && words[2] != NULL) {
            g_free(session->address);
            session->address = g_strdup(words[1]);
            words++;
        } else if (pending != NULL) {
            return NULL;
        }
        words++;
    }
    return words;
}

GPtrArray *complete_words(struct session *session, const char *const *words)
{
    g_autoptr(GPtrArray) candidates = g_ptr_array_new_with_free_func(g_free);
    words = complete_skip_global(session, words);
    if (words == NULL || words[0] == NULL)
        return complete_select(candidates, "");
    struct hbr_client *client = session_client(session, NULL);
    if (client != NULL)
        hbr_client_set_timeout(client, COMPLETE_TIMEOUT_MS);
    if (words[1] == NULL && words[0][0] == '-') {
        complete_option_names(global_options, global_option_count, candidates);
    } else if (words[1] == NULL) {
        complete_command(session, words[0], candidates);
    } else {
        const struct command *command = command_find(words[0]);
        if (command != NULL)
            complete_arguments(session, command, words + 1, candidates);
    }
    if (client != NULL)
        hbr_client_set_timeout(client, 30000);
    return complete_select(candidates, words[g_strv_length((char **)words) - 1]);
}
