/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/interactive.h"

#include "shell/command.h"
#include "shell/complete.h"
#include "shell/editor.h"
#include "shell/failure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A line of a script longer than this is an accident. */
#define INTERACTIVE_LINE_MAX (1024 * 1024)

/* The line up to a word that begins with '#', outside of quotes. */
static char *interactive_strip_comment(const char *line)
{
    char quote = 0;
    for (const char *at = line; *at != '\0'; at++) {
        if (quote == 0 && *at == '#' && (at == line || g_ascii_isspace(at[-1])))
            return g_strndup(line, (gsize)(at - line));
        if (*at == '\\' && quote != '\'' && at[1] != '\0')
            at++;
        else if (quote == 0 && (*at == '"' || *at == '\''))
            quote = *at;
        else if (*at == quote)
            quote = 0;
    }
    return g_strdup(line);
}

char **interactive_split(const char *line, GError **error)
{
    g_autofree char *text = interactive_strip_comment(line);
    g_autoptr(GError) cause = NULL;
    char **words = NULL;
    if (*g_strstrip(text) == '\0')
        return g_new0(char *, 1);
    if (g_shell_parse_argv(text, NULL, &words, &cause))
        return words;
    failure_usage(error, "%s", cause->message);
    return NULL;
}

static void interactive_run_line(struct session *session, const char *line)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) words = interactive_split(line, &error);
    if (words == NULL) {
        g_autofree char *text = failure_text(NULL, error);
        g_printerr("%s\n", text);
        session->exit_status = failure_exit_status(error);
    } else if (words[0] != NULL) {
        const int before = session->exit_status;
        const int status = command_run(session, (const char *const *)words);
        session->exit_status = session->done ? before : status; /* quit has none of its own */
    }
}

/* From a pipe or a file: no prompt, no history. Bytes are taken one line at a time by stdio's buffer, which nobody else reads. */
static void interactive_run_script(struct session *session)
{
    g_autoptr(GString) line = g_string_new(NULL);
    for (int byte = getc(stdin); !session->done; byte = getc(stdin)) {
        if (byte != '\n' && byte != EOF && line->len < INTERACTIVE_LINE_MAX) {
            g_string_append_c(line, (char)byte);
            continue;
        }
        interactive_run_line(session, line->str);
        g_string_truncate(line, 0);
        if (byte == EOF)
            return;
    }
}

int interactive_run(struct session *session)
{
    session->interactive = TRUE;
    if (isatty(STDIN_FILENO))
        editor_run(session, interactive_run_line);
    else
        interactive_run_script(session);
    return session->exit_status;
}
