/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/self-test.h"

#include "shell/command.h"
#include "shell/global.h"

#include <stdarg.h>
#include <string.h>

/* Help stays readable on a terminal of 100 columns. */
#define SELF_TEST_HELP_MAX 64

struct self_test {
    GPtrArray *findings;
    const char *where;
};

static void self_test_find(struct self_test *test, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void self_test_find(struct self_test *test, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *finding = g_strdup_vprintf(format, args);
    va_end(args);
    g_ptr_array_add(test->findings, g_strdup_printf("%s: %s", test->where, finding));
}

static gboolean self_test_is_name(const char *name)
{
    return name != NULL && g_regex_match_simple("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", name, 0, 0);
}

static gboolean self_test_is_line(const char *help)
{
    return help != NULL && *help != '\0' && (!g_str_has_suffix(help, ".") || g_str_has_suffix(help, "...")) &&
           strchr(help, '\n') == NULL && strlen(help) <= SELF_TEST_HELP_MAX;
}

static void self_test_check_bounds(struct self_test *test, const struct command_option *option)
{
    gboolean needs_bounds = option->type == OPTION_INT || option->type == OPTION_REAL;
    if (needs_bounds && option->min >= option->max)
        self_test_find(test, "--%s: has no bounds", option->name);
    if (option->min > option->max)
        self_test_find(test, "--%s: its bounds are the wrong way round", option->name);
    if (option->type == OPTION_BOOL && (option->value != NULL || option->complete != NULL))
        self_test_find(test, "--%s: a switch has no value", option->name);
    if (option->type != OPTION_BOOL && (option->value == NULL || *option->value == '\0'))
        self_test_find(test, "--%s: its value has no name", option->name);
}

static void self_test_check_flags(struct self_test *test, const struct command_option *option)
{
    if (option->flags & OPTION_REPEATED && option->type != OPTION_STRING)
        self_test_find(test, "--%s: only strings can be repeated", option->name);
    if (option->flags & OPTION_POSITIONAL && option->letter != 0 && !g_ascii_isalpha(option->letter))
        self_test_find(test, "--%s: its letter is none", option->name);
}

static void self_test_check_option(struct self_test *test, const struct command_option *option)
{
    if (!self_test_is_name(option->name)) {
        self_test_find(test, "option \"%s\" is not called like one", option->name != NULL ? option->name : "");
        return;
    }
    if (!self_test_is_line(option->help))
        self_test_find(test, "--%s: its help is not one line of at most %d bytes without a full stop", option->name,
                       SELF_TEST_HELP_MAX);
    self_test_check_bounds(test, option);
    self_test_check_flags(test, option);
}

static void self_test_check_unique(struct self_test *test, const struct command_option *a,
                                   const struct command_option *b)
{
    if (a == b)
        return;
    if (strcmp(a->name, b->name) == 0)
        self_test_find(test, "--%s: is there twice", a->name);
    if (a->letter != 0 && a->letter == b->letter)
        self_test_find(test, "-%c: is there twice", a->letter);
}

/* What is required stands before what is not, and what takes all the rest stands last. */
static void self_test_check_order(struct self_test *test, const struct command_option *options, guint count)
{
    gboolean optional_seen = FALSE, rest_seen = FALSE;
    for (guint i = 0; i < count; i++) {
        if (!(options[i].flags & OPTION_POSITIONAL))
            continue;
        if (rest_seen || (optional_seen && options[i].flags & OPTION_REQUIRED))
            self_test_find(test, "%s: can never be given by its place", options[i].value);
        optional_seen |= !(options[i].flags & OPTION_REQUIRED);
        rest_seen |= (options[i].flags & OPTION_REPEATED) != 0;
    }
}

static void self_test_check_options(struct self_test *test, const struct command_option *options, guint count,
                                    gboolean with_common)
{
    for (guint i = 0; i < count; i++) {
        self_test_check_option(test, &options[i]);
        for (guint j = i + 1; j < count; j++)
            self_test_check_unique(test, &options[i], &options[j]);
        for (guint j = 0; j < common_option_count && with_common; j++)
            self_test_check_unique(test, &options[i], &common_options[j]);
    }
    self_test_check_order(test, options, count);
}

static void self_test_check_command(struct self_test *test, const struct command *command)
{
    if (!self_test_is_name(command->name))
        self_test_find(test, "is not called like a command");
    if (command_find(command->name) != command)
        self_test_find(test, "is there twice");
    if (!self_test_is_line(command->summary))
        self_test_find(test, "its summary is not one line of at most %d bytes without a full stop", SELF_TEST_HELP_MAX);
    if (command->help != NULL && !g_str_has_suffix(command->help, "."))
        self_test_find(test, "its help does not end with a full stop");
    if (command->run == NULL)
        self_test_find(test, "does nothing");
    self_test_check_options(test, command->options, command->option_count, TRUE);
}

GPtrArray *self_test_run(void)
{
    struct self_test test = {g_ptr_array_new_with_free_func(g_free), "harbinger"};
    self_test_check_options(&test, global_options, global_option_count, FALSE);
    for (guint i = 0; command_groups[i] != NULL; i++) {
        test.where = command_groups[i]->name;
        if (!self_test_is_name(test.where) || command_groups[i]->title == NULL || command_groups[i]->command_count == 0)
            self_test_find(&test, "is no group");
        for (guint j = 0; j < command_groups[i]->command_count; j++) {
            test.where = command_groups[i]->commands[j].name;
            self_test_check_command(&test, &command_groups[i]->commands[j]);
        }
    }
    return test.findings;
}
