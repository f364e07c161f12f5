/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/help.h"

#include "shell/global.h"

#include <string.h>

#define HELP_WIDTH 78

/* `text` filled to HELP_WIDTH, each line indented. */
static void help_print_filled(struct output *output, const char *text, guint indent)
{
    g_auto(GStrv) words = g_strsplit(text, " ", -1);
    guint column = 0;
    for (guint i = 0; words[i] != NULL; i++) {
        guint width = table_text_width(words[i]);
        if (column > 0 && column + 1 + width > HELP_WIDTH) {
            output_print(output, "\n");
            column = 0;
        }
        if (column == 0) {
            output_print(output, "%*s%s", (int)indent, "", words[i]);
            column = indent + width;
        } else {
            output_print(output, " %s", words[i]);
            column += 1 + width;
        }
    }
    output_print(output, "\n");
}

static void help_append_option(GString *usage, const struct command_option *option)
{
    gboolean required = option->flags & OPTION_REQUIRED;
    const char *more = option->flags & OPTION_REPEATED ? "..." : "";
    g_string_append(usage, required ? " " : " [");
    if (option->flags & OPTION_POSITIONAL)
        g_string_append_printf(usage, "%s%s", option->value, more);
    else if (option->type == OPTION_BOOL)
        g_string_append_printf(usage, "--%s", option->name);
    else
        g_string_append_printf(usage, "--%s %s%s", option->name, option->value, more);
    if (!required)
        g_string_append_c(usage, ']');
}

char *help_usage(const struct command *command)
{
    GString *usage = g_string_new(command->name);
    guint named = 0;
    for (guint i = 0; i < command->option_count; i++)
        if (command->options[i].flags & OPTION_POSITIONAL)
            help_append_option(usage, &command->options[i]);
        else
            named++;
    for (guint i = 0; i < command->option_count && named <= 4; i++)
        if (!(command->options[i].flags & OPTION_POSITIONAL))
            help_append_option(usage, &command->options[i]);
    if (named > 4)
        g_string_append(usage, " [OPTION...]");
    return g_string_free(usage, FALSE);
}

static void help_add_option(struct table *table, const struct command_option *option)
{
    GString *name = g_string_new(NULL);
    if (option->flags & OPTION_POSITIONAL)
        g_string_append(name, option->value);
    else {
        if (option->letter != 0)
            g_string_append_printf(name, "-%c, ", option->letter);
        g_string_append_printf(name, "--%s%s%s", option->name, option->value != NULL ? " " : "",
                               option->value != NULL ? option->value : "");
    }
    if (option->flags & OPTION_REPEATED)
        g_string_append(name, "...");
    table_begin_row(table);
    table_add_cell(table, g_string_free(name, FALSE), TONE_PLAIN);
    table_add_cell(table, g_strdup(option->help), TONE_PLAIN);
}

static void help_print_options(struct output *output, const struct command_option *options, guint count)
{
    g_autoptr(table_auto) table = table_new();
    table_add_column(table, "", TABLE_LEFT);
    table_add_column(table, "", TABLE_LEFT);
    for (guint i = 0; i < count; i++)
        help_add_option(table, &options[i]);
    if (options != common_options && options != global_options)
        for (guint i = 0; i < common_option_count; i++)
            help_add_option(table, &common_options[i]);
    output_table(output, table, 2);
}

void help_print_command(struct output *output, const struct command *command)
{
    g_autofree char *usage = help_usage(command);
    g_autofree char *name = table_paint(command->name, TONE_STRONG, output->colour);
    output_print(output, "%s - %s\n\nUsage:\n  %s\n", name, command->summary, usage);
    if (command->help != NULL) {
        output_print(output, "\n");
        help_print_filled(output, command->help, 0);
    }
    output_print(output, "\nOptions:\n");
    help_print_options(output, command->options, command->option_count);
}

static void help_add_command(struct table *table, const struct command *command)
{
    table_begin_row(table);
    table_add_cell(table, g_strdup(command->name), TONE_PLAIN);
    table_add_cell(table, g_strdup(command->summary), TONE_PLAIN);
}

static struct table *help_table_of_group(const struct command_group *group)
{
    struct table *table = table_new();
    table_add_column(table, "", TABLE_LEFT);
    table_add_column(table, "", TABLE_LEFT);
    for (guint i = 0; i < group->command_count; i++)
        if (!group->commands[i].hidden)
            help_add_command(table, &group->commands[i]);
    return table;
}

void help_print_group(struct output *output, const struct command_group *group)
{
    g_autoptr(table_auto) table = help_table_of_group(group);
    g_autofree char *title = table_paint(group->title, TONE_STRONG, output->colour);
    output_print(output, "%s (help %s):\n", title, group->name);
    output_table(output, table, 2);
}

void help_print_overview(struct output *output)
{
    output_print(output, "Usage: harbinger [OPTION...] [COMMAND [ARGUMENT...]]\n"
                         "Without a command, an interactive shell.\n\nOptions:\n");
    help_print_options(output, global_options, global_option_count);
    for (guint i = 0; command_groups[i] != NULL; i++) {
        output_print(output, "\n");
        help_print_group(output, command_groups[i]);
    }
    output_print(output, "\n\"help COMMAND\" says more of one command, harbinger(1) says everything.\n");
}
