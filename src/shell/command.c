/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/command.h"

#include "shell/failure.h"
#include "shell/help.h"

#include <errno.h>
#include <string.h>

const struct command_group *const command_groups[] = {
    &notify_group, &exec_group,   &explain_group, &event_group,  &object_group, &pool_group,
    &host_group,   &policy_group, &model_group,   &daemon_group, &shell_group,  NULL,
};

const struct command *command_find(const char *name)
{
    for (guint i = 0; command_groups[i] != NULL; i++)
        for (guint j = 0; j < command_groups[i]->command_count; j++)
            if (strcmp(command_groups[i]->commands[j].name, name) == 0)
                return &command_groups[i]->commands[j];
    return NULL;
}

static const char *command_guess(const char *name)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (guint i = 0; command_groups[i] != NULL; i++)
        for (guint j = 0; j < command_groups[i]->command_count; j++)
            if (!command_groups[i]->commands[j].hidden)
                g_ptr_array_add(names, (char *)command_groups[i]->commands[j].name);
    g_ptr_array_add(names, NULL);
    return option_guess(name, (const char *const *)names->pdata);
}

const struct command *command_lookup(const char *name, GError **error)
{
    const struct command *command = command_find(name);
    if (command != NULL)
        return command;
    const char *guess = command_guess(name);
    if (guess != NULL)
        failure_usage(error, "there is no command \"%s\", did you mean \"%s\"?", name, guess);
    else
        failure_usage(error, "there is no command \"%s\", see \"help\"", name);
    return NULL;
}

static int command_fail(const char *name, const GError *error)
{
    g_autofree char *text = failure_text(name, error);
    fflush(stdout);
    g_printerr("%s\n", text);
    return failure_exit_status(error);
}

static gboolean command_flush(GError **error)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return TRUE;
    g_set_error(error, SHELL_ERROR, SHELL_ERROR_OUTPUT, "cannot write to standard output: %s", g_strerror(errno));
    clearerr(stdout);
    return FALSE;
}

static gboolean command_run_parsed(struct session *session, const struct command *command,
                                   const struct arguments *arguments, GError **error)
{
    gboolean json = session->json || arguments_has(arguments, "json");
    gboolean quiet = session->quiet || arguments_has(arguments, "quiet");
    output_init(&session->output, stdout, json, quiet, session_wants_colour(stdout), session_now());
    session->exit_status = 0;
    if (!arguments_has(arguments, "help"))
        return command->run(session, arguments, error) && command_flush(error);
    help_print_command(&session->output, command);
    return command_flush(error);
}

int command_run(struct session *session, const char *const *words)
{
    g_autoptr(GError) error = NULL;
    const struct command *command = command_lookup(words[0], &error);
    if (command == NULL)
        return command_fail(NULL, error);
    g_autoptr(arguments_auto) arguments =
        arguments_parse(command->options, command->option_count, words + 1, session_now(), &error);
    if (arguments == NULL || !command_run_parsed(session, command, arguments, &error))
        return command_fail(command->name, error);
    return session->exit_status;
}
