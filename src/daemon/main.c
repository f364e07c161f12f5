/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "learn/trial.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct options {
    char *config;
    char *log_level;
    gboolean check, check_model, version;
};

static gboolean options_parse(int *argc, char ***argv, struct options *ret_options, GError **error)
{
    const GOptionEntry entries[] = {
        {"config", 'c', 0, G_OPTION_ARG_FILENAME, &ret_options->config, "Read the configuration from FILE", "FILE"},
        {"check-config", 0, 0, G_OPTION_ARG_NONE, &ret_options->check, "Check configuration and policies, and exit",
         NULL},
        {"check-model", 0, 0, G_OPTION_ARG_NONE, &ret_options->check_model,
         "Check a model that comes on standard input, and exit", NULL},
        {"log-level", 0, 0, G_OPTION_ARG_STRING, &ret_options->log_level, "error, warning, info or debug", "LEVEL"},
        {"version", 'V', 0, G_OPTION_ARG_NONE, &ret_options->version, "Print the version, and exit", NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- have VMs ready before code arrives");
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, error))
        return FALSE;
    if (*argc > 1) {
        hbr_error_set(error, HBR_ERROR_INVALID, "unexpected argument \"%s\"; harbingerd takes options only, see --help",
                      (*argv)[1]);
        return FALSE;
    }
    return TRUE;
}

static const char *config_path(const struct options *options)
{
    static const char system_path[] = HBR_SYSCONFDIR "/harbingerd.conf";
    if (options->config != NULL)
        return options->config;
    return g_file_test(system_path, G_FILE_TEST_EXISTS) ? system_path : NULL;
}

static gboolean main_set_log_level(const struct options *options, const struct config *config, GError **error)
{
    enum log_level level;
    if (!log_level_from_string(options->log_level != NULL ? options->log_level : config->log_level, &level, error))
        return FALSE;
    log_set_level(level);
    return TRUE;
}

static gboolean main_check_model(GError **error)
{
    if (!trial_take(STDIN_FILENO, error))
        return FALSE;
    printf("the model is right\n");
    return TRUE;
}

static gboolean main_run(const struct options *options, GError **error)
{
    if (options->check_model)
        return main_check_model(error);
    g_autoptr(config_auto) config = config_load(config_path(options), error);
    if (config == NULL || !main_set_log_level(options, config, error))
        return FALSE;
    if (!options->check)
        return daemon_run(config, error);
    if (!daemon_check(config, error))
        return FALSE;
    printf("configuration, policies and templates are right\n");
    return TRUE;
}

/* A descriptor of ours must never become one of the standard ones. */
static void main_open_standard(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv)
{
    main_open_standard();
    g_autoptr(GError) error = NULL;
    struct options options = {0};
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN); /* policies are loaded through the API; nothing else can change while it runs */
    if (!options_parse(&argc, &argv, &options, &error)) {
        fprintf(stderr, "harbingerd: %s\n", error->message);
        return 2;
    }
    if (options.version) {
        printf("harbingerd %s\n", VERSION);
        return EXIT_SUCCESS;
    }
    const gboolean is_done = main_run(&options, &error);
    if (!is_done)
        fprintf(stderr, "harbingerd: %s\n", error->message);
    g_free(options.config);
    g_free(options.log_level);
    return is_done ? EXIT_SUCCESS : error->domain == HBR_ERROR ? hbr_error_exit_status(error->code) : EXIT_FAILURE;
}
