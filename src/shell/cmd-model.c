/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/command.h"
#include "shell/complete.h"
#include "shell/failure.h"
#include "shell/local-file.h"
#include "shell/render.h"
#include "shell/units.h"

#define FIELDS(table) table, G_N_ELEMENTS(table)
#define MODEL_FILE_MAX (64 * 1024 * 1024)

#define VERSION_OPTION(flags, complete)                                                                         \
    {                                                                                                           \
        "version", 0, OPTION_STRING, OPTION_POSITIONAL | (flags), "VERSION", "its number, 0: as shipped", 0, 0, \
            complete                                                                                            \
    }

static const struct command_option info_options[] = {VERSION_OPTION(OPTION_REQUIRED, complete_model_version)};

static const struct command_option train_options[] = {
    {"wait", 0, OPTION_BOOL, 0, NULL, "until it is done", 0, 0, NULL},
};

static const struct command_option rollback_options[] = {
    VERSION_OPTION(0, complete_model_file),
    {"latest", 0, OPTION_BOOL, 0, NULL, "the newest that ever served, and go on training", 0, 0, NULL},
};

static const struct command_option export_options[] = {
    VERSION_OPTION(OPTION_REQUIRED, complete_model_file),
    {"file", 0, OPTION_STRING, OPTION_POSITIONAL | OPTION_REQUIRED, "FILE", "where to write it", 0, 0, complete_file},
};

static const struct command_option import_options[] = {
    {"file", 0, OPTION_STRING, OPTION_POSITIONAL | OPTION_REQUIRED, "FILE", "what model-export wrote", 0, 0,
     complete_file},
    {"serve", 0, OPTION_BOOL, 0, NULL, "let it serve from now on", 0, 0, NULL},
};

/* 0 is a version. */
static void render_version(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    cell->text = g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
}

static void render_model_state(const struct output *output, const json_t *model, struct cell *cell)
{
    const json_t *state = json_object_get(model, "state");
    if (state == NULL)
        return;
    render_text(output, state, cell);
    if (json_is_true(json_object_get(model, "held"))) {
        g_free(cell->text);
        *cell = (struct cell){g_strdup("serving, held"), TONE_WORK};
    } else if (g_strcmp0(cell->text, "serving") == 0) {
        cell->tone = TONE_GOOD;
    } else if (g_strcmp0(cell->text, "damaged") == 0) {
        cell->tone = TONE_BAD;
    }
}

static void render_loss_of(const json_t *scores, struct cell *cell)
{
    size_t index = 0;
    const json_t *score = NULL;
    double loss = 0;
    json_array_foreach (scores, index, score)
        loss += output_number_at(score, "pinball");
    if (index > 0)
        cell->text = g_strdup_printf("%.3f", loss);
}

static void render_loss(const struct output *output, const json_t *model, struct cell *cell)
{
    (void)output;
    render_loss_of(json_object_get(model, "scores"), cell);
}

static void render_champion_loss(const struct output *output, const json_t *model, struct cell *cell)
{
    (void)output;
    render_loss_of(json_object_get(model, "champion_scores"), cell);
}

static void render_seconds(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    g_autofree char *amount = units_format_real(json_number_value(value), 1);
    cell->text = g_strconcat(amount, " s", NULL);
}

static void render_share(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    cell->text = g_strdup_printf("%.1f %%", 100 * json_number_value(value));
}

static void render_score(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    cell->text = g_strdup_printf("%.3f", json_number_value(value));
}

static const struct field list_columns[] = {
    {"VERSION", "version", render_version, TABLE_RIGHT}, {"STATE", ".", render_model_state, TABLE_LEFT},
    {"ORIGIN", "origin", render_text, TABLE_LEFT},       {"MADE", "made_at", render_moment, TABLE_LEFT},
    {"RUNS", "run_count", render_count, TABLE_RIGHT},    {"LOSS", ".", render_loss, TABLE_RIGHT},
    {"BEFORE", ".", render_champion_loss, TABLE_RIGHT},
};

static const struct view list_view = {"models", "no models", FIELDS(list_columns), NULL};

static const struct field score_columns[] = {
    {"TARGET", "target", render_text, TABLE_LEFT},
    {"RUNS", "run_count", render_count, TABLE_RIGHT},
    {"ERROR", "error", render_score, TABLE_RIGHT},
    {"WITHIN 2", "within2", render_share, TABLE_RIGHT},
    {"LOSS", "pinball", render_score, TABLE_RIGHT},
    {"ERROR BEFORE", "champion/error", render_score, TABLE_RIGHT},
    {"WITHIN 2", "champion/within2", render_share, TABLE_RIGHT},
    {"LOSS", "champion/pinball", render_score, TABLE_RIGHT},
};

/* Each score with the champion's of the same target beside it. */
static json_t *model_compare_scores(const json_t *model)
{
    json_t *rows = json_array();
    size_t i = 0, k = 0;
    const json_t *score = NULL;
    json_t *other = NULL;
    json_array_foreach (json_object_get(model, "scores"), i, score) {
        json_t *row = json_copy((json_t *)score);
        json_array_foreach (json_object_get(model, "champion_scores"), k, other)
            if (g_strcmp0(output_string_at(other, "target"), output_string_at(score, "target")) == 0)
                json_object_set(row, "champion", other);
        json_array_append_new(rows, row);
    }
    return rows;
}

static void model_print_scores(struct output *output, const json_t *model)
{
    g_autoptr(json_auto) rows = model_compare_scores(model);
    if (json_array_size(rows) == 0)
        return;
    output_print(output, "\n");
    output_rows(output, FIELDS(score_columns), rows, 0);
}

static const struct field info_fields[] = {
    {"Version", "version", render_version, TABLE_LEFT},
    {"State", ".", render_model_state, TABLE_LEFT},
    {"Why", "why", render_text, TABLE_LEFT},
    {"Origin", "origin", render_text, TABLE_LEFT},
    {"Made", "made_at", render_moment, TABLE_LEFT},
    {"Last began to serve", "served_at", render_moment, TABLE_LEFT},
    {"Trained with runs", "run_count", render_count, TABLE_LEFT},
    {"Of functions", "function_count", render_count, TABLE_LEFT},
    {"Training took", "train_seconds", render_seconds, TABLE_LEFT},
};

static const struct view info_view = {NULL, NULL, FIELDS(info_fields), model_print_scores};

static gboolean model_check_version(const char *version, GError **error)
{
    if (g_ascii_string_to_unsigned(version, 10, 0, G_MAXINT32, NULL, NULL))
        return TRUE;
    return failure_usage(error, "\"%s\" is no version: write a number, see model-list", version);
}

/* What the daemon says of the model after a change. */
static gboolean model_tell(struct session *session, bool done, char *text, struct hbr_error *remote, GError **error)
{
    if (!done)
        return failure_take(remote, error);
    g_autoptr(json_auto) model = session_parse(text, error);
    if (model == NULL)
        return FALSE;
    g_autofree char *version = g_strdup_printf("%.0f", output_number_at(model, "version"));
    const char *state = output_string_at(model, "state"), *why = output_string_at(model, "why");
    if (state == NULL)
        output_result(&session->output, model, version, "version %s is being trained", version);
    else
        output_result(&session->output, model, version, "version %s: %s%s%s%s", version, state,
                      json_is_true(json_object_get(model, "held")) ? ", held" : "", why != NULL ? "; " : "",
                      why != NULL ? why : "");
    return TRUE;
}

static gboolean model_list_run(struct session *session, const struct arguments *arguments, GError **error)
{
    (void)arguments;
    g_autoptr(json_auto) answer = session_ask(session, hbr_model_list, error);
    if (answer == NULL)
        return FALSE;
    output_list(&session->output, &list_view, answer);
    return TRUE;
}

static gboolean model_info_run(struct session *session, const struct arguments *arguments, GError **error)
{
    const char *version = arguments_string(arguments, "version");
    struct hbr_client *client = model_check_version(version, error) ? session_client(session, error) : NULL;
    if (client == NULL)
        return FALSE;
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL;
    if (!hbr_model_get(client, version, &text, &remote))
        return failure_take(&remote, error);
    g_autoptr(json_auto) model = session_parse(text, error);
    if (model == NULL)
        return FALSE;
    output_object(&session->output, &info_view, model);
    return TRUE;
}

static gboolean model_train_run(struct session *session, const struct arguments *arguments, GError **error)
{
    struct hbr_client *client = session_client(session, error);
    if (client == NULL)
        return FALSE;
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL;
    const bool done = hbr_model_train(client, arguments_has(arguments, "wait"), &text, &remote);
    return model_tell(session, done, text, &remote, error);
}

static gboolean model_rollback_run(struct session *session, const struct arguments *arguments, GError **error)
{
    const char *version = arguments_string(arguments, "version");
    if ((version != NULL) == arguments_has(arguments, "latest"))
        return failure_usage(error, version != NULL ? "--latest goes without a version"
                                                    : "which version is to serve: give its number, or --latest");
    struct hbr_client *client =
        version == NULL || model_check_version(version, error) ? session_client(session, error) : NULL;
    if (client == NULL)
        return FALSE;
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL;
    const bool done = hbr_model_serve(client, version, &text, &remote);
    return model_tell(session, done, text, &remote, error);
}

static gboolean model_export_run(struct session *session, const struct arguments *arguments, GError **error)
{
    const char *version = arguments_string(arguments, "version"), *path = arguments_string(arguments, "file");
    struct hbr_client *client = model_check_version(version, error) ? session_client(session, error) : NULL;
    if (client == NULL)
        return FALSE;
    struct hbr_error remote = HBR_ERROR_INIT;
    void *data = NULL;
    size_t length = 0;
    if (!hbr_model_export(client, version, &data, &length, &remote))
        return failure_take(&remote, error);
    const gboolean is_written = local_file_write(path, data, length, error);
    hbr_free(data);
    if (!is_written)
        return FALSE;
    g_autoptr(json_auto) answer =
        json_pack("{s:I, s:s, s:I}", "version", (json_int_t)g_ascii_strtoll(version, NULL, 10), "file", path, "bytes",
                  (json_int_t)length);
    output_result(&session->output, answer, path, "version %s: %zu bytes in %s", version, length, path);
    return TRUE;
}

/* What the daemon says of the whole body it says of our file. */
static void error_name_file(GError *error, const char *path)
{
    if (error == NULL || !g_str_has_prefix(error->message, "/: "))
        return;
    char *message = g_strdup_printf("%s%s", path, error->message + 1);
    g_free(error->message);
    error->message = message;
}

static gboolean model_import_run(struct session *session, const struct arguments *arguments, GError **error)
{
    const char *path = arguments_string(arguments, "file");
    g_autoptr(GBytes) content = local_file_read(path, MODEL_FILE_MAX, error);
    struct hbr_client *client = content != NULL ? session_client(session, error) : NULL;
    if (client == NULL)
        return FALSE;
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL;
    gsize length;
    const void *data = g_bytes_get_data(content, &length);
    const bool done = hbr_model_import(client, data, length, arguments_has(arguments, "serve"), &text, &remote);
    if (model_tell(session, done, text, &remote, error))
        return TRUE;
    error_name_file(error != NULL ? *error : NULL, path);
    return FALSE;
}

static const struct command model_commands[] = {
    {"model-list", "list models, what was learned from past runs",
     "LOSS is how far it was off on the newest runs before it was made, BEFORE how far the one was that served then.",
     model_list_run, COMMAND_NO_OPTIONS, FALSE},
    {"model-info", "show a model", "With its scores, and those of the one that it was judged against.", model_info_run,
     COMMAND_OPTIONS(info_options), FALSE},
    {"model-train", "train a model now",
     "It serves when it is better than the one that does. What was chosen by model-rollback is held no longer after that.",
     model_train_run, COMMAND_OPTIONS(train_options), FALSE},
    {"model-rollback", "let another version of the model serve",
     "It is held: no training replaces it by itself until model-train, or --latest.", model_rollback_run,
     COMMAND_OPTIONS(rollback_options), FALSE},
    {"model-export", "write a model to a file", NULL, model_export_run, COMMAND_OPTIONS(export_options), FALSE},
    {"model-import", "take a model from a file",
     "It becomes a version of its own, and serves only with --serve; then it is held. Take models only from where you would take code.",
     model_import_run, COMMAND_OPTIONS(import_options), FALSE},
};

const struct command_group model_group = {"models", "Models", model_commands, G_N_ELEMENTS(model_commands)};
