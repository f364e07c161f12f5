/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/global.h"

#include "shell/command.h"
#include "shell/failure.h"
#include "shell/help.h"
#include "shell/interactive.h"

#include <locale.h>
#include <signal.h>
#include <string.h>

const struct command_option global_options[] = {
    {"connect", 'c', OPTION_STRING, 0, "ADDRESS", "the daemon: unix:/path, /path or http://host:port", 0, 0, NULL},
    {"json", 0, OPTION_BOOL, 0, NULL, "print JSON", 0, 0, NULL},
    {"quiet", 'q', OPTION_BOOL, 0, NULL, "print ids and results alone", 0, 0, NULL},
    {"version", 0, OPTION_BOOL, 0, NULL, "print the version of this program", 0, 0, NULL},
    {"help", 'h', OPTION_BOOL, 0, NULL, "list the commands", 0, 0, NULL},
};
const guint global_option_count = G_N_ELEMENTS(global_options);

/* How many of the words are global options and their values: up to the first word that is neither. */
static guint global_count_words(char **words)
{
    guint count = 0;
    while (words[count] != NULL && words[count][0] == '-' && words[count][1] != '\0') {
        gboolean takes_next = strcmp(words[count], "--connect") == 0 || strcmp(words[count], "-c") == 0;
        count += takes_next && words[count + 1] != NULL ? 2 : 1;
    }
    return count;
}

static int global_fail(const GError *error)
{
    g_autofree char *text = failure_text(NULL, error);
    g_printerr("%s\n", text);
    return failure_exit_status(error);
}

static int global_run(struct session *session, const struct arguments *arguments, const char *const *words)
{
    session->json = arguments_has(arguments, "json");
    session->quiet = arguments_has(arguments, "quiet");
    output_init(&session->output, stdout, session->json, session->quiet, session_wants_colour(stdout), session_now());
    if (arguments_has(arguments, "version")) {
        output_print(&session->output, "harbinger %s\n", hbr_library_version());
        return 0;
    }
    if (arguments_has(arguments, "help")) {
        help_print_overview(&session->output);
        return 0;
    }
    return words[0] != NULL ? command_run(session, words) : interactive_run(session);
}

int global_main(int argc, char **argv)
{
    (void)argc;
    setlocale(LC_ALL, "");
    /* A reader that goes away is an error of fflush() or write(), with a message. */
    signal(SIGPIPE, SIG_IGN);
    g_autoptr(GError) error = NULL;
    guint count = global_count_words(argv + 1);
    g_autofree const char **words = g_new0(const char *, count + 1);
    for (guint i = 0; i < count; i++)
        words[i] = argv[1 + i];
    g_autoptr(arguments_auto) arguments =
        arguments_parse(global_options, global_option_count, words, session_now(), &error);
    if (arguments == NULL)
        return global_fail(error);
    struct session session;
    session_init(&session, arguments_string(arguments, "connect"));
    int status = global_run(&session, arguments, (const char *const *)argv + 1 + count);
    session_clear(&session);
    return status;
}
