/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "learn/trial.h"

#include "base/error.h"
#include "learn/registry.h"
#include "predict/model.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define TRIAL_MEMORY_BYTES (4UL * 1024 * 1024 * 1024) /* of addresses; more than any model that is accepted takes */
#define READ_BYTES 65536
#define SAYS "harbingerd: " /* before its message */
#define SAID_MAX 1000       /* bytes of what the process wrote, that are told */

/* --- The daemon's side --- */

/* What a process that has ended tells of the model: `said` is what it wrote. */
static gboolean trial_judge(GSubprocess *process, const char *said, GError **error)
{
    if (g_subprocess_get_if_signaled(process)) {
        const int signal_number = g_subprocess_get_term_sig(process);
        hbr_error_set(error, HBR_ERROR_INVALID,
                      "it is not sound: a process that tried it %s (signal %d, %s); right would be what model-export "
                      "wrote",
                      signal_number == SIGALRM || signal_number == SIGXCPU || signal_number == SIGKILL
                          ? "did not come to an end"
                          : "was ended by it",
                      signal_number, g_strsignal(signal_number));
        return FALSE;
    }
    const int status = g_subprocess_get_exit_status(process);
    const char *message = strstr(said, SAYS);
    if (status == hbr_error_exit_status(HBR_ERROR_INVALID) && message != NULL)
        hbr_error_set(error, HBR_ERROR_INVALID, "%s", message + strlen(SAYS));
    else if (status != 0)
        hbr_error_set(error, HBR_ERROR_INVALID, "it is not sound: a process that tried it ended with status %d: %s",
                      status, said);
    return status == 0;
}

gboolean trial_run(const char *const *argv, GBytes *content, GCancellable *cancellable, GError **error)
{
    const GSubprocessFlags flags =
        G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE | G_SUBPROCESS_FLAGS_STDOUT_SILENCE;
    g_autoptr(GError) problem = NULL;
    g_autoptr(GSubprocess) process = g_subprocess_newv(argv, flags, &problem);
    if (process == NULL) {
        hbr_error_set(error, HBR_ERROR_INTERNAL, "the model cannot be tried: %s", problem->message);
        return FALSE;
    }
    /* One that ends before it has read all of it is judged by its end. */
    g_autoptr(GBytes) said = NULL;
    if (!g_subprocess_communicate(process, content, cancellable, NULL, &said, NULL)) {
        if (g_cancellable_is_cancelled(cancellable))
            g_subprocess_force_exit(process);
        g_subprocess_wait(process, NULL, NULL);
    }
    if (g_cancellable_is_cancelled(cancellable)) {
        hbr_error_set(error, HBR_ERROR_CANCELLED, "the daemon is stopping");
        return FALSE;
    }
    gsize length = 0;
    const char *text = said != NULL ? g_bytes_get_data(said, &length) : NULL;
    g_autofree char *line = g_strdup_printf("%.*s", (int)MIN(length, SAID_MAX), text != NULL ? text : "");
    return trial_judge(process, g_strchomp(line), error);
}

/* --- The other process --- */

static void trial_limit(void)
{
    const struct rlimit no_core = {0, 0}, cpu = {TRIAL_SECONDS, TRIAL_SECONDS};
    setrlimit(RLIMIT_CORE, &no_core);
    setrlimit(RLIMIT_CPU, &cpu);
#ifndef HBR_SANITIZED
    const struct rlimit memory = {TRIAL_MEMORY_BYTES, TRIAL_MEMORY_BYTES};
    setrlimit(RLIMIT_AS, &memory);
#endif
    sigset_t alarm_only; /* whatever the daemon was started with is inherited */
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    signal(SIGALRM, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
    alarm(TRIAL_SECONDS);
}

static GBytes *trial_read(int fd, GError **error)
{
    g_autoptr(GByteArray) content = g_byte_array_new();
    guint8 part[READ_BYTES];
    ssize_t length;
    while ((length = read(fd, part, sizeof part)) != 0) {
        if (length < 0 && errno != EINTR) {
            hbr_error_set(error, HBR_ERROR_INVALID, "the model cannot be read: %s", g_strerror(errno));
            return NULL;
        }
        if (length > 0 && content->len + (gsize)length > MODEL_CONTENT_MAX) {
            hbr_error_set(error, HBR_ERROR_TOO_LARGE, "a model of more than %d bytes", MODEL_CONTENT_MAX);
            return NULL;
        }
        g_byte_array_append(content, part, (guint)MAX(length, 0));
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&content));
}

gboolean trial_take(int fd, GError **error)
{
    trial_limit();
    g_autoptr(GBytes) content = trial_read(fd, error);
    g_autoptr(model_auto) model = content != NULL ? model_load(content, error) : NULL;
    if (model == NULL)
        return FALSE;
    const struct sample sample = {0};
    struct model_word word;
    model_predict(model, &sample, MODEL_ALL, &word);
    for (enum target target = 0; target < TARGET_COUNT; target++) {
        if (isnan(word.mean[target]))
            continue; /* it was not taught */
        g_autoptr(GArray) reasons = model_explain(model, &sample, target, 1, error);
        if (reasons == NULL)
            return FALSE;
    }
    g_autoptr(GBytes) saved = model_save(model, error);
    return saved != NULL;
}
