/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/command.h"
#include "shell/complete.h"
#include "shell/failure.h"
#include "shell/local-file.h"
#include "shell/render.h"
#include "shell/units.h"

#include <string.h>

#define FIELDS(table) table, G_N_ELEMENTS(table)
#define POLICY_FILE_MAX (1024 * 1024)
#define POLICY_FILES_AT_MOST 1024

static const struct command_option files_options[] = {
    {"path", 0, OPTION_STRING, OPTION_POSITIONAL | OPTION_REQUIRED | OPTION_REPEATED, "FILE|DIR",
     "a policy file, or a directory of *.yaml", 0, 0, complete_file},
};

static const struct command_option show_options[] = {
    {"version", 0, OPTION_STRING, OPTION_POSITIONAL, "VERSION", "number of the version (current)", 0, 0,
     complete_policy_version},
    {"effective", 'e', OPTION_BOOL, 0, NULL, "with defaults filled in, as JSON", 0, 0, NULL},
};

struct policy_files {
    GPtrArray *names, *texts; /* char * */
};

static void policy_files_clear(struct policy_files *files)
{
    g_ptr_array_unref(files->names);
    g_ptr_array_unref(files->texts);
}

static gboolean policy_add_file(struct policy_files *files, const char *path, GError **error)
{
    g_autoptr(GBytes) content = local_file_read(path, POLICY_FILE_MAX, error);
    if (content == NULL)
        return FALSE;
    gsize length = 0;
    const char *text = g_bytes_get_data(content, &length);
    if (!g_utf8_validate_len(text, length, NULL)) {
        g_set_error(error, SHELL_ERROR, SHELL_ERROR_FILE, "%s: is not a text in UTF-8", path);
        return FALSE;
    }
    g_ptr_array_add(files->names, g_strdup(path));
    g_ptr_array_add(files->texts, g_strndup(text != NULL ? text : "", length));
    return TRUE;
}

static int policy_compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static gboolean policy_add_directory(struct policy_files *files, const char *path, GError **error)
{
    g_autoptr(GError) cause = NULL;
    g_autoptr(GDir) directory = g_dir_open(path, 0, &cause);
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    if (directory == NULL) {
        g_set_error_literal(error, SHELL_ERROR, SHELL_ERROR_FILE, cause->message);
        return FALSE;
    }
    for (const char *name = NULL; (name = g_dir_read_name(directory)) != NULL;)
        if (name[0] != '.' && g_str_has_suffix(name, ".yaml"))
            g_ptr_array_add(paths, g_build_filename(path, name, NULL));
    if (paths->len == 0) {
        g_set_error(error, SHELL_ERROR, SHELL_ERROR_FILE, "%s: holds no *.yaml", path);
        return FALSE;
    }
    g_ptr_array_sort(paths, policy_compare_names);
    for (guint i = 0; i < paths->len; i++)
        if (!policy_add_file(files, g_ptr_array_index(paths, i), error))
            return FALSE;
    return TRUE;
}

static gboolean policy_add_paths(struct policy_files *files, const char *const *paths, GError **error)
{
    for (guint i = 0; paths[i] != NULL; i++) {
        gboolean added = g_file_test(paths[i], G_FILE_TEST_IS_DIR) ? policy_add_directory(files, paths[i], error)
                                                                   : policy_add_file(files, paths[i], error);
        if (!added)
            return FALSE;
    }
    if (files->names->len > POLICY_FILES_AT_MOST)
        return failure_usage(error, "these are %u files, at most %d make a policy", files->names->len,
                             POLICY_FILES_AT_MOST);
    return TRUE;
}

typedef bool (*policy_call)(struct hbr_client *client, const struct hbr_policy_file *files, size_t count,
                            char **ret_json, struct hbr_error *error);

static json_t *policy_call_files(struct session *session, policy_call call, const struct policy_files *files,
                                 GError **error)
{
    struct hbr_client *client = session_client(session, error);
    if (client == NULL)
        return NULL;
    g_autofree struct hbr_policy_file *list = g_new0(struct hbr_policy_file, files->names->len);
    for (guint i = 0; i < files->names->len; i++)
        list[i] = (struct hbr_policy_file){g_ptr_array_index(files->names, i), g_ptr_array_index(files->texts, i)};
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL;
    if (call(client, list, files->names->len, &text, &remote))
        return session_parse(text, error);
    failure_take(&remote, error);
    return NULL;
}

/* Reads the files and sends them; `*ret_count` is how many. */
static json_t *policy_send(struct session *session, const struct arguments *arguments, policy_call call,
                           guint *ret_count, GError **error)
{
    struct policy_files files = {g_ptr_array_new_with_free_func(g_free), g_ptr_array_new_with_free_func(g_free)};
    json_t *answer = NULL;
    if (policy_add_paths(&files, arguments_strings(arguments, "path"), error))
        answer = policy_call_files(session, call, &files, error);
    *ret_count = files.names->len;
    policy_files_clear(&files);
    return answer;
}

static gboolean policy_check_run(struct session *session, const struct arguments *arguments, GError **error)
{
    guint count = 0;
    g_autoptr(json_auto) answer = policy_send(session, arguments, hbr_policy_check, &count, error);
    if (answer == NULL)
        return FALSE;
    output_result(&session->output, answer, NULL, "%u file%s: valid", count, count == 1 ? "" : "s");
    return TRUE;
}

static gboolean policy_load_run(struct session *session, const struct arguments *arguments, GError **error)
{
    guint count = 0;
    g_autoptr(json_auto) answer = policy_send(session, arguments, hbr_policy_load, &count, error);
    if (answer == NULL)
        return FALSE;
    g_autofree char *version = g_strdup_printf("%.0f", output_number_at(answer, "version"));
    output_result(&session->output, answer, version, "policy version %s is in force (%u file%s)", version, count,
                  count == 1 ? "" : "s");
    return TRUE;
}

static void render_file_names(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    GString *names = g_string_new(NULL);
    size_t index = 0;
    const json_t *file = NULL;
    json_array_foreach (value, index, file) {
        const char *name = json_is_string(file) ? json_string_value(file) : output_string_at(file, "name");
        g_string_append_printf(names, "%s%s", index > 0 ? ", " : "", name != NULL ? name : "?");
    }
    cell->text = g_string_free(names, FALSE);
}

static const struct field policy_columns[] = {
    {"VERSION", "version", render_count, TABLE_RIGHT},
    {"LOADED", "loaded_at", render_moment, TABLE_LEFT},
    {"FILES", "files", render_file_names, TABLE_LEFT},
};

static const struct view policy_list_view = {"policies", "no policies", FIELDS(policy_columns), NULL};

static gboolean policy_list_run(struct session *session, const struct arguments *arguments, GError **error)
{
    (void)arguments;
    g_autoptr(json_auto) answer = session_ask(session, hbr_policy_list, error);
    if (answer == NULL)
        return FALSE;
    output_list(&session->output, &policy_list_view, answer);
    return TRUE;
}

static void policy_print_files(struct output *output, const json_t *document)
{
    size_t index = 0;
    const json_t *file = NULL;
    if (output->quiet) {
        output_print(output, "%.0f\n", output_number_at(document, "version"));
        return;
    }
    output_print(output, "# policy version %.0f\n", output_number_at(document, "version"));
    json_array_foreach (json_object_get(document, "files"), index, file) {
        const char *text = output_string_at(file, "text");
        const char *name = output_string_at(file, "name");
        output_print(output, "\n# file %s\n%s", name != NULL ? name : "?", text != NULL ? text : "");
        if (text != NULL && !g_str_has_suffix(text, "\n"))
            output_print(output, "\n");
    }
}

static void policy_print_effective(struct output *output, const json_t *document)
{
    json_dumpf(json_object_get(document, "policy"), output->stream,
               JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    output_print(output, "\n");
}

static gboolean policy_check_version(const char *version, GError **error)
{
    if (version == NULL || strcmp(version, "current") == 0 ||
        g_ascii_string_to_unsigned(version, 10, 1, G_MAXUINT32, NULL, NULL))
        return TRUE;
    return failure_usage(error, "\"%s\" is no version: write a number, or \"current\"", version);
}

static gboolean policy_show_run(struct session *session, const struct arguments *arguments, GError **error)
{
    const char *version = arguments_string(arguments, "version");
    struct hbr_client *client = policy_check_version(version, error) ? session_client(session, error) : NULL;
    if (client == NULL)
        return FALSE;
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL;
    if (!hbr_policy_get(client, g_strcmp0(version, "current") == 0 ? NULL : version, &text, &remote))
        return failure_take(&remote, error);
    g_autoptr(json_auto) document = session_parse(text, error);
    if (document == NULL)
        return FALSE;
    output_report(&session->output, document,
                  arguments_has(arguments, "effective") ? policy_print_effective : policy_print_files);
    return TRUE;
}

static const struct field profile_columns[] = {
    {"PROFILE", "name", render_text, TABLE_LEFT},
    {"TEMPLATE", "template", render_text, TABLE_LEFT},
    {"STARTS WITH", "initial", render_shape, TABLE_LEFT},
    {"GROWS UP TO", "maximum", render_shape, TABLE_LEFT},
};

static const struct field class_columns[] = {
    {"CLASS", "name", render_text, TABLE_LEFT},
    {"SCORE UP TO", "score_max", render_real, TABLE_RIGHT},
    {"PROFILE", "profile", render_text, TABLE_LEFT},
    {"CPUS P90", "demand/vcpus/p90", render_real, TABLE_RIGHT},
    {"MEMORY P90", "demand/memory_mib/p90", render_mib, TABLE_RIGHT},
    {"NETWORK P90", "demand/network_mbps/p90", render_mbps, TABLE_RIGHT},
    {"DURATION P90", "demand/duration_ms/p90", render_ms, TABLE_RIGHT},
};

static void profile_print_names(struct output *output, const json_t *profiles)
{
    size_t index = 0;
    const json_t *profile = NULL;
    json_array_foreach (profiles, index, profile)
        output_print(output, "%s\n", output_string_at(profile, "name"));
}

static void profile_print(struct output *output, const json_t *document)
{
    const json_t *profiles = json_object_get(document, "profiles");
    if (output->quiet) {
        profile_print_names(output, profiles);
        return;
    }
    output_rows(output, FIELDS(profile_columns), profiles, 0);
    output_print(output, "\n");
    output_rows(output, FIELDS(class_columns), json_object_get(document, "classes"), 0);
}

static gboolean profile_list_run(struct session *session, const struct arguments *arguments, GError **error)
{
    (void)arguments;
    g_autoptr(json_auto) answer = session_ask(session, hbr_profile_list, error);
    if (answer == NULL)
        return FALSE;
    output_report(&session->output, answer, profile_print);
    return TRUE;
}

static const struct command policy_commands[] = {
    {"policy-check", "check policy files without loading them",
     "The daemon checks all of them together, as one policy: unknown keys, wrong types and units, contradictions.",
     policy_check_run, COMMAND_OPTIONS(files_options), FALSE},
    {"policy-load", "make policy files the current policy",
     "All files together become a new version, in force at once for what comes from now on. Reservations that were made keep "
     "the version that they were made under.",
     policy_load_run, COMMAND_OPTIONS(files_options), FALSE},
    {"policy-list", "list the versions of the policy", NULL, policy_list_run, COMMAND_NO_OPTIONS, FALSE},
    {"policy-show", "show a version of the policy", "Its files as they were loaded.", policy_show_run,
     COMMAND_OPTIONS(show_options), FALSE},
    {"profile-list", "list profiles and classes of the current policy", NULL, profile_list_run, COMMAND_NO_OPTIONS,
     FALSE},
};

const struct command_group policy_group = {"policy", "Policy", policy_commands, G_N_ELEMENTS(policy_commands)};
