/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/option.h"

#include "shell/failure.h"
#include "shell/units.h"

#include <string.h>

struct argument {
    const struct command_option *option;
    GPtrArray *strings; /* as given, NULL-terminated only by arguments_parse */
    gint64 number;
    double real;
};

struct arguments {
    GArray *list; /* struct argument, one for each option of the table and each common one */
};

struct parse_state {
    const struct command_option *options;
    guint count;
    const char *const *words;
    gint64 now;
    struct arguments *arguments;
    guint positional_count;
};

const struct command_option common_options[] = {
    {"help", 'h', OPTION_BOOL, 0, NULL, "show the help of this command", 0, 0, NULL},
    {"json", 0, OPTION_BOOL, 0, NULL, "print JSON", 0, 0, NULL},
    {"quiet", 'q', OPTION_BOOL, 0, NULL, "print ids and results alone", 0, 0, NULL},
};
const guint common_option_count = G_N_ELEMENTS(common_options);

const struct command_option *option_find(const struct command_option *options, guint count, const char *name)
{
    for (guint i = 0; i < count; i++)
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    return options == common_options ? NULL : option_find(common_options, common_option_count, name);
}

const struct command_option *option_find_letter(const struct command_option *options, guint count, char letter)
{
    for (guint i = 0; i < count; i++)
        if (options[i].letter == letter)
            return &options[i];
    return options == common_options ? NULL : option_find_letter(common_options, common_option_count, letter);
}

const struct command_option *option_find_positional(const struct command_option *options, guint count, guint index)
{
    for (guint i = 0; i < count; i++) {
        if (!(options[i].flags & OPTION_POSITIONAL))
            continue;
        if (index == 0 || options[i].flags & OPTION_REPEATED)
            return &options[i];
        index--;
    }
    return NULL;
}

/* Damerau's distance, restricted: insertions, deletions, substitutions and swaps of neighbours. */
static guint option_distance(const char *a, const char *b)
{
    gsize n = strlen(a), m = strlen(b), row = m + 1;
    if (n > 64 || m > 64)
        return 64;
    g_autofree guint *cost = g_new0(guint, (n + 1) * row);
    for (gsize i = 0; i <= n; i++)
        for (gsize j = 0; j <= m; j++) {
            guint *here = &cost[i * row + j];
            if (i == 0 || j == 0) {
                *here = (guint)(i + j);
                continue;
            }
            *here = MIN(*(here - row), *(here - 1)) + 1;
            *here = MIN(*here, *(here - row - 1) + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                *here = MIN(*here, *(here - 2 * row - 2) + 1);
        }
    return cost[n * row + m];
}

const char *option_guess(const char *word, const char *const *names)
{
    const char *best = NULL;
    guint best_distance = MAX(2, (guint)strlen(word) / 3) + 1;
    for (guint i = 0; names[i] != NULL; i++) {
        guint distance = option_distance(word, names[i]);
        if (strlen(word) >= 3 && g_str_has_prefix(names[i], word))
            distance = 1;
        if (distance < best_distance && distance < strlen(names[i])) {
            best = names[i];
            best_distance = distance;
        }
    }
    return best;
}

static void argument_clear(gpointer argument)
{
    g_clear_pointer(&((struct argument *)argument)->strings, g_ptr_array_unref);
}

static void arguments_add_table(struct arguments *arguments, const struct command_option *options, guint count)
{
    for (guint i = 0; i < count; i++) {
        struct argument argument = {&options[i], g_ptr_array_new_with_free_func(g_free), 0, 0};
        g_array_append_val(arguments->list, argument);
    }
}

static struct arguments *arguments_new(const struct command_option *options, guint count)
{
    struct arguments *arguments = g_new0(struct arguments, 1);
    arguments->list = g_array_new(FALSE, FALSE, sizeof(struct argument));
    g_array_set_clear_func(arguments->list, argument_clear);
    arguments_add_table(arguments, options, count);
    arguments_add_table(arguments, common_options, common_option_count);
    return arguments;
}

void arguments_free(struct arguments *arguments)
{
    if (arguments == NULL)
        return;
    g_array_unref(arguments->list);
    g_free(arguments);
}

static struct argument *arguments_find(const struct arguments *arguments, const char *name)
{
    for (guint i = 0; i < arguments->list->len; i++) {
        struct argument *argument = &g_array_index(arguments->list, struct argument, i);
        if (strcmp(argument->option->name, name) == 0)
            return argument;
    }
    g_critical("option --%s is in no table", name);
    return NULL;
}

gboolean arguments_has(const struct arguments *arguments, const char *name)
{
    const struct argument *argument = arguments_find(arguments, name);
    return argument != NULL && argument->strings->len > 1;
}

const char *arguments_string(const struct arguments *arguments, const char *name)
{
    const struct argument *argument = arguments_find(arguments, name);
    return argument != NULL ? g_ptr_array_index(argument->strings, 0) : NULL;
}

const char *const *arguments_strings(const struct arguments *arguments, const char *name)
{
    static const char *const nothing[] = {NULL};
    const struct argument *argument = arguments_find(arguments, name);
    return argument != NULL ? (const char *const *)argument->strings->pdata : nothing;
}

gint64 arguments_number(const struct arguments *arguments, const char *name)
{
    const struct argument *argument = arguments_find(arguments, name);
    return argument != NULL ? argument->number : 0;
}

double arguments_real(const struct arguments *arguments, const char *name)
{
    const struct argument *argument = arguments_find(arguments, name);
    return argument != NULL ? argument->real : 0;
}

static char *option_format_bound(enum option_type type, gint64 bound)
{
    if (type == OPTION_DURATION)
        return units_format_duration(bound * 1000);
    if (type == OPTION_SIZE)
        return units_format_bytes(bound);
    return g_strdup_printf("%" G_GINT64_FORMAT, bound);
}

static gboolean option_check_bounds(const struct command_option *option, double value, const char *text, GError **error)
{
    gboolean bounded = option->type == OPTION_INT || option->type == OPTION_REAL || option->max != 0;
    if (!bounded || (value >= (double)option->min && value <= (double)option->max))
        return TRUE;
    g_autofree char *min = option_format_bound(option->type, option->min);
    g_autofree char *max = option_format_bound(option->type, option->max);
    return failure_usage(error, "--%s: \"%s\" is out of bounds, it must be from %s to %s", option->name, text, min,
                         max);
}

static gboolean option_parse_number(const struct command_option *option, const char *text, struct argument *argument,
                                    GError **error)
{
    g_autoptr(GError) cause = NULL;
    if (!g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &argument->number, &cause))
        return failure_usage(error, "--%s: \"%s\" is not a whole number", option->name, text);
    return option_check_bounds(option, (double)argument->number, text, error);
}

static gboolean option_parse_real(const struct command_option *option, const char *text, struct argument *argument,
                                  GError **error)
{
    char *end = NULL;
    argument->real = g_ascii_strtod(text, &end);
    if (end == text || *end != '\0' || argument->real != argument->real)
        return failure_usage(error, "--%s: \"%s\" is not a number", option->name, text);
    return option_check_bounds(option, argument->real, text, error);
}

static gboolean option_parse_value(const struct command_option *option, const char *text, gint64 now,
                                   struct argument *argument, GError **error)
{
    gboolean parsed = TRUE;
    switch (option->type) {
    case OPTION_BOOL:
        return TRUE;
    case OPTION_STRING:
        if (!g_utf8_validate(text, -1, NULL))
            return failure_usage(error, "--%s: the value is not valid UTF-8", option->name);
        return TRUE;
    case OPTION_INT:
        return option_parse_number(option, text, argument, error);
    case OPTION_REAL:
        return option_parse_real(option, text, argument, error);
    case OPTION_DURATION:
        parsed = units_parse_duration(text, &argument->number, error);
        break;
    case OPTION_SIZE:
        parsed = units_parse_size(text, &argument->number, error);
        break;
    case OPTION_TIME:
        parsed = units_parse_time(text, now, &argument->number, error);
        break;
    }
    if (!parsed) {
        g_prefix_error(error, "--%s: ", option->name);
        return FALSE;
    }
    return option_check_bounds(option, (double)argument->number, text, error);
}

static gboolean parse_store(struct parse_state *state, const struct command_option *option, const char *text,
                            GError **error)
{
    struct argument *argument = arguments_find(state->arguments, option->name);
    if (argument->strings->len > 0 && option->type != OPTION_BOOL && !(option->flags & OPTION_REPEATED))
        return failure_usage(error, "--%s is given twice", option->name);
    if (!option_parse_value(option, text, state->now, argument, error))
        return FALSE;
    g_ptr_array_add(argument->strings, g_strdup(text));
    return TRUE;
}

static gboolean parse_fail_unknown(const struct parse_state *state, const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; i < state->arguments->list->len; i++)
        g_ptr_array_add(names, (char *)g_array_index(state->arguments->list, struct argument, i).option->name);
    g_ptr_array_add(names, NULL);
    const char *guess = option_guess(name, (const char *const *)names->pdata);
    if (guess != NULL)
        return failure_usage(error, "there is no option --%s, did you mean --%s?", name, guess);
    return failure_usage(error, "there is no option --%s, see --help", name);
}

static gboolean parse_take_value(struct parse_state *state, const struct command_option *option, const char *value,
                                 GError **error)
{
    if (option->type == OPTION_BOOL) {
        if (value != NULL)
            return failure_usage(error, "--%s takes no value", option->name);
        return parse_store(state, option, "true", error);
    }
    if (value == NULL && *state->words != NULL)
        value = *state->words++;
    if (value == NULL)
        return failure_usage(error, "--%s needs a value: --%s %s", option->name, option->name, option->value);
    return parse_store(state, option, value, error);
}

static gboolean parse_long(struct parse_state *state, const char *word, GError **error)
{
    const char *equals = strchr(word, '=');
    g_autofree char *name = equals != NULL ? g_strndup(word, (gsize)(equals - word)) : g_strdup(word);
    const struct command_option *option = option_find(state->options, state->count, name);
    if (option == NULL)
        return parse_fail_unknown(state, name, error);
    return parse_take_value(state, option, equals != NULL ? equals + 1 : NULL, error);
}

static gboolean parse_letter(struct parse_state *state, const char *word, GError **error)
{
    const struct command_option *option = option_find_letter(state->options, state->count, word[0]);
    if (option == NULL)
        return failure_usage(error, "there is no option -%c, see --help", word[0]);
    return parse_take_value(state, option, word[1] != '\0' ? word + 1 : NULL, error);
}

static gboolean parse_positional(struct parse_state *state, const char *word, GError **error)
{
    const struct command_option *option = NULL;
    do
        option = option_find_positional(state->options, state->count, state->positional_count++);
    while (option != NULL && !(option->flags & OPTION_REPEATED) &&
           arguments_find(state->arguments, option->name)->strings->len > 0);
    if (option == NULL)
        return failure_usage(error, "\"%s\" is one word too many, see --help", word);
    return parse_store(state, option, word, error);
}

static gboolean parse_words(struct parse_state *state, GError **error)
{
    gboolean only_positional = FALSE;
    while (*state->words != NULL) {
        const char *word = *state->words++;
        gboolean parsed = TRUE;
        if (only_positional || word[0] != '-' || word[1] == '\0')
            parsed = parse_positional(state, word, error);
        else if (strcmp(word, "--") == 0)
            only_positional = TRUE;
        else if (word[1] == '-')
            parsed = parse_long(state, word + 2, error);
        else
            parsed = parse_letter(state, word + 1, error);
        if (!parsed)
            return FALSE;
    }
    return TRUE;
}

/* Whoever asks for help need not know what is required. */
static gboolean parse_check_required(const struct parse_state *state, GError **error)
{
    if (arguments_find(state->arguments, "help")->strings->len > 0)
        return TRUE;
    for (guint i = 0; i < state->count; i++) {
        const struct command_option *option = &state->options[i];
        if (!(option->flags & OPTION_REQUIRED) || arguments_find(state->arguments, option->name)->strings->len > 0)
            continue;
        if (option->flags & OPTION_POSITIONAL)
            return failure_usage(error, "%s is missing: %s", option->value, option->help);
        return failure_usage(error, "--%s %s is missing: %s", option->name, option->value, option->help);
    }
    return TRUE;
}

struct arguments *arguments_parse(const struct command_option *options, guint count, const char *const *words,
                                  gint64 now, GError **error)
{
    g_autoptr(arguments_auto) arguments = arguments_new(options, count);
    struct parse_state state = {options, count, words, now, arguments, 0};
    if (!parse_words(&state, error) || !parse_check_required(&state, error))
        return NULL;
    for (guint i = 0; i < arguments->list->len; i++)
        g_ptr_array_add(g_array_index(arguments->list, struct argument, i).strings, NULL);
    return g_steal_pointer(&arguments);
}
