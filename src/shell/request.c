/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/request.h"

#include "shell/failure.h"
#include "shell/language.h"
#include "shell/local-file.h"

#include <string.h>
#include <sys/stat.h>

/* Bounds of the API (harbinger(1), LIMITS). */
#define REQUEST_SOURCE_MAX (4 * 1024 * 1024)
#define REQUEST_FILE_MAX (8 * 1024 * 1024)
#define REQUEST_NAME_MAX 128

char *request_function_name(const char *path)
{
    g_autofree char *base = g_path_get_basename(path);
    char *dot = strrchr(base, '.');
    if (dot != NULL && dot != base)
        *dot = '\0';
    GString *name = g_string_new(NULL);
    for (const char *at = base; *at != '\0' && name->len < REQUEST_NAME_MAX; at++) {
        gboolean is_first = name->len == 0;
        if (g_ascii_isalnum(*at) || (!is_first && strchr("._:/@+-", *at) != NULL))
            g_string_append_c(name, *at);
        else if (!is_first)
            g_string_append_c(name, '-');
    }
    if (name->len == 0)
        g_string_append(name, "script");
    return g_string_free(name, FALSE);
}

/* What can travel as the text of `source`: UTF-8 without control characters other than newline and tab. */
static gboolean request_is_source(const char *text, gsize length)
{
    if (length > REQUEST_SOURCE_MAX || !g_utf8_validate_len(text, length, NULL))
        return FALSE;
    for (gsize i = 0; i < length; i++)
        if (((guchar)text[i] < ' ' && text[i] != '\n' && text[i] != '\t') || text[i] == 0x7f)
            return FALSE;
    return TRUE;
}

static json_t *request_file(const char *remote, guint mode, GBytes *content)
{
    gsize length = 0;
    const guchar *bytes = g_bytes_get_data(content, &length);
    g_autofree char *base64 = g_base64_encode(bytes, length);
    json_t *file = json_object();
    json_object_set_new(file, "path", json_string(remote));
    json_object_set_new(file, "mode", json_integer(mode));
    json_object_set_new(file, "content_base64", json_string(base64));
    return file;
}

static guint request_file_mode(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? status.st_mode & 0777 : 0644;
}

static void request_append_file(json_t *program, json_t *file)
{
    if (json_object_get(program, "files") == NULL)
        json_object_set_new(program, "files", json_array());
    json_array_append_new(json_object_get(program, "files"), file);
}

static json_t *request_argv(json_t *program)
{
    if (json_object_get(program, "argv") == NULL)
        json_object_set_new(program, "argv", json_array());
    return json_object_get(program, "argv");
}

/* "LOCAL" goes by its base name; a local name with a colon is written as "./a:b:remote". */
static gboolean request_add_file(json_t *program, const char *text, GError **error)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *local = colon != NULL ? g_strndup(text, (gsize)(colon - text)) : g_strdup(text);
    g_autofree char *remote = colon != NULL ? g_strdup(colon + 1) : g_path_get_basename(text);
    if (*local == '\0' || *remote == '\0')
        return failure_usage(error, "--file: \"%s\" is incomplete: write LOCAL or LOCAL:REMOTE", text);
    g_autoptr(GBytes) content = local_file_read(local, REQUEST_FILE_MAX, error);
    if (content == NULL)
        return FALSE;
    request_append_file(program, request_file(remote, request_file_mode(local), content));
    return TRUE;
}

static gboolean request_add_files(json_t *program, const char *const *files, GError **error)
{
    for (guint i = 0; files[i] != NULL; i++)
        if (!request_add_file(program, files[i], error))
            return FALSE;
    return TRUE;
}

static gboolean request_add_env(json_t *program, const char *const *settings, GError **error)
{
    json_t *env = json_object();
    for (guint i = 0; settings[i] != NULL; i++) {
        const char *equals = strchr(settings[i], '=');
        g_autofree char *name =
            equals != NULL ? g_strndup(settings[i], (gsize)(equals - settings[i])) : g_strdup(settings[i]);
        const char *value = equals != NULL ? equals + 1 : g_getenv(name);
        if (*name == '\0' || value == NULL) {
            json_decref(env);
            return failure_usage(error, "--env: \"%s\" %s: write NAME=VALUE", settings[i],
                                 *name == '\0' ? "has no name" : "is not set here");
        }
        json_object_set_new(env, name, json_string(value));
    }
    if (json_object_size(env) > 0)
        json_object_set(program, "env", env);
    json_decref(env);
    return TRUE;
}

static void request_add_args(json_t *program, const char *const *args)
{
    for (guint i = 0; args[i] != NULL; i++)
        json_array_append_new(request_argv(program), json_string(args[i]));
}

/* The interpreter: as asked for, else of the "#!" line, else of the language. NULL when none is known. Free with g_free. */
static char *request_interpreter(const struct arguments *arguments, const char *path, const char *text, gsize length)
{
    if (arguments_has(arguments, "interpreter"))
        return g_strdup(arguments_string(arguments, "interpreter"));
    if (arguments_has(arguments, "language"))
        return g_strdup(language_program(language_canonical(arguments_string(arguments, "language"))));
    char *shebang = language_shebang(text, length);
    if (shebang != NULL)
        return shebang;
    const char *language = path != NULL ? language_of_file(path) : "shell";
    return language != NULL ? g_strdup(language_interpreter(language)) : NULL;
}

static void request_add_language(json_t *code, const char *path, const char *interpreter)
{
    if (json_object_get(code, "language") != NULL)
        return;
    const char *language = interpreter != NULL ? language_of_interpreter(interpreter) : NULL;
    if (language == NULL && path != NULL)
        language = language_of_file(path);
    if (language != NULL)
        json_object_set_new(code, "language", json_string(language));
}

static gboolean request_fail_interpreter(const char *path, GError **error)
{
    const char *language = language_of_file(path);
    if (language != NULL)
        return failure_usage(error, "%s: no interpreter of %s is known: give --interpreter, or begin it with \"#!\"",
                             path, language);
    return failure_usage(
        error, "%s: its language is not known: give --language or --interpreter, or begin it with \"#!\"", path);
}

/* A script travels as source; what cannot (a program, odd bytes, a large script) travels as a file and is started by name. */
static gboolean request_add_code(json_t *program, const char *path, const char *interpreter, GBytes *content,
                                 GError **error)
{
    gsize length = 0;
    const char *text = g_bytes_get_data(content, &length);
    if (interpreter != NULL)
        json_object_set_new(program, "interpreter", json_string(interpreter));
    if (interpreter != NULL && request_is_source(text, length)) {
        json_object_set_new(program, "source", json_stringn(text, length));
        return TRUE;
    }
    if (path == NULL)
        return failure_usage(error, "--code: holds control characters: put it into a file");
    gboolean is_program = length >= 4 && memcmp(text, "\177ELF", 4) == 0;
    if (interpreter == NULL && !is_program)
        return request_fail_interpreter(path, error);
    g_autofree char *base = g_path_get_basename(path);
    request_append_file(program, request_file(base, 0755, content));
    json_array_append_new(request_argv(program), json_sprintf("%s%s", interpreter == NULL ? "./" : "", base));
    return TRUE;
}

static void request_add_limits(json_t *request, const struct arguments *arguments)
{
    json_t *limits = json_object();
    if (arguments_has(arguments, "limit-wall"))
        json_object_set_new(limits, "wall_ms", json_integer(arguments_number(arguments, "limit-wall")));
    if (arguments_has(arguments, "limit-memory"))
        json_object_set_new(limits, "memory_mib", json_integer(arguments_number(arguments, "limit-memory") / 1048576));
    if (arguments_has(arguments, "limit-pids"))
        json_object_set_new(limits, "pids", json_integer(arguments_number(arguments, "limit-pids")));
    if (arguments_has(arguments, "limit-output"))
        json_object_set_new(limits, "output_bytes", json_integer(arguments_number(arguments, "limit-output")));
    if (json_object_size(limits) > 0)
        json_object_set(request, "limits", limits);
    json_decref(limits);
}

static void request_add_rest(json_t *request, const struct arguments *arguments)
{
    if (arguments_has(arguments, "reservation"))
        json_object_set_new(request, "reservation_id", json_string(arguments_string(arguments, "reservation")));
    if (arguments_has(arguments, "key"))
        json_object_set_new(request, "idempotency_key", json_string(arguments_string(arguments, "key")));
    if (arguments_has(arguments, "deadline"))
        metadata_set_time(request, "deadline_at", arguments_number(arguments, "deadline"));
    if (arguments_has(arguments, "detach"))
        json_object_set_new(request, "detach", json_true());
    request_add_limits(request, arguments);
}

/* The program, and what its code tells for the metadata. */
static gboolean request_fill(json_t *program, json_t *code, const struct arguments *arguments, const char *path,
                             GBytes *content, GError **error)
{
    gsize length = 0;
    const char *text = g_bytes_get_data(content, &length);
    g_autofree char *interpreter = request_interpreter(arguments, path, text, length);
    if (!request_add_code(program, path, interpreter, content, error))
        return FALSE;
    if (path == NULL && arguments_has(arguments, "script"))
        json_array_append_new(request_argv(program), json_string(arguments_string(arguments, "script")));
    request_add_args(program, arguments_strings(arguments, "arg"));
    if (arguments_has(arguments, "cwd"))
        json_object_set_new(program, "cwd", json_string(arguments_string(arguments, "cwd")));
    request_add_language(code, path, interpreter);
    if (length > 0)
        json_object_set_new(code, "code_bytes", json_integer((json_int_t)length));
    return request_add_files(program, arguments_strings(arguments, "file"), error) &&
           request_add_env(program, arguments_strings(arguments, "env"), error);
}

json_t *request_new(const struct arguments *arguments, GError **error)
{
    const char *inline_code = arguments_string(arguments, "code");
    const char *path = inline_code == NULL ? arguments_string(arguments, "script") : NULL;
    if (path == NULL && inline_code == NULL) {
        failure_usage(error, "SCRIPT is missing: give a file, or --code CODE");
        return NULL;
    }
    g_autoptr(GBytes) content =
        path != NULL ? local_file_read(path, REQUEST_FILE_MAX, error) : g_bytes_new(inline_code, strlen(inline_code));
    if (content == NULL)
        return NULL;
    g_autofree char *name = path != NULL ? request_function_name(path) : g_strdup("inline");
    const char *function = arguments_string(arguments, "function");
    g_autoptr(json_auto) code = metadata_new(arguments, function != NULL ? function : name, error);
    g_autoptr(json_auto) program = json_object();
    if (code == NULL || !request_fill(program, code, arguments, path, content, error))
        return NULL;
    g_autoptr(json_auto) request = json_object();
    json_object_set(request, "code", code);
    json_object_set(request, "program", program);
    request_add_rest(request, arguments);
    return g_steal_pointer(&request);
}

json_t *request_program_of_file(const struct arguments *arguments, const char *path, GError **error)
{
    g_autoptr(GBytes) content = local_file_read(path, REQUEST_FILE_MAX, error);
    if (content == NULL)
        return NULL;
    gsize length = 0;
    const char *text = g_bytes_get_data(content, &length);
    g_autofree char *interpreter = request_interpreter(arguments, path, text, length);
    g_autoptr(json_auto) program = json_object();
    return request_add_code(program, path, interpreter, content, error) ? g_steal_pointer(&program) : NULL;
}

json_t *request_program_of_digest(const struct arguments *arguments, json_t *code, GError **error)
{
    const char *url = arguments_string(arguments, "code-url"), *sha256 = arguments_string(arguments, "code-sha256");
    const char *path = url != NULL ? url : "";
    g_autofree char *interpreter = request_interpreter(arguments, path, "", 0);
    if (sha256 == NULL) {
        failure_usage(error, "--code-url needs --code-sha256: what is fetched is checked against it");
        return NULL;
    }
    if (interpreter == NULL) {
        failure_usage(error, "the language of the code is not known: give --language or --interpreter");
        return NULL;
    }
    request_add_language(code, path, interpreter);
    json_t *program = json_object();
    json_object_set_new(program, "interpreter", json_string(interpreter));
    json_object_set_new(program, "source_sha256", json_string(sha256));
    if (url != NULL)
        json_object_set_new(program, "source_url", json_string(url));
    return program;
}
