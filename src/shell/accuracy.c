/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/failure.h"
#include "shell/language.h"
#include "shell/local-file.h"
#include "shell/render.h"
#include "shell/report.h"
#include "shell/scatter.h"
#include "shell/units.h"

#include <string.h>

/* How good predictions were, as a table and as a picture. */

#define PICTURE_WIDTH_MIN 40 /* of one plane with its labels, in columns */
#define PICTURE_WIDTH_MAX 100
#define PICTURE_HEIGHT_MIN 10 /* of one plane, in rows */
#define PICTURE_HEIGHT_MAX 24
#define PICTURE_GAP 2
#define PLANE_EXTRA_ROWS 4 /* title, axis, its labels, and a blank one */

static char *format_cpus(double cpus)
{
    g_autofree char *number = units_format_real(cpus, 3);
    return g_strconcat(number, " CPU", NULL);
}

static char *format_mbps(double mbps)
{
    g_autofree char *number = units_format_real(mbps, mbps < 10 ? 2 : 0);
    return g_strconcat(number, " Mb/s", NULL);
}

/* One unit each, so that it is short. */
static char *format_ms(double ms)
{
    static const struct {
        const char *name;
        double ms, below;
    } units[] = {{"ms", 1, 1e3}, {"s", 1e3, 1e7}, {"h", 3.6e6, G_MAXDOUBLE}};
    guint i = 0;
    while (ms >= units[i].below)
        i++;
    g_autofree char *number = units_format_real(ms / units[i].ms, ms < 10 * units[i].ms ? 2 : 0);
    return g_strdup_printf("%s %s", number, units[i].name);
}

/* What is predicted of a run. */
static const struct amount {
    const char *member, *name;
    const char *wasted; /* for how long; NULL: it cannot be */
    const char *unit;
    char *(*format)(double value);
    gboolean is_binary;
    double least; /* what the daemon's figures take for as good as nothing */
} amounts[] = {
    {"vcpus", "CPUs", "CPU", "CPUs", format_cpus, FALSE, 0.01},
    {"memory_mib", "memory", "GiB", "MiB", units_format_mib, TRUE, 1},
    {"network_mbps", "network", "Mbit/s", "Mbit/s", format_mbps, FALSE, 0.1},
    {"duration_ms", "duration", NULL, "ms", format_ms, FALSE, 1},
};

/* The table. Its rows are the figures of one amount in one group, with the group's name and runs in the first of them. */

static void render_blank(const struct output *output, const json_t *value, struct cell *cell)
{
    render_text(output, value, cell);
    if (cell->text == NULL)
        cell->text = g_strdup("");
}

static void render_group_tenant(const struct output *output, const json_t *value, struct cell *cell)
{
    render_tenant(output, value, cell);
    if (cell->text == NULL && *json_string_value(value) == '\0')
        cell->text = g_strdup("");
}

static void render_figure(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    const double figure = json_number_value(value);
    cell->text = units_format_real(figure, figure < 10 ? 2 : 0);
}

static void render_percent(const struct output *output, const json_t *value, struct cell *cell)
{
    (void)output;
    cell->text = g_strdup_printf("%.0f %%", 100 * json_number_value(value));
}

/* "52 91 99 %". */
static void render_coverage(const struct output *output, const json_t *value, struct cell *cell)
{
    static const char *const quantiles[] = {"p50", "p90", "p99"};
    (void)output;
    if (json_object_size(value) == 0)
        return;
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < G_N_ELEMENTS(quantiles); i++) {
        const json_t *share = json_object_get(value, quantiles[i]);
        g_string_append_printf(text, share != NULL ? "%3.0f " : "  - ", 100 * json_number_value(share));
    }
    g_string_append_c(text, '%');
    cell->text = g_string_free(text, FALSE);
}

static void render_waste(const struct output *output, const json_t *value, struct cell *cell)
{
    static const struct {
        const char *name;
        double per_hour, below; /* hours */
    } units[] = {{"s", 3600, 2.0 / 60}, {"min", 60, 2}, {"h", 1, G_MAXDOUBLE}};
    (void)output;
    const char *wasted = output_string_at(value, "wasted");
    const json_t *waste = json_object_get(value, "waste");
    guint i = 0;
    if (waste == NULL || wasted == NULL)
        return;
    while (json_number_value(waste) >= units[i].below)
        i++;
    const double amount = json_number_value(waste) * units[i].per_hour;
    g_autofree char *number = units_format_real(amount, amount < 10 ? 2 : 0);
    cell->text = g_strdup_printf("%s %s %s", number, wasted, units[i].name);
}

/* "2 %, x 1.3": share, and how much more these would have needed. */
static void render_shortage(const struct output *output, const json_t *value, struct cell *cell)
{
    const json_t *shortage = json_object_get(value, "shortage"), *ratio = json_object_get(value, "shortage_ratio");
    if (shortage == NULL)
        return;
    g_autofree char *number = ratio != NULL ? units_format_real(json_number_value(ratio), 2) : NULL;
    render_percent(output, shortage, cell);
    if (number != NULL) {
        char *text = g_strdup_printf("%s, x %s", cell->text, number);
        g_free(cell->text);
        cell->text = text;
        cell->tone = TONE_WORK;
    }
}

static const struct field accuracy_columns[] = {
    {NULL, "name", render_blank, TABLE_LEFT}, /* its title is what was asked for */
    {"TENANT", "tenant", render_group_tenant, TABLE_LEFT},
    {"RUNS", "group_runs", render_blank, TABLE_RIGHT},
    {"OF", "of", render_text, TABLE_LEFT},
    {"RATIO", "ratio_p50", render_figure, TABLE_RIGHT},
    {"P90", "ratio_p90", render_figure, TABLE_RIGHT},
    {"ERROR", "log_error", render_figure, TABLE_RIGHT},
    {"WITHIN 2", "within_2", render_percent, TABLE_RIGHT},
    {"COVERED", "coverage", render_coverage, TABLE_RIGHT},
    {"WASTE", ".", render_waste, TABLE_RIGHT},
    {"SHORT", ".", render_shortage, TABLE_RIGHT},
};

static const char accuracy_legend[] =
    "RATIO: used / predicted p50, its median and p90. ERROR: mean of |ln ratio|. WITHIN 2: ratio from 1/2 to 2.\n"
    "COVERED: at or below the predicted p50, p90, p99. WASTE: given and not used, in the mean. SHORT: used more than given.\n\n";

/* NULL: it has none. Free with g_free. */
static char *group_name(const json_t *group, const char *by)
{
    const double version = output_number_at(group, "model_version");
    if (strcmp(by, "model") != 0)
        return g_strdup(output_string_at(group, by));
    return version > 0 ? g_strdup_printf("%.0f", version) : g_strdup(output_string_at(group, "source"));
}

static gboolean figures_tell(const json_t *figures)
{
    return output_number_at(figures, "runs") > 0 || json_object_get(figures, "waste") != NULL ||
           json_object_size(json_object_get(figures, "coverage")) > 0;
}

static void rows_add_group(json_t *rows, const json_t *group, const char *name)
{
    gboolean is_first = TRUE;
    for (guint i = 0; i < G_N_ELEMENTS(amounts); i++) {
        const json_t *figures = json_object_get(group, amounts[i].member);
        if (!figures_tell(figures))
            continue;
        json_t *row = json_copy((json_t *)figures);
        json_object_set_new(row, "of", json_string(amounts[i].name));
        json_object_set_new(row, "wasted", amounts[i].wasted != NULL ? json_string(amounts[i].wasted) : json_null());
        g_autofree char *runs = is_first ? g_strdup_printf("%.0f", output_number_at(group, "runs")) : g_strdup("");
        json_object_set_new(row, "name", json_string(is_first ? name : ""));
        json_object_set_new(row, "group_runs", json_string(runs));
        const char *tenant = is_first ? output_string_at(group, "tenant") : NULL;
        json_object_set_new(row, "tenant", json_string(tenant != NULL ? tenant : ""));
        json_array_append_new(rows, row);
        is_first = FALSE;
    }
}

static json_t *accuracy_rows(const json_t *answer, const char *by)
{
    json_t *rows = json_array();
    const json_t *groups = json_object_get(answer, "groups");
    size_t index = 0;
    const json_t *group = NULL;
    json_array_foreach (groups, index, group) {
        g_autofree char *name = group_name(group, by);
        rows_add_group(rows, group, name != NULL ? name : "-");
    }
    if (json_array_size(groups) > 1)
        rows_add_group(rows, json_object_get(answer, "total"), "(all)");
    return rows;
}

static void accuracy_print_names(struct output *output, const json_t *answer, const char *by)
{
    size_t index = 0;
    const json_t *group = NULL;
    json_array_foreach (json_object_get(answer, "groups"), index, group) {
        g_autofree char *name = group_name(group, by);
        g_autofree char *clean = name != NULL ? table_clean(name) : NULL;
        if (clean != NULL)
            output_print(output, "%s\n", clean);
    }
}

/* "1200 runs since 2026-11-20 22:48:15, 12 of them cut short.". */
static void accuracy_print_head(struct output *output, const json_t *answer)
{
    const double runs = output_number_at(answer, "total/runs"), cut_short = output_number_at(answer, "total/cut_short");
    gint64 oldest_at = 0;
    output_time_at(answer, "total/oldest_at", &oldest_at);
    g_autofree char *date = units_format_date(oldest_at);
    output_print(output, "%.0f run%s since %s", runs, runs > 1 ? "s" : "", date);
    if (cut_short > 0)
        output_print(output, ", %.0f of them cut short", cut_short);
    output_print(output, runs >= output_number_at(answer, "limit") ? "; older ones are left out.\n" : ".\n");
    output_print(output, "%s", accuracy_legend);
}

static void accuracy_print(struct output *output, const json_t *answer)
{
    const char *by = output_string_at(answer, "by");
    if (by == NULL || json_array_size(json_object_get(answer, "groups")) == 0) {
        output_print(output, output->quiet ? "" : "no such executions have ended yet\n");
        return;
    }
    if (output->quiet) {
        accuracy_print_names(output, answer, by);
        return;
    }
    g_autoptr(json_auto) rows = accuracy_rows(answer, by);
    struct field columns[G_N_ELEMENTS(accuracy_columns)];
    g_autofree char *title = g_ascii_strup(by, -1);
    memcpy(columns, accuracy_columns, sizeof columns);
    columns[0].title = title;
    accuracy_print_head(output, answer);
    output_rows(output, columns, G_N_ELEMENTS(columns), rows, 0);
    if (output_number_at(answer, "groups_left_out") > 0)
        output_print(output, "\n%.0f more with fewer runs are left out.\n",
                     output_number_at(answer, "groups_left_out"));
}

/* The picture. */

struct picture {
    struct scatter planes[G_N_ELEMENTS(amounts)];
    const struct scatter *shown[G_N_ELEMENTS(amounts)]; /* those with something in them */
    guint shown_count;
};

static void picture_clear(struct picture *picture)
{
    for (guint i = 0; i < G_N_ELEMENTS(amounts); i++)
        scatter_clear(&picture->planes[i]);
}

static void picture_add(struct picture *picture, const json_t *run)
{
    for (guint i = 0; i < G_N_ELEMENTS(amounts); i++) {
        const json_t *pair = json_object_get(run, amounts[i].member);
        const json_t *predicted = json_object_get(pair, "predicted"), *used = json_object_get(pair, "used");
        const struct scatter_point point = {MAX(json_number_value(predicted), amounts[i].least),
                                            MAX(json_number_value(used), amounts[i].least),
                                            json_is_true(json_object_get(run, "cut_short"))};
        if (predicted != NULL && used != NULL)
            scatter_add(&picture->planes[i], point);
    }
}

static void picture_init(struct picture *picture, const json_t *answer)
{
    for (guint i = 0; i < G_N_ELEMENTS(amounts); i++)
        scatter_init(&picture->planes[i], amounts[i].name, amounts[i].unit, amounts[i].format, amounts[i].is_binary);
    size_t index = 0;
    const json_t *run = NULL;
    json_array_foreach (json_object_get(answer, "points"), index, run)
        picture_add(picture, run);
    picture->shown_count = 0;
    for (guint i = 0; i < G_N_ELEMENTS(amounts); i++)
        if (picture->planes[i].points->len > 0)
            picture->shown[picture->shown_count++] = &picture->planes[i];
}

/* How the planes are laid out on the screen. */
struct layout {
    guint across, width, height;
    gboolean is_unicode;
};

static void layout_init(struct layout *layout, FILE *stream)
{
    guint columns, rows;
    session_screen(stream, &columns, &rows);
    columns = MIN(columns, PICTURE_WIDTH_MAX + PICTURE_GAP + PICTURE_WIDTH_MAX);
    layout->across = columns >= 2 * PICTURE_WIDTH_MIN - PICTURE_GAP ? 2 : 1;
    layout->width =
        MAX((columns - PICTURE_GAP * (layout->across - 1)) / layout->across, PICTURE_WIDTH_MIN - PICTURE_GAP);
    layout->height = CLAMP(rows * layout->across / G_N_ELEMENTS(amounts), PICTURE_HEIGHT_MIN + PLANE_EXTRA_ROWS,
                           PICTURE_HEIGHT_MAX + PLANE_EXTRA_ROWS) -
                     PLANE_EXTRA_ROWS;
    layout->is_unicode = session_wants_unicode(stream);
}

static GPtrArray *layout_draw(const struct layout *layout, const struct scatter *plane, gboolean colour)
{
    return scatter_draw_text(plane, layout->width, layout->height, layout->is_unicode, colour);
}

/* Two planes beside each other; `right` may be NULL. */
static void picture_print_lines(struct output *output, const GPtrArray *left, const GPtrArray *right)
{
    for (guint i = 0; i < left->len; i++) {
        g_autofree char *line = right == NULL ? g_strdup(left->pdata[i])
                                              : g_strdup_printf("%s%*s%s", (const char *)left->pdata[i], PICTURE_GAP,
                                                                "", (const char *)right->pdata[i]);
        output_print(output, "%s\n", g_strchomp(line));
    }
    output_print(output, "\n");
}

static void picture_print(struct output *output, const json_t *answer)
{
    if (json_array_size(json_object_get(answer, "points")) == 0) {
        output_print(output, "no such executions have ended yet\n");
        return;
    }
    struct picture picture;
    struct layout layout;
    picture_init(&picture, answer);
    layout_init(&layout, output->stream);
    output_print(output, "Predicted p90 (to the right) and used (upwards); lines: equal, half, twice.\n\n");
    for (guint i = 0; i < picture.shown_count; i += layout.across) {
        const gboolean is_pair = layout.across > 1 && i + 1 < picture.shown_count;
        g_autoptr(GPtrArray) left = layout_draw(&layout, picture.shown[i], output->colour);
        g_autoptr(GPtrArray) right = is_pair ? layout_draw(&layout, picture.shown[i + 1], output->colour) : NULL;
        picture_print_lines(output, left, right);
    }
    picture_clear(&picture);
}

static gboolean picture_save(struct session *session, const json_t *answer, const char *path, GError **error)
{
    struct picture picture;
    picture_init(&picture, answer);
    g_autoptr(svg_auto) svg = svg_new("Predicted against used", MAX(picture.shown_count, 1), 2);
    for (guint i = 0; i < picture.shown_count; i++)
        scatter_draw_svg(picture.shown[i], svg);
    scatter_explain_svg(svg);
    picture_clear(&picture);
    const char *text = svg_text(svg);
    if (!local_file_write(path, text, strlen(text), error))
        return FALSE;
    const json_int_t runs = (json_int_t)json_array_size(json_object_get(answer, "points"));
    g_autoptr(json_auto) document = json_pack("{s:s, s:I}", "file", path, "runs", runs);
    output_result(&session->output, document, path, "%s: %" JSON_INTEGER_FORMAT " run%s", path, runs,
                  runs == 1 ? "" : "s");
    return TRUE;
}

/* The command. */

static json_t *accuracy_fetch(struct session *session, const struct arguments *arguments, gboolean is_picture,
                              GError **error)
{
    struct hbr_client *client = session_client(session, error);
    if (client == NULL)
        return NULL;
    const gint64 since_at = arguments_number(arguments, "since");
    g_autofree char *since = arguments_has(arguments, "since") ? units_format_rfc3339(since_at) : NULL;
    const char *language = arguments_string(arguments, "language");
    const struct hbr_accuracy_query query = {.by = arguments_string(arguments, "by"),
                                             .function = arguments_string(arguments, "function"),
                                             .tenant = arguments_string(arguments, "tenant"),
                                             .language = language != NULL ? language_canonical(language) : NULL,
                                             .since = since,
                                             .limit = (unsigned)arguments_number(arguments, "limit")};
    struct hbr_error remote = HBR_ERROR_INIT;
    char *text = NULL;
    if (is_picture ? hbr_accuracy_points(client, &query, &text, &remote) : hbr_accuracy(client, &query, &text, &remote))
        return session_parse(text, error);
    failure_take(&remote, error);
    return NULL;
}

static gboolean accuracy_check(const struct session *session, const struct arguments *arguments, gboolean is_picture,
                               GError **error)
{
    if (is_picture && arguments_has(arguments, "by"))
        return failure_usage(
            error, "--by is of the table, a picture has all runs: choose them with --function, --tenant or --language");
    if (arguments_has(arguments, "since") && arguments_number(arguments, "since") > session->output.now)
        return failure_usage(error, "--since is in the future: write -7d, or a date that has passed");
    return TRUE;
}

gboolean accuracy_run(struct session *session, const struct arguments *arguments, GError **error)
{
    const char *path = arguments_string(arguments, "svg");
    const gboolean is_shown = arguments_has(arguments, "picture"), is_picture = is_shown || path != NULL;
    if (!accuracy_check(session, arguments, is_picture, error))
        return FALSE;
    g_autoptr(json_auto) answer = accuracy_fetch(session, arguments, is_picture, error);
    if (answer == NULL)
        return FALSE;
    if (!is_picture)
        output_report(&session->output, answer, accuracy_print);
    if (is_shown)
        output_report(&session->output, answer, picture_print);
    return path == NULL || picture_save(session, answer, path, error);
}
