/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/command.h"
#include "shell/complete.h"
#include "shell/failure.h"
#include "shell/global.h"
#include "shell/help.h"
#include "shell/self-test.h"

#include <string.h>

static const struct command_option help_options[] = {
    {"command", 0, OPTION_STRING, OPTION_POSITIONAL, "COMMAND", "a command, or a group of them", 0, 0,
     complete_command},
};

static const struct command_option complete_options[] = {
    {"word", 0, OPTION_STRING, OPTION_POSITIONAL | OPTION_REPEATED, "WORD", "the command line, as far as it is typed",
     0, 0, NULL},
};

static const struct command_option self_test_options[] = {
    {"list", 0, OPTION_BOOL, 0, NULL, "list commands and options, for the check of the manual", 0, 0, NULL},
};

static const struct command_group *help_find_group(const char *name)
{
    for (guint i = 0; command_groups[i] != NULL; i++)
        if (strcmp(command_groups[i]->name, name) == 0)
            return command_groups[i];
    return NULL;
}

static gboolean help_run(struct session *session, const struct arguments *arguments, GError **error)
{
    const char *name = arguments_string(arguments, "command");
    if (name == NULL) {
        help_print_overview(&session->output);
        return TRUE;
    }
    const struct command_group *group = command_find(name) == NULL ? help_find_group(name) : NULL;
    if (group != NULL) {
        help_print_group(&session->output, group);
        return TRUE;
    }
    const struct command *command = command_lookup(name, error);
    if (command == NULL)
        return FALSE;
    help_print_command(&session->output, command);
    return TRUE;
}

static gboolean quit_run(struct session *session, const struct arguments *arguments, GError **error)
{
    (void)arguments;
    (void)error;
    session->done = TRUE;
    return TRUE;
}

static gboolean complete_run(struct session *session, const struct arguments *arguments, GError **error)
{
    (void)error;
    g_autoptr(GPtrArray) candidates = complete_words(session, arguments_strings(arguments, "word"));
    for (guint i = 0; i < candidates->len; i++)
        output_print(&session->output, "%s\n", (const char *)g_ptr_array_index(candidates, i));
    return TRUE;
}

static void self_test_list_options(struct output *output, const char *command, const struct command_option *options,
                                   guint count)
{
    for (guint i = 0; i < count; i++)
        output_print(output, "%s %s --%s %s\n", options[i].flags & OPTION_POSITIONAL ? "positional" : "option", command,
                     options[i].name, options[i].value != NULL ? options[i].value : "-");
}

static void self_test_list(struct output *output)
{
    self_test_list_options(output, "harbinger", global_options, global_option_count);
    for (guint i = 0; command_groups[i] != NULL; i++)
        for (guint j = 0; j < command_groups[i]->command_count; j++) {
            const struct command *command = &command_groups[i]->commands[j];
            if (command->hidden)
                continue;
            output_print(output, "command %s\n", command->name);
            self_test_list_options(output, command->name, command->options, command->option_count);
        }
}

static gboolean self_test_command_run(struct session *session, const struct arguments *arguments, GError **error)
{
    (void)error;
    if (arguments_has(arguments, "list")) {
        self_test_list(&session->output);
        return TRUE;
    }
    g_autoptr(GPtrArray) findings = self_test_run();
    for (guint i = 0; i < findings->len; i++)
        output_print(&session->output, "%s\n", (const char *)g_ptr_array_index(findings, i));
    session->exit_status = findings->len == 0 ? 0 : FAILURE_STATUS;
    return TRUE;
}

static const struct command shell_commands[] = {
    {"help", "list commands, or tell more of one", NULL, help_run, COMMAND_OPTIONS(help_options), FALSE},
    {"quit", "leave the interactive shell", NULL, quit_run, COMMAND_NO_OPTIONS, FALSE},
    {"complete", "complete a command line", NULL, complete_run, COMMAND_OPTIONS(complete_options), TRUE},
    {"self-test", "check the tables of commands and options", NULL, self_test_command_run,
     COMMAND_OPTIONS(self_test_options), TRUE},
};

const struct command_group shell_group = {"shell", "This program", shell_commands, G_N_ELEMENTS(shell_commands)};
