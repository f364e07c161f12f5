/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/editor.h"

#include "shell/complete.h"
#include "shell/interactive.h"

#include <errno.h>
#include <histedit.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#define EDITOR_HISTORY_MAX 1000

struct editor {
    struct session *session;
    EditLine *line;
    History *history;
    char *history_path;
};

static volatile sig_atomic_t editor_interrupted;

/* The session whose command runs: Ctrl-C ends what it waits for. A signal handler has no argument of its own. */
static struct session *volatile editor_running;

static void editor_handle_interrupt(int number)
{
    (void)number;
    editor_interrupted = 1;
    struct session *session = editor_running;
    if (session != NULL && session->client != NULL)
        hbr_client_interrupt(session->client);
}

static void editor_block_interrupt(int how, sigset_t *ret_old)
{
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    pthread_sigmask(how, &interrupt, ret_old);
}

/* SIGINT is blocked but for the wait: one that comes between two keys is not lost. -1 when it came. */
static int editor_get_byte(char *ret_byte)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    sigdelset(&mask, SIGINT);
    struct pollfd input = {STDIN_FILENO, POLLIN, 0};
    while (ppoll(&input, 1, NULL, &mask) < 0)
        if (errno != EINTR || editor_interrupted)
            return -1;
    return (int)read(STDIN_FILENO, ret_byte, 1);
}

/* One character for libedit; bytes that are none are skipped. */
static int editor_get_character(EditLine *line, wchar_t *ret_character)
{
    mbstate_t state;
    memset(&state, 0, sizeof state);
    (void)line;
    for (;;) {
        char byte = 0;
        const int length = editor_get_byte(&byte);
        if (length <= 0)
            return length;
        const size_t used = mbrtowc(ret_character, &byte, 1, &state);
        if (used == (size_t)-1)
            memset(&state, 0, sizeof state);
        else if (used != (size_t)-2)
            return 1;
    }
}

static char *editor_prompt(EditLine *line)
{
    static char prompt[] = "harbinger # ";
    (void)line;
    return prompt;
}

/* The longest text with which all candidates begin. Free with g_free. */
static char *editor_common_prefix(const GPtrArray *candidates)
{
    char *common = g_strdup(g_ptr_array_index(candidates, 0));
    for (guint i = 1; i < candidates->len; i++) {
        const char *other = g_ptr_array_index(candidates, i);
        gsize length = 0;
        while (common[length] != '\0' && common[length] == other[length])
            length++;
        common[length] = '\0';
    }
    return common;
}

static void editor_show(const GPtrArray *candidates)
{
    printf("\n");
    for (guint i = 0; i < candidates->len; i++)
        printf("%s  ", (const char *)g_ptr_array_index(candidates, i));
    printf("\n");
    fflush(stdout);
}

/* The words up to the cursor; the last one is what is being typed, perhaps empty. Words under quotes are not completed. */
static char **editor_words(EditLine *line)
{
    const LineInfo *info = el_line(line);
    g_autofree char *text = g_strndup(info->buffer, (gsize)(info->cursor - info->buffer));
    gboolean fresh = *text == '\0' || g_ascii_isspace(text[strlen(text) - 1]);
    char **words = interactive_split(text, NULL);
    if (words == NULL || !fresh)
        return words;
    guint count = g_strv_length(words);
    words = g_renew(char *, words, count + 2);
    words[count] = g_strdup("");
    words[count + 1] = NULL;
    return words;
}

static unsigned char editor_complete(EditLine *line, int key)
{
    struct editor *editor = NULL;
    (void)key;
    el_get(line, EL_CLIENTDATA, &editor);
    g_auto(GStrv) words = editor_words(line);
    if (words == NULL || words[0] == NULL)
        return CC_ERROR;
    g_autoptr(GPtrArray) candidates = complete_words(editor->session, (const char *const *)words);
    if (candidates->len == 0)
        return CC_ERROR;
    const char *typed = words[g_strv_length(words) - 1];
    g_autofree char *common = editor_common_prefix(candidates);
    g_autofree char *rest = g_strdup(common + strlen(typed));
    if (candidates->len == 1 && !g_str_has_suffix(common, "/")) {
        char *spaced = g_strconcat(rest, " ", NULL);
        g_free(rest);
        rest = spaced;
    }
    if (*rest != '\0')
        return el_insertstr(line, rest) == 0 ? CC_REFRESH : CC_ERROR;
    editor_show(candidates);
    return CC_REDISPLAY;
}

/* $XDG_STATE_HOME/harbinger/history; NULL when that cannot be made. */
static char *editor_make_history_path(void)
{
    g_autofree char *directory = g_build_filename(g_get_user_state_dir(), "harbinger", NULL);
    if (g_mkdir_with_parents(directory, 0700) != 0)
        return NULL;
    return g_build_filename(directory, "history", NULL);
}

static void editor_open(struct editor *editor, struct session *session)
{
    HistEvent event;
    memset(editor, 0, sizeof *editor);
    editor->session = session;
    editor->history = history_init();
    editor->history_path = editor_make_history_path();
    history(editor->history, &event, H_SETSIZE, EDITOR_HISTORY_MAX);
    history(editor->history, &event, H_SETUNIQUE, 1);
    if (editor->history_path != NULL)
        history(editor->history, &event, H_LOAD, editor->history_path);
    editor->line = el_init("harbinger", stdin, stdout, stderr);
    el_set(editor->line, EL_CLIENTDATA, editor);
    el_set(editor->line, EL_GETCFN, editor_get_character);
    el_set(editor->line, EL_PROMPT, editor_prompt);
    el_set(editor->line, EL_EDITOR, "emacs");
    el_set(editor->line, EL_HIST, history, editor->history);
    /* The narrow form leaks its strings (libedit's eln.c says so). */
    el_wset(editor->line, EL_ADDFN, L"hbr-complete", L"complete the word", editor_complete);
    el_set(editor->line, EL_BIND, "^I", "hbr-complete", NULL);
    el_set(editor->line, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(editor->line, NULL);
}

/* What one typed may hold secrets of programs: the file is for its owner alone. */
static void editor_close(struct editor *editor)
{
    HistEvent event;
    if (editor->history_path != NULL) {
        mode_t old_mask = umask(077);
        history(editor->history, &event, H_SAVE, editor->history_path);
        umask(old_mask);
    }
    el_end(editor->line);
    history_end(editor->history);
    g_free(editor->history_path);
}

/* The next line without its newline; NULL at the end. Ctrl-C throws away what was typed. Free with g_free. */
static char *editor_read(struct editor *editor)
{
    for (;;) {
        int length = 0;
        editor_interrupted = 0;
        /* el_gets() prints the prompt first: keys that are pressed between the two would be read under the wrong rules. */
        el_set(editor->line, EL_PREP_TERM, 1);
        const char *line = el_gets(editor->line, &length);
        if (line != NULL && length > 0)
            return g_strndup(line, (gsize)(line[length - 1] == '\n' ? length - 1 : length));
        if (!editor_interrupted)
            return NULL;
        printf("\n");
        el_reset(editor->line);
    }
}

static void editor_run_line(struct editor *editor, const char *line,
                            void (*run_line)(struct session *session, const char *line))
{
    HistEvent event;
    struct session *session = editor->session;
    if (*line != '\0')
        history(editor->history, &event, H_ENTER, line);
    editor_interrupted = 0;
    editor_running = session;
    editor_block_interrupt(SIG_UNBLOCK, NULL);
    run_line(session, line);
    editor_block_interrupt(SIG_BLOCK, NULL);
    editor_running = NULL;
    if (!editor_interrupted)
        return;
    /* An interruption that came too late would end the next call. */
    hbr_client_free(session->client);
    session->client = NULL;
}

void editor_run(struct session *session, void (*run_line)(struct session *session, const char *line))
{
    struct editor editor;
    struct sigaction action = {.sa_handler = editor_handle_interrupt}, old_action;
    sigset_t old_mask;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &old_action);
    editor_block_interrupt(SIG_BLOCK, &old_mask);
    printf("Harbinger %s. \"help\" lists the commands, \"quit\" leaves.\n", hbr_library_version());
    editor_open(&editor, session);
    while (!session->done) {
        g_autofree char *line = editor_read(&editor);
        if (line == NULL) {
            printf("\n");
            break;
        }
        editor_run_line(&editor, line, run_line);
    }
    editor_close(&editor);
    sigaction(SIGINT, &old_action, NULL);
    pthread_sigmask(SIG_SETMASK, &old_mask, NULL);
}
